# SPDX-License-Identifier: BSD-2-Clause
"""QMQP as bytes and a strict client: a reply must be exactly one
netstring, then the end of the stream."""
import contextlib
import os
import re
import socket
import struct

from .env import slow

MESSAGE = b'Subject: test\nX-Test: yes\n\nHello,\nworld.\n'
SENDER = b'a@example.org'
RCPT = b'b@example.org'


def netstring(data):
    return b'%d:%s,' % (len(data), data)


def request(message=MESSAGE, sender=SENDER, rcpts=(RCPT,)):
    """The bytes of a whole request."""
    return netstring(b''.join(map(netstring, (message, sender, *rcpts))))


def decode_netstring(data):
    """-> (payload, rest), None when incomplete; raises on bad framing."""
    m = re.match(rb'(0|[1-9][0-9]{0,18})(:?)', data)
    if not m:
        if data:
            raise ValueError(f'not a netstring: {data[:80]!r}')
        return None
    if not m[2]:
        if len(data) > m.end():
            raise ValueError(f'not a netstring: {data[:80]!r}')
        return None
    end = m.end() + int(m[1])
    if len(data) <= end:
        return None
    if data[end:end + 1] != b',':
        raise ValueError(f'netstring without a comma: {data[:80]!r}')
    return data[m.end():end], data[end + 1:]


class Request:
    """A decoded request, as a server gets it."""

    def __init__(self, payload):
        parts = []
        while payload:
            part = decode_netstring(payload)
            if part is None:
                raise ValueError(f'cut inside the request: {payload[:80]!r}')
            value, payload = part
            parts.append(value)
        if len(parts) < 3:
            raise ValueError(f'{len(parts)} netstrings in a request')
        self.message, self.sender, *self.rcpts = parts


def open_socket(address):
    """A connected socket: '/path', '@abstract' or (host, port)."""
    if isinstance(address, tuple):
        family = socket.AF_INET6 if ':' in address[0] else socket.AF_INET
    else:
        family = socket.AF_UNIX
        address = str(address)
        if address.startswith('@'):
            address = '\0' + address[1:]
    s = socket.socket(family, socket.SOCK_STREAM)
    s.settimeout(slow(10))
    try:
        s.connect(address)
    except BaseException:
        s.close()
        raise
    return s


class Client:
    """One connection to a QMQP server."""

    def __init__(self, address):
        self.sock = open_socket(address)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, data):
        self.sock.sendall(data)
        return self

    def send_bytewise(self, data):
        for i in range(len(data)):
            self.sock.sendall(data[i:i + 1])
        return self

    def half_close(self):
        self.sock.shutdown(socket.SHUT_WR)
        return self

    def read_to_eof(self, timeout=10, reset_is_eof=False):
        self.sock.settimeout(slow(timeout))
        data = b''
        while True:
            try:
                piece = self.sock.recv(65536)
            except ConnectionResetError:
                if reset_is_eof:
                    return data
                raise
            if not piece:
                return data
            data += piece

    def reply(self, timeout=10, reset_is_eof=False):
        """The reply's payload, e.g. b'Kok'; fails on anything but one
        netstring and EOF."""
        data = self.read_to_eof(timeout, reset_is_eof)
        assert data, 'connection closed without a reply'
        decoded = decode_netstring(data)
        assert decoded is not None, f'cut reply: {data[:300]!r}'
        payload, rest = decoded
        assert rest == b'', f'bytes after the reply: {data[:600]!r}'
        assert payload[:1] in (b'K', b'Z', b'D'), payload[:300]
        return payload

    def silent(self, seconds):
        """True if nothing, not even EOF, arrives for so long."""
        self.sock.settimeout(seconds)
        try:
            self.sock.recv(1, socket.MSG_PEEK)
            return False
        except TimeoutError:
            return True

    def reset(self):
        """Close with a TCP reset (a plain close on a Unix socket)."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                             struct.pack('ii', 1, 0))
        self.close()

    def close(self):
        self.sock.close()


@contextlib.contextmanager
def as_uid(uid, gid=None):
    """connect(2) inside this has the credentials of another user."""
    os.setegid(uid if gid is None else gid)
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
