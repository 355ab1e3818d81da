# SPDX-License-Identifier: BSD-2-Clause
"""A client that goes while its mail is being handled."""
import threading
import time

import pytest
from harness.env import free_port, slow, wait_until
from harness.qmqp import request
from harness.server import answering

MIB = 1024 * 1024


def daemon(qrelay, body):
    """One handler behind a Unix and a TCP listener."""
    port = free_port()
    q = qrelay(f"""function h(m)
{body}
end
qmqp_listen('$SOCK', h)
qmqp_listen('127.0.0.1:{port}', h)""")
    q.tcp = ('127.0.0.1', port)
    return q


def gone(client, kind):
    """Gone for certain: closed on a Unix socket, reset on TCP."""
    if kind == 'unix':
        client.close()
    else:
        client.reset()


KINDS = pytest.mark.parametrize('kind', ['unix', 'tcp'])


@KINDS
def test_in_the_handlers_wait(qrelay, server, kind):
    """The wait is abandoned; the script's next step never happens."""
    s = server()
    q = daemon(qrelay, "sleep(9) print('went on') "
               f"return m:connect('{s.address}')")
    before = q.fds()
    with q.client(q.sock if kind == 'unix' else q.tcp) as c:
        c.send(request())
        assert c.silent(0.2)
        gone(c, kind)
    wait_until(q.peek_mails, 'it is logged', 6)
    m = q.mail()
    assert m.get('verdict') != b'K'
    assert 'where' in m
    q.wait_fds(before)
    time.sleep(0.1)
    assert s.connections == 0
    assert 'went on' not in q.output()


@KINDS
def test_while_the_request_is_being_sent(qrelay, server, kind):
    """The relay is abandoned: the server sees its connection close before
    the request was whole."""
    gate = threading.Event()

    def script(conn):
        conn.read_some(1000)
        gate.wait(slow(10))
        conn.read_request()

    s = server(script)
    q = daemon(qrelay, f"return m:connect('{s.address}')")
    before = q.fds()
    with q.client(q.sock if kind == 'unix' else q.tcp) as c:
        c.send(request(b'x' * (12 * MIB)))
        wait_until(lambda: s.connections, 'the relay has begun')
        time.sleep(0.2)
        gone(c, kind)
    m = q.mail()
    q.wait_fds(before)
    gate.set()
    wait_until(lambda: s.aborted, 'the server sees the end')
    assert m.get('verdict') != b'K'
    assert 'where' in m
    assert not s.requests
    assert len(s.aborted[0]) < 12 * MIB


@pytest.mark.valgrind
@KINDS
@pytest.mark.parametrize('verdict', [b'Kok then', b'Dtoo late'])
def test_after_the_last_byte(qrelay, server, kind, verdict):
    """The reply is awaited and logged."""
    gate = threading.Event()

    def script(conn):
        conn.read_request()
        gate.wait(slow(10))
        conn.answer(verdict)

    s = server(script)
    q = daemon(qrelay, f"return m:connect('{s.address}')")
    before = q.fds()
    with q.client(q.sock if kind == 'unix' else q.tcp) as c:
        c.send(request())
        s.wait_requests(1)
        time.sleep(0.1)
        gone(c, kind)
    cpu = q.cpu()
    time.sleep(0.5)
    assert q.cpu() - cpu < 0.25         # a hung-up client does not spin
    assert not q.peek_mails()
    gate.set()
    m = q.mail()
    assert m['verdict'] + m['text'] == verdict
    q.wait_fds(before)


def test_after_the_last_byte_then_silence(qrelay, server):
    s = server(lambda c: (c.read_request(), c.wait_eof()))
    q = daemon(qrelay, f"return m:connect('{s.address}', {{timeout=1}})")
    before = q.fds()
    with q.client() as c:
        c.send(request())
        s.wait_requests(1)
    m = q.mail()
    assert m['verdict'] == b'Z'
    assert m['text'] == b'timeout'
    q.wait_fds(before)


def test_tcp_half_close_is_not_gone(qrelay, server):
    """On TCP only a reset is: a FIN may be a half-close."""
    s = server(lambda c: (c.read_request(), time.sleep(0.5),
                          c.answer(b'Kok')))
    q = daemon(qrelay, f"sleep(0.2) return m:connect('{s.address}')")
    with q.client(q.tcp) as c:
        c.send(request()).half_close()
        assert c.reply() == b'Kok'
    assert q.mail()['verdict'] == b'K'


def test_unix_half_close_then_gone(qrelay, server):
    """First a half-close, later the rest: that is gone."""
    s = server()
    q = daemon(qrelay, f"sleep(9) return m:connect('{s.address}')")
    with q.client() as c:
        c.send(request()).half_close()
        assert c.silent(0.3)
    wait_until(q.peek_mails, 'it is logged', 6)
    assert q.mail().get('verdict') != b'K'
    assert s.connections == 0


@KINDS
def test_bytes_behind_the_request_hide_nothing(qrelay, server, kind):
    """Unread bytes lie in the socket, and the client goes."""
    s = server()
    q = daemon(qrelay, f"sleep(9) return m:connect('{s.address}')")
    with q.client(q.sock if kind == 'unix' else q.tcp) as c:
        c.send(request() + b'unread')
        assert c.silent(0.2)
        gone(c, kind)
    wait_until(q.peek_mails, 'it is logged', 6)
    assert q.mail().get('verdict') != b'K'
    assert s.connections == 0


@KINDS
def test_at_random_moments(qrelay, server, kind):
    """Many clients go at all kinds of moments: one line each, no fd left,
    and the server's whole requests are what is logged as K."""
    s = server(lambda c: c.read_request() and (time.sleep(0.01),
                                               c.answer(b'Kok')))
    q = daemon(qrelay, f"sleep(0.01) return m:connect('{s.address}')")
    before = q.fds()
    n = 60
    for i in range(n):
        with q.client(q.sock if kind == 'unix' else q.tcp) as c:
            c.send(request())
            time.sleep(0.0007 * (i % 50))
            if kind == 'unix':
                c.close()
            else:
                c.reset()
    q.wait_fds(before)
    logged = q.mails(len(q.peek_mails()))
    assert n - 5 <= len(logged) <= n    # a reset may come before a read
    assert sum(m.get('verdict') == b'K' for m in logged) == len(s.requests)


def test_discard_of_a_client_that_is_gone(qrelay):
    q = daemon(qrelay, "return m:discard()")
    before = q.fds()
    for _ in range(30):
        with q.client() as c:
            c.send(request())
    q.wait_fds(before)
    q.mails(30)


def test_connect_while_the_server_refuses_and_the_client_goes(qrelay, server):
    s = server(answering(b'Zbusy'))
    q = daemon(qrelay, f"return m:connect('{s.address}')")
    before = q.fds()
    for _ in range(30):
        with q.client() as c:
            c.send(request())
    q.wait_fds(before)
    assert all(m.get('verdict') != b'K' for m in q.mails(30))
