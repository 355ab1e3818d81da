# SPDX-License-Identifier: BSD-2-Clause
"""Relaying to a server: its verdict, and every way it can fail."""
import socket
import threading
import time

import pytest
from harness.env import free_port, slow
from harness.qmqp import netstring, request
from harness.server import answering

MIB = 1024 * 1024


def relay(qrelay, server, script, options='{timeout=8}', where='127.0.0.1'):
    s = server(script, where)
    q = qrelay(handler=f"return m:connect('{s.address}', {options})")
    return q, s


def check(q, expected, message=b'Subject: x\n\nhello\n', where=True):
    """Submit twice: verdict, log line, fds."""
    before = q.fds()
    for _ in range(2):
        assert q.submit(message, timeout=20) == expected
    q.wait_fds(before)
    for m in q.mails(2):
        assert m['verdict'] == expected[:1]
        assert m['text'] == expected[1:]
        assert m['action'] == b'connect'
        assert m['target']
        assert ('where' in m) == where


VERBATIM = [b'Kok', b'Zbusy', b'Dno such user', b'K', b'Z', b'D',
            b'K ok ', b'Kline\nline\r\n', b'K\xff\xfe\0\x01', b'Kok, 3:a,',
            b'D' + b'x' * 254, b'K' + b'x' * 255]


@pytest.mark.parametrize('where', ['127.0.0.1', '::1', 'unix', '@'])
def test_verbatim(qrelay, server, folder, where):
    """The server's own verdict, byte for byte, over every transport."""
    texts = iter(VERBATIM)
    address = {'unix': str(folder / 's'), '@': f'@q{folder.name}'}
    s = server(lambda c: c.read_request() and c.answer(next(texts)),
               address.get(where, where))
    q = qrelay(handler=f"return m:connect('{s.address}')")
    for text in VERBATIM:
        assert q.submit() == text
    logged = q.mails(len(VERBATIM))
    assert [m['verdict'] + m['text'] for m in logged] == VERBATIM
    assert all('where' not in m for m in logged)
    assert all(m['target'] == s.address.encode() for m in logged)


@pytest.mark.valgrind
def test_nobody_listens(qrelay):
    q = qrelay(handler=f"return m:connect('127.0.0.1:{free_port()}')")
    check(q, b'Zconnect failed')


@pytest.mark.parametrize('kind', ['missing', 'stale', 'file', 'abstract'])
def test_nobody_listens_on_unix(qrelay, folder, kind):
    path = str(folder / 's')
    if kind == 'stale':
        with socket.socket(socket.AF_UNIX) as s:
            s.bind(path)
    elif kind == 'file':
        open(path, 'w').close()
    elif kind == 'abstract':
        path = '@nobody-' + folder.name
    check(qrelay(handler=f"return m:connect('{path}')"), b'Zconnect failed')


def test_unreachable(qrelay):
    """No route, or none that answers within connect_timeout."""
    q = qrelay(handler="return m:connect('[2001:db8::1]:628', "
               "{connect_timeout=1})")
    check(q, b'Zconnect failed')


@pytest.mark.parametrize('kind', ['tcp', 'unix'])
def test_connect_timeout(qrelay, folder, kind):
    """A listener whose backlog is full."""
    path = str(folder / 's')
    if kind == 'unix':
        s = socket.socket(socket.AF_UNIX)
        s.bind(path)
        s.listen(0)
        where = path
    else:
        s = socket.create_server(('127.0.0.1', 0), backlog=0)
        where = '127.0.0.1:%d' % s.getsockname()[1]
    waiting = []
    for _ in range(4):
        c = socket.socket(s.family, socket.SOCK_STREAM)
        c.setblocking(False)
        c.connect_ex(s.getsockname())
        waiting.append(c)
    time.sleep(0.1)
    q = qrelay(handler=f"return m:connect('{where}', {{connect_timeout=1}})")
    start = time.monotonic()
    assert q.submit() == b'Zconnect failed'
    assert time.monotonic() - start < slow(6)
    cpu = q.cpu()
    assert q.submit() == b'Zconnect failed'
    assert q.cpu() - cpu < 0.3
    q.mails(2)
    for c in (s, *waiting):
        c.close()


