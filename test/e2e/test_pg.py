# SPDX-License-Identifier: BSD-2-Clause
"""pg: queries, results, values, statements."""
import threading
import time

import pytest
from harness.daemon import StartError
from harness.qmqp import request


def ask(qrelay, pg, code, pre='', **kwargs):
    """What the handler's code returns as text."""
    q = qrelay(pre=f"db = pg:new('{pg.conninfo}'){pre}",
               handler=f'local function run(m)\n{code}\nend\n'
               'return m:discard(tostring(run(m)))', **kwargs)
    return q.submit()[1:].decode()


@pytest.mark.valgrind
def test_manual(qrelay, pg):
    """The examples of the manual, as they are."""
    pg.sql("CREATE SCHEMA IF NOT EXISTS schemaname; CREATE TABLE "
           "schemaname.bar (id int, name text); INSERT INTO schemaname.bar "
           "VALUES (42, 'x')")
    q = qrelay(pre=f"""
db = pg:new('{pg.conninfo}', 'schemaname')
db:listen('bar', function()
  print("Received a PostgreSQL NOTIFY")
end)""", handler="""
local result = assert(db:execute('SELECT id, name FROM bar'))
local row = result:fetch({}, "a")
print(row.id, row.name)
local result = assert(
  db:execute('SELECT name FROM bar WHERE id=$1', {42}))
return m:discard(result:fetch({}, 'a').name)""")
    assert q.submit() == b'Kx'
    q.wait_message('42\tx')
    pg.sql('NOTIFY bar')
    q.wait_message('Received a PostgreSQL NOTIFY')
    pg.sql('DROP SCHEMA schemaname CASCADE')


@pytest.mark.valgrind
def test_everything_once(qrelay, pg):
    """A little of all, for the checkers of memory."""
    pg.sql('CREATE TABLE t AS SELECT 1 AS a')
    q = qrelay(pre=f"""
db = pg:new('{pg.conninfo}', 'public', {{init = "SET work_mem = '1MB'"}})
db:listen('c', function(p) print(p .. db:execute('SELECT 1'):numrows()) end)
""", handler="""
if m.sender == 'w@x' then
  db:transaction(function(tx) print('waits.') tx:execute('SELECT pg_sleep(1)')
  end)
end
for row in assert(db:execute('SELECT * FROM t, generate_series(1, 9)')):rows()
do row.x = 1 end
assert(not db:execute('SELECT 1/0') and not db:execute('BEGIN'))
assert(db:execute('SELECT 1; SELECT 2'):fetch()['?column?'] == '2')
assert(not db:execute('SELECT pg_sleep(1)', nil, {timeout = 0.1}))
assert(db:execute('ALTER TABLE t ADD b' .. os.time() .. ' int'))
assert(db:execute('SELECT * FROM t'):fetch())
assert(not pcall(db.execute, db, 'SELECT 1', {'a', {}}))
assert(not pcall(db.transaction, db, function(tx)
  tx:execute('INSERT INTO t VALUES ($1)', {7}) error('x') end))
db:transaction(function(tx) tx:execute('NOTIFY c, $$n$$') end)
assert(#pg:decode_array(pg:encode_array({1, pg.null, {'a b'}, n = 2})) == 2)
assert(not pcall(pg.decode_array, pg, '{{1},'))
return m:discard('all')""")
    with q.client() as c:
        c.send(request(sender=b'w@x'))
        q.wait_message('waits.')
    assert q.submit() == b'Kall'
    q.wait_message('n1')


