# SPDX-License-Identifier: BSD-2-Clause
"""Postfix's qmqp-source and qmqp-sink at both ends: clients and servers
that others wrote."""
import subprocess

import pytest
from harness.env import find_peer, free_port, slow, wait_until
from harness.qmqp import Client, open_socket, request

SOURCE, SINK = find_peer('qmqp-source'), find_peer('qmqp-sink')
pytestmark = pytest.mark.skipif(
    not (SOURCE and SINK),
    reason="Postfix's qmqp-source and qmqp-sink are not here: "
    "run test/tools/setup")

MIB = 1024 * 1024


@pytest.fixture
def sink(folder):
    """sink(where) -> what a script connects to."""
    running = []

    def start(where):
        if where == 'unix':
            address = argument = str(folder / 'sink')
            argument = 'unix:' + argument
            target = address
        else:
            target = ('127.0.0.1', free_port())
            address = argument = '%s:%d' % target
        process = subprocess.Popen([SINK, argument, '512'],
                                   stdin=subprocess.DEVNULL)
        running.append(process)

        def listens():
            assert process.poll() is None, 'qmqp-sink has ended'
            try:
                open_socket(target).close()
                return True
            except OSError:
                return False
        wait_until(listens, 'qmqp-sink listens')
        return address

    yield start
    for process in running:
        process.terminate()
        process.wait(slow(10))


def source(target, count, length, sessions=20, extra=()):
    if isinstance(target, tuple):
        target = '%s:%d' % target
    else:
        target = 'unix:' + target
    r = subprocess.run([SOURCE, '-s', str(sessions), '-m', str(count),
                        '-l', str(length), '-f', 'a@example.org',
                        '-t', 'b@example.org', *extra, target],
                       capture_output=True, timeout=slow(300),
                       stdin=subprocess.DEVNULL)
    assert r.returncode == 0, r.stderr
    assert not r.stderr, r.stderr


def run(qrelay, sink, ways, rounds):
    client_way, server_way = ways
    port = free_port()
    listen = '$SOCK' if client_way == 'unix' else f'127.0.0.1:{port}'
    q = qrelay(f"""qmqp_listen('{listen}', function(m)
  return m:connect('{sink(server_way)}') end)""")
    target = q.sock if client_way == 'unix' else ('127.0.0.1', port)
    done = 0
    for length in dict(rounds):         # every size once, for a baseline
        source(target, 100, length)
        done += 100
    fds, rss = q.fds(), q.rss()
    for length, count in rounds:
        source(target, count, length)
        done += count
    q.wait_fds(fds)
    q.check_rss(rss + 3 * MIB)
    logged = q.mails(done, settle=0.5)
    assert {m['verdict'] for m in logged} == {b'K'}
    assert all('where' not in m for m in logged)
    assert not q.messages()


WAYS = pytest.mark.parametrize(
    'ways', [('unix', 'tcp'), ('tcp', 'unix'), ('tcp', 'tcp'),
             ('unix', 'unix')], ids='>'.join)


@WAYS
def test_short(qrelay, sink, ways):
    run(qrelay, sink, ways, [(1000, 2000), (50000, 200)])


@pytest.mark.long
@WAYS
def test_full(qrelay, sink, ways):
    run(qrelay, sink, ways, [(1000, 20000), (50000, 2000)])


@pytest.mark.valgrind
def test_few(qrelay, sink):
    run(qrelay, sink, ('unix', 'tcp'), [(1000, 50)])


def test_many_recipients(qrelay, sink):
    q = qrelay(handler=f"return m:connect('{sink('tcp')}')")
    source(q.sock, 20, 5000, extra=['-r', '200'])
    assert {m['nrcpt'] for m in q.mails(20)} == {b'200'}


def test_discard(qrelay):
    """qmqp-source resets after the reply: no error."""
    q = qrelay()
    before = q.fds()
    source(q.sock, 500, 1000)
    q.wait_fds(before)
    assert {m['verdict'] for m in q.mails(500)} == {b'K'}
    assert not q.messages()


def test_sink_by_a_client_of_ours(sink):
    """The sink answers our own client: the two speak one protocol."""
    address = sink('unix')
    with Client(address) as c:
        assert c.send(request()).reply()[:1] == b'K'