@pytest.mark.parametrize('options', ['{timeout=8}', '{}', '{timeout=30}'])
def test_connects_late(qrelay, options):
    """A connection that is not there at once leaves a server the time it
    has, whether connecting has a time of its own or not."""
    with socket.create_server(('127.0.0.1', 0), backlog=0) as s, \
            socket.create_connection(s.getsockname()):     # all it queues
        where = '127.0.0.1:%d' % s.getsockname()[1]
        q = qrelay(handler=f"return m:connect('{where}', {options})")
        c = q.client().send(request())
        time.sleep(0.5)                     # its first SYN was dropped
        s.accept()[0].close()
        conn, _ = s.accept()
        with conn:
            conn.settimeout(slow(10))
            while not conn.recv(65536).endswith(b',,'):
                pass
            time.sleep(0.2)
            conn.sendall(netstring(b'Klate'))
        assert c.reply() == b'Klate'
        c.close()


def after_request(action):
    def script(conn):
        conn.read_request()
        action(conn)
    return script


FAILURES = {
    'closes at once': (lambda c: None, b'Zrelay failed'),
    'resets at once': (lambda c: c.reset(), b'Zrelay failed'),
    'closes after a byte': (lambda c: c.read_some(1) and None,
                            b'Zrelay failed'),
    'closes after the request': (after_request(lambda c: None),
                                 b'Zrelay failed'),
    'half-closes after the request': (
        after_request(lambda c: (c.half_close(), c.wait_eof())),
        b'Zrelay failed'),
    'resets after the request': (after_request(lambda c: c.reset()),
                                 b'Zrelay failed'),
    'cut in the length': (after_request(lambda c: c.send(b'1')),
                          b'Zrelay failed'),
    'cut behind the colon': (after_request(lambda c: c.send(b'3:')),
                             b'Zrelay failed'),
    'cut behind the K': (after_request(lambda c: c.send(b'3:K')),
                         b'Zrelay failed'),
    'cut before the comma': (after_request(lambda c: c.send(b'3:Kok')),
                             b'Zrelay failed'),
    'cut then reset': (after_request(lambda c: (c.send(b'3:Kok'),
                                                time.sleep(0.05),
                                                c.reset())),
                       b'Zrelay failed'),
    'lower case': (after_request(lambda c: c.answer(b'kok')),
                   b'Zmalformed relay response'),
    'another letter': (after_request(lambda c: c.answer(b'Xok')),
                       b'Zmalformed relay response'),
    'a NUL': (after_request(lambda c: c.answer(b'\0Kok')),
              b'Zmalformed relay response'),
    'an empty reply': (after_request(lambda c: c.send(b'0:,')),
                       b'Zmalformed relay response'),
}


@pytest.mark.parametrize('where', ['127.0.0.1', 'unix'])
@pytest.mark.parametrize('case', FAILURES)
def test_failures(qrelay, server, folder, case, where):
    script, expected = FAILURES[case]
    where = str(folder / 's') if where == 'unix' else where
    q, _ = relay(qrelay, server, script, where=where)
    check(q, expected)


NONSENSE = [b'HTTP/1.1 400 Bad Request\r\n\r\n', b'220 smtp ready\r\n', b':K,',
            b'03:Kok,', b'+3:Kok,', b' 3:Kok,', b'3:Kok;', b'3;Kok,', b'-1:K,',
            b'99999999999999999999999:K', b'\n', b'3:Kok\n', b'Kok',
            b'18446744073709551619:Kok,', b'4294967299:Kok,', b'3 :Kok,']


def test_nonsense(qrelay, server):
    """No netstring: the contract has two names for it, both are a Z."""
    texts = iter(NONSENSE)
    q, _ = relay(qrelay, server, lambda c: (c.read_request(),
                                            c.send(next(texts))))
    for text in NONSENSE:
        assert q.submit() in (b'Zmalformed relay response',
                              b'Zrelay failed'), text


