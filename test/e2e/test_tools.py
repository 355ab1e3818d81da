# SPDX-License-Identifier: BSD-2-Clause
"""qrelay-sink and qrelay-sendmail, alone and through the daemon."""
import os
import pathlib
import re
import subprocess
import time

import pytest
from harness.env import SENDMAIL, SINK, free_port, slow, wait_until
from harness.qmqp import MESSAGE, RCPT, SENDER, Client, netstring, request
from harness.server import answering

pytestmark = pytest.mark.skipif(
    not (os.access(SINK, os.X_OK) and os.access(SENDMAIL, os.X_OK)),
    reason='qrelay-sink and qrelay-sendmail are not built')


@pytest.fixture
def sink(folder):
    """sink(*options) -> its address; listens on a Unix socket."""
    running = []

    def start(*options, address=None):
        path = address or str(folder / 'sink')
        process = subprocess.Popen([SINK, *options, path],
                                   stdin=subprocess.DEVNULL)
        running.append(process)

        def answers():
            assert process.poll() is None, 'qrelay-sink has ended'
            try:
                Client(path if isinstance(path, str) and path[0] in '/@'
                       else tuple_of(path)).close()
                return True
            except OSError:
                return False
        wait_until(answers, 'qrelay-sink listens')
        return path

    yield start
    for process in running:
        process.terminate()
        process.wait(slow(10))


def tuple_of(text):
    host, _, port = text.rpartition(':')
    return host.strip('[]'), int(port)


def sendmail(*args, data=MESSAGE, **kwargs):
    return subprocess.run([SENDMAIL, *map(str, args)], input=data,
                          capture_output=True, timeout=slow(30), **kwargs)


def delivered(maildir):
    return sorted(pathlib.Path(maildir, 'new').iterdir())


def as_delivered(message, sender=SENDER, rcpts=(RCPT,)):
    """What a file in new/ holds: the envelope stands above the message."""
    return (b'Return-Path: <%s>\n' % sender +
            b''.join(b'Delivered-To: %s\n' % r for r in rcpts) + message)


# ---- qrelay-sink ----

def test_sink_default(sink):
    path = sink()
    for _ in range(3):
        with Client(path) as c:
            assert c.send(request()).reply()[:1] == b'K'


@pytest.mark.parametrize('form', ['127.0.0.1:{}', '[::1]:{}', '@sink{}'])
def test_sink_addresses(sink, form):
    text = form.format(free_port())
    sink(address=text)
    where = text if text[0] == '@' else tuple_of(text)
    with Client(where) as c:
        assert c.send(request()).reply()[:1] == b'K'


def test_sink_maildir(sink, folder):
    maildir = folder / 'Maildir'
    path = sink('--maildir', str(maildir))
    with Client(path) as c:
        assert c.send(request(MESSAGE)).reply()[:1] == b'K'
    # there once K has been said
    assert {p.name for p in maildir.iterdir()} == {'new', 'cur', 'tmp'}
    new, = delivered(maildir)
    assert new.read_bytes() == as_delivered(MESSAGE)
    assert not list((maildir / 'tmp').iterdir())


@pytest.mark.parametrize('message, eol, extra', [
    (b' folded?\n', b'\n', b'\n'), (b'A: b\r\n\r\n', b'\r\n', b''),
    (b'', b'\n', b'')])
def test_sink_maildir_envelope(sink, folder, message, eol, extra):
    """Bounces, several recipients, CRLF, a message that starts with a
    space: the message itself is never changed."""
    maildir = folder / 'Maildir'
    path = sink('--maildir', str(maildir))
    rcpts = (b'a@x', b'root', b'"q q"@x')
    with Client(path) as c:
        assert c.send(request(message, b'', rcpts)).reply()[:1] == b'K'
    new, = delivered(maildir)
    assert new.read_bytes() == as_delivered(
        extra + message, b'', rcpts).replace(b'\n', eol) \
        .replace(b'\r\r\n', b'\r\n')


