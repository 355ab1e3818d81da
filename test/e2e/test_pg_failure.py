# SPDX-License-Identifier: BSD-2-Clause
"""pg: servers that die, freeze, refuse, and networks that do."""
import socket
import time

import pytest
from harness.daemon import StartError
from harness.env import free_port, slow, wait_until
from harness.postgres import PASSWORD
from harness.qmqp import request

SELECT = """
local r, e = db:execute('SELECT 42 AS n', nil, {timeout = 2})
return m:discard(r and r:fetch().n or e)"""
INSERT = """
local r, e = db:execute('INSERT INTO t VALUES ($1)',
  {tonumber(m.sender:match('%d+'))}, {timeout = 3})
return m:discard(r and 'in' or e)"""


def insert_many(q, n, first=0):
    return [(i, q.client().send(request(sender=b'%d@x' % i)))
            for i in range(first, first + n)]


def told(clients, timeout=10):
    """The numbers whose mails were told that they are in."""
    result = set()
    for i, c in clients:
        if c.reply(timeout) == b'Kin':
            result.add(i)
        c.close()
    return result


def check_rows(pg, were_told):
    """No row twice; none lacks that was acknowledged."""
    rows = pg.sql('SELECT n FROM t').split()
    assert len(rows) == len(set(rows))
    assert were_told <= {int(n) for n in rows}


def heals(q, timeout=20):
    wait_until(lambda: q.submit() == b'K42', 'queries work again', timeout)


def test_backend_killed(qrelay, pg):
    q = qrelay(pre=f"db = pg:new('{pg.conninfo}')", handler=SELECT)
    assert q.submit() == b'K42'
    for pid in pg.backends():
        pg.sql(f'SELECT pg_terminate_backend({pid})')
    time.sleep(0.2)
    assert q.submit() == b'K42'


def test_query_killed(qrelay, pg):
    """FATAL in the middle of a query."""
    q = qrelay(pre=f"db = pg:new('{pg.conninfo}')", handler="""
local r, e, s = db:execute('SELECT pg_sleep(5)')
return m:discard(tostring(r) .. e .. tostring(s))""")
    with q.client() as c:
        c.send(request())
        wait_until(lambda: pg.sql(
            "SELECT count(*) FROM pg_stat_activity WHERE query LIKE "
            "'SELECT pg_sleep%' AND state = 'active' AND pid <> "
            "pg_backend_pid()") == '1', 'it runs')
        pg.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE "
               "query LIKE 'SELECT pg_sleep%' AND pid <> pg_backend_pid()")
        reply = c.reply()
    assert reply.startswith(b'Knil') and b'57P01' in reply


@pytest.mark.valgrind
def test_killed_and_restarted(qrelay, own_pg):
    """kill -9 under load: mails get answers, rows are neither lost nor
    doubled, and it heals by itself."""
    own_pg.sql('CREATE TABLE t (n int)')
    q = qrelay(pre=f"db = pg:new('{own_pg.conninfo}')", handler=INSERT)
    done = told(insert_many(q, 30))
    assert len(done) == 30
    clients = insert_many(q, 100, 100)
    own_pg.kill()
    start = time.monotonic()
    done |= told(clients)
    assert time.monotonic() - start < slow(5)
    own_pg.start()
    clients = insert_many(q, 20, 1000)
    done |= told(clients)
    wait_until(lambda: told(insert_many(q, 1, 5000 + int(
        time.monotonic() * 10) % 100000)), 'it is healed', 20)
    # with fsync=off a crash may lose what was committed just before it
    rows = own_pg.sql('SELECT n FROM t').split()
    assert len(rows) == len(set(rows))


def test_kept_while_restarting(qrelay, own_pg):
    """What was not sent waits for the server."""
    q = qrelay(pre=f"db = pg:new('{own_pg.conninfo}')", handler="""
local r, e = db:execute('SELECT 42 AS n')
return m:discard(r and r:fetch().n or e)""")
    assert q.submit() == b'K42'
    own_pg.stop()
    time.sleep(0.2)
    clients = [q.client().send(request()) for _ in range(20)]
    time.sleep(0.5)
    own_pg.start()
    for c in clients:
        assert c.reply(timeout=15) == b'K42'
        c.close()


