# SPDX-License-Identifier: BSD-2-Clause
"""A QMQP server that misbehaves on command: every connection runs a
script (a Python function) in a thread of its own."""
import os
import socket
import struct
import threading
import time

from .env import slow, wait_until
from .qmqp import Request, decode_netstring, netstring


class Connection:
    """What a server script steers."""

    def __init__(self, server, sock):
        self.server = server
        self.sock = sock
        self.received = b''

    def read_some(self, n=1):
        """Read until n bytes have arrived in all, or EOF."""
        while len(self.received) < n:
            piece = self.sock.recv(65536)
            if not piece:
                break
            self.received += piece
        return self.received

    def read_request(self):
        """Read one request; None if the client closed before its end."""
        parts, total, need = [self.received], len(self.received), None
        while True:
            if need is None and total:
                head = b''.join(parts)
                parts = [head]
                colon = head.find(b':', 0, 24)
                if colon >= 0:
                    need = colon + 1 + int(head[:colon]) + 1
            if need is not None and total >= need:
                break
            try:
                piece = self.sock.recv(1 << 18)
            except ConnectionResetError:
                piece = b''
            if not piece:
                self.received = b''.join(parts)
                self.server.aborted.append(self.received)
                return None
            parts.append(piece)
            total += len(piece)
        self.received = b''.join(parts)
        payload, rest = decode_netstring(self.received)
        assert rest == b'', f'bytes after the request: {rest[:80]!r}'
        result = Request(payload)
        self.server.requests.append(result)
        return result

    def send(self, data):
        self.sock.sendall(data)

    def answer(self, payload):
        self.send(netstring(payload))

    def drip(self, data, pause=0.01):
        for i in range(len(data)):
            self.send(data[i:i + 1])
            time.sleep(pause)

    def half_close(self):
        self.sock.shutdown(socket.SHUT_WR)

    def wait_eof(self, timeout=10):
        """Read on until the peer is gone; True if it went in time."""
        self.sock.settimeout(slow(timeout))
        try:
            while self.sock.recv(1 << 18):
                pass
        except ConnectionResetError:
            pass
        except TimeoutError:
            return False
        self.server.saw_eof.set()
        return True

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                             struct.pack('ii', 1, 0))
        self.sock.close()

    def close(self):
        self.sock.close()


def answering(payload=b'Kok'):
    """The script of a well-behaved server."""
    def script(conn):
        if conn.read_request():
            conn.answer(payload)
    return script


class Server:
    """Listens from birth; address is what a Lua script calls it."""

    def __init__(self, script=None, where='127.0.0.1', port=0, backlog=128):
        self.script = script or answering()
        self.requests, self.aborted, self.errors = [], [], []
        self.connections = 0
        self.saw_eof = threading.Event()
        self.open = set()
        self.threads = set()
        self.closed = False
        if where[0] in '/@':
            self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.sock.bind('\0' + where[1:] if where[0] == '@' else where)
            self.address = where
        else:
            v6 = ':' in where
            self.sock = socket.socket(
                socket.AF_INET6 if v6 else socket.AF_INET, socket.SOCK_STREAM)
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.sock.bind((where, port))
            self.port = self.sock.getsockname()[1]
            self.address = f'[{where}]:{self.port}' if v6 \
                else f'{where}:{self.port}'
        self.sock.listen(backlog)
        self.path = where if where[0] == '/' else None
        self.acceptor = threading.Thread(target=self.accept, daemon=True)
        self.acceptor.start()

    def accept(self):
        while True:
            try:
                sock, _ = self.sock.accept()
            except OSError:
                return
            sock.settimeout(slow(30))
            self.connections += 1
            conn = Connection(self, sock)
            self.open.add(conn)
            thread = threading.Thread(target=self.run, args=(conn,),
                                      daemon=True)
            self.threads.add(thread)
            thread.start()

    def run(self, conn):
        try:
            self.script(conn)
        except (ConnectionError, BrokenPipeError):
            pass
        except Exception as e:              # reported by close()
            if not self.closed:
                self.errors.append(e)
        finally:
            conn.sock.close()
            self.open.discard(conn)
            self.threads.discard(threading.current_thread())

    def wait_requests(self, n, timeout=10):
        wait_until(lambda: len(self.requests) >= n,
                   f'the server has {n} requests', timeout)
        return self.requests

    def close(self):
        """Stop listening, cut what is open, raise what a script raised."""
        if self.closed:
            return
        self.closed = True
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.sock.close()
        for conn in list(self.open):
            try:
                conn.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        for thread in [self.acceptor, *self.threads]:
            thread.join(slow(5))
        if self.path and os.path.exists(self.path):
            os.unlink(self.path)
        if self.errors:
            raise self.errors[0]
