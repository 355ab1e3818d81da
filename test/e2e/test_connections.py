# SPDX-License-Identifier: BSD-2-Clause
"""Limits on what all clients together may hold: connections and file
descriptors."""
import os
import resource
import signal
import sys
import time

import pytest
from harness.env import free_port, wait_until
from harness.qmqp import as_uid, request

MIB = 1024 * 1024
NOFILE = resource.RLIMIT_NOFILE


def test_max_connections(qrelay):
    """Above the limit clients wait in the backlog, and are served."""
    q = qrelay(max_connections=4, max_connections_per_uid=4)
    idle = [q.client() for _ in range(4)]
    wait_until(lambda: len([t for t in q.fds().values() if 'socket' in t])
               >= 5, 'four are accepted')
    waiting = [q.client().send(request()) for _ in range(3)]
    before = q.cpu()
    for c in waiting:
        assert c.silent(0.2)
    assert q.cpu() - before < 0.2
    idle.pop().close()
    for c in waiting:
        assert c.reply() == b'Kdiscarded'
        c.close()
    for c in idle:
        c.close()
    q.mails(3)


def test_max_connections_over_all_listeners(qrelay):
    port = free_port()
    q = qrelay(f"""function h(m) return m:discard() end
qmqp_listen('$SOCK', h) qmqp_listen('127.0.0.1:{port}', h)""",
               max_connections=3, max_connections_per_uid=3)
    tcp = ('127.0.0.1', port)
    idle = [q.client(), q.client(tcp), q.client()]
    time.sleep(0.1)
    waiting = [q.client(w).send(request()) for w in (q.sock, tcp)]
    for c in waiting:
        assert c.silent(0.2)
    for c in idle:
        c.close()
    for c in waiting:
        assert c.reply() == b'Kdiscarded'
        c.close()


def test_queue_is_taken_up_to_the_limit(qrelay):
    """Several clients are accepted in a turn, but not one too many."""
    q = qrelay(max_connections=4, max_connections_per_uid=4)
    os.kill(q.process.pid, signal.SIGSTOP)
    idle = [q.client() for _ in range(4)]
    waiting = [q.client().send(request()) for _ in range(8)]
    os.kill(q.process.pid, signal.SIGCONT)
    assert all(c.silent(0.1) for c in waiting)
    for c in idle:
        c.close()
    for c in waiting:
        assert c.reply() == b'Kdiscarded'
        c.close()


@pytest.mark.valgrind
def test_per_uid(qrelay, root):
    q = qrelay(max_connections=20, max_connections_per_uid=2)
    with as_uid(1001):
        idle = [q.client(), q.client()]
        time.sleep(0.1)
        assert q.client().reply() == b'Ztoo many connections'
        assert q.send(request()) == b'Ztoo many connections'
    with as_uid(1002):
        assert q.send(request()) == b'Kdiscarded'
    assert q.send(request()) == b'Kdiscarded'
    idle.pop().close()
    time.sleep(0.1)
    with as_uid(1001):
        assert q.send(request()) == b'Kdiscarded'
    idle.pop().close()
    logged = q.mails(5)
    assert [m['text'] for m in logged[:2]] == [b'too many connections'] * 2
    assert all(m['verdict'] == b'Z' and m['uid'] == b'1001'
               for m in logged[:2])


def test_per_uid_still_sending(qrelay):
    """The answer is there even for a client that was sending already; it
    is over the limit, so nobody drains for it."""
    q = qrelay(max_connections=20, max_connections_per_uid=1)
    with q.client():
        time.sleep(0.1)
        with q.client() as c:
            try:
                c.send(b'3000020:3000000:' + b'x' * (3 * MIB))
            except BrokenPipeError:
                pass
            assert c.reply(reset_is_eof=True) == b'Ztoo many connections'


def test_per_uid_few_are_drained(qrelay):
    """16 of a uid that are over its limit; more get their answer, and are
    closed at once: they would hold descriptors."""
    q = qrelay(max_connections=64, max_connections_per_uid=1)
    with q.client():
        time.sleep(0.1)
        over = [q.client() for _ in range(18)]
        for c in over:
            assert c.reply() == b'Ztoo many connections'
        for c in over[:16]:
            c.send(b'more')
        for c in over[16:]:
            with pytest.raises(BrokenPipeError):
                c.send(b'more')
        for c in over:
            c.close()
    time.sleep(0.1)
    assert q.submit() == b'Kdiscarded'


def test_per_uid_default_is_a_quarter(qrelay):
    q = qrelay(max_connections=16)
    idle = [q.client() for _ in range(4)]
    time.sleep(0.1)
    assert q.send(request()) == b'Ztoo many connections'
    for c in idle:
        c.close()