@pytest.mark.valgrind
def test_not_there_at_start(qrelay, own_pg):
    own_pg.stop()
    q = qrelay(pre=f"""db = pg:new('{own_pg.conninfo}')
print('said ' .. select(2, db:execute('SELECT 1', nil, {{timeout = 0.5}})))""",
               handler=SELECT)
    q.wait_message('said timeout')
    start = time.monotonic()
    reply = q.submit()
    assert reply.startswith(b'Ktimeout') and b'connection to server' in reply
    assert 1.9 < time.monotonic() - start < slow(3)
    own_pg.start()
    heals(q)


def test_frozen(qrelay, own_pg):
    """SIGSTOP: mails get nil in time, the connection is given up, and what
    was never sent is sent to nobody twice."""
    own_pg.sql('CREATE TABLE t (n int)')
    q = qrelay(pre=f"db = pg:new('{own_pg.conninfo}')", handler=INSERT)
    done = told(insert_many(q, 5))
    own_pg.freeze()
    clients = insert_many(q, 10, 100)
    start = time.monotonic()
    for _, c in clients:
        assert b'timeout' in c.reply()
        c.close()
    assert 2.5 < time.monotonic() - start < slow(5)
    cpu = q.cpu()
    time.sleep(6)
    assert q.cpu() - cpu < 1
    own_pg.thaw()
    wait_until(lambda: told(insert_many(q, 1, 5000 + int(
        time.monotonic() * 10) % 100000)), 'it is healed', 30)
    check_rows(own_pg, done)


def test_cut_in_a_result(qrelay, pg, proxy):
    q = qrelay(pre=f"db = pg:new('{proxy.conninfo()}')", handler="""
local r, e = db:execute("SELECT repeat('x', 1000000) AS v", nil, {timeout = 5})
return m:discard(r and #r:fetch().v or e)""")
    assert q.submit() == b'K1000000'
    proxy.cut_after = 500_000
    start = time.monotonic()
    assert b'lost' in q.submit()
    assert time.monotonic() - start < slow(2)
    assert q.submit() == b'K1000000'


@pytest.mark.parametrize('after', [
    pytest.param(1, marks=pytest.mark.long),
    pytest.param(5, marks=pytest.mark.long), 9,
    pytest.param(60, marks=pytest.mark.long), 200])
def test_cut_anywhere(qrelay, pg, proxy, after):
    """In the greeting, in an answer: never twice, never lost."""
    pg.sql('CREATE TABLE t (n int)')
    q = qrelay(pre=f"db = pg:new('{proxy.conninfo()}')", handler=INSERT)
    done = set()
    for i in range(8):
        proxy.cut_after = after
        done |= told(insert_many(q, 4, i * 100))
    proxy.cut_after = None
    wait_until(lambda: told(insert_many(q, 1, 5000 + int(
        time.monotonic() * 10) % 100000)), 'it is healed', 40)
    check_rows(pg, done)


def test_swallowed(qrelay, pg, proxy):
    """A peer that takes everything and says nothing."""
    pg.sql('CREATE TABLE t (n int)')
    q = qrelay(pre=f"db = pg:new('{proxy.conninfo()}', nil, "
               "{connections = 1})", handler=INSERT)
    assert told(insert_many(q, 1)) == {0}
    proxy.swallow = True
    clients = insert_many(q, 10, 100)
    start = time.monotonic()
    for _, c in clients:
        assert b'timeout' in c.reply()
        c.close()
    assert time.monotonic() - start < slow(4)
    # 5 s after its deadline the oldest query ends the connection
    before = proxy.accepted
    wait_until(lambda: q.submit(sender=b'7@x') and proxy.accepted > before,
               'it connects anew', 12)
    proxy.swallow = False
    wait_until(lambda: told(insert_many(q, 1, 5000 + int(
        time.monotonic() * 10) % 100000)), 'it is healed', 40)


