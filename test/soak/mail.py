# SPDX-License-Identifier: BSD-2-Clause
"""A mail of the soak: drawn at random, with all that shall happen to it
written into its first recipient, so that the handler, the server and the
program that get it know what to do, and the ledger what to expect.

    ID+STEPS+ACTION+HOW+SIZE@soak.test

STEPS    what the handler does first: `sleep50.query.cgroup`
ACTION   discard, reject, defer, script (it fails), to-SERVER, exec, raw
HOW      what the server or the program does with it
SIZE     bytes of the message as submitted
"""
import dataclasses
import hashlib
import re

from harness.qmqp import request

MAX_SIZE = 1 << 20
MAX_RECIPIENTS = 50

# weight, what; numbers in braces are drawn
STEPS = [(6, 'sleep{0,30}'), (1, 'sleep{100,1500}'), (5, 'cgroup'),
         (3, 'sender'), (4, 'hdr{1,4}'), (1, 'hdr{40,90}'), (2, 'garbage'),
         (3, 'stale'), (2, 'resolve')]
DATABASE_STEPS = [(6, 'query'), (1, 'slow'), (3, 'tx'), (2, 'rollback'),
                  (1, 'bad'), (1, 'notify')]
SERVERS = [(4, 'tcp0'), (4, 'tcp1'), (4, 'unix0'), (4, 'unix1'), (2, 'abs0'),
           (2, 'flaky0'), (2, 'flaky1'), (1, 'gone')]
TWO = [(4, 'two')]          # a name with two addresses
SERVER_HOW = [
    (20, 'K'), (5, 'D'), (5, 'Z'), (2, 'long'), (3, 'drip'), (2, 'slow'),
    (2, 'twice'), (3, 'early'), (1, 'earlycut'), (1, 'lie'),
    (2, 'hang'), (1, 'hang0'), (3, 'reset'), (3, 'resetall'), (3, 'close'),
    (2, 'half'), (1, 'halfreset'), (3, 'nonsense{0,7}')]
EXEC_HOW = [(8, 'K'), (2, 'D'), (2, 'Z'), (1, 'die'), (1, 'dieearly'),
            (1, 'noread'), (1, 'mute'), (1, 'Kfail'), (1, 'half'),
            (1, 'hang'), (1, 'stubborn'), (1, 'stderr'), (1, 'child')]
RAW_HOW = [(8, 'K'), (2, 'D'), (2, 'Z'), (1, 'die'), (1, 'dieearly'),
           (1, 'noread'), (1, 'hang'), (1, 'loud'), (1, 'child')]
ACTIONS = [(6, 'discard'), (3, 'reject'), (3, 'defer'), (2, 'script'),
           (60, 'to'), (7, 'exec'), (7, 'raw')]
SCRIPT_HOW = [(6, 'error'), (3, 'nothing'), (2, 'number'), (1, 'spin'),
              (1, 'yield')]

SENDERS = [(6, '{id}@sender.test'), (1, ''), (1, '{id}-@[]'),
           (1, '"{id} <x>"@sender.test'), (1, '{id}@sender.test.')]


def draw(rng, table):
    """One of the table's entries by weight, its range drawn as well."""
    text = rng.choices([what for _, what in table],
                       [weight for weight, _ in table])[0]
    return re.sub(r'\{(\d+),(\d+)\}',
                  lambda m: str(rng.randint(int(m[1]), int(m[2]))), text)


def draw_size(rng):
    kind = rng.random()
    if kind < 0.70:
        return rng.randrange(2000)
    if kind < 0.96:
        return rng.randrange(2000, 65536)
    if kind < 0.998:
        return rng.randrange(65536, MAX_SIZE)
    return MAX_SIZE


def draw_steps(rng, database):
    table = STEPS + (DATABASE_STEPS if database else [])
    number = rng.choices([0, 1, 2, 4], [4, 4, 2, 1])[0]
    return '.'.join(draw(rng, table) for _ in range(number))


@dataclasses.dataclass
class Mail:
    id: str
    steps: str
    action: str
    how: str
    sender: str
    rcpts: tuple
    message: bytes

    @property
    def size(self):
        return len(self.message)

    @property
    def digest(self):
        return hashlib.sha1(self.message).hexdigest()

    def request(self):
        return request(self.message, self.sender.encode(),
                       tuple(r.encode() for r in self.rcpts))


def recipient(id, steps, action, how, size):
    return f'{id}+{steps}+{action}+{how}+{size}@soak.test'


RECIPIENT = re.compile(
    r'([\w-]+)\+([\w.]*)\+([\w-]+)\+(\w*)\+(\d+)@soak\.test$')


def parse_recipient(text):
    """-> (id, steps, action, how, size), or None for a stranger's."""
    m = RECIPIENT.match(text)
    return (*m.groups()[:4], int(m[5])) if m else None


class Text:
    """Bytes to cut messages from; their lines end in LF or CRLF."""

    def __init__(self, rng):
        line = bytes(range(32, 127)) * 4
        noise = bytes(rng.choice(line) for _ in range(1 << 16))
        self.bytes = noise.replace(b'~', b'\n') * (2 * MAX_SIZE >> 16)

    def message(self, rng, id, size):
        eol = rng.choice([b'\n', b'\n', b'\n', b'\r\n'])
        start = b'X-Id: ' + id.encode() + eol
        if rng.random() < 0.05:
            start = b' ' + start
        at = rng.randrange(MAX_SIZE)
        return (start + self.bytes[at:at + size])[:size]


def draw_mail(rng, id, text, database, servers):
    """A whole mail; `servers` is a table like SERVERS."""
    size = draw_size(rng)
    steps = draw_steps(rng, database)
    action = draw(rng, ACTIONS)
    how = ''
    if action == 'to':
        action = 'to-' + draw(rng, servers)
        how = draw(rng, SERVER_HOW)
    elif action == 'exec':
        how = draw(rng, EXEC_HOW)
    elif action == 'raw':
        how = draw(rng, RAW_HOW)
    elif action == 'script':
        how = draw(rng, SCRIPT_HOW)
    first = recipient(id, steps, action, how, size)
    others = (f'{i}@others.test' for i in range(
        rng.choices([0, 2, MAX_RECIPIENTS - 1], [9, 2, 1])[0]))
    return Mail(id, steps, action, how,
                draw(rng, SENDERS).replace('{id}', id), (first, *others),
                text.message(rng, id, size))


# ----- what becomes of it on the way -----


def sender_after(sender, id, steps):
    """The envelope's sender as the handler left it."""
    return f'new-{id}@sender.test' if 'sender' in steps.split('.') else sender


def head_after(id, steps, how, size, start, pid, uid, unix):
    """The header lines that stand above the message at a server; `start`
    is how the message begins: up to its first LF, which decides the line
    end, and whether it would continue ours."""
    eol = b'\r\n' if start.endswith(b'\r\n') else b'\n'
    lines = [b'X-Soak: %s %s %d' % (id.encode(), how.encode(), size)]
    inserted = []
    for step in steps.split('.'):
        if step.startswith('hdr'):
            inserted += [b'X-Soak-%d: %s' % (i, id.encode())
                         for i in range(1, int(step[3:]) + 1)]
    lines += reversed(inserted)
    if unix:
        lines.append(b'Received: from PID=%d UID=%d with QMQP' % (pid, uid))
    head = b''.join(line + eol for line in lines)
    return head + (eol if start[:1] in (b' ', b'\t') else b'')
