# SPDX-License-Identifier: BSD-2-Clause
"""Peers that are not on this machine: a connection takes a while, data
arrives in pieces and late, packets get lost."""
import os
import threading
import time

import pytest
from harness.env import free_port, slow, wait_until
from harness.farlink import HERE, RST, SYN, THERE, FarLink
from harness.postgres import Proxy
from harness.qmqp import request
from harness.server import answering

MIB = 1024 * 1024
DELAY = 0.05            # seconds, one way


class Far:
    """Makes daemons and servers that are apart."""

    def __init__(self, link, qrelay, server):
        self.link = link
        self.make_daemon = qrelay
        self.make_server = server

    def server(self, script=None, **kwargs):
        with self.link.entered():
            s = self.make_server(script, HERE, **kwargs)
        s.address = f'{THERE}:{s.port}'
        return s

    def qrelay(self, *args, **kwargs):
        with self.link.entered():
            return self.make_daemon(*args, **kwargs)

    def relay(self, script=None, options='{}'):
        s = self.server(script)
        q = self.qrelay(handler=f"return m:connect('{s.address}', {options})")
        return q, s


@pytest.fixture
def far(root, qrelay, server):
    if not os.path.exists('/dev/net/tun'):
        pytest.skip('no /dev/net/tun here')
    link = FarLink(DELAY)
    yield Far(link, qrelay, server)
    link.close()


@pytest.mark.valgrind
@pytest.mark.parametrize('size', [20, 50000, 4 * MIB])
def test_relay(far, size):
    q, s = far.relay()
    before = q.fds()
    message = os.urandom(size)
    start = time.monotonic()
    assert q.submit(message, timeout=30) == b'Kok'
    assert time.monotonic() - start > 4 * DELAY     # connecting, then the mail
    assert s.requests[0].message.endswith(message)
    q.wait_fds(before)
    assert 'where' not in q.mail()


def test_many_at_once(far):
    """Mails that wait for their connections do not wait for each other."""
    q, s = far.relay()
    clients = [q.client().send(request()) for _ in range(100)]
    start = time.monotonic()
    assert all(c.reply() == b'Kok' for c in clients)
    assert time.monotonic() - start < slow(25 * DELAY)
    for c in clients:
        c.close()
    assert len(s.requests) == 100


@pytest.mark.parametrize('options, expected', [
    ('{}', b'Klate'), ('{timeout=6}', b'Klate'),
    ('{timeout=6, connect_timeout=20}', b'Klate'),
    ('{connect_timeout=2}', b'Klate'), ('{timeout=1}', b'Ztimeout'),
    ('{timeout=1, connect_timeout=20}', b'Ztimeout')])
def test_late_connection_late_answer(far, options, expected):
    """connect_timeout is over when the connection is there, timeout is not."""
    q, _ = far.relay(lambda c: c.read_request() and
                     (time.sleep(1.5), c.answer(b'Klate')), options)
    far.link.delay = 0.4
    before = q.cpu()
    assert q.submit() == expected
    assert q.cpu() - before < 0.3


def test_refused(far):
    """The answer to the SYN comes late, and is a reset."""
    with far.link.entered():
        port = free_port()
    q = far.qrelay(handler=f"return m:connect('{THERE}:{port}')")
    before = q.fds()
    start = time.monotonic()
    assert q.submit() == b'Zconnect failed'
    assert 2 * DELAY < time.monotonic() - start < slow(5)
    assert q.mail()['where'] == b'connect: Connection refused'
    q.wait_fds(before)


def test_nobody_answers(far):
    q, s = far.relay(options='{connect_timeout=1}')
    far.link.lose = lambda packet: True
    before = q.fds()
    start = time.monotonic()
    assert q.submit() == b'Zconnect failed'
    assert .9 < time.monotonic() - start < slow(5)
    q.wait_fds(before)
    assert s.connections == 0


def test_a_lost_syn(far):
    """The kernel asks again after a second; nobody else notices."""
    lost = []

    def lose(packet):
        if packet.flags() & SYN and not lost:
            lost.append(packet)
            return True
        return False

    q, s = far.relay()
    far.link.lose = lose
    assert q.submit() == b'Kok'
    assert lost
    assert len(s.requests) == 1


def test_every_tenth_packet_is_lost(far):
    seen = []

    def lose(packet):
        seen.append(0)
        return len(seen) % 10 == 0

    q, s = far.relay()
    far.link.delay = 0.002
    far.link.lose = lose
    message = os.urandom(MIB)
    assert q.submit(message, timeout=60) == b'Kok'
    assert s.requests[0].message.endswith(message)


@pytest.mark.parametrize('size', [20, 8 * MIB])
def test_vanishes_after_connecting(far, size):
    """Its cable is drawn: no reset, nothing."""
    connected = threading.Event()

    def script(conn):
        connected.set()
        conn.read_some(1 << 40)

    q, _ = far.relay(script, '{timeout=2}')
    far.link.lose = lambda packet: connected.is_set()
    before = q.fds()
    assert q.submit(b'x' * size, timeout=20) == b'Ztimeout'
    assert q.mail()['where'] == (b'reply' if size < MIB else b'send')
    q.wait_fds(before)


@pytest.mark.parametrize('end', ['close', 'reset', 'stay'])
@pytest.mark.parametrize('verdict', [b'Dtoo large', b'Zlater'])
def test_early_verdict(far, end, verdict):
    """A server refuses while much of the mail is on its way."""
    def script(conn):
        conn.read_some(100)
        conn.answer(verdict)
        if end == 'stay':
            conn.wait_eof()
        elif end == 'reset':
            time.sleep(8 * DELAY)       # else the reset overtakes the answer
            conn.reset()
    q, _ = far.relay(script)
    before = q.fds()
    assert q.submit(b'x' * (8 * MIB), timeout=30) == verdict
    q.wait_fds(before)


