# SPDX-License-Identifier: BSD-2-Clause
"""The servers of the soak: a process of its own, in which each connection
does what the mail's first header says (mail.py: HOW), and some servers
come and go."""
import hashlib
import random
import re
import select
import socket
import struct
import threading
import time
import traceback

from harness.qmqp import netstring
from harness.server import Server

from journal import Journal, text

SOAK = re.compile(rb'X-Soak: ([^ ]+) (\w*) ([0-9]+)\r?\n')
NONSENSE = [b'X5', b'3:Xok,', b'0:,', b'99999999:Kok', b'03:Kok,',
            b'5:Kok,', b'K' * 70000, b'3:Kok;']
PATIENCE = 60           # seconds; the daemon's own are fewer


class Nothing:
    """A list that keeps nothing."""

    def append(self, _):
        pass


def peek(sock):
    """What has arrived, left in the socket: up to the end of the first
    header, or all before the end of the stream."""
    end = time.monotonic() + 10
    data = b''
    while time.monotonic() < end:
        try:
            more = sock.recv(4096, socket.MSG_PEEK)
        except (ConnectionError, TimeoutError):
            return data
        if SOAK.search(more):
            return more
        if len(more) == len(data):
            # nothing new: the end of the stream, or a very slow peer
            poll = select.poll()
            poll.register(sock, select.POLLRDHUP)
            if not more or poll.poll(0):
                return more
        data = more
        time.sleep(0.002)
    return data


def wait_gone(sock):
    """Until the peer has closed, without reading what it sent."""
    poll = select.poll()
    poll.register(sock, select.POLLRDHUP)
    poll.poll(PATIENCE * 1000)


class Downstream:
    """One server: a name, a place, and a mood when it is a flaky one."""

    def __init__(self, name, where, port, seed, journal):
        self.name, self.where, self.port = name, where, port
        self.rng = random.Random(f'{seed}-{name}')
        self.flaky = name.startswith(('flaky', 'two'))
        self.journal = journal
        self.count = 0
        self.server = None
        self.open()

    def open(self):
        self.server = Server(self.script, self.where, self.port, 512)
        self.server.requests = self.server.aborted = Nothing()
        if self.name.endswith('1') and self.port:
            self.server.sock.setsockopt(socket.SOL_SOCKET,
                                        socket.SO_RCVBUF, 16384)

    def close(self):
        try:
            self.server.close()
        except Exception:
            self.journal.write(error=traceback.format_exc(), server=self.name)

    def come_and_go(self, stop):
        while not stop.wait(self.rng.uniform(0.2, 3)):
            self.close()
            stop.wait(self.rng.uniform(0.02, 0.6))
            self.open()

    # ----- one connection -----

    def script(self, conn):
        self.count += 1
        if self.flaky and self.rng.random() < 0.15:
            conn.sock.settimeout(0.002)     # close at once
            data = peek(conn.sock)
        else:
            data = peek(conn.sock)
        if not data:
            return
        m = SOAK.search(data)
        if not m:
            self.journal.write(server=self.name, id=None, bytes=len(data))
            return
        id, how, size = m[1].decode(), m[2].decode(), int(m[3])
        record = dict(server=self.name, id=id, how=how, whole=False,
                      said=None, sure=False)
        try:
            if conn.sock.gettimeout() == 0.002:
                record['how'] = 'hasty'
            else:
                Deed(self, conn, record, size).do(how)
        except OSError:
            pass                # the daemon has gone; the record says enough
        finally:
            record['cut'] = conn.server.closed
            self.journal.write(**record)


class Deed:
    """What a server does with one mail."""

    def __init__(self, downstream, conn, record, size):
        self.name, self.conn = downstream.name, conn
        self.record, self.size = record, size
        self.number = downstream.count
        self.rng = random.Random(record['id'])

    def do(self, how):
        name = re.match('[A-Za-z]+', how)[0]
        if how == 'hang0':
            wait_gone(self.conn.sock)
        else:
            getattr(self, 'do_' + name)(how)

    def read(self):
        """True when the request came as a whole."""
        request = self.conn.read_request()
        if request is None:
            return False
        head = len(request.message) - self.size
        self.record.update(
            whole=True, head=text(request.message[:max(head, 0)]),
            digest=hashlib.sha1(request.message[head:]).hexdigest()
            if head >= 0 else None,
            sender=text(request.sender),
            rcpts=[text(r) for r in request.rcpts])
        return True

    def reply(self, letter, more=''):
        said = f'{letter}{self.record["id"]} {self.name} {self.number}{more}'
        self.record['said'] = said
        return said.encode()

    def say(self, data):
        self.conn.send(data)
        self.record['sure'] = True

    def answer(self, letter, more=''):
        if self.read():
            self.say(netstring(self.reply(letter, more)))

    def do_K(self, how):
        self.answer('K')

    def do_D(self, how):
        self.answer('D')

    def do_Z(self, how):
        self.answer('Z')

    def do_long(self, how):
        self.answer('K', ' long' * 2000)

    def do_twice(self, how):
        if self.read():
            self.say(netstring(self.reply('K')) + netstring(b'Dtwice'))

    def do_drip(self, how):
        if self.read():
            data = netstring(self.reply(self.rng.choice('KKDZ')))
            self.conn.drip(data, 0.003)
            self.record['sure'] = True

    def do_slow(self, how):
        for _ in range(20):
            time.sleep(0.01)
            if select.select([self.conn.sock], [], [], 0)[0]:
                self.conn.read_some(len(self.conn.received) + 1)
        self.answer('K')

    def do_early(self, how):
        self.say(netstring(self.reply(self.rng.choice('DZ'))))
        self.conn.half_close()
        self.conn.wait_eof(PATIENCE)

    def do_earlycut(self, how):
        self.say(netstring(self.reply(self.rng.choice('DZ'))))

    def do_lie(self, how):
        self.say(netstring(self.reply('K')))
        self.conn.half_close()
        self.conn.wait_eof(PATIENCE)

    def do_hang(self, how):
        if self.read():
            self.conn.wait_eof(PATIENCE)

    def do_reset(self, how):
        self.conn.reset()

    def do_resetall(self, how):
        if self.read():
            self.conn.reset()

    def do_close(self, how):
        self.read()

    def do_half(self, how):
        if self.read():
            data = netstring(self.reply('K'))
            self.record['said'] = None
            self.say(data[:self.rng.randrange(1, len(data))])

    def do_halfreset(self, how):
        self.do_half(how)
        self.conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                  struct.pack('ii', 1, 0))

    def do_nonsense(self, how):
        if self.read():
            self.say(NONSENSE[int(how[8:])])


def serve(places, seed, path, ready, stop):
    """The process: `places` is [(name, where, port)]."""
    journal = Journal(path)
    servers = [Downstream(name, where, port, seed, journal)
               for name, where, port in places]
    halt = threading.Event()
    moods = [threading.Thread(target=one.come_and_go, args=(halt,))
             for one in servers if one.flaky]
    for thread in moods:
        thread.start()
    ready.set()
    stop.wait()
    halt.set()
    for thread in moods:
        thread.join()
    for one in servers:
        one.close()
