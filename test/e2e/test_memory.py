# SPDX-License-Identifier: BSD-2-Clause
"""max_memory: what is counted, and whose mail goes at the limit."""
import os
import signal
import threading
import time

import pytest
from harness.env import slow
from harness.qmqp import as_uid, request

MIB = 1024 * 1024


def partial(client, size):
    """Stall behind so many bytes of a larger message."""
    return client.send(b'1000020:1000000:' + b'x' * size)


def test_max_memory(qrelay, root):
    """At the limit the stalest reception of the greediest uid goes."""
    q = qrelay(max_size=MIB, max_memory=4 * MIB, max_connections=64)
    with as_uid(1002):
        modest = partial(q.client(), 800000)
    time.sleep(0.1)
    with as_uid(1001):
        greedy = []
        for _ in range(3):
            greedy.append(partial(q.client(), 800000))
            time.sleep(0.1)
    with as_uid(1003):
        last = partial(q.client(), 950000)
    time.sleep(0.1)
    with as_uid(1004):
        assert q.send(request(b'y' * 500000)) == b'Kdiscarded'
    assert greedy[0].reply() == b'Ztoo busy'
    for c in (modest, *greedy[1:], last):
        assert c.silent(0.05)
        c.close()
    greedy[0].close()
    logged = q.mails(2)
    busy = [m for m in logged if m['verdict'] == b'Z']
    assert len(busy) == 1
    assert busy[0]['uid'] == b'1001'
    assert busy[0]['text'] == b'too busy'
    assert q.submit() == b'Kdiscarded'


def test_max_memory_one_uid(qrelay):
    """A single uid goes on with new mail; its stalest one pays."""
    q = qrelay(max_size=MIB, max_memory=3 * MIB, max_connections=64)
    stalled = []
    for _ in range(12):
        stalled.append(partial(q.client(), 700000))
        time.sleep(0.05)
    assert q.submit(b'y' * 700000) == b'Kdiscarded'
    held = [c for c in stalled if c.silent(0.05)]
    assert len(held) <= 4
    assert held == stalled[-len(held):]
    for c in stalled:
        if c not in held:
            assert c.reply() == b'Ztoo busy'
        c.close()
    q.mails(1 + 12 - len(held))
    q.check_rss(60 * MIB)


def test_max_memory_of_whole_mails(qrelay):
    """A mail that comes in one piece is counted like any other."""
    q = qrelay(max_size=MIB, max_memory=MIB,
               handler="sleep(2) return m:discard()")
    os.kill(q.process.pid, signal.SIGSTOP)
    clients = [q.client().send(request(b'x' * 60000)) for _ in range(40)]
    os.kill(q.process.pid, signal.SIGCONT)
    replies = [c.reply() for c in clients]
    for c in clients:
        c.close()
    assert set(replies) == {b'Kdiscarded', b'Ztoo busy'}
    assert 15 <= replies.count(b'Kdiscarded') <= 18
    for m in q.mails(40):
        if m['verdict'] == b'Z':
            assert (m['where'], m['size']) == (b'receive', b'60000')
    assert q.submit(b'x' * 1000000) == b'Kdiscarded'


def test_memory_of_mails_a_server_has(qrelay, server):
    """What is gone to a server in full is not held any longer: a server that
    answers late does not use max_memory up."""
    def late(conn):
        if conn.read_request():
            held.wait(slow(20))
            conn.answer(b'Kok')

    held = threading.Event()
    s = server(late)
    q = qrelay(max_size=MIB, max_memory=MIB,
               handler=f"return m:connect('{s.address}')")
    clients = []
    for n in range(40):
        clients.append(q.client().send(request(b'x' * 100000)))
        s.wait_requests(n + 1)
    held.set()
    assert {c.reply() for c in clients} == {b'Kok'}
    for c in clients:
        c.close()
    for m in q.mails(40):
        assert (m['size'], m['to']) == (b'100000', b'b@example.org')


def test_memory_of_mails_a_program_has(qrelay):
    """A program that has read its mail may take its time as well."""
    q = qrelay(max_size=MIB, max_memory=MIB, handler="""
        return m:exec_raw('/bin/sh', '-c', 'cat >/dev/null; sleep 3',
                          {env={PATH='/usr/bin:/bin'}})""")
    clients = []
    for _ in range(20):
        clients.append(q.client().send(request(b'x' * 100000)))
        time.sleep(slow(0.05))
    assert {c.reply() for c in clients} == {b'Kok'}
    for c in clients:
        c.close()


WAITS = """
if m.uid == 1001 then sleep(%d) end
return m:discard()"""


def test_whole_mails_of_another_uid(qrelay, root):
    """A uid that holds all memory, and has nothing left to receive, does not
    shut the others out: its largest mail goes."""
    q = qrelay(max_size=MIB, max_memory=MIB, handler=WAITS % slow(3))
    clients = []
    with as_uid(1001):
        for size in (500000, 100000, 400000):
            clients.append(q.client().send(request(b'x' * size)))
            time.sleep(slow(0.1))
    with as_uid(1002):
        assert q.submit(b'y' * 300000) == b'Kdiscarded'
    assert [c.reply() for c in clients] == \
        [b'Ztoo busy', b'Kdiscarded', b'Kdiscarded']
    for c in clients:
        c.close()
    [busy] = [m for m in q.mails(4) if m['verdict'] == b'Z']
    assert (busy['uid'], busy['size']) == (b'1001', b'500000')
    assert (busy['text'], busy['where']) == (b'too busy', b'handle')


def test_whole_mails_of_a_uid_that_holds_less(qrelay, root):
    """The uid that holds most pays itself."""
    q = qrelay(max_size=MIB, max_memory=MIB, handler=WAITS % slow(2))
    with as_uid(1001):
        modest = q.client().send(request(b'x' * 300000))
    time.sleep(slow(0.1))
    with as_uid(1002):
        assert q.submit(b'y' * 1000000) == b'Ztoo busy'
    assert modest.reply() == b'Kdiscarded'
    modest.close()


@pytest.mark.valgrind
@pytest.mark.parametrize('kind', ['server', 'program'])
def test_mails_on_their_way(qrelay, server, root, kind):
    """The same with mails that a server or program does not take: it never
    sees the rest."""
    s = server(lambda c: halt.wait(slow(20)) and c.wait_eof())
    halt = threading.Event()
    action = f"m:connect('{s.address}')" if kind == 'server' else \
        "m:exec_raw('/bin/sleep', '30')"
    q = qrelay(max_size=8 * MIB, max_memory=8 * MIB, handler=f"""
if m.uid == 1002 then return m:discard() end
return {action}""")
    before = q.fds()
    with as_uid(1001):
        stuck = q.client().send(request(b'x' * (7 * MIB)))
    time.sleep(slow(0.2))
    with as_uid(1002):
        assert q.submit(b'y' * (4 * MIB)) == b'Kdiscarded'
    assert stuck.reply() == b'Ztoo busy'
    stuck.close()
    halt.set()
    for m in q.mails(2):
        assert ('where' in m) == (m['uid'] == b'1001')
        assert m.get('where') in (None, b'send', b'exec')
    q.wait_fds(before)
    assert not s.requests