@pytest.mark.parametrize('code, want', [
    ("local r = db:execute('SELECT 1 AS a, NULL AS b') local t = r:fetch() "
     "return t.a .. type(t.a) .. tostring(t.b)", '1stringnil'),
    ("local t = {a = 9, b = 9, c = 9} "
     "local u = db:execute('SELECT 1 AS a, NULL AS b'):fetch(t) "
     "return tostring(t == u) .. t.a .. tostring(t.b) .. t.c", 'true1nil9'),
    ("local t = db:execute('SELECT 7, 8'):fetch({}, 'n') "
     "return t[1] .. t[2] .. #t", '782'),
    ("local r = db:execute('SELECT generate_series(1, 3) AS n') local s = '' "
     "for row in r:rows() do s = s .. row.n end "
     "return s .. tostring(r:fetch()) .. r:numrows()", '123nil3'),
    ("local s = '' for row in db:execute('SELECT 4, 5'):rows('n') do "
     "s = s .. row[1] .. row[2] end return s", '45'),
    ("return table.concat(db:execute('SELECT 1 AS x, 2 AS \"Y z\"')"
     ":getcolnames(), '|')", 'x|Y z'),
    ("return db:execute('CREATE TABLE t AS SELECT generate_series(1, 5) i')"
     ":affected() .. db:execute('UPDATE t SET i = 0 WHERE i > 2'):affected()"
     " .. db:execute('SELECT * FROM t'):affected()", '535'),
    ("return db:execute('SELECT 1 WHERE false'):numrows()", '0'),
    ("return #db:execute('SELECT'):getcolnames()", '0'),
    ("return db:execute('SELECT FROM generate_series(1, 3)'):numrows()", '3'),
    ("return db:execute(''):numrows()", '0'),
    ("local r = db:execute('SELECT 1') return tostring(r:close()) .. "
     "tostring(r:close()) .. tostring(pcall(r.fetch, r))", 'truefalsefalse'),
    ("local r = db:execute('SELECT 1') return pcall(r.fetch, r, {}, 'x')",
     'false'),
    ("return select(2, db:execute('SELECT 1/0'))", 'division by zero'),
    ("return select(3, db:execute('SELECT 1/0'))", '22012'),
    ("return select('#', db:execute('SELECT 1/0'))", '3'),
    ("db:execute('CREATE TABLE u (i int PRIMARY KEY)') "
     "db:execute('INSERT INTO u VALUES (1)') "
     "return select(2, db:execute('INSERT INTO u VALUES (1)')):gsub(' .*', "
     "'')", 'duplicate'),
    ("return select(2, db:execute('SELECT $1', {})):sub(1, 24)",
     'bind message supplies 0 '),
    ("return db:execute('CREATE TABLE a (i int); INSERT INTO a VALUES (1); "
     "SELECT i + 41 AS n FROM a'):fetch().n", '42'),
    ("return db:execute('SELECT 1 AS a, 2 AS b; SELECT 3 AS c'):fetch().c",
     '3'),
    ("return select(2, db:execute('SELECT 1; SELECT 1/0'))",
     'division by zero'),
    ("return select(2, db:execute('SELECT 1; SELECT $1', {1}))",
     'cannot insert multiple commands into a prepared statement'),
    ("return select(2, db:execute('COPY pg_class TO STDOUT')):sub(1, 4)",
     'COPY'),
    ("return select(2, db:execute('COPY t FROM STDIN; SELECT 1')) ~= nil",
     'true'),
    ("db:execute('COPY pg_class TO STDOUT') "
     "return db:execute('SELECT 5 AS n'):fetch().n", '5'),
    ("return tostring(pg.null)", 'pg.null'),
    ("return pcall(pg.new, 'dbname=x')", 'false'),
    ("return pcall(db.execute, db)", 'false'),
    ("return pcall(db.execute, db, 'SELECT 1', {}, {timout = 1})", 'false'),
    ("return pcall(db.execute, db, 'SELECT 1', {}, {timeout = 0})", 'false'),
    ("return pcall(db.execute, db, 'SELECT 1', {}, {timeout = 3601})",
     'false'),
    ("return pcall(db.execute, db, 'SELECT 1', {id = 1})", 'false'),
    ("return pcall(db.execute, db, 'SELECT 1\\0')", 'false'),
    ("return tostring(coroutine.wrap(function() return pcall(db.execute, db, "
     "'SELECT 1') end)())", 'false'),
])
def test_results(qrelay, pg, code, want):
    assert ask(qrelay, pg, code) == want


