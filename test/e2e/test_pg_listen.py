# SPDX-License-Identifier: BSD-2-Clause
"""pg: db:listen."""
import time

import pytest
from harness.env import wait_until

PRINT = ("function(payload, name, pid) "
         "print('got ' .. tostring(payload) .. ' ' .. name .. ' ' .. "
         "tostring(math.type(pid)) .. '.') end")


@pytest.mark.valgrind
def test_idle(qrelay, pg):
    q = qrelay(pre=f"db = pg:new('{pg.conninfo}') "
               f"print('listens ' .. tostring(db:listen('c', {PRINT})))")
    q.wait_message('listens true')
    pg.sql("NOTIFY c, 'one'")
    q.wait_message('got one c integer.')
    pg.sql("NOTIFY c")
    q.wait_message('got  c integer.')
    pg.sql("NOTIFY other, 'no'")
    time.sleep(0.2)
    assert q.output().count('got ') == 2


@pytest.mark.parametrize('name', ['Mixed Case', 'q"q', 'c; DROP', 'é'])
def test_quoted(qrelay, pg, name):
    q = qrelay(pre=f"db = pg:new('{pg.conninfo}') "
               f"assert(db:listen('{name}', {PRINT}))")
    pg.sql(f"SELECT pg_notify('{name}', 'p')")
    q.wait_message('got p')


@pytest.mark.parametrize('args', ["", "'c'", "'c', 1", "'', print",
                                  "('x'):rep(64), print", "'a\\0b', print",
                                  "'c', print, {wrong = 1}",
                                  "'c', print, {on_reconnect = 1}"])
def test_bad_arguments(qrelay, pg, args):
    q = qrelay(pre=f"db = pg:new('{pg.conninfo}') print('said ' .. tostring("
               f"pcall(db.listen, db{', ' if args else ''}{args})))")
    q.wait_message('said false')


def test_several(qrelay, pg):
    """Two functions for one channel, a second channel, added later."""
    q = qrelay(pre=f"""db = pg:new('{pg.conninfo}')
db:listen('c', function(p) print('first ' .. p) end)
db:listen('c', function(p) print('second ' .. p) end)""", handler="""
assert(db:listen('d', function(p) print('third ' .. p) end))
return m:discard()""")
    q.submit()
    pg.sql("NOTIFY c, 'x'; NOTIFY d, 'y'")
    for text in ('first x', 'second x', 'third y'):
        q.wait_message(text)
    assert len(pg.backends()) == 1


def test_error_is_logged(qrelay, pg):
    q = qrelay(pre=f"""db = pg:new('{pg.conninfo}')
db:listen('c', function(p) error('my cause ' .. p) end)""")
    for p in 'ab':
        pg.sql(f"NOTIFY c, '{p}'")
        q.wait_message(f'my cause {p}')
    assert q.submit() == b'Kdiscarded'


def test_runaway(qrelay, pg):
    q = qrelay(pre=f"""db = pg:new('{pg.conninfo}')
db:listen('c', function(p) while true do pcall(error) end end)""",
               handler_timeout=0.2)
    pg.sql('NOTIFY c')
    q.wait_message('too much CPU')
    assert q.submit() == b'Kdiscarded'


def test_storm(qrelay, pg):
    """More than callbacks may wait at a time: all come, in order."""
    q = qrelay(pre=f"""db = pg:new('{pg.conninfo}') seen, bad = 0, 0
db:listen('c', function(p)
  seen = seen + 1
  if tonumber(p) ~= seen then bad = bad + 1 end
  sleep(0.01)
  assert(db:execute('SELECT 1'))
end)""", handler="return m:discard(seen .. ' ' .. bad)")
    pg.sql("SELECT pg_notify('c', i::text) FROM generate_series(1, 3000) i")
    wait_until(lambda: q.submit() == b'K3000 0', 'all have come', 20)


def test_shutdown_while_waiting(qrelay, pg):
    q = qrelay(pre=f"""db = pg:new('{pg.conninfo}')
db:listen('c', function(p) print('waits.') sleep(100) end)""")
    pg.sql('NOTIFY c')
    q.wait_message('waits.')
    q.stop()


@pytest.mark.valgrind
@pytest.mark.parametrize('option', ['', ', {on_reconnect = true}'])
def test_reconnect(qrelay, pg, option):
    q = qrelay(pre=f"db = pg:new('{pg.conninfo}') "
               f"assert(db:listen('c', {PRINT}{option}))")
    time.sleep(1.1)
    for n in (1, 2):
        [pid] = pg.backends()
        pg.sql(f'SELECT pg_terminate_backend({pid})')
        wait_until(lambda: pg.backends() not in ([], [pid]), 'it is back', 20)
        time.sleep(0.3)
        pg.sql(f"NOTIFY c, 'n{n}'")
        q.wait_message(f'got n{n} c integer.')
    assert q.output().count('got nil c nil.') == (2 if option else 0)
    assert 'not listening' in q.output()


def test_not_there_at_start(qrelay, own_pg):
    own_pg.stop()
    start = time.monotonic()
    q = qrelay(pre=f"db = pg:new('{own_pg.conninfo}') local ok, e = "
               f"db:listen('c', {PRINT}, {{on_reconnect = true}}) "
               "print('said ' .. tostring(ok) .. e)")
    assert time.monotonic() - start < 3
    q.wait_message('said nil')
    own_pg.start()
    q.wait_message('got nil c nil.', 20)
    own_pg.sql("NOTIFY c, 'there'")
    q.wait_message('got there')
