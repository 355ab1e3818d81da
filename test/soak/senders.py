# SPDX-License-Identifier: BSD-2-Clause
"""The clients of `run --kill`: each mail is sent again until it is taken,
as a queue does it."""
import collections
import hashlib
import os
import random
import socket
import time

from harness.qmqp import decode_netstring, request

from family import in_threads
from journal import Journal, text

THREADS = 6
GIVE_UP = 120           # seconds after the last kill


def attempt(address, data, patience):
    """-> (verdict or None, what happened)"""
    sock = socket.socket(socket.AF_INET if isinstance(address, tuple)
                         else socket.AF_UNIX)
    received = b''
    try:
        sock.settimeout(patience)
        sock.connect(address)
        sock.sendall(data)
        while piece := sock.recv(65536):
            received += piece
    except OSError as e:
        happened = type(e).__name__
    else:
        happened = 'closed'
    finally:
        sock.close()
    if not received:
        return None, happened
    try:
        payload, rest = decode_netstring(received)
    except (TypeError, ValueError):
        return None, f'bad: {text(received[:300])}'
    if rest or payload[:1] not in (b'K', b'Z', b'D'):
        return None, f'bad: {text(received[:300])}'
    return text(payload), payload[:1].decode()


class Senders:
    """A process of them."""

    def __init__(self, index, addresses, seed, path, patience):
        self.index, self.addresses, self.seed = index, addresses, seed
        self.patience = patience
        self.journal = Journal(path)

    def send(self, rng, id, stop):
        to = rng.choice('aaabbbx')
        size = rng.choice([rng.randrange(2000), rng.randrange(2000),
                           rng.randrange(300000)])
        message = b'X-Id: %s\n' % id.encode() + rng.randbytes(size // 2).hex(
            '\n', 30).encode()
        rcpt = f'{id}+{to}@kill.test'
        sender = f'{id}{"x" * rng.randrange(3)}@kill.test'
        data = request(message, sender.encode(), (rcpt.encode(),))
        tries = collections.Counter()
        verdict, calm = None, None
        while True:
            got, happened = attempt(rng.choice(self.addresses), data,
                                    self.patience)
            tries[happened] += 1
            if got and got[0] in 'KD':
                verdict = got
                break
            if stop.is_set():
                calm = calm or time.monotonic()
                if time.monotonic() > calm + GIVE_UP:
                    break
            time.sleep(rng.random() * 0.2)
        self.journal.write(id=id, pid=os.getpid(), rcpt=rcpt, sender=sender,
                           size=len(message), verdict=verdict, tries=tries,
                           digest=hashlib.sha1(message).hexdigest())

    def run(self, stop):
        def submit(thread):
            rng = random.Random(f'{self.seed}-{self.index}-{thread}')
            number = 0
            while not stop.is_set():
                number += 1
                self.send(rng, f'k{self.index}t{thread}-{number}', stop)
        in_threads(THREADS, submit)


def send(ready, stop, *args):
    """The process."""
    senders = Senders(*args)
    ready.wait()
    senders.run(stop)