@pytest.mark.parametrize('sql, lua, want', [
    ('$1::int8', '9223372036854775807', '9223372036854775807'),
    ('$1::int8', 'math.mininteger', '-9223372036854775808'),
    ('$1::float8', '-0.0', '-0'),
    ('$1::float8', '1e300', '1e+300'),
    ('$1::float8', '5e-324', '5e-324'),
    ('$1::float8', '0.1', '0.1'),
    ('$1::float8', '0.1 + 0.2', '0.30000000000000004'),
    ('$1::float8', 'math.huge', 'Infinity'),
    ('$1::float8', '-math.huge', '-Infinity'),
    ('$1::float8', '0/0', 'NaN'),
    ('$1::int', '42.0', '42'),
    ('$1::int8', '2.0^52', '4503599627370496'),
    ('$1::text', '42', '42'),
    ('$1::text', '1.5', '1.5'),
    ('$1::bool', 'true', 't'),
    ('$1::text', 'false', 'false'),
    ('$1::text', "''", ''),
    ('$1::text', "'Grüße €'", 'Grüße €'),
    ('$1::text', "\"a'b\\\\c\"", "a'b\\c"),
    ('$1::text IS NULL', 'nil', 't'),
    ('$1::text IS NULL', 'pg.null', 't'),
    ("encode($1::bytea, 'hex')", "'\\\\x00ff'", '00ff'),
    ('$1::bytea', "'\\\\x00ff'", '\\x00ff'),
    ('length($1)', "string.rep('x', 1048576)", '1048576'),
])
def test_parameters(qrelay, pg, sql, lua, want):
    code = f"""
local r = assert(db:execute('SELECT {sql.replace("'", "''").replace(
    "''", chr(92) + "'")} AS v', table.pack({lua})))
local v = r:fetch().v
return v:gsub('[^\\32-\\126]', function(c) return '<' .. c:byte() .. '>' end)
"""
    got = ask(qrelay, pg, code)
    assert got == ''.join(c if ' ' <= c <= '~' else ''.join(
        f'<{b}>' for b in c.encode()) for c in want)


@pytest.mark.parametrize('lua, want', [
    ('{nil, 2, nil, n = 3}', 't'),
    ('table.pack(nil, 2, nil)', 't'),
    ('{pg.null, 2, pg.null}', 't')])
def test_trailing_nil(qrelay, pg, lua, want):
    assert ask(qrelay, pg, f"return assert(db:execute('SELECT $1::int IS NULL "
               f"AND $2::int = 2 AND $3::int IS NULL AS v', {lua}))"
               ":fetch().v") == want


@pytest.mark.parametrize('lua, text', [
    ("{'a\\0b'}", 'NUL'), ('{{}}', 'encode_array'), ('{print}', 'function'),
    ('{n = -1}', 'n must'), ("{n = 'x'}", 'n must'), ('{n = 65536}', 'n must'),
    ('42', 'table')])
def test_bad_parameters(qrelay, pg, lua, text):
    assert text in ask(qrelay, pg, "local ok, e = pcall(db.execute, db, "
                       f"'SELECT 1', {lua}) assert(not ok) return e")


def test_large_value(qrelay, pg):
    assert ask(qrelay, pg, """
local s = string.rep('0123456789abcdef', 65536)
return assert(db:execute('SELECT $1::text AS v', {s})):fetch().v == s""") \
        == 'true'


@pytest.mark.parametrize('rows, width, ok', [
    (1, 16 << 20, False), (1, 15 << 20, True), (300, 65536, False),
    (200, 65536, True), (1, 100 << 20, False)])
