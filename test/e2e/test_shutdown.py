# SPDX-License-Identifier: BSD-2-Clause
"""SIGTERM and SIGINT: mails in flight finish, for a while."""
import os
import signal
import socket
import threading
import time

import pytest
from harness.env import free_port, slow, wait_until
from harness.qmqp import request

BOTH = pytest.mark.parametrize('sig', [signal.SIGTERM, signal.SIGINT],
                               ids=['TERM', 'INT'])


def exit_time(q, timeout=15):
    start = time.monotonic()
    assert q.wait_exit(timeout) == 0, q.output()
    return time.monotonic() - start


@BOTH
def test_idle(qrelay, sig):
    q = qrelay()
    q.submit()
    q.terminate(sig)
    assert exit_time(q) < slow(4)
    assert not os.path.exists(q.sock)


@BOTH
@pytest.mark.valgrind
def test_mail_in_flight_finishes(qrelay, server, sig):
    s = server(lambda c: (c.read_request(), time.sleep(0.5),
                          c.answer(b'Kok')))
    q = qrelay(handler=f"if m.sender == 'w@x' then sleep(1) end\n"
               f"return m:connect('{s.address}')")
    clients = [q.client().send(request(sender=x)) for x in (b'w@x', b'a@x')]
    time.sleep(0.2)
    q.terminate(sig)
    for c in clients:
        assert c.reply() == b'Kok'
        c.close()
    assert exit_time(q) < slow(3)
    assert [m['verdict'] for m in q.mails(2)] == [b'K', b'K']


def test_stops_accepting(qrelay):
    port = free_port()
    q = qrelay(f"""function h(m) sleep(1) return m:discard() end
qmqp_listen('$SOCK', h) qmqp_listen('127.0.0.1:{port}', h)""")
    with q.client() as c:
        c.send(request())
        time.sleep(0.2)
        q.terminate()
        time.sleep(0.3)
        for address in (q.sock, ('127.0.0.1', port)):
            with pytest.raises((ConnectionError, FileNotFoundError,
                                AssertionError)):
                q.send(request(), address)
        assert c.reply() == b'Kdiscarded'
    assert exit_time(q) < slow(3)
    q.mails(1)


def test_shutdown_timeout(qrelay):
    """What is left then is killed; never with a K; exit status 0."""
    q = qrelay(shutdown_timeout=1,
               handler="sleep(30) return m:discard('never')")
    clients = [q.client().send(request()) for _ in range(3)]
    time.sleep(0.2)
    q.terminate()
    assert 0.8 < exit_time(q) < slow(4)
    for c in clients:
        data = c.read_to_eof(reset_is_eof=True)
        assert data == b'' or b':Z' in data
        c.close()
    assert all(m.get('verdict') != b'K' for m in q.mails(3))


def test_default_is_five_seconds(qrelay):
    q = qrelay(handler="sleep(30) return m:discard('never')")
    with q.client() as c:
        c.send(request())
        time.sleep(0.2)
        q.terminate()
        assert 4.5 < exit_time(q) < slow(8)


@pytest.mark.parametrize('second', [signal.SIGTERM, signal.SIGINT])
def test_second_signal(qrelay, second):
    q = qrelay(shutdown_timeout=60,
               handler="sleep(30) return m:discard('never')")
    with q.client() as c:
        c.send(request())
        time.sleep(0.2)
        q.terminate()
        time.sleep(0.3)
        assert q.alive()
        q.terminate(second)
        assert exit_time(q) < slow(10)
        data = c.read_to_eof(reset_is_eof=True)
        assert b'K' not in data
    q.mail()


def test_sighup_during_the_shutdown(qrelay):
    q = qrelay(pre="function reload() print('reloaded') end",
               handler="sleep(1) return m:discard()")
    with q.client() as c:
        c.send(request())
        time.sleep(0.2)
        q.terminate()
        time.sleep(0.1)
        q.sighup()
        assert c.reply() == b'Kdiscarded'
    assert exit_time(q) < slow(3)


def test_unfinished_requests_hold_up_nothing_for_long(qrelay):
    """Never longer than shutdown_timeout, and no line for them."""
    port = free_port()
    q = qrelay(f"""shutdown_timeout = 1
function h(m) return m:discard() end
qmqp_listen('$SOCK', h) qmqp_listen('127.0.0.1:{port}', h)""")
    clients = [q.client(), q.client().send(request()[:30]),
               q.client(('127.0.0.1', port)).send(b'9000000:8000000:xxxx')]
    time.sleep(0.1)
    q.terminate()
    assert exit_time(q) < slow(4)
    for c in clients:
        data = c.read_to_eof(reset_is_eof=True)
        assert data == b'' or b':Z' in data
        c.close()
    assert all(m['verdict'] == b'Z' for m in q.peek_mails())


def test_a_draining_client_holds_up_nothing_for_long(qrelay):
    q = qrelay(shutdown_timeout=1)
    with q.client() as c:
        c.send(b'x')
        wait_until(q.peek_mails, 'it is answered')
        q.terminate()
        assert exit_time(q) < slow(4)
        assert c.reply() == b'Dmalformed input'


def test_a_reply_nobody_reads(qrelay):
    q = qrelay(shutdown_timeout=1)
    with q.client() as c:
        c.send(request())
        wait_until(q.peek_mails, 'it is logged')
        q.terminate()
        assert exit_time(q) < slow(4)
        assert c.reply() == b'Kdiscarded'


def test_the_relay_is_cut(qrelay, server):
    """The server sees its connection close."""
    s = server(lambda c: (c.read_request(), c.wait_eof(15)))
    q = qrelay(shutdown_timeout=0.5,
               handler=f"return m:connect('{s.address}')")
    with q.client() as c:
        c.send(request())
        s.wait_requests(1)
        q.terminate()
        assert exit_time(q) < slow(4)
    assert s.saw_eof.wait(slow(3))
    m = q.mail()
    assert 'verdict' not in m
    assert (m['text'], m['where']) == (b'shutdown', b'reply')


def test_during_a_start_that_waits(qrelay):
    q = qrelay("sleep(30) qmqp_listen('$SOCK', print)", wait=False)
    time.sleep(0.4)
    q.terminate()
    assert exit_time(q) < slow(3)
    assert not os.path.exists(q.sock)


def test_during_a_reload_that_waits(qrelay):
    q = qrelay(shutdown_timeout=1,
               pre="function reload() print('begun') sleep(30) end")
    q.sighup()
    q.wait_message('begun')
    q.terminate()
    assert exit_time(q) < slow(4)


def test_under_load(qrelay, server):
    """Every client gets a whole reply, or none at all; what the server
    took is what is logged as K."""
    s = server(lambda c: c.read_request() and c.answer(b'Kok'))
    q = qrelay(handler=f"sleep(0.002) return m:connect('{s.address}')")
    replies, stop = [], threading.Event()

    def work():
        while not stop.is_set():
            try:
                with q.client() as c:
                    c.send(request())
                    data = c.read_to_eof(reset_is_eof=True)
            except (ConnectionError, FileNotFoundError, socket.timeout):
                return
            replies.append(data)
            if not data:
                return

    threads = [threading.Thread(target=work) for _ in range(4)]
    for t in threads:
        t.start()
    time.sleep(0.5)
    q.terminate()
    assert exit_time(q) < slow(8)
    stop.set()
    for t in threads:
        t.join()
    assert len(replies) > 10
    assert set(replies) <= {b'3:Kok,', b''}
    logged = [m for m in q.peek_mails() if m.get('verdict') == b'K']
    assert len(logged) == len(s.requests) == replies.count(b'3:Kok,')
