# SPDX-License-Identifier: BSD-2-Clause
"""pg: db:transaction, and transactions that execute leaves open."""
import time

import pytest
from harness.qmqp import request

COUNT = "SELECT count(*) FROM t"


@pytest.fixture
def daemon(qrelay, pg):
    pg.sql('CREATE TABLE t (n int PRIMARY KEY)')

    def make(code, pre='', **kwargs):
        return qrelay(pre=f"db = pg:new('{pg.conninfo}'){pre}",
                      handler=f'local function run(m)\n{code}\nend\n'
                      'local t = table.pack(run(m))\n'
                      'for i = 1, t.n do t[i] = tostring(t[i]) end\n'
                      "return m:discard(table.concat(t, '|'))", **kwargs)
    return make


@pytest.mark.parametrize('code, want, rows', [
    ("return db:transaction(function(tx) "
     "assert(tx:execute('INSERT INTO t VALUES ($1)', {1})) end)", 'true', 1),
    ("return db:transaction(function(tx) "
     "tx:execute('INSERT INTO t VALUES (1)') return 1, nil, 'x' end)",
     '1|nil|x', 1),
    ("return db:transaction(function(tx) "
     "tx:execute('INSERT INTO t VALUES (1); INSERT INTO t VALUES (2)') "
     "return tx:execute('SELECT 7 AS n'):fetch().n end)", '7', 2),
    ("local ok, e = pcall(db.transaction, db, function(tx) "
     "tx:execute('INSERT INTO t VALUES (1)') error('my cause', 0) end) "
     "return ok, e", 'false|my cause', 0),
    ("local ok, e = pcall(db.transaction, db, function(tx) "
     "tx:execute('INSERT INTO t VALUES (1)') error({42}) end) "
     "return ok, e[1]", 'false|42', 0),
    ("return db:transaction(function(tx) "
     "tx:execute('INSERT INTO t VALUES (1)') tx:execute('SELECT 1/0') "
     "tx:execute('SELECT 1') return 'x' end)",
     'nil|division by zero|22012', 0),
    ("return db:transaction(function(tx) tx:execute('SAVEPOINT s') "
     "tx:execute('INSERT INTO t VALUES (1)') "
     "tx:execute('ROLLBACK TO s') "
     "tx:execute('INSERT INTO t VALUES (2)') end)", 'true', 1),
    ("return db:transaction(function(tx) "
     "tx:execute('INSERT INTO t VALUES (1)') return (select(2, "
     "tx:execute('COMMIT'))) end)",
     'nil|transaction control needs db:transaction|nil', 1),
    ("return db:transaction(function(tx) "
     "tx:execute('INSERT INTO t VALUES (1)') tx:execute('ROLLBACK') "
     "tx:execute('INSERT INTO t VALUES (2)') end)",
     'nil|transaction control needs db:transaction|nil', 0),
    ("local keep db:transaction(function(tx) keep = tx end) "
     "local ok, e = pcall(keep.execute, keep, 'SELECT 1') "
     "return ok, e:match('transaction is over')",
     'false|transaction is over', 0),
    ("return db:transaction(function(a) return db:transaction(function(b) "
     "a:execute('INSERT INTO t VALUES (1)') "
     "b:execute('INSERT INTO t VALUES (2)') sleep(0.01) "
     "return db:execute('SELECT count(*) AS n FROM t'):fetch().n end) end)",
     '0', 2),
    ("return pcall(db.transaction, db)", None, 0),
    ("return select('#', db:transaction(function(tx) "
     "return tx:execute('SELECT 1', nil, {timeout = 0.1}) end))", '1', 0),
    ("return db:transaction(function(tx) "
     "tx:execute('INSERT INTO t VALUES (1)') "
     "return tx:execute('SELECT pg_sleep(5)', nil, {timeout = 0.2}) end)",
     'nil|timeout: no answer from the database|nil', 0),
    ("return db:transaction(function(tx) "
     "tx:execute('INSERT INTO t VALUES (1)') sleep(1) "
     "return tx:execute('SELECT 1') end, {timeout = 0.3})",
     'nil|timeout: the transaction took too long|nil', 0),
    ("return db:transaction(function(tx) "
     "tx:execute('INSERT INTO t VALUES (1)') "
     "return tx:execute('SELECT pg_sleep(5)') end, {timeout = 0.3})",
     'nil|timeout: the transaction took too long|nil', 0),
])
def test_transaction(daemon, pg, code, want, rows):
    reply = daemon(code).submit()[1:].decode()
    assert want is None or reply == want
    time.sleep(0.1)
    assert pg.sql(COUNT) == str(rows)
    assert pg.sql("SELECT count(*) FROM pg_stat_activity WHERE "
                  "state LIKE 'idle in%'") == '0'


