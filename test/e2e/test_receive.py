# SPDX-License-Identifier: BSD-2-Clause
"""Well-formed requests arrive whole, however they are cut up."""
import threading

import pytest
from harness.env import free_port
from harness.qmqp import MESSAGE, RCPT, SENDER, request


def relay(qrelay, server, **kwargs):
    s = server()
    q = qrelay(handler=f"return m:connect('{s.address}')", **kwargs)
    return q, s


def without_headers(data):
    """The message behind what qrelay put in front of it."""
    head, _, rest = data.partition(b'\n')
    assert head.startswith(b'Received: from PID='), data[:200]
    return rest


@pytest.mark.valgrind
def test_whole(qrelay, server):
    q, s = relay(qrelay, server)
    assert q.submit() == b'Kok'
    r = s.requests[0]
    assert without_headers(r.message) == MESSAGE
    assert r.sender == SENDER
    assert r.rcpts == [RCPT]
    m = q.mail()
    assert m['verdict'] == b'K'
    assert m['text'] == b'ok'
    assert m['from'] == SENDER
    assert m['to'] == RCPT
    assert m['nrcpt'] == b'1'
    assert int(m['size']) == len(MESSAGE)
    assert m['action'] == b'connect'
    assert m['target'] == s.address.encode()
    assert m['listener'] == q.sock.encode()
    assert 'where' not in m


@pytest.mark.valgrind
def test_byte_by_byte(qrelay, server):
    q, s = relay(qrelay, server)
    with q.client() as c:
        assert c.send_bytewise(request(rcpts=(RCPT, b'root'))).reply() == b'Kok'
    r = s.requests[0]
    assert without_headers(r.message) == MESSAGE
    assert r.rcpts == [RCPT, b'root']


def test_cut_at_every_offset(qrelay):
    q = qrelay(handler="return m:discard(m.sender .. ' ' .. m.size .. ' ' .. "
               "table.concat(m.recipients, ' '))")
    data = request(b'x' * 12, b'', (b'r', b's@t'))
    for i in range(1, len(data)):
        with q.client() as c:
            c.send(data[:i])
            c.send(data[i:])
            assert c.reply() == b'K 12 r s@t', i
    q.mails(len(data) - 1)


def test_empty_message(qrelay, server):
    q, s = relay(qrelay, server)
    assert q.submit(b'') == b'Kok'
    assert without_headers(s.requests[0].message) == b''
    assert q.mail()['size'] == b'0'


def test_binary_message(qrelay, server):
    q, s = relay(qrelay, server)
    data = b'A: b\n\n' + bytes(range(256)) * 300
    assert q.submit(data) == b'Kok'
    assert without_headers(s.requests[0].message) == data


def test_large_message(qrelay, server):
    q, s = relay(qrelay, server)
    data = b'A: b\n\n' + bytes(i * 7 & 255 for i in range(9999)) * 800
    assert q.submit(data) == b'Kok'
    assert without_headers(s.requests[0].message) == data


def test_many_recipients(qrelay, server):
    q, s = relay(qrelay, server)
    rcpts = [b'user%d@example.org' % i for i in range(1024)]
    assert q.submit(rcpts=rcpts) == b'Kok'
    assert s.requests[0].rcpts == rcpts
    m = q.mail()
    assert m['nrcpt'] == b'1024'
    assert m['to'] == rcpts[0]


def test_one_mail_a_connection(qrelay):
    q = qrelay()
    with q.client() as c:
        c.send(request() + request())
        assert c.reply(reset_is_eof=True) == b'Kdiscarded'
    q.mail()


@pytest.mark.parametrize('host', ['127.0.0.1', '::1'])
def test_tcp(qrelay, server, host):
    s = server(where=host)
    port = free_port(host)
    text = f'[{host}]:{port}' if ':' in host else f'{host}:{port}'
    q = qrelay(f"qmqp_listen('{text}', function(m)\n"
               f"return m:connect('{s.address}') end)")
    with q.client((host, port)) as c:
        peer = c.sock.getsockname()
        assert c.send(request()).reply() == b'Kok'
    # no Received line, no credentials of a TCP client
    assert s.requests[0].message == MESSAGE
    m = q.mail()
    assert 'pid' not in m and 'uid' not in m and 'gid' not in m
    assert str(peer[1]).encode() in m['client']


def test_concurrent(qrelay, server):
    """Mails that arrive interleaved are not mixed up."""
    q, s = relay(qrelay, server)
    clients = [q.client() for _ in range(50)]
    datas = [request(b'n: %d\n\n' % i + b'%03d' % i * 2000,
                     b's%d@x' % i, (b'r%d@x' % i,)) for i in range(50)]
    for piece in range(0, 7000, 1000):
        for c, data in zip(clients, datas):
            c.send(data[piece:piece + 1000])
    for c in clients:
        assert c.reply() == b'Kok'
        c.close()
    assert len(s.requests) == 50
    for r in s.requests:
        n = int(r.sender[1:-2])
        assert r.rcpts == [b'r%d@x' % n]
        assert without_headers(r.message) == \
            b'n: %d\n\n' % n + b'%03d' % n * 2000
    q.mails(50)


def test_no_growth(qrelay, server):
    q, s = relay(qrelay, server)
    for _ in range(50):
        q.submit()
    fds, rss = q.fds(), q.rss()

    def work():
        for _ in range(250):
            assert q.submit() == b'Kok'

    threads = [threading.Thread(target=work) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    q.wait_fds(fds)
    q.check_rss(rss + 4 * 1024 * 1024)
    q.mails(1050)
