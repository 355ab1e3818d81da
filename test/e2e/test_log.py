# SPDX-License-Identifier: BSD-2-Clause
"""The log line: its form, that nothing from outside can forge one, and
that a reader that does not read holds up no mail."""
import fcntl
import os
import re
import time

import pytest
from harness import logline
from harness.qmqp import RCPT, SENDER, as_uid, request
from harness.server import answering

FORGED = b'id=forged-1 listener=x verdict=K text="x" ms=1.0'


def test_order_and_values(qrelay, server):
    s = server(answering(b'Kok 1700000000 qp 77'))
    q = qrelay(handler="m.account = 'acme'\n"
               f"return m:connect('{s.address}')")
    q.submit(b'x' * 1834, b'a@x.org', (b'b@y.org', b'c@z'))
    q.mail()
    line, = [x for x in q.log_lines() if logline.is_mail(x)]
    expected = (
        rb'id=[0-9a-f-]+ listener=%s pid=%d uid=%d gid=%d account=acme '
        rb'from="a@x\.org" to="b@y\.org" nrcpt=2 size=1834 action=connect '
        rb'target=%s verdict=K text="ok 1700000000 qp 77" ms=[0-9.]+' %
        (re.escape(q.sock.encode()), os.getpid(), os.geteuid(), os.getegid(),
         re.escape(s.address.encode())))
    assert re.fullmatch(expected, line), line


def test_peer_credentials(qrelay, root):
    q = qrelay(handler="return m:discard(m.pid .. ' ' .. m.uid .. ' ' .. "
               "m.gid)")
    with as_uid(1234, 1235):
        c = q.client()
    assert c.send(request()).reply() == b'K%d 1234 1235' % os.getpid()
    c.close()
    m = q.mail()
    assert (m['pid'], m['uid'], m['gid']) == \
        (b'%d' % os.getpid(), b'1234', b'1235')


def test_actions(qrelay):
    q = qrelay(handler="""local a = m.sender
if a == 'k@x' then return m:discard('some text') end
if a == 'z@x' then return m:defer() end
return m:reject()""")
    for a in (b'k@x', b'z@x', b'd@x'):
        q.submit(sender=a)
    logged = q.mails(3)
    assert [m['action'] for m in logged] == [b'discard', b'defer', b'reject']
    assert [m['verdict'] for m in logged] == [b'K', b'Z', b'D']
    assert [m['text'] for m in logged] == \
        [b'some text', b'deferred', b'rejected']
    assert all('target' not in m for m in logged)


def test_empty_sender_and_text(qrelay):
    q = qrelay(handler="return m:discard('')")
    assert q.submit(sender=b'') == b'K'
    m = q.mail()
    assert m['from'] == b''
    assert m.get('text', b'') == b''


@pytest.mark.valgrind
@pytest.mark.parametrize('text', [
    b'ok\n' + FORGED, b'ok\r\n' + FORGED + b'\r\n', b'a" verdict=D text="b',
    b'back\\', b'back\\" verdict=D x="', b'\\x0a', b'\0\x01\x1f\x7f',
    b'\xff\xfe\x80', b'caf\xc3\xa9', b'\xc3', b'\xe2\x80', b'\xed\xa0\x80',
    b'\xc0\xaf', b'\xf8\x88\x80\x80\x80', b'\x1b[2J', b'tab\there',
    b'\n', b'  spaces  ', bytes(range(256))[:255]], ids=lambda t: repr(t)[2:22])
def test_reply_text_cannot_forge(qrelay, server, text):
    s = server(answering(b'K' + text))
    q = qrelay(handler=f"return m:connect('{s.address}')")
    assert q.submit() == b'K' + text        # verbatim to the client
    m = q.mail()
    assert m['text'] == text                # and readable in the log
    assert m['verdict'] == b'K'
    assert not q.messages()


@pytest.mark.parametrize('address', [
    b'"x\\" verdict=K text=\\"y"@x', b'a"b@x', b'a\\b@x', b'a\\"@x',
    b'"' + FORGED.replace(b'"', b'') + b'"@x', b'=@x', b'a@x"id=1"',
    b'\xff@\x80', b'id=forged@x'])
def test_addresses_cannot_forge(qrelay, address):
    q = qrelay()
    assert q.submit(sender=address, rcpts=(address, address)) == b'Kdiscarded'
    m = q.mail()
    assert m['from'] == address
    assert m['to'] == address
    assert m['nrcpt'] == b'2'


