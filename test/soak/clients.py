# SPDX-License-Identifier: BSD-2-Clause
"""The clients of the soak: a process for each uid, in which threads submit
one mail after the other, each in a way of its own."""
import os
import random
import select
import socket
import struct
import threading
import time
import traceback

from harness.qmqp import decode_netstring

import mail as mails
from family import in_threads
from journal import Journal, text
from lies import LIES

KINDS = [(44, 'good'), (10, 'chunks'), (3, 'bytewise'), (6, 'half'),
         (3, 'extra'), (2, 'slowread'), (8, 'vanish'), (4, 'gone'),
         (5, 'goneslow'), (2, 'goneunread'), (3, 'cuthalf'), (2, 'idle'),
         (1, 'stall'), (10, 'lie')]
HOGS = 0.01             # of the hostile uid's: connections without end
HOSTILE = 1             # the worker that does so
HOG_CONNECTIONS = 70
THREADS = 14


class Client:
    """One connection; what it did and saw is in `record`."""

    def __init__(self, worker, rng, id):
        self.worker, self.rng, self.id = worker, rng, id
        self.listener = rng.choice(('unix', 'unix', 'tcp', 'abstract'))
        self.record = dict(id=id, pid=os.getpid(), uid=worker.uid,
                           listener=self.listener, mail=None, kind=None,
                           whole=False, outcome=None, reply=None,
                           error=None, peer=None)
        self.sock = None

    def connect(self):
        address = self.worker.addresses[self.listener]
        if self.listener == 'tcp':
            self.sock = socket.socket(socket.AF_INET)
            # an address of its own tells its line in the log
            self.sock.bind((self.worker.next_address(), 0))
            self.record['peer'] = '%s:%d' % self.sock.getsockname()
        else:
            self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.worker.patience)
        self.sock.connect(address)
        self.began = time.monotonic()

    def send(self, data):
        """False when the daemon took no more."""
        try:
            self.sock.sendall(data)
            return True
        except (ConnectionError, TimeoutError) as e:
            self.record['error'] = f'send: {e}'
            return False

    def send_all(self, data):
        self.record['whole'] = self.send(data)

    def read(self, slowly=False):
        """To the end; the outcome is `reply`, `closed`, or bad."""
        data = b''
        try:
            while piece := self.sock.recv(1 if slowly else 65536):
                data += piece
                if slowly:
                    time.sleep(0.01)
            outcome = 'closed'
        except ConnectionError as e:
            outcome = f'bad: {e}'
        except TimeoutError:
            outcome = 'bad: no verdict in time'
        if data:
            self.record['reply'], outcome = self.judge(data, outcome)
        self.record['outcome'] = outcome

    @staticmethod
    def judge(data, outcome):
        try:
            whole = decode_netstring(data)
        except ValueError as e:
            return text(data), f'bad: {e}'
        if whole is None:
            return text(data), 'bad: half a verdict'
        payload, rest = whole
        if rest:
            return text(data), 'bad: more than a verdict'
        if payload[:1] not in (b'K', b'Z', b'D'):
            return text(payload), 'bad: no verdict'
        return text(payload), 'reply' if outcome == 'closed' else outcome

    def leave(self, reset=None):
        """Closes without having read."""
        if reset is None:
            reset = self.listener == 'tcp' and self.rng.random() < 0.3
        if reset:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                 struct.pack('ii', 1, 0))
            self.record['reset'] = True
        self.sock.close()
        self.record['outcome'] = 'left'

    def part(self, data):
        return data[:self.rng.randrange(len(data))]

    # ----- ways to submit a mail -----

    def good(self, data):
        self.send_all(data)
        self.read()

    def chunks(self, data):
        at, sent = 0, True
        pauses = self.rng.randrange(1, 12)
        while sent and at < len(data):
            size = self.rng.randrange(1, 2 + 2 * len(data) // pauses)
            sent = self.send(data[at:at + size])
            at += size
            time.sleep(self.rng.random() * 0.08)
        self.record['whole'] = sent
        self.read()

    def bytewise(self, data):
        edge = min(len(data) // 2, 150)     # the middle goes in one piece
        pieces = [data[i:i + 1] for i in range(edge)]
        pieces.append(data[edge:len(data) - edge])
        pieces += [data[i:i + 1] for i in range(len(data) - edge, len(data))]
        self.record['whole'] = all(self.send(p) for p in pieces if p)
        self.read()

    def half(self, data):
        self.send_all(data)
        self.shut()
        self.read()

    def extra(self, data):
        self.send_all(data + self.rng.choice(
            [b'\n', data, b'x' * self.rng.randrange(1, 100000)]))
        self.read()

    def slowread(self, data):
        self.send_all(data)
        self.read(slowly=True)

    def vanish(self, data):
        self.send(self.part(data))
        time.sleep(self.rng.choice([0, 0, 0.01, 0.1]))
        self.leave()

    def gone(self, data):
        self.send_all(data)
        time.sleep(self.rng.choice([0, self.rng.random() * 0.03]))
        self.leave()

    def goneslow(self, data):
        self.send_all(data)
        time.sleep(self.rng.random())
        self.leave()

    def goneunread(self, data):
        self.send_all(data)
        select.select([self.sock], [], [], self.worker.patience)
        self.leave()

    def cuthalf(self, data):
        self.send(self.part(data))
        self.shut()
        self.read()

    def idle(self, data):
        time.sleep(self.rng.random() * 2)
        self.leave()

    def stall(self, data):
        self.send(data[:self.rng.randrange(1, len(data))])
        self.read()

    def shut(self):
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass                # it was reset: read() sees that

    # ----- one connection, from the drawing to the journal -----

    def run(self):
        kind = mails.draw(self.rng, KINDS)
        self.record['kind'] = kind
        if kind == 'lie':
            lie = self.rng.choice(LIES)
            data, wanted = lie(self.rng)
            self.record.update(lie=lie.__name__, wanted=sorted(wanted))
            way = self.rng.choice([self.good, self.half, self.chunks])
        else:
            m = mails.draw_mail(self.rng, self.id, self.worker.text,
                                self.worker.database, self.worker.servers)
            data = m.request()
            first = m.message.find(b'\n') + 1
            self.record['mail'] = dict(
                rcpts=m.rcpts, sender=m.sender, digest=m.digest,
                start=text(m.message[:first] if first else b'x'
                           if m.message[:1] != b' ' else b' '))
            way = getattr(self, kind)
        try:
            self.connect()
        except OSError as e:
            self.record['outcome'] = f'bad: connect: {e}'
        else:
            way(data)
            self.record['seconds'] = round(time.monotonic() - self.began, 3)
        finally:
            if self.sock:
                self.sock.close()
        if kind == 'lie':
            self.record['whole'] = False
        self.worker.journal.write(**self.record)


class Worker:
    """The process of one uid."""

    def __init__(self, index, uid, addresses, servers, database, seed, path,
                 patience):
        self.index, self.uid, self.seed = index, uid, seed
        self.addresses, self.servers = addresses, servers
        self.database, self.patience = database, patience
        self.journal = Journal(path)
        self.text = mails.Text(random.Random(f'{seed}-text'))
        self.lock = threading.Lock()
        self.number = 0

    def next_address(self):
        with self.lock:
            self.number += 1
            n = self.number
        return f'127.{16 + 8 * self.index + (n >> 16) % 8}.' \
            f'{n >> 8 & 255}.{n & 255}'

    def hog(self):
        """Opens all it can, then lets go; answers are counted."""
        socks = []
        answers = 0
        try:
            for _ in range(HOG_CONNECTIONS):
                sock = socket.socket(socket.AF_UNIX)
                sock.settimeout(self.patience)
                socks.append(sock)
                sock.connect(self.addresses['unix'])
            time.sleep(0.2)
            for sock in socks:
                sock.setblocking(False)
                try:
                    answers += b'too many connections' in sock.recv(100)
                except (BlockingIOError, ConnectionError):
                    pass
        except OSError:
            pass
        finally:
            for sock in socks:
                sock.close()
        self.journal.write(id=None, kind='hog', pid=os.getpid(),
                           uid=self.uid, answers=answers)

    def submit(self, thread, stop):
        rng = random.Random(f'{self.seed}-{self.index}-{thread}')
        number = 0
        while not stop.is_set():
            number += 1
            try:
                if self.index == HOSTILE and rng.random() < HOGS:
                    self.hog()
                else:
                    Client(self, rng, f'w{self.index}t{thread}-{number}').run()
            except Exception:
                self.journal.write(id=None, kind='crash',
                                   error=traceback.format_exc())
                return

    def run(self, ready, stop):
        ready.wait()
        in_threads(THREADS, lambda i: self.submit(i, stop))


def work(ready, stop, *args):
    """The process: becomes the user, then submits until it is stopped."""
    worker = Worker(*args)
    uid = worker.uid
    if os.geteuid() == 0 and uid != 0:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    worker.run(ready, stop)
