# SPDX-License-Identifier: BSD-2-Clause
"""Programs that do not go along: slow, deaf, immortal; and how they end."""
import os
import pathlib
import re
import signal
import time

import pytest
from harness.env import SENDMAIL, SINK, TREE, slow, wait_until
from harness.qmqp import MESSAGE, request

from test_exec import shell

MB = 1_000_000
BIG = b'm' * 99 + b'\n'
BIG *= 10 * MB // 100
GRACE = 10


def children(q):
    """(pid, state) of the daemon's children, zombies included."""
    found = []
    for entry in pathlib.Path('/proc').iterdir():
        if not entry.name.isdigit():
            continue
        try:
            stat = (entry / 'stat').read_text().rpartition(')')[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(stat[1]) == q.pid:
            found.append((int(entry.name), stat[0]))
    return found


def alive(group):
    """Whether a process of that group runs (a zombie does not)."""
    for entry in pathlib.Path('/proc').iterdir():
        if not entry.name.isdigit():
            continue
        try:
            stat = (entry / 'stat').read_text().rpartition(')')[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(stat[2]) == group and stat[0] not in 'ZX':
            return True
    return False


def number_in(path):
    wait_until(lambda: path.exists() and path.read_text().endswith('\n'),
               f'{path} is written')
    return int(path.read_text())


@pytest.fixture
def clean(qrelay):
    """Every daemon of these tests ends without children and fds left."""
    made = []

    def factory(*args, **kwargs):
        q = qrelay(*args, **kwargs)
        made.append((q, q.fds()))
        return q

    yield factory
    for q, fds in made:
        if q.alive():
            wait_until(lambda: not children(q), 'the children are reaped',
                       GRACE + 5)
            q.wait_fds(fds)


# ---- reading and writing in any order ----

ORDERS = [
    ('head -c 1000000 /dev/zero >&2; cat >/dev/null', b'Kok'),
    ('head -c 1000000 /dev/zero | tr "\\0" x; cat >/dev/null', b'Kx{255}'),
    ('echo deaf', b'Kdeaf'),
    ('exec <&-; sleep .2; echo shut', b'Kshut'),
    ('exec <&-; sleep .2; exit 65', b'Dinternal server error'),
    ('echo out; exec >&- 2>&-; sleep .2', b'Kout'),
    ('exec >&- 2>&-; cat >/dev/null; exit 65', b'Dinternal server error'),
    ('sleep 5 & echo left', b'Kleft'),
    ('yes >&2 & exit 65', b'D(y[y ]+|internal server error)'),
    ('head -c 100000 >/dev/null; echo part', b'Kpart'),
    ('head -c 1 >/dev/null; sleep .2; wc -c', b'K1000[0-9]{4}'),
]


@pytest.mark.parametrize('script, reply', ORDERS)
def test_order(clean, script, reply):
    q = clean(handler=shell(script))
    start = time.monotonic()
    got = q.submit(BIG, timeout=20)
    assert time.monotonic() - start < slow(10)
    assert re.fullmatch(reply, got)
    if got != b'Kok':
        assert q.mail()['text'] == got[1:]


def test_others_are_not_held_up(clean):
    """While one program is fed and one hangs, other mails pass."""
    q = clean(handler="if m.sender == 'a@x' then " +
              shell('sleep 1; cat >/dev/null; echo read') +
              " elseif m.sender == 'b@x' then " + shell('sleep 1; echo late')
              + " end return m:discard()")
    with q.client() as a, q.client() as b:
        a.send(request(BIG, b'a@x'))
        b.send(request(sender=b'b@x'))
        for _ in range(20):
            start = time.monotonic()
            assert q.submit() == b'Kdiscarded'
            assert time.monotonic() - start < slow(.5)
        assert a.reply() == b'Kread'
        assert b.reply() == b'Klate'


@pytest.mark.parametrize('script', [
    'sleep 1', 'exec >&- 2>&-; sleep 1', 'exec <&-; sleep 1',
    'exec <&- >&- 2>&-; sleep 1'])
def test_waiting_costs_nothing(clean, script):
    q = clean(handler=shell(script))
    before = q.cpu()
    assert q.submit(BIG) == b'Kok'
    assert q.cpu() - before < slow(.3)


def test_output_without_end(clean):
    q = clean(handler=shell('exec yes'))
    assert q.submit()[:9] == b'Zy y y y '


# ---- how they end ----

def test_timeout(clean, folder):
    q = clean(handler=shell(f'echo $$ >{folder}/pid; sleep 100', 'exec',
                            "{timeout=.5, env={PATH='/bin'}}"))
    start = time.monotonic()
    assert q.submit() == b'Ztimeout'
    assert .4 < time.monotonic() - start < slow(3)
    group = number_in(folder / 'pid')
    wait_until(lambda: not alive(group), 'the group is gone', 3)
    m = q.mail()
    assert m['where'] == b'exec'
    assert m['verdict'] == b'Z'


def test_client_gone(clean, folder):
    q = clean(handler=shell(f'echo $$ >{folder}/pid; sleep 100'))
    with q.client() as c:
        c.send(request())
        group = number_in(folder / 'pid')
        assert alive(group)
    wait_until(lambda: not alive(group), 'the group is gone', 3)
    m = q.mail()
    assert 'verdict' not in m
    assert m['where'] == b'exec'


IGNORING = "trap '' TERM; echo $$ >{}/pid; sleep 100; sleep 100"
ORPHAN = ("(trap '' TERM; echo $$ >{}/pid; sleep 100; sleep 100) & wait")


@pytest.mark.parametrize('script', [IGNORING, ORPHAN],
                         ids=['leader', 'member'])
def test_ignores_sigterm(clean, folder, script):
    """SIGKILL after 10 s; other mails pass meanwhile."""
    q = clean(handler="if m.sender == 'ok@x' then return m:discard() end " +
              shell(script.format(folder)))
    with q.client() as c:
        c.send(request())
        group = number_in(folder / 'pid')
    start = time.monotonic()
    while alive(group):
        assert time.monotonic() - start < slow(GRACE + 3)
        assert q.submit(sender=b'ok@x') == b'Kdiscarded'
        time.sleep(.2)
    assert time.monotonic() - start > GRACE - .5


def test_exited_group_is_left_alone(clean, folder):
    """What a program left behind on purpose is not signalled."""
    q = clean(handler=shell(
        f"(trap 'echo TERM >{folder}/term' TERM; sleep 1; "
        f"echo 1 >{folder}/done) >/dev/null 2>&1 & echo left"))
    assert q.submit() == b'Kleft'
    assert number_in(folder / 'done') == 1
    assert not (folder / 'term').exists()


@pytest.mark.parametrize('script', [IGNORING, ORPHAN],
                         ids=['leader', 'member'])
def test_shutdown(qrelay, folder, script):
    """No patience with groups when the daemon ends."""
    q = qrelay(shutdown_timeout=.5, handler=shell(script.format(folder)))
    with q.client() as c:
        c.send(request())
        group = number_in(folder / 'pid')
        start = time.monotonic()
        q.terminate()
        assert q.wait_exit() == 0
        assert .4 < time.monotonic() - start < slow(3)
        wait_until(lambda: not alive(group), 'the group is gone', 3)
        assert b':K' not in c.read_to_eof(reset_is_eof=True)


def test_second_signal_kills_at_once(qrelay, folder):
    q = qrelay(shutdown_timeout=100,
               handler=shell(IGNORING.format(folder)))
    with q.client() as c:
        c.send(request())
        group = number_in(folder / 'pid')
        q.terminate()
        time.sleep(.3)
        assert q.alive()
        q.terminate(signal.SIGINT)
        assert q.wait_exit() == 0
        wait_until(lambda: not alive(group), 'the group is gone', 3)


def test_shutdown_kills_what_is_dying(qrelay, folder):
    """Its client is gone, its 10 seconds are not over."""
    q = qrelay(handler=shell(IGNORING.format(folder)))
    with q.client() as c:
        c.send(request())
        group = number_in(folder / 'pid')
    q.mail()
    assert alive(group)
    q.terminate()
    assert q.wait_exit() == 0
    wait_until(lambda: not alive(group), 'the group is gone', 3)


def test_shutdown_lets_finish(qrelay):
    q = qrelay(handler=shell('sleep .5; echo done'))
    with q.client() as c:
        c.send(request())
        time.sleep(.2)
        q.terminate()
        assert c.reply() == b'Kdone'
    assert q.wait_exit() == 0
    assert q.mail()['verdict'] == b'K'


def test_ignored_sigchld(clean):
    """Inherited from whoever started the daemon."""
    q = clean(handler=shell('exit 65'),
              prefix=['/usr/bin/env', '--ignore-signal=CHLD'])
    assert q.submit() == b'Dinternal server error'


# ---- real programs ----

tools = pytest.mark.skipif(
    not (os.access(SINK, os.X_OK) and os.access(SENDMAIL, os.X_OK)),
    reason='qrelay-sink and qrelay-sendmail are not built')


@tools
@pytest.mark.parametrize('reply', [b'Kok', b'Zlater', b'Dnever'])
def test_sendmail(clean, server, reply):
    """Its 77 and 75 become D and Z again, its complaint the text."""
    s = server(lambda c: (c.read_request(), c.answer(reply)))
    q = clean(handler=f"return m:exec_raw('{SENDMAIL}', '-s', "
              f"'{s.address}', '-i', '-f', m.sender, '--', "
              "table.unpack(m.recipients))")
    message = b'Subject: x\n\n.\n..\nend\n'
    got = q.submit(message, b'-f@x', (b'-t@y', b'root'))
    assert got[:1] == reply[:1]
    if reply[:1] != b'K':
        assert reply[1:] in got
    r = s.wait_requests(1)[0]
    assert (r.sender, r.rcpts) == (b'-f@x', [b'-t@y', b'root'])
    assert r.message.endswith(message)


@tools
def test_sink(clean, folder):
    q = clean(handler=f"return m:exec('{SINK}', '--maildir', "
              f"'{folder}/Maildir', '--stdio')")
    assert q.submit().startswith(b'Kok ')
    assert q.submit(BIG).startswith(b'Kok ')
    sizes = sorted(p.stat().st_size
                   for p in (folder / 'Maildir' / 'new').iterdir())
    assert len(sizes) == 2
    assert sizes[0] > len(MESSAGE) and sizes[1] > len(BIG)


@tools
@pytest.mark.parametrize('reply', ['Kyes', 'Zlater', 'Dnever'])
def test_sink_replies(clean, reply):
    q = clean(handler=f"return m:exec('{SINK}', '--reply', '{reply}', "
              "'--stdio')")
    assert q.submit() == reply.encode()


@tools
def test_sink_refuses(clean):
    q = clean(handler=f"return m:exec('{SINK}', '--max-size', '1000', "
              "'--stdio')")
    assert q.submit(BIG) == b'Dmessage too large'


@tools
def test_sink_cannot_store(clean):
    q = clean(handler=f"return m:exec('{SINK}', '--maildir', '/proc/x', "
              "'--stdio')")
    assert q.submit() == b'Zinternal server error'
    q.mail()
    assert any(b'stderr="qrelay-sink: /proc/x:' in line
               for line in q.log_lines())


@tools
def test_chain(clean, folder):
    """qrelay -> exec -> qrelay-sink: what arrives is what was sent."""
    q = clean(handler=f"m:insert_header('X-Hop', m.sender) return m:exec("
              f"'{SINK}', '--maildir', '{folder}/Maildir', '--stdio')")
    first = clean(handler=f"return m:connect('{q.sock}')")
    assert first.submit().startswith(b'Kok ')
    (path,) = (folder / 'Maildir' / 'new').iterdir()
    text = path.read_bytes()
    assert text.count(b'Received: from PID=') == 2
    assert b'X-Hop: a@example.org\n' in text
    assert text.endswith(MESSAGE)


def sendmail_lua():
    text = (TREE / 'examples' / 'sendmail.lua').read_text()
    assert text.count('qmqp_listen(systemd,') == 1
    return text.replace('qmqp_listen(systemd,', "qmqp_listen('$SOCK',")


def test_example_sendmail(clean, folder):
    """Addresses that look like options, and a bounce."""
    program = folder / 'sendmail'
    program.write_text('#!/bin/sh\n'
                       f'printf "<%s>" "$@" >>{folder}/args\n'
                       f'/bin/cat >>{folder}/message\n'
                       'echo queued\n')
    program.chmod(0o755)
    q = clean(sendmail_lua(), env={'QRELAY_SENDMAIL': str(program)})
    dotted = b'Subject: x\n\n.\nafter\n'
    assert q.submit(dotted, b'-oQ/x@y', (b'-t', b'root')) == b'Kqueued'
    assert q.submit(sender=b'') == b'Kqueued'
    assert ((folder / 'args').read_text() ==
            '<-i><-f><-oQ/x@y><--><-t><root>'
            '<-i><-f><><--><b@example.org>')
    assert (folder / 'message').read_bytes().count(dotted) == 1


@tools
def test_example_sendmail_for_real(clean, server):
    s = server()
    q = clean(sendmail_lua().replace("'-i',", f"'-s', '{s.address}', '-i',"),
              env={'QRELAY_SENDMAIL': str(SENDMAIL)})
    assert q.submit(sender=b'-f@x', rcpts=(b'-t@y', b'--')) == b'Kok'
    assert q.submit(sender=b'') == b'Kok'
    first, second = s.wait_requests(2)
    assert (first.sender, first.rcpts) == (b'-f@x', [b'-t@y', b'--'])
    assert second.sender == b''


def test_example_sendmail_that_hangs(clean, folder):
    """The client is told while it still listens."""
    program = folder / 'sendmail'
    program.write_text('#!/bin/sh\nexec /bin/sleep 60\n')
    program.chmod(0o755)
    text = sendmail_lua()
    assert text.count('timeout = 50') == 1
    q = clean(text.replace('timeout = 50', 'timeout = 0.5'),
              env={'QRELAY_SENDMAIL': str(program)})
    assert q.submit() == b'Ztimeout'