def test_nonsense_on_an_open_connection(qrelay, server):
    """It does not take EOF to see that it is none."""
    q, _ = relay(qrelay, server,
                 after_request(lambda c: (c.send(b'HTTP/1.1 400\r\n'),
                                          c.wait_eof())))
    assert q.submit(timeout=6) in (b'Zmalformed relay response',
                                   b'Zrelay failed')


@pytest.mark.valgrind
def test_hangs_after_the_request(qrelay, server):
    q, s = relay(qrelay, server, after_request(lambda c: c.wait_eof()),
                 '{timeout=1}')
    start = time.monotonic()
    assert q.submit() == b'Ztimeout'
    assert time.monotonic() - start > 0.9
    assert s.saw_eof.wait(slow(5))      # and closes its connection
    assert 'where' in q.mail()


@pytest.mark.parametrize('where', ['127.0.0.1', 'unix'])
def test_waiting_does_not_spin(qrelay, server, folder, where):
    """Neither for a reply, nor for a server that stopped reading, nor in
    the middle of a reply."""
    gate = threading.Event()

    def script(conn):
        if conn.read_some(1)[:2] == b'80':      # the length of the large one
            gate.wait(slow(20))
        conn.read_request()
        conn.send(b'3:K')
        gate.wait(slow(20))
        conn.send(b'ok,')

    where = str(folder / 's') if where == 'unix' else where
    q, _ = relay(qrelay, server, script, where=where)
    clients = [q.client().send(request(b'x' * n)) for n in (10, 8000000) * 3]
    time.sleep(0.3)
    before = q.cpu()
    time.sleep(1)
    assert q.cpu() - before < 0.3
    gate.set()
    for c in clients:
        assert c.reply(timeout=20) == b'Kok'
        c.close()


def test_hangs_without_reading(qrelay, server):
    """8 MiB do not fit into the socket buffers."""
    gate = threading.Event()
    q, _ = relay(qrelay, server, lambda c: gate.wait(slow(10)),
                 '{timeout=1}')
    assert q.submit(b'x' * (8 * MIB)) == b'Ztimeout'
    gate.set()


def test_hangs_inside_the_reply(qrelay, server):
    q, _ = relay(qrelay, server, after_request(
        lambda c: (c.send(b'3:Ko'), c.wait_eof())), '{timeout=1}')
    assert q.submit() == b'Ztimeout'


def test_drips_for_ever(qrelay, server):
    """Bytes that trickle in do not extend the time."""
    def drip(conn):
        conn.read_request()
        conn.drip(b'5000:K' + b'x' * 200, 0.1)
    q, _ = relay(qrelay, server, drip, '{timeout=1}')
    start = time.monotonic()
    assert q.submit() == b'Ztimeout'
    assert time.monotonic() - start < slow(4)


def test_drips(qrelay, server):
    q, _ = relay(qrelay, server,
                 after_request(lambda c: c.drip(netstring(b'Kdrip drop'))))
    check(q, b'Kdrip drop', where=False)


def test_reads_slowly(qrelay, server):
    def script(conn):
        for _ in range(40):
            conn.received += conn.sock.recv(50000)
            time.sleep(0.005)
        if conn.read_request():
            conn.answer(b'Kat last')
    q, s = relay(qrelay, server, script)
    message = bytes(range(256)) * 20000
    assert q.submit(message, timeout=20) == b'Kat last'
    assert s.requests[0].message.endswith(message)


@pytest.mark.parametrize('where', ['127.0.0.1', 'unix'])
@pytest.mark.parametrize('end', ['close', 'half_close', 'reset', 'stay'])
@pytest.mark.parametrize('verdict', [b'Dtoo large for me', b'Zlater'])
def test_early_verdict(qrelay, server, folder, where, end, verdict):
    """A server refuses while 8 MiB are on their way."""
    def script(conn):
        conn.read_some(100)
        conn.answer(verdict)
        if end == 'half_close':
            conn.half_close()
            conn.wait_eof()
        elif end == 'stay':
            conn.wait_eof()
        elif end == 'reset':
            time.sleep(0.2)
            conn.reset()
    where = str(folder / 's') if where == 'unix' else where
    q, _ = relay(qrelay, server, script, where=where)
    check(q, verdict, b'x' * (8 * MIB), where=False)