@pytest.mark.long
def test_nobody_answers(qrelay, folder):
    """Connects, and not a byte comes back."""
    with socket.create_server(('127.0.0.1', 0)) as s:
        q = qrelay(pre="db = pg:new('host=127.0.0.1 user=x port="
                   f"{s.getsockname()[1]}')", handler=SELECT)
        start = time.monotonic()
        reply = q.submit()
        assert reply.startswith(b'Ktimeout')
        assert 1.9 < time.monotonic() - start < slow(3)
        time.sleep(9)
        assert b'not connected within 10 seconds' in q.submit()


@pytest.mark.long
def test_second_host(qrelay, pg, proxy):
    """One that refuses, one that is silent, one that works."""
    with socket.create_server(('127.0.0.1', 0)) as silent:
        ports = f'{free_port()},{silent.getsockname()[1]},{proxy.port}'
        q = qrelay(pre="db = pg:new('host=127.0.0.1,127.0.0.1,localhost "
                   f"port={ports} user=postgres dbname=postgres')",
                   handler="return m:discard(assert(db:execute("
                   "'SELECT 42 AS n')):fetch().n)")
        start = time.monotonic()
        assert q.submit(timeout=25) == b'K42'
        assert 9 < time.monotonic() - start < 15
        assert q.submit() == b'K42'


@pytest.mark.parametrize('host', ['localhost', '127.0.0.1'])
def test_host_name(qrelay, proxy, host):
    q = qrelay(pre=f"db = pg:new('host={host} port={proxy.port} "
               "user=postgres dbname=postgres')", handler=SELECT)
    assert q.submit() == b'K42'


def test_connections_exhausted(qrelay, own_pg):
    own_pg.restart(max_connections=6, superuser_reserved_connections=0,
                   max_wal_senders=0)
    first = qrelay(pre=f"db = pg:new('{own_pg.conninfo}', nil, "
                   "{connections = 5})", handler="""
assert(db:execute('SELECT pg_sleep(3)')) return m:discard()""")
    clients = [first.client().send(request()) for _ in range(5)]
    time.sleep(0.5)
    second = qrelay(pre=f"db = pg:new('{own_pg.conninfo}', nil, "
                    "{connections = 3})", handler=SELECT)
    for _ in range(3):
        reply = second.submit()
        assert reply == b'K42' or b'too many' in reply, reply
    for c in clients:
        assert c.reply() == b'Kdiscarded'
        c.close()
    first.stop()
    heals(second)


def test_orphan_is_not_cancelled(qrelay, pg):
    """A query whose client is gone, or that is late, runs to its end, and
    the one behind it gets its own answer."""
    pg.sql('CREATE TABLE t (n int)')
    q = qrelay(pre=f"db = pg:new('{pg.conninfo}', nil, {{connections = 1}})",
               handler="""
if m.sender == 'w@x' then
  print('waits.')
  db:execute('INSERT INTO t SELECT 1 FROM pg_sleep(1)', nil, {timeout = 0.5})
  return m:discard('late')
end
return m:discard(db:execute('SELECT 42 AS n'):fetch().n)""")
    q.submit()
    with q.client() as c:
        c.send(request(sender=b'w@x'))
        q.wait_message('waits.')
        time.sleep(0.1)
    assert q.submit() == b'K42'
    assert q.submit(sender=b'w@x') == b'Klate'
    assert q.submit() == b'K42'
    assert pg.sql('SELECT count(*) FROM t') == '2'
    assert len(pg.backends()) == 1


def test_not_sent_is_dropped(qrelay, own_pg):
    """Its client went before there was a connection."""
    own_pg.sql('CREATE TABLE t (n int)')
    own_pg.stop()
    q = qrelay(pre=f"db = pg:new('{own_pg.conninfo}')", handler="""
assert(db:execute('INSERT INTO t VALUES (1)')) return m:discard()""")
    gone = [q.client().send(request()) for _ in range(5)]
    stays = q.client().send(request())
    time.sleep(0.3)
    for c in gone:
        c.close()
    time.sleep(0.2)
    own_pg.start()
    assert stays.reply(timeout=20) == b'Kdiscarded'
    stays.close()
    time.sleep(0.3)
    assert own_pg.sql('SELECT count(*) FROM t') == '1'


# ---- secrets ----

def secret_free(q):
    text = q if isinstance(q, str) else q.output()
    for part in (PASSWORD, PASSWORD[:6], PASSWORD[-6:]):
        assert part not in text, text