@pytest.mark.parametrize('when', ['connecting', 'sending', 'waiting'])
def test_client_goes(far, when):
    """Whatever the mail waits for, the relay goes with the client; only a
    server that has it all is heard to the end."""
    q, s = far.relay(lambda c: c.read_request() and
                     (time.sleep(6 * DELAY), c.answer(b'Kgot it')))
    size = 16 * MIB if when == 'sending' else 20
    far.link.delay = 0.3 if when == 'connecting' else DELAY
    before = q.fds()
    c = q.client().send(request(b'x' * size))
    if when == 'sending':
        wait_until(lambda: s.open and next(iter(s.open)).sock,
                   'the server is connected')
    elif when == 'waiting':
        s.wait_requests(1)
    else:
        time.sleep(0.1)
    c.close()
    q.wait_fds(before)
    m = q.mail()
    if when == 'waiting':
        assert m['verdict'] + m['text'] == b'Kgot it'
    else:
        assert 'verdict' not in m
        assert not s.requests


def test_next_address_after_a_late_refusal(far, folder):
    """A name with two addresses; nobody listens at the first."""
    hosts = folder / 'hosts'
    s = far.server()
    hosts.write_text(f'10.9.0.77 mx.test\n{THERE} mx.test\n')
    q = far.qrelay(
        prefix=['unshare', '-m', 'sh', '-c',
                f'mount --bind {hosts} /etc/hosts && exec "$@"', 'sh'],
        pre=f"mx = qmqp_resolve('mx.test:{s.port}')",
        handler="return m:connect(mx, {connect_timeout=1})")
    far.link.lose = lambda packet: packet.data[16:20] == b'\x0a\x09\0\x4d'
    assert q.submit() == b'Kok'
    assert q.mail()['target'] == s.address.encode()


@pytest.mark.parametrize('bytewise', [False, True])
def test_far_client(far, bytewise):
    """One that submits over TCP."""
    with far.link.entered():
        port = free_port()
        q = far.make_daemon(f"""
qmqp_listen('{HERE}:{port}', function(m) return m:discard() end)""")
        c = q.client((THERE, port))
        data = request(b'x' * 300 if bytewise else b'x' * (2 * MIB))
        (c.send_bytewise if bytewise else c.send)(data)
        assert c.reply(30) == b'Kdiscarded'
        c.close()
    assert q.mail()['client'].startswith(THERE.encode())


def test_far_client_reads_why_it_is_refused(far):
    """A reset would overtake the answer."""
    with far.link.entered():
        port = free_port()
        q = far.make_daemon(f"""
qmqp_listen('{HERE}:{port}', function(m) return m:discard() end)""",
                            max_size=MIB)
        resets = []
        far.link.lose = lambda p: p.flags() & RST and resets.append(p)
        c = q.client((THERE, port))
        c.send(request(b'x' * (3 * MIB)))
        assert c.reply(30) == b'Dmessage too large'
        c.close()
    assert not resets


def test_far_client_is_gone(far):
    """It was reset while its mail was being handled."""
    with far.link.entered():
        port = free_port()
        q = far.make_daemon(f"""
qmqp_listen('{HERE}:{port}', function(m) sleep(30) return m:discard() end)""")
        before = q.fds()
        c = q.client((THERE, port)).send(request())
        time.sleep(6 * DELAY)
        c.reset()
    q.wait_fds(before)
    assert 'verdict' not in q.mail()


@pytest.fixture
def far_db(far, pg):
    with far.link.entered():
        proxy = Proxy(pg, HERE)
    yield proxy
    proxy.close()


def conninfo(proxy):
    return (f'host={THERE} port={proxy.port} user=postgres dbname=postgres '
            'sslmode=disable')


def test_queries_share_the_way_to_the_database(far, far_db):
    """Fifty mails ask at once over one connection; one at a time they would
    take fifty times there and back."""
    q = far.qrelay(
        pre=f"db = pg:new('{conninfo(far_db)}', nil, {{connections=1}})",
        handler="local r, e = db:execute('SELECT $1::int', {m.size})\n"
        "return r and m:discard(r:fetch(nil, 'n')[1]) or m:defer(e)")
    assert q.submit(b'abc').startswith(b'K')        # connected, prepared
    clients = [q.client().send(request(b'x' * n)) for n in range(1, 51)]
    start = time.monotonic()
    for n, c in enumerate(clients, 1):
        assert c.reply() == b'K%d' % n
        c.close()
    assert time.monotonic() - start < slow(20 * DELAY)


def test_the_database_vanishes(far, far_db):
    q = far.qrelay(
        pre=f"db = pg:new('{conninfo(far_db)}')",
        handler="local r, e = db:execute('SELECT 1', {}, {timeout=1})\n"
        "return r and m:discard(r:fetch(nil, 'n')[1]) or m:defer(e)")
    assert q.submit() == b'K1'
    far.link.lose = lambda packet: True
    start = time.monotonic()
    reply = q.submit()
    assert reply.startswith(b'Z') and b'timeout' in reply
    assert .9 < time.monotonic() - start < slow(5)
    far.link.lose = lambda packet: False
    wait_until(lambda: q.submit() == b'K1', 'it is healed', 40)
