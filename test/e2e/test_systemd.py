# SPDX-License-Identifier: BSD-2-Clause
"""Socket activation by the real systemd-socket-activate, and sd_notify."""
import os
import signal
import socket
import time

import pytest
from harness.daemon import StartError
from harness.env import (DAEMON, WRAPPER, find_peer, free_port, slow,
                         wait_until)
from harness.qmqp import open_socket, request

ACTIVATE = find_peer('systemd-socket-activate')
needs_activate = pytest.mark.skipif(
    ACTIVATE is None, reason='no systemd-socket-activate here')
H = 'function(m) return m:discard() end'


def activated(qrelay, config, listen, names=None, poke=None, **kwargs):
    """Start under systemd-socket-activate; the first connection, which
    starts the daemon, is closed again without a byte."""
    command = [ACTIVATE, *(f'--listen={x}' for x in listen)]
    if names:
        command.append('--fdname=' + ':'.join(names))
    command += ['-E', 'NOTIFY_SOCKET', *WRAPPER, str(DAEMON)]
    q = qrelay(config, command=command, wait=False, **kwargs)
    poke = poke or listen[0]

    def connect():
        try:
            open_socket(poke).close()
            return True
        except (FileNotFoundError, ConnectionRefusedError):
            return False

    wait_until(connect, 'systemd-socket-activate listens')
    q.wait_ready()
    return q


@needs_activate
@pytest.mark.valgrind
def test_unix(qrelay, folder):
    path = str(folder / 's')
    q = activated(qrelay, f"qmqp_listen(systemd, {H})", [path],
                  directory=folder)
    assert q.submit(address=path) == b'Kdiscarded'
    m = q.mail()
    assert m['uid'] == b'%d' % os.geteuid()
    q.stop()
    # systemd's socket stays: it is not ours
    assert os.path.exists(path)


@needs_activate
def test_tcp_and_unix_together(qrelay, folder):
    path, port = str(folder / 's'), free_port()
    q = activated(qrelay, f"""qmqp_listen(systemd, {H})
qmqp_listen('$SOCK', function(m) return m:reject('own') end)""",
                  [path, f'127.0.0.1:{port}'], directory=folder)
    assert q.submit(address=path) == b'Kdiscarded'
    assert q.submit(address=('127.0.0.1', port)) == b'Kdiscarded'
    assert q.submit() == b'Down'
    assert 'uid' not in q.mails(3)[1]


@needs_activate
@pytest.mark.parametrize('order', [0, 1])
def test_names(qrelay, folder, order):
    """{name=} takes those of that name; the nameless call the rest,
    whichever comes first."""
    a, b, c = (str(folder / x) for x in 'abc')
    calls = ["qmqp_listen(systemd, function(m) return m:discard('in') end, "
             "{name='inside'})",
             "qmqp_listen(systemd, function(m) return m:discard('rest') end)"]
    if order:
        calls.reverse()
    q = activated(qrelay, '\n'.join(calls), [a, b, c],
                  ['inside', 'other', 'inside'], directory=folder)
    assert q.submit(address=a) == b'Kin'
    assert q.submit(address=b) == b'Krest'
    assert q.submit(address=c) == b'Kin'


@needs_activate
def test_unheard_socket(qrelay, folder):
    """What is handed over and not used is told: its clients wait for ever."""
    a, b = (str(folder / x) for x in 'ab')
    q = activated(qrelay, f"qmqp_listen(systemd, {H}, {{name='one'}})",
                  [a, b], ['one', 'two'], directory=folder)
    assert q.submit(address=a) == b'Kdiscarded'
    told = [m for m in q.messages() if 'handed over by systemd' in m]
    assert len(told) == 1 and "'two'" in told[0]
    with q.client(b) as c:
        c.send(request())
        assert c.silent(0.2)


@needs_activate
@pytest.mark.parametrize('config, word', [
    (f"qmqp_listen(systemd, {H})\nqmqp_listen(systemd, {H})", 'config.lua:2'),
    (f"\nqmqp_listen(systemd, {H}, {{name='missing'}})", 'missing'),
])
def test_errors(qrelay, folder, config, word):
    with pytest.raises(StartError) as e:
        activated(qrelay, config, [str(folder / 's')], directory=folder)
    assert e.value.code == 1
    assert word in e.value.output
    assert 'config.lua:2' in e.value.output


@needs_activate
@pytest.mark.parametrize('how, poke', [
    ('--datagram', socket.SOCK_DGRAM), ('--seqpacket', socket.SOCK_SEQPACKET)])