def test_result_limit(qrelay, pg, rows, width, ok):
    """Over 16 MiB a result fails; the next query is fine."""
    code = f"""
local r, e = db:execute("SELECT repeat('x', {width}) AS v "
                        .. "FROM generate_series(1, {rows})")
assert(db:execute('SELECT 1'))
return r and #r:fetch().v or e"""
    got = ask(qrelay, pg, code)
    if ok:
        assert got == str(width)
    else:
        assert '16 MiB' in got or 'too large' in got


@pytest.mark.parametrize('code, want', [
    ("return pg:encode_array({})", '{}'),
    ("return pg:encode_array({1, -2.5, true, 'x y', pg.null, ''})",
     '{1,-2.5,true,"x y",NULL,""}'),
    ("return pg:encode_array({nil, 1, nil, n = 3})", '{NULL,1,NULL}'),
    ("return pg:encode_array({{1, 2}, {3, 4}})", '{{1,2},{3,4}}'),
    ("local t = {} t[1] = t return pcall(pg.encode_array, pg, t)", 'false'),
    ("return pcall(pg.encode_array, pg, {print})", 'false'),
    ("return pcall(pg.encode_array, pg, {'a\\0'})", 'false'),
    ("return pcall(pg.encode_array, {1})", 'false'),
    ("local t = pg:decode_array('{1,NULL,\"a\\\\\"b\"}') "
     "return t[1] .. tostring(t[2] == pg.null) .. t[3] .. #t", '1truea"b3'),
    ("local t = pg:decode_array('{{1,2},{3,4}}') "
     "return t[2][1] .. #t .. #t[1]", '322'),
    ("return #pg:decode_array('{}')", '0'),
    ("return pcall(pg.decode_array, pg, '{1')", 'false'),
    ("local t = pg:decode_array(assert(db:execute('SELECT $1::text[] AS v', "
     "{pg:encode_array({'a,b', '{', 'NULL', pg.null, '\\\\', '\"', ' '})}))"
     ":fetch().v) return table.concat({t[1], t[2], t[3], tostring(t[4]), "
     "t[5], t[6], t[7], #t}, '|')", 'a,b|{|NULL|pg.null|\\|"| |7'),
])
def test_arrays(qrelay, pg, code, want):
    assert ask(qrelay, pg, code) == want


@pytest.mark.parametrize('schema', ['s', 'S p', 'q"q', "a'b", 'x; DROP'])
def test_schema(qrelay, pg, schema):
    quoted = schema.replace('"', '""')
    pg.sql(f'CREATE SCHEMA "{quoted}"; CREATE TABLE "{quoted}".here '
           "AS SELECT 'found' AS v")
    name = schema.replace('\\', '\\\\').replace("'", "\\'")
    q = qrelay(pre=f"db = pg:new('{pg.conninfo}', '{name}')", handler="return "
               "m:discard(assert(db:execute('SELECT v FROM here')):fetch().v)")
    assert q.submit() == b'Kfound'
    pg.sql(f'DROP SCHEMA "{quoted}" CASCADE')


def test_init(qrelay, pg):
    q = qrelay(pre=f"""db = pg:new('{pg.conninfo}', 'public', {{init =
"SET work_mem = '3MB'; SET statement_timeout = '7s'", connections = 1}})""",
               handler="return m:discard(assert(db:execute("
               "'SHOW work_mem')):fetch().work_mem)")
    assert q.submit() == b'K3MB'
    for pid in pg.backends():
        pg.sql(f'SELECT pg_terminate_backend({pid})')
    time.sleep(0.2)
    assert q.submit() == b'K3MB'


@pytest.mark.parametrize('init', ['nonsense', 'BEGIN', 'SELECT 1/0'])
def test_bad_init(qrelay, pg, init):
    q = qrelay(pre=f"db = pg:new('{pg.conninfo}', nil, {{init = '{init}'}})",
               handler="return m:discard((select(2, db:execute('SELECT 1', "
               "nil, {timeout = 0.5}))))")
    assert b'init' in q.submit()