def test_tcp_peers_are_one_uid(qrelay):
    port, port2 = free_port(), free_port('::1')
    q = qrelay(f"""function h(m) return m:discard() end
qmqp_listen('$SOCK', h) qmqp_listen('127.0.0.1:{port}', h)
qmqp_listen('[::1]:{port2}', h)""",
               max_connections=20, max_connections_per_uid=2)
    a, b = q.client(('127.0.0.1', port)), q.client(('::1', port2))
    time.sleep(0.1)
    assert q.send(request(), ('127.0.0.1', port)) == b'Ztoo many connections'
    assert q.send(request()) == b'Kdiscarded'
    a.close()
    time.sleep(0.1)
    assert q.send(request(), ('::1', port2)) == b'Kdiscarded'
    b.close()


def test_accept_without_fds(qrelay):
    """EMFILE in accept: a message now and then, no spin, no death."""
    q = qrelay()
    q.submit()
    before = q.fds()
    old = resource.prlimit(q.pid, NOFILE)
    resource.prlimit(q.pid, NOFILE, (max(before) + 3, old[1]))
    clients = [q.client() for _ in range(8)]
    cpu = q.cpu()
    time.sleep(1)
    assert q.cpu() - cpu < 0.4
    assert q.alive()
    said = q.messages()
    assert 1 <= len(said) < 20, said
    for c in clients:
        c.close()
    assert q.submit() == b'Kdiscarded'
    resource.prlimit(q.pid, NOFILE, old)
    assert q.submit() == b'Kdiscarded'
    q.wait_fds(before)
    q.mails(3)


def test_waiting_clients_are_served_after_emfile(qrelay):
    q = qrelay()
    q.submit()
    before = q.fds()
    old = resource.prlimit(q.pid, NOFILE)
    resource.prlimit(q.pid, NOFILE, (max(before) + 2, old[1]))
    clients = [q.client().send(request()) for _ in range(20)]
    for c in clients:
        assert c.reply() == b'Kdiscarded'
        c.close()
    q.mails(21)


def test_relay_without_fds(qrelay, server):
    """No fd for the server's connection: Zinternal server error."""
    s = server()
    q = qrelay(handler="if m.sender == 'd@x' then return m:discard() end\n"
               f"return m:connect('{s.address}')")
    assert q.submit() == b'Kok'
    q.submit(sender=b'd@x')
    limit = resource.prlimit(q.pid, NOFILE)
    with q.client() as c:
        time.sleep(0.1)         # accepted
        resource.prlimit(q.pid, NOFILE, (max(q.fds()) + 1, limit[1]))
        assert c.send(request()).reply() == b'Zinternal server error'
    resource.prlimit(q.pid, NOFILE, limit)
    assert q.submit() == b'Kok'
    assert s.connections == 2
    m = q.mails(4)[2]
    assert m['text'] == b'internal server error'
    assert 'where' in m


def test_soft_limit_is_raised(qrelay):
    q = qrelay(prefix=['prlimit', '--nofile=64:4096'], max_connections=100)
    assert resource.prlimit(q.pid, NOFILE) == (4096, 4096)
    assert not q.messages()


def test_hard_limit_lowers_max_connections(qrelay):
    q = qrelay(prefix=['prlimit', '--nofile=96:96'],
               max_connections_per_uid=1000)
    q.wait_message('max_connections')
    idle = [q.client() for _ in range(12)]
    time.sleep(0.1)
    with q.client() as c:
        assert c.send(request()).silent(0.3)
        for other in idle:
            other.close()
        assert c.reply() == b'Kdiscarded'


def test_hard_limit_lowers_the_share_of_a_uid(qrelay):
    """One uid has a quarter of what is left, not of what was hoped for."""
    q = qrelay(prefix=['prlimit', '--nofile=512:512'])
    q.wait_message('max_connections')
    idle = [q.client() for _ in range(14)]
    time.sleep(0.1)
    assert q.submit() == b'Ztoo many connections'
    for c in idle:
        c.close()


# hands a listening socket over as systemd does, and shuts it down later
SHARE = """import os, socket, sys, time
path = sys.argv[1]
s = socket.socket(socket.AF_UNIX)
s.bind(path)
s.listen()
if os.fork() == 0:
    while os.path.exists(path) and not os.path.exists(path + '.shut'):
        time.sleep(0.02)
    s.shutdown(socket.SHUT_RDWR)
    os._exit(0)
os.dup2(s.fileno(), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_FDS='1', LISTEN_PID=str(os.getpid()))
os.execv(sys.argv[2], sys.argv[2:])
"""


def test_listening_socket_shut_down(qrelay, folder):
    """Whoever shares it may do that: accept(2) then fails for ever."""
    path = folder / 's'
    q = qrelay("""local function h(m) return m:discard() end
qmqp_listen('$SOCK', h)
qmqp_listen(systemd, h)""", prefix=[sys.executable, '-c', SHARE, str(path)])
    assert q.submit(address=path) == b'Kdiscarded'
    (folder / 's.shut').touch()
    q.wait_message('accept: ')
    cpu = q.cpu()
    time.sleep(1)
    assert q.cpu() - cpu < 0.2
    assert q.submit() == b'Kdiscarded'
    assert sum('accept: ' in line for line in q.messages()) == 1
