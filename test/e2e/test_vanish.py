# SPDX-License-Identifier: BSD-2-Clause
"""Clients that vanish at any byte, stall or drip: no log line for what
was never a mail, and no fd left."""
import time

import pytest
from harness.env import free_port, slow, wait_until
from harness.qmqp import request

DATA = request(b'A: b\n\nhello\n', b'a@x', (b'b@y', b'c@z'))


@pytest.fixture
def q(qrelay):
    port = free_port()
    q = qrelay(f"""function h(m) return m:discard() end
qmqp_listen('$SOCK', h)
qmqp_listen('127.0.0.1:{port}', h)""")
    q.tcp = ('127.0.0.1', port)
    return q


@pytest.mark.valgrind
@pytest.mark.parametrize('way', ['close', 'half_close', 'reset'])
@pytest.mark.parametrize('kind', ['unix', 'tcp'])
def test_vanish_at_every_offset(q, way, kind):
    where = q.sock if kind == 'unix' else q.tcp
    q.submit(address=where)
    before = q.fds()
    for i in range(len(DATA)):
        with q.client(where) as c:
            c.send(DATA[:i])
            getattr(c, way)()
    q.wait_fds(before)
    q.submit(address=where)
    assert all(m['verdict'] == b'K' for m in q.mails(2))
    assert not q.messages()


@pytest.mark.parametrize('way', ['close', 'half_close', 'reset'])
@pytest.mark.parametrize('kind', ['unix', 'tcp'])
def test_vanish_after_the_last_byte(q, way, kind):
    """Whole requests: exactly one line each."""
    where = q.sock if kind == 'unix' else q.tcp
    before = q.fds()
    for _ in range(20):
        with q.client(where) as c:
            c.send(DATA)
            getattr(c, way)()
    q.wait_fds(before)
    if kind == 'tcp' and way == 'reset':
        # it may destroy the bytes before they are read
        assert len(q.peek_mails()) <= 20
    else:
        q.mails(20)


def test_vanish_while_draining(q):
    before = q.fds()
    for data in (b'x', b'100000000:90000000:', request(rcpts=(b'a b',))):
        for way in ('close', 'half_close', 'reset'):
            for where in (q.sock, q.tcp):
                with q.client(where) as c:
                    c.send(data)
                    getattr(c, way)()
    q.wait_fds(before)
    # answered, or gone before: never more than one line
    assert len(q.peek_mails()) <= 18
    assert q.submit() == b'Kdiscarded'


def test_vanish_inside_a_large_message(q):
    before = q.fds()
    for i in range(10):
        for where in (q.sock, q.tcp):
            with q.client(where) as c:
                c.send(b'9000020:9000000:' + b'x' * (i * 100000))
    q.wait_fds(before)
    q.mails(0)


def closed_in(client, limit):
    """Read to the end; -> (seconds it took, bytes that came)."""
    start = time.monotonic()
    data = client.read_to_eof(limit, reset_is_eof=True)
    return time.monotonic() - start, data


@pytest.mark.parametrize('data', [b'', b'5', DATA[:20], DATA[:-1],
                                  b'9000020:9000000:xxxx'],
                         ids=['nothing', 'digit', 'half', 'almost', 'large'])
def test_receive_timeout(qrelay, data):
    """A second without a byte is the end; close, or a Z that is logged."""
    q = qrelay(receive_timeout=1)
    before = q.fds()
    with q.client() as c:
        c.send(data)
        took, reply = closed_in(c, 8)
    assert 0.9 <= took
    q.wait_fds(before)
    if reply:
        assert b':Z' in reply
    q.mails(1 if reply else 0)


def test_slow_but_steady_is_fine(qrelay):
    """Every byte starts the time-out anew, up to ten times in all; then
    it is over, however steady."""
    q = qrelay(receive_timeout=1)
    ok, late = q.client(), q.client()
    start = time.monotonic()
    late.send(b'9000020:9000000:')
    for i in range(9):
        ok.send(DATA[i:i + 1])
        late.send(b'x')
        time.sleep(0.4)
    assert ok.send(DATA[9:]).reply() == b'Kdiscarded'
    ok.close()
    late.sock.setblocking(False)
    data = None
    while data is None and time.monotonic() - start < slow(20):
        late.send(b'x')
        time.sleep(0.3)
        try:
            data = late.sock.recv(100)
        except BlockingIOError:
            pass
    assert data is not None and b'K' not in data
    assert time.monotonic() - start > 9
    late.close()


def test_stalled_clients_hold_nobody_up(q):
    stalled = []
    for data in (b'', b'1', DATA[:30], b'9000020:9000000:' + b'x' * 50000):
        for where in (q.sock, q.tcp):
            stalled.append(q.client(where).send(data))
    before = q.cpu()
    for _ in range(20):
        assert q.submit() == b'Kdiscarded'
    time.sleep(0.5)
    assert q.cpu() - before < 0.25
    for c in stalled:
        assert c.silent(0.01)
        c.close()


def test_client_that_does_not_read(qrelay, server):
    """It asked for the answer; that it never reads it is its business."""
    q = qrelay()
    before = q.fds()
    clients = [q.client().send(request()) for _ in range(20)]
    q.mails(20)
    wait_until(lambda: len(q.fds()) == len(before), 'all are closed', 5)
    for c in clients:
        assert c.reply() == b'Kdiscarded'
        c.close()