@pytest.mark.parametrize('options', [
    '{connections = 0}', '{connections = 7}', "{connections = 'x'}",
    '{prepare = 1}', '{init = 1}', '{wrong = 1}', '1'])
def test_bad_options(qrelay, pg, options):
    with pytest.raises(StartError):
        qrelay(pre=f"pg:new('{pg.conninfo}', nil, {options})")


@pytest.mark.parametrize('prepare', ['true', 'false'])
def test_prepare(qrelay, pg, prepare):
    q = qrelay(pre=f"""db = pg:new('{pg.conninfo}', nil, {{connections = 1,
prepare = {prepare}}})""", handler="""
for i = 1, 3 do assert(db:execute('SELECT $1::int', {i})) end
return m:discard(assert(db:execute("SELECT count(*) AS n FROM " ..
"pg_prepared_statements WHERE statement LIKE 'SELECT $1%'")):fetch().n)""")
    assert q.submit() == (b'K1' if prepare == 'true' else b'K0')


def test_statements_are_bounded(qrelay, pg):
    """The least recently used one is deallocated."""
    q = qrelay(pre=f"db = pg:new('{pg.conninfo}', nil, {{connections = 1}})",
               handler="""
for i = 1, 600 do
  assert(db:execute('SELECT ' .. i .. ' AS n'):fetch().n == tostring(i))
  assert(db:execute('SELECT 0 AS often'))
end
local r = assert(db:execute('SELECT count(*) AS n FROM pg_prepared_statements'))
local f = assert(db:execute("SELECT count(*) AS n FROM pg_prepared_statements "
.. "WHERE statement = 'SELECT 0 AS often'"))
return m:discard(r:fetch().n .. ' ' .. f:fetch().n)""")
    n, often = q.submit()[1:].split()
    assert 250 <= int(n) <= 256 and often == b'1'


@pytest.mark.parametrize('connections', [1, 2])
def test_plan_is_stale(qrelay, pg, connections):
    """DDL under a prepared statement goes unnoticed."""
    pg.sql('CREATE TABLE t AS SELECT 1 AS a')
    q = qrelay(pre=f"""db = pg:new('{pg.conninfo}', nil,
{{connections = {connections}}})""", handler="""
local row = assert(db:execute('SELECT * FROM t')):fetch()
return m:discard(tostring(row.a) .. tostring(row.b))""")
    for _ in range(4):
        assert q.submit() == b'K1nil'
    pg.sql('ALTER TABLE t ADD b int DEFAULT 5')
    for _ in range(4):
        assert q.submit() == b'K15'
    pg.sql('ALTER TABLE t DROP b')
    assert q.submit() == b'K1nil'


@pytest.mark.parametrize('text', ['DEALLOCATE ALL', 'DISCARD ALL',
                                  'DEALLOCATE qrelay_1'])
def test_statement_is_gone(qrelay, pg, text):
    pg.sql('CREATE SEQUENCE s')
    q = qrelay(pre=f"db = pg:new('{pg.conninfo}', nil, {{connections = 1}})",
               handler=f"""
if m.sender == 'd@x' then assert(db:execute('{text}')) end
return m:discard(assert(db:execute("SELECT nextval('s') AS n")):fetch().n)""")
    assert q.submit() == b'K1'
    assert q.submit(sender=b'd@x') == b'K2'
    assert q.submit() == b'K3'


def test_settings_do_not_leak(qrelay, pg):
    q = qrelay(pre=f"db = pg:new('{pg.conninfo}', nil, {{connections = 1}})",
               handler="""
if m.sender == 's@x' then assert(db:execute("SET work_mem = '9MB'")) end
return m:discard(assert(db:execute('SHOW work_mem')):fetch().work_mem)""")
    before = q.submit()
    q.submit(sender=b's@x')
    assert q.submit() == before


