# SPDX-License-Identifier: BSD-2-Clause
"""Resident memory of one mail of 16 MiB that stalls, against what of it has
arrived (floor and HAProxy pass it on, and hold next to nothing)"""

import array
import fcntl
import socket
import termios

from lib import BenchError, rss_settled, table, verdict, wait_for

MESSAGE = 16 * 1024 * 1024
ENVELOPE = b'17:bench@example.org,19:sink+42@example.org,'
STALLS = (1_000_000, 8_000_000)  # bytes sent when it stalls


def cells():
    return ['stalled']


def aim(arrived):
    return arrived * 1.05 + 16 * 1024


def unread(sock):
    """Bytes sent that the peer has not taken from its socket."""
    value = array.array('i', [0])
    fcntl.ioctl(sock, termios.TIOCOUTQ, value)
    return value[0]


def request():
    head = b'%d:' % MESSAGE
    size = len(head) + MESSAGE + 1 + len(ENVELOPE)
    return b'%d:%s%s,%s,' % (size, head, b'x' * MESSAGE, ENVELOPE)


def report(bench, name, sent, grown):
    ok = grown <= aim(sent) if name == 'qrelay' else None
    text = f'<={aim(sent):.0f} {verdict(ok)}' if ok is not None else ''
    bench.record(f'stalled/{sent}', name, grown, 'bytes', arrived=sent,
                 **({} if ok is None else {'ok': ok, 'aim': text}))
    return (f'stalled/{sent}', name, grown, f'{grown / sent:.3f}', text)


def measure(bench, name, running, data):
    pid = running.process.pid
    bench.load(running, 200)
    before = rss_settled(pid)
    rows, done = [], 0
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(10)
        s.connect(running.socket)
        for stall in STALLS:
            s.sendall(data[done:stall])
            done = stall
            wait_for(lambda: unread(s) == 0, f'{name}: reading')
            rows.append(report(bench, name, done, rss_settled(pid) - before))
        s.sendall(data[done:])
        reply = s.recv(512)
        if reply[2:3] != b'K':
            raise BenchError(f'{name}: the stalled mail was not accepted '
                             f'in the end: {reply!r}')
    return rows


def run(bench, chosen):
    data = memoryview(request())
    rows = []
    with bench.started('tcp') as running:
        for name, r in running.items():
            rows += measure(bench, name, r, data)
    bench.say(table(rows, ('cell', 'relay', 'bytes grown', 'x arrived',
                           'aim')))