def test_refused_address_cannot_forge(qrelay):
    q = qrelay()
    bad = b'a@x\n' + FORGED
    assert q.submit(sender=bad) == b'Dbad address'
    assert q.submit(rcpts=(bad,)) == b'Dbad address'
    assert q.submit(rcpts=(RCPT, bad)) == b'Dbad address'
    assert [m['verdict'] for m in q.mails(3)] == [b'D'] * 3
    assert not q.messages()


def test_account_cannot_forge(qrelay):
    q = qrelay(handler="""m.account = 'a" verdict=D\\n' .. [[$F]]
if m.sender == 'clear@x' then m.account = nil end
if m.sender == 'read@x' then return m:discard(m.account) end
return m:discard()""".replace('$F', FORGED.decode()))
    q.submit()
    q.submit(sender=b'clear@x')
    assert q.submit(sender=b'read@x').startswith(b'Ka" verdict=D')
    logged = q.mails(3)
    assert logged[0]['account'] == b'a" verdict=D\n' + FORGED
    assert 'account' not in logged[1]
    assert not q.messages()


def test_script_text_cannot_forge(qrelay):
    q = qrelay(handler="return m:discard('x\\n" +
               FORGED.decode().replace('"', '') + "')")
    q.submit()
    assert b'\n' not in q.mail()['text']


def test_print_comes_line_by_line(qrelay):
    q = qrelay(pre="print('at start', 1, nil)",
               handler="print('in the handler') print('a\\nb')"
               " return m:discard()")
    q.submit()
    q.wait_message('in the handler')
    lines = q.output().splitlines()
    assert any('at start\t1\tnil' in x for x in lines)
    assert any('in the handler' in x for x in lines)


@pytest.mark.parametrize('full', ['from the start', 'filled by us'])
def test_reader_that_does_not_read(qrelay, full):
    """A full pipe on stderr: mail goes on; what a 1 MiB buffer cannot hold
    is dropped in whole lines, and counted."""
    reader, writer = os.pipe()
    fcntl.fcntl(reader, fcntl.F_SETPIPE_SZ, 65536)
    if full == 'from the start':
        os.write(writer, b'-' * 65535 + b'\n')
    q = qrelay(stderr=writer)
    os.close(writer)
    sender, rcpt = b's' * 900 + b'@x', b'r' * 900 + b'@y'
    n = 900
    for _ in range(n):
        assert q.submit(b'm', sender, (rcpt,)) == b'Kdiscarded'
    os.set_blocking(reader, False)
    data = drain(reader)
    assert q.submit(b'm', SENDER, (b'last@x',)) == b'Kdiscarded'
    time.sleep(0.3)
    data += drain(reader)
    q.terminate()
    q.wait_exit()
    data += drain(reader)
    os.close(reader)
    lines = data.lstrip(b'-').split(b'\n')
    assert lines.pop() == b''
    mails = [logline.parse(x) for x in lines if logline.is_mail(x)]
    others = [x for x in lines if x and not logline.is_mail(x)]
    assert 400 < len(mails) < n
    assert mails[-1]['to'] == b'last@x'
    assert any(b'%d' % (n + 1 - len(mails)) in x for x in others), others


def drain(fd):
    data, idle = b'', 0
    while idle < 10:
        try:
            piece = os.read(fd, 1 << 20)
        except BlockingIOError:
            piece = None
        if piece == b'':
            break
        if piece:
            data += piece
            idle = 0
        else:
            idle += 1
            time.sleep(0.03)
    return data


def test_stderr_closed_by_the_reader(qrelay):
    """EPIPE on stderr is no reason to die."""
    reader, writer = os.pipe()
    q = qrelay(stderr=writer)
    os.close(writer)
    os.close(reader)
    for _ in range(5):
        assert q.submit() == b'Kdiscarded'


@pytest.mark.parametrize('closed', ['2>&-', '0<&- 1>&- 2>&-'])
def test_no_stderr_at_all(qrelay, closed):
    """The number belongs to nobody else then."""
    q = qrelay(prefix=['sh', '-c', f'exec "$@" {closed}', 'sh'])
    assert q.submit() == b'Kdiscarded'
    fds = q.fds()
    assert fds[2] == '/dev/null'
    assert not any(fds[n].startswith(('socket', 'anon')) for n in (0, 1))