def test_sink_maildir_many(sink, folder):
    maildir = folder / 'Maildir'
    path = sink('--maildir', str(maildir))
    messages = [b'n: %d\n\n' % i + bytes(range(256)) * i for i in range(40)]
    clients = [Client(path).send(request(m)) for m in messages]
    for c in clients:
        assert c.reply()[:1] == b'K'
        c.close()
    assert sorted(p.read_bytes() for p in delivered(maildir)) == \
        sorted(map(as_delivered, messages))


def test_sink_maildir_cannot_write(sink, folder):
    """No K without a file."""
    maildir = folder / 'Maildir'
    path = sink('--maildir', str(maildir))
    with Client(path) as c:
        c.send(request())
        c.reply()
    for name in ('tmp', 'new'):
        for p in (maildir / name).iterdir():
            p.unlink()
        (maildir / name).rmdir()
        (maildir / name).write_text('')
    with Client(path) as c:
        assert c.send(request()).reply()[:1] != b'K'


@pytest.mark.parametrize('reply', ['Kmine', 'Zlater', 'Dno, never'])
def test_sink_reply(sink, reply):
    path = sink('--reply', reply)
    with Client(path) as c:
        assert c.send(request()).reply() == reply.encode()


def test_sink_delay(sink):
    path = sink('--delay', '0.7')
    start = time.monotonic()
    clients = [Client(path).send(request()) for _ in range(5)]
    for c in clients:
        assert c.reply()[:1] == b'K'
        c.close()
    assert 0.65 < time.monotonic() - start < slow(3)


@pytest.mark.parametrize('data', [b'x', b'05:hello,', netstring(b'3:abc,'),
                                  request()[:-1] + b';',
                                  request(rcpts=(b'a\nX: y@z',)),
                                  request(sender=b'a\nX: y@z')])
def test_sink_bad_input(sink, folder, data):
    maildir = folder / 'Maildir'
    path = sink('--maildir', str(maildir))
    with Client(path) as c:
        c.send(data).half_close()
        assert b'K' not in c.read_to_eof(reset_is_eof=True)
    assert not maildir.exists() or not delivered(maildir)


@pytest.mark.parametrize('args', [[], ['--bogus', '/x'], ['/x', '/y']])
def test_sink_usage(args):
    r = subprocess.run([SINK, *args], capture_output=True, timeout=slow(10),
                       stdin=subprocess.DEVNULL)
    assert r.returncode not in (0, -11)
    assert r.stderr


# ---- qrelay-sendmail ----

def test_sendmail(server, folder):
    s = server(where=str(folder / 's'))
    r = sendmail('-f', 'from@x', '-s', s.address, 'a@y', 'root')
    assert (r.returncode, r.stdout) == (0, b''), r.stderr
    got = s.requests[0]
    assert (got.message, got.sender, got.rcpts) == \
        (MESSAGE, b'from@x', [b'a@y', b'root'])


@pytest.mark.parametrize('args', [['-f', ''], ['-f', '<>']])
def test_sendmail_bounce(server, folder, args):
    s = server(where=str(folder / 's'))
    r = sendmail(*args, '-s', s.address, 'a@y')
    if args[1] == '' or r.returncode == 0:
        assert r.returncode == 0
        assert s.requests[0].sender == b''


@pytest.mark.parametrize('verdict, code', [
    (b'Kok', 0), (b'Ztry later', 75), (b'Dno such user', 77)])
def test_sendmail_exit_status(server, folder, verdict, code):
    s = server(answering(verdict), str(folder / 's'))
    r = sendmail('-f', 'a@x', '-s', s.address, 'b@y')
    assert r.returncode == code
    if code:
        assert verdict[1:] in r.stderr
    assert not r.stdout


@pytest.mark.parametrize('script', [
    lambda c: None, lambda c: c.read_request() and None,
    lambda c: c.read_request() and c.send(b'3:K'),
    lambda c: c.read_request() and c.send(b'garbage'),
    lambda c: c.read_request() and c.answer(b'Xok')])
def test_sendmail_without_an_answer(server, folder, script):
    s = server(script, str(folder / 's'))
    r = sendmail('-f', 'a@x', '-s', s.address, 'b@y')
    assert r.returncode == 75
    assert r.stderr


