# SPDX-License-Identifier: BSD-2-Clause
"""A client that is still sending gets its answer; half-closed clients
are answered; neither makes the daemon spin."""
import socket
import threading
import time

import pytest
from harness.env import free_port, slow
from harness.qmqp import request

MIB = 1024 * 1024


@pytest.fixture(params=['unix', 'tcp'])
def q(request, qrelay):
    """A daemon with max_size 1 MiB and one listener; q.where is it."""
    port = free_port()
    where = '$SOCK' if request.param == 'unix' else f'127.0.0.1:{port}'
    q = qrelay(f"""qmqp_listen('{where}', function(m)
  sleep(0.3) return m:discard() end)""", max_size=MIB)
    q.where = q.sock if request.param == 'unix' else ('127.0.0.1', port)
    return q


@pytest.mark.parametrize('start, verdict', [
    (b'x', b'Dmalformed input'),
    (b'3000000:2900000:', b'Dmessage too large'),
    (b'900000:5:hello,3:a@x,3:b c,', b'Dbad address'),
    (b'900000:5:hello,' + b'3:a@x,' * 1100, b'Dtoo many recipients'),
], ids=['malformed', 'too large', 'bad address', 'too many'])
def test_still_sending(q, start, verdict):
    """3 MiB are sent before the client looks at its answer."""
    with q.client(q.where) as c:
        c.send(start + b'x' * (3 * MIB))
        assert c.reply() == verdict
    q.mail()


def test_reply_comes_at_once(q):
    """The answer does not wait for the end of the drain, and behind it
    comes EOF while our direction is still open."""
    with q.client(q.where) as c:
        c.send(b'x' * 10)
        assert c.reply(timeout=5) == b'Dmalformed input'
        c.send(b'x' * 100000)       # still drained, no EPIPE


def test_sender_that_never_stops(q):
    """The drain has an end: 4 x max_size."""
    before = q.fds()
    with q.client(q.where) as c:
        c.sock.settimeout(slow(20))
        sent = 0
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            while sent < 64 * MIB:
                sent += c.sock.send(b'x' * 65536)
        assert sent > 3 * MIB
    q.wait_fds(before)
    q.mail()


def test_drain_is_left_when_the_client_closes(q):
    before = q.fds()
    for _ in range(10):
        with q.client(q.where) as c:
            c.send(b'x' * 5000)
    q.wait_fds(before)


def test_half_close(q):
    with q.client(q.where) as c:
        assert c.send(request()).half_close().reply() == b'Kdiscarded'
    assert q.mail()['verdict'] == b'K'


@pytest.mark.valgrind
def test_half_close_after_the_bad_byte(q):
    with q.client(q.where) as c:
        assert c.send(b'x').half_close().reply() == b'Dmalformed input'


def test_half_close_before_the_end(q):
    """EOF inside a request: the mail never existed."""
    before = q.fds()
    with q.client(q.where) as c:
        c.send(request()[:-1]).half_close()
        assert c.read_to_eof() == b''
    q.wait_fds(before)
    q.mails(0)


def test_half_close_does_not_spin(qrelay, server):
    gate = threading.Event()

    def script(conn):
        conn.read_request()
        gate.wait(slow(10))
        conn.answer(b'Kok')

    s = server(script)
    port = free_port()
    q = qrelay(f"""function h(m)
  sleep(0.5) return m:connect('{s.address}')
end
qmqp_listen('$SOCK', h)
qmqp_listen('127.0.0.1:{port}', h)""")
    clients = [q.client(a) for a in (q.sock, ('127.0.0.1', port)) * 3]
    for c in clients:
        c.send(request()).half_close()
    before = q.cpu()
    time.sleep(1.5)
    assert q.cpu() - before < 0.5
    gate.set()
    for c in clients:
        assert c.reply() == b'Kok'
        c.close()
    q.mails(6)


@pytest.mark.parametrize('extra', [b'x', b',', b'\n', b'y' * 200000],
                         ids=['x', 'comma', 'newline', 'many'])
def test_bytes_behind_the_request(q, extra):
    """Not read, nothing changes."""
    with q.client(q.where) as c:
        c.sock.settimeout(slow(10))
        c.send(request())
        sender = threading.Thread(target=swallow, args=(c, extra))
        sender.start()
        assert c.reply(reset_is_eof=True) == b'Kdiscarded'
        sender.join()
    assert q.mail()['verdict'] == b'K'


def swallow(client, data):
    try:
        client.sock.sendall(data)
    except OSError:
        pass


def test_bytes_behind_the_request_do_not_spin(q):
    clients = [q.client(q.where) for _ in range(10)]
    before = q.cpu()
    for c in clients:
        c.send(request() + b'x' * 1000)
    for c in clients:
        assert c.reply(reset_is_eof=True) == b'Kdiscarded'
        c.close()
    assert q.cpu() - before < 0.25


def test_reset_after_the_reply(q):
    """As qmqp-source does: no error, K is logged."""
    before = q.fds()
    for _ in range(5):
        with q.client(q.where) as c:
            c.send(request())
            assert c.sock.recv(13, socket.MSG_WAITALL) == b'10:Kdiscarded'
            c.reset()
    q.wait_fds(before)
    assert {m['verdict'] for m in q.mails(5)} == {b'K'}
    assert not [x for x in q.messages() if 'reset' in x.lower()]


def test_urgent_byte_behind_the_request(qrelay):
    """It is a byte that is not read, as others."""
    port = free_port()
    q = qrelay(f"""qmqp_listen('127.0.0.1:{port}', function(m)
  sleep(0.2) return m:discard() end)""")
    with socket.create_connection(('127.0.0.1', port)) as s:
        s.sendall(request())
        time.sleep(0.05)
        s.send(b'!', socket.MSG_OOB)
        s.settimeout(slow(5))
        assert s.recv(100) == b'10:Kdiscarded,'
        assert s.recv(100) == b''           # no reset
    assert [m['verdict'] for m in q.mails(1)] == [b'K']