@pytest.mark.parametrize('conninfo', [
    f'password={PASSWORD[:6]} {PASSWORD[6:]} dbname=x',
    f"password='{PASSWORD}",
    f'{PASSWORD}=x', f'pasword={PASSWORD}',
    f'postgresql://u:{PASSWORD[:6]}/{PASSWORD[6:]}@h/db',
    f'postgresql://u:{PASSWORD}%zz@h/db',
    f'port={PASSWORD}',
    f'host=a,b port=1,{PASSWORD}', f'host=a,b hostaddr={PASSWORD}'])
def test_malformed_conninfo(qrelay, conninfo):
    with pytest.raises(StartError) as e:
        qrelay(pre=f'db = pg:new([[{conninfo}]])')
    assert 'config.lua:' in e.value.output
    assert 'malformed conninfo' in e.value.output
    secret_free(e.value.output)


@pytest.mark.parametrize('conninfo', [
    f'host=$HOST user=nobody_here password={PASSWORD}',
    f'host=$HOST user=postgres dbname={PASSWORD} password={PASSWORD}',
    f'host=/nonexistent user=x password={PASSWORD}',
    f'host=127.0.0.1 port=1 password={PASSWORD}',
    f'host=does-not-exist.invalid password={PASSWORD}',
    f'host=$HOST user=postgres sslmode={PASSWORD}',
    f'host=$HOST user=postgres target_session_attrs={PASSWORD}',
    f'postgresql://u:{PASSWORD[:6]}@{PASSWORD[6:]}@127.0.0.1:1/db',
    f'host=$HOST user=postgres keepalives={PASSWORD}',
    f'host=$HOST user=postgres channel_binding={PASSWORD}',
    f'host=$HOST user=postgres sslcert={PASSWORD} sslmode=disable '
    f'dbname=none password={PASSWORD}'])
def test_password_in_no_message(qrelay, pg, conninfo):
    conninfo = conninfo.replace('$HOST', str(pg.dir))
    q = qrelay(pre=f"""db = pg:new([[{conninfo}]])
local ok, e = db:listen('c', print) print('said', ok, e)
print(tostring(db))""", handler="""
local r, e = db:execute('SELECT 1', nil, {timeout = 0.5})
print(e)
return m:discard(e)""")
    secret_free(q.submit().decode())
    q.wait_message('said')
    secret_free(q)


def test_wrong_password(qrelay, own_pg):
    """The server's own refusal, and the right one afterwards."""
    own_pg.sql(f"CREATE ROLE r LOGIN PASSWORD 'other{PASSWORD}'")
    hba = own_pg.data / 'pg_hba.conf'
    hba.write_text('local all postgres trust\nlocal all r scram-sha-256\n')
    own_pg.sql('SELECT pg_reload_conf()')
    conninfo = f'host={own_pg.dir} user=r dbname=postgres'
    q = qrelay(pre=f"db = pg:new('{conninfo} password={PASSWORD}') "
               f"good = pg:new('{conninfo} password=other{PASSWORD}')",
               handler="""
local r, e = db:execute('SELECT 1', nil, {timeout = 0.5})
local g = assert(good:execute('SELECT 42 AS n'))
return m:discard(g:fetch().n .. e)""")
    reply = q.submit().decode()
    assert reply.startswith('K42') and 'authentication failed' in reply
    secret_free(reply)
    secret_free(q)


def test_fds_and_cpu_over_failures(qrelay, pg, proxy):
    """Hundreds of lost connections leave nothing behind."""
    q = qrelay(pre=f"db = pg:new('{proxy.conninfo()}')", handler=SELECT)
    assert q.submit() == b'K42'
    time.sleep(0.1)
    before = q.fds()
    for _ in range(5):
        time.sleep(1.05)
        proxy.cut()
        time.sleep(0.05)
        assert q.submit() == b'K42'
    q.wait_fds(before)
    proxy.refuse = True
    proxy.cut()
    cpu = q.cpu()
    q.submit()
    time.sleep(1)
    assert q.cpu() - cpu < 0.5
    assert proxy.accepted < 60