def test_early_verdict_of_a_small_mail(qrelay, server):
    """Answered and closed before it read a byte."""
    q, _ = relay(qrelay, server, lambda c: c.answer(b'Dgo away'))
    for _ in range(20):
        assert q.submit() == b'Dgo away'


LONG = {257: b'K', 300: b'K', 1000: b'K', 65535: b'K', 65536: b'K',
        4096: b'D', 9999: b'Z'}


@pytest.mark.parametrize('length', LONG)
def test_long_replies(qrelay, server, length):
    """Up to 64 KiB are taken and cut to 256 bytes: a K stays a K."""
    code = LONG[length]
    text = code + bytes(65 + i % 26 for i in range(length - 1))
    q, _ = relay(qrelay, server, answering(text))
    assert q.submit() == text[:256]
    assert q.mail()['text'] == text[1:256]


@pytest.mark.parametrize('length', [65537, 1 << 20, 1 << 33])
def test_reply_beyond_64k(qrelay, server, length):
    q, _ = relay(qrelay, server, after_request(
        lambda c: c.send(b'%d:K' % length + b'x' * 65537)))
    assert q.submit()[:1] == b'Z'
    assert q.mail()['verdict'] == b'Z'


def test_long_reply_cut_short(qrelay, server):
    q, _ = relay(qrelay, server, after_request(
        lambda c: c.send(b'60000:K' + b'x' * 50000)))
    check(q, b'Zrelay failed')


@pytest.mark.parametrize('extra', [b'x', b'\n', b'3:Dno,', b'y' * 100000],
                         ids=['x', 'newline', 'reply', 'many'])
def test_bytes_behind_the_reply(qrelay, server, extra):
    """One netstring is the answer; what follows is nothing."""
    q, _ = relay(qrelay, server, after_request(
        lambda c: c.send(b'3:Kok,' + extra)))
    check(q, b'Kok', where=False)


def test_server_stays_open_after_its_reply(qrelay, server):
    """Its connection is closed by us."""
    q, s = relay(qrelay, server, after_request(
        lambda c: (c.answer(b'Kok'), c.wait_eof())))
    assert q.submit(timeout=5) == b'Kok'
    assert s.saw_eof.wait(slow(5))


def test_many_at_once(qrelay, server):
    """Failures of one mail do not touch the others."""
    def script(conn):
        r = conn.read_request()
        if r.sender == b'fail@x':
            conn.reset()
        else:
            conn.answer(b'K' + r.sender)
    q, _ = relay(qrelay, server, script)
    senders = [b'fail@x' if i % 3 == 0 else b's%d@x' % i for i in range(60)]
    clients = [q.client().send(request(sender=s)) for s in senders]
    for c, s in zip(clients, senders):
        assert c.reply() == (b'Zrelay failed' if s == b'fail@x' else b'K' + s)
        c.close()


def test_time_includes_the_handler(qrelay, server):
    """`timeout` counts from the request's last byte."""
    s = server(after_request(lambda c: c.wait_eof()))
    q = qrelay(handler="sleep(2.5) "
               f"return m:connect('{s.address}', {{timeout=3}})")
    start = time.monotonic()
    assert q.submit() == b'Ztimeout'
    assert 2.8 < time.monotonic() - start < 5.3


def test_the_whole_request_is_sent_once(qrelay, server):
    """Nothing is retried on its own."""
    q, s = relay(qrelay, server, after_request(lambda c: c.reset()))
    assert q.submit() == b'Zrelay failed'
    time.sleep(0.3)
    assert s.connections == 1


def test_acceptance_before_the_end(qrelay, server):
    """A K counts only when the server can have all of the mail."""
    def early(c):
        c.read_some(100)
        c.answer(b'Kearly')
        c.half_close()
        c.wait_eof(5)

    s = server(early)
    q = qrelay(handler=f"return m:connect('{s.address}')")
    assert q.submit(b'x' * (8 << 20)) == b'Zrelay failed'
    mail, = q.mails(1)
    assert mail['verdict'] == b'Z'
    assert mail['where'] == b'send'