def test_one_fails_alone(qrelay, pg):
    """Many in flight; each gets its own answer."""
    q = qrelay(pre=f"db = pg:new('{pg.conninfo}')", handler="""
local n = tonumber(m.sender:match('%d+'))
local r, e = db:execute('SELECT 100 / ($1::int % 5) AS v, $1 AS n', {n})
if n % 5 == 0 then
  assert(not r and e == 'division by zero')
else
  local row = r:fetch()
  assert(row.n == tostring(n) and row.v == tostring(100 // (n % 5)))
end
return m:discard(m.sender)""")
    clients = [q.client().send(request(sender=b'%d@x' % i))
               for i in range(200)]
    for i, c in enumerate(clients):
        assert c.reply() == b'K%d@x' % i
        c.close()


def test_slow_query_holds_nobody_up(qrelay, pg):
    q = qrelay(pre=f"db = pg:new('{pg.conninfo}')", handler="""
local s = m.sender == 'w@x' and 2 or 0
assert(db:execute('SELECT pg_sleep($1)', {s}))
return m:discard()""")
    q.submit()
    with q.client() as slow:
        slow.send(request(sender=b'w@x'))
        time.sleep(0.2)
        start = time.monotonic()
        for _ in range(20):
            q.submit()
        assert time.monotonic() - start < 1.2
        assert slow.reply() == b'Kdiscarded'


def test_everywhere(qrelay, pg):
    """At start, in reload, in a callback."""
    q = qrelay(pre=f"""db = pg:new('{pg.conninfo}')
local function now() return assert(db:execute('SELECT 6 * 7 AS n')):fetch().n end
print('start ' .. now())
function reload() print('reload ' .. now()) end
db:listen('c', function(payload, name, pid)
  print('callback ' .. now() .. payload .. name .. math.type(pid)) end)""")
    q.wait_message('start 42')
    q.sighup()
    q.wait_message('reload 42')
    pg.sql("NOTIFY c, 'p'")
    q.wait_message('callback 42pcinteger')


def test_in_check(qrelay, pg, folder):
    with pytest.raises(StartError) as e:
        qrelay(pre=f"""db = pg:new('{pg.conninfo}')
error('answer ' .. assert(db:execute('SELECT 6 * 7 AS n')):fetch().n)""")
    assert 'answer 42' in e.value.output


def test_collected(qrelay, pg):
    """A db made by each mail, and results that nobody closes, leak nothing."""
    q = qrelay(handler=f"""
local db = pg:new('{pg.conninfo}', nil, {{connections = 1}})
local r = assert(db:execute("SELECT repeat('x', 1000000)"))
db = nil
collectgarbage() collectgarbage()
return m:discard()""")
    q.submit()
    time.sleep(0.2)
    before, rss = q.fds(), q.rss()
    for _ in range(40):
        assert q.submit() == b'Kdiscarded'
    q.wait_fds(before)
    q.check_rss(rss + (16 << 20))


def test_executed_once(qrelay, pg):
    """Nothing is executed twice, whoever goes away."""
    pg.sql('CREATE TABLE log (who text)')
    q = qrelay(pre=f"db = pg:new('{pg.conninfo}')", handler="""
assert(db:execute('INSERT INTO log SELECT $1 FROM pg_sleep(0.01)', {m.sender}))
return m:discard()""")

    def one(i):
        with q.client() as c:
            c.send(request(sender=b'%d@x' % i))
            if i % 3:
                c.reply()
    threads = [threading.Thread(target=one, args=(i,)) for i in range(60)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    time.sleep(0.5)
    assert pg.sql('SELECT count(*) FROM (SELECT who FROM log GROUP BY who '
                  'HAVING count(*) > 1) x') == '0'
    assert int(pg.sql('SELECT count(*) FROM log')) >= 40