def test_not_a_stream(qrelay, folder, how, poke):
    path = folder / 's'
    q = qrelay(f"\nqmqp_listen(systemd, {H})", wait=False, directory=folder,
               command=[ACTIVATE, how, f'--listen={path}', *WRAPPER,
                        str(DAEMON)])
    with socket.socket(socket.AF_UNIX, poke) as s:
        wait_until(lambda: s.connect_ex(str(path)) == 0,
                   'systemd-socket-activate listens')
        s.send(b'x')
    with pytest.raises(StartError) as e:
        q.wait_ready()
    assert e.value.code == 1
    assert 'config.lua:2' in e.value.output
    assert 'is not a listening stream socket' in e.value.output


def test_no_socket_passed(qrelay):
    with pytest.raises(StartError) as e:
        qrelay(f"\nqmqp_listen(systemd, {H})")
    assert e.value.code == 1
    assert 'config.lua:2' in e.value.output


def test_ready_after_the_listeners(qrelay):
    """READY=1 comes when the sockets answer, not before."""
    q = qrelay(f"sleep(0.5) qmqp_listen('$SOCK', {H})", wait=False)
    time.sleep(0.2)
    assert 'READY=1' not in q.notify.seen
    q.wait_ready()
    assert q.submit() == b'Kdiscarded'


def test_no_ready_when_the_start_fails(qrelay):
    q = qrelay("error('no')", wait=False)
    q.expect_exit = 1
    q.wait_exit()
    assert 'READY=1' not in q.notify.seen


def test_reloading(qrelay):
    q = qrelay(f"qmqp_listen('$SOCK', {H})\n"
               "function reload() sleep(0.3) print('reloaded') end")
    n = len(q.notify.seen)
    q.sighup()
    q.notify.wait('RELOADING=1', since=n)
    assert 'reloaded' not in q.output()
    q.notify.wait('READY=1', since=n)
    q.wait_message('reloaded')
    seen = q.notify.seen[n:]
    assert seen.index('RELOADING=1') < seen.index('READY=1')


def test_stopping(qrelay):
    q = qrelay(handler='sleep(0.5) return m:discard()')
    with q.client() as c:
        c.send(request())
        time.sleep(0.1)
        q.terminate()
        q.notify.wait('STOPPING=1')
        assert c.reply() == b'Kdiscarded'


def test_watchdog(qrelay):
    q = qrelay(env={'WATCHDOG_USEC': '400000'})
    for _ in range(3):
        n = len(q.notify.seen)
        q.notify.wait('WATCHDOG=1', since=n)
    before = q.cpu()
    time.sleep(0.5)
    assert q.cpu() - before < 0.2


def test_watchdog_ends_a_stuck_daemon(qrelay, folder):
    """A call into C that does not return: systemd hears nothing more, and does
    what the test does for it.  The client can tell that its mail was not taken,
    and a new daemon takes the place."""
    config = """qmqp_listen('$SOCK', function(m)
  if m.sender == 'stuck@x' then
    string.find(('a'):rep(60000), ('.-'):rep(8) .. 'b')
  end
  return m:discard()
end)"""
    interval = slow(0.4)
    q = qrelay(config, directory=folder,
               prefix=['sh', '-c', 'ulimit -c 0; exec "$@"', 'sh'],
               env={'WATCHDOG_USEC': str(int(interval * 1e6))})
    q.notify.wait('WATCHDOG=1')
    with q.client() as c:
        c.send(request(sender=b'stuck@x'))
        time.sleep(interval)    # what was notified before it was stuck
        n = len(q.notify.seen)
        time.sleep(3 * interval)
        assert q.notify.seen[n:] == []
        assert q.alive()
        q.terminate(signal.SIGABRT)     # WatchdogSignal=
        q.expect_exit = -signal.SIGABRT
        assert c.read_to_eof(reset_is_eof=True) == b''
    q.wait_exit()
    q = qrelay(config, directory=folder)
    assert q.submit() == b'Kdiscarded'


def test_watchdog_of_another_process(qrelay):
    q = qrelay(env={'WATCHDOG_USEC': '200000', 'WATCHDOG_PID': '1'})
    time.sleep(0.5)
    for _ in range(5):
        assert 'WATCHDOG=1' not in q.notify.seen


def test_watchdog_during_a_waiting_start(qrelay):
    """A script that waits is no hang."""
    q = qrelay(f"sleep(1) qmqp_listen('$SOCK', {H})", wait=False,
               env={'WATCHDOG_USEC': '400000'})
    q.wait_ready()
    assert q.submit() == b'Kdiscarded'


def test_without_notify_socket(qrelay):
    q = qrelay(env={'NOTIFY_SOCKET': ''}, wait=False)
    wait_until(lambda: os.path.exists(q.sock), 'the socket exists')
    assert q.submit() == b'Kdiscarded'