@pytest.mark.parametrize('where', [
    "sleep(20)", "tx:execute('SELECT pg_sleep(1)')"])
def test_client_goes(daemon, pg, where):
    q = daemon("db:transaction(function(tx) "
               "tx:execute('INSERT INTO t VALUES (1)') print('in.') "
               f"{where} end)")
    with q.client() as c:
        c.send(request())
        q.wait_message('in.')
    time.sleep(1.5)
    assert pg.sql(COUNT) == '0'
    assert pg.sql("SELECT count(*) FROM pg_stat_activity WHERE "
                  "state LIKE 'idle in%'") == '0'


@pytest.mark.valgrind
def test_runaway(daemon, pg):
    """Over its CPU budget inside of a transaction."""
    q = daemon("db:transaction(function(tx) "
               "tx:execute('INSERT INTO t VALUES (1)') "
               "pcall(function() while true do end end) end)",
               handler_timeout=0.2)
    assert q.submit() == b'Zscript failed'
    time.sleep(0.2)
    assert pg.sql(COUNT) == '0'


def test_isolated(daemon, pg):
    """Transactions of fifty mails at once, on at most eight connections."""
    pg.sql('CREATE TABLE c (n int); INSERT INTO c VALUES (0)')
    q = daemon("assert(db:transaction(function(tx) "
               "local n = tx:execute('SELECT n FROM c FOR UPDATE'):fetch().n "
               "sleep(0.005) "
               "assert(tx:execute('UPDATE c SET n = $1', {n + 1})) end))")
    clients = [q.client().send(request()) for _ in range(50)]
    most = 0
    for c in clients:
        most = max(most, len(pg.backends()))
        assert c.reply()[:1] == b'K'
        c.close()
    assert pg.sql('SELECT n FROM c') == '50'
    assert most <= 8


def test_none_free(daemon, pg):
    """Who gets no connection in time gets its answer in time."""
    q = daemon("return db:transaction(function(tx) sleep(2) end, "
               "{timeout = m.sender == 's@x' and 0.3 or 20})")
    clients = [q.client().send(request()) for _ in range(8)]
    time.sleep(0.5)
    start = time.monotonic()
    reply = q.submit(sender=b's@x')
    assert reply.startswith(b'Knil|timeout') and time.monotonic() - start < 1
    for c in clients:
        assert c.reply() == b'Ktrue'
        c.close()


@pytest.mark.parametrize('text', ['BEGIN', 'START TRANSACTION',
                                  'BEGIN; INSERT INTO t VALUES (5)'])
@pytest.mark.parametrize('connections', [1, 2])
def test_left_open(qrelay, pg, text, connections):
    pg.sql('CREATE TABLE t (n int)')
    q = qrelay(pre=f"""db = pg:new('{pg.conninfo}', nil,
{{connections = {connections}}})""", handler=f"""
if m.sender == 'b@x' then
  local r, e = db:execute('{text}')
  assert(not r)
  return m:discard(e)
end
assert(db:execute('INSERT INTO t VALUES (1)'))
return m:discard()""")
    for _ in range(3):
        assert q.submit() == b'Kdiscarded'
        assert q.submit(sender=b'b@x') == \
            b'Ktransaction control needs db:transaction'
    assert q.submit() == b'Kdiscarded'
    assert pg.sql(COUNT) == '4'


def test_left_open_among_many(qrelay, pg):
    """Whoever is told that all is well finds its row."""
    pg.sql('CREATE TABLE t (n int)')
    q = qrelay(pre=f"db = pg:new('{pg.conninfo}', nil, {{connections = 1}})",
               handler="""
if m.sender:match('^b') then
  db:execute('BEGIN')
  return m:discard()
end
local n = tonumber(m.sender:match('%d+'))
local r, e = db:execute('INSERT INTO t VALUES ($1)', {n})
return m:discard(r and 'in' or e)""")
    q.submit(sender=b'0@x')
    clients = []
    for i in range(1, 41):
        sender = b'b@x' if i % 10 == 0 else b'%d@x' % i
        clients.append((i, q.client().send(request(sender=sender))))
    told = {0}
    for i, c in clients:
        if c.reply() == b'Kin':
            told.add(i)
        c.close()
    time.sleep(0.2)
    rows = {int(n) for n in pg.sql('SELECT n FROM t').split()}
    assert told <= rows