def test_sendmail_without_a_server(folder):
    r = sendmail('-f', 'a@x', '-s', folder / 'missing', 'b@y')
    assert r.returncode == 75
    assert r.stderr


@pytest.mark.parametrize('args, data, expected', [
    (['-i'], b'A: b\r\n\r\nx\r\ny\r\n', b'A: b\n\nx\ny\n'),
    ([], b'A: b\r\n\r\nx\r\ny\r\n', b'A: b\n\nx\ny\n'),
    (['-i'], b'a\rb\r\r\nc\n', b'a\rb\r\nc\n'),
    (['-i'], b'a\n.\nb\n', b'a\n.\nb\n'),
    ([], b'a\n.\nb\n', b'a\n'),
    ([], b'a\r\n.\r\nb\r\n', b'a\n'),
    ([], b'a\n..\nb\n', b'a\n..\nb\n'),
    ([], b'a\n.b\n', b'a\n.b\n'),
    ([], b'.\n', b''),
    (['-i'], b'.\n', b'.\n'),
    (['-i'], b'no newline', b'no newline'),
    (['-i'], b'', b''),
    (['-i'], b'nul \0 byte\xff\n', b'nul \0 byte\xff\n'),
    (['-i'], b'\r', b'\r'), (['-i'], b'x\r', b'x\r'),
])
def test_sendmail_message(server, folder, args, data, expected):
    """CRLF turned to LF; without -i a line with a single dot ends it."""
    s = server(where=str(folder / 's'))
    r = sendmail('-f', 'a@x', *args, '-s', s.address, 'b@y', data=data)
    assert r.returncode == 0, r.stderr
    got = s.requests[0].message
    # whether a missing last newline is added is its own business
    assert got in (expected, expected + b'\n')


def test_sendmail_crlf_across_reads(server, folder):
    s = server(where=str(folder / 's'))
    with subprocess.Popen([SENDMAIL, '-i', '-f', 'a@x', '-s', s.address,
                           'b@y'], stdin=subprocess.PIPE) as p:
        for piece in (b'a\r', b'\nb', b'\r', b'\n', b'c\r', b'd\n'):
            p.stdin.write(piece)
            p.stdin.flush()
            time.sleep(0.05)
        p.stdin.close()
        assert p.wait(slow(10)) == 0
    assert s.requests[0].message == b'a\nb\nc\rd\n'


def test_sendmail_large(server, folder):
    s = server(where=str(folder / 's'))
    data = b'A: b\n\n' + b'0123456789abcde\n' * 500000
    assert sendmail('-f', 'a@x', '-i', '-s', s.address, 'b@y',
                    data=data).returncode == 0
    assert s.requests[0].message == data


@pytest.mark.parametrize('args', [[], ['-f', 'a@x'], ['--bogus', 'b@y'],
                                  ['-f'], ['-Z', 'b@y']])
def test_sendmail_usage(args):
    r = sendmail(*args)
    assert r.returncode == 64       # EX_USAGE
    assert r.stderr


# ---- all together ----

@pytest.mark.valgrind
def test_through_the_daemon(qrelay, sink, folder):
    path = sink('--maildir', str(folder / 'Maildir'))
    q = qrelay(handler="m:insert_header('X-Test', 'yes')\n"
               f"return m:connect('{path}')")
    r = sendmail('-f', 'a@x', '-i', '-s', q.sock, 'b@y')
    assert r.returncode == 0, r.stderr
    new, = delivered(folder / 'Maildir')
    assert re.fullmatch(
        rb'Return-Path: <a@x>\nDelivered-To: b@y\n'
        rb'X-Test: yes\nReceived: from PID=\d+ UID=%d with QMQP\n' %
        os.geteuid() + re.escape(MESSAGE), new.read_bytes())
    assert q.mail()['verdict'] == b'K'


def test_refusal_through_the_daemon(qrelay, sink):
    path = sink('--reply', 'Dno such user')
    q = qrelay(handler=f"return m:connect('{path}')")
    r = sendmail('-f', 'a@x', '-s', q.sock, 'b@y')
    assert r.returncode == 77
    assert b'no such user' in r.stderr
