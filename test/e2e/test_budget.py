# SPDX-License-Identifier: BSD-2-Clause
"""A handler that runs away is stopped, whatever it catches, and holds up
nobody else for long."""
import pathlib
import re
import threading
import time

import pytest
from harness.env import WATCHED, slow
from harness.qmqp import request

BUDGET = 0.3

RUNAWAYS = {
    'loop': 'while true do end',
    'for': 'for i = 1, math.huge do end',
    'goto': '::a:: goto a',
    'recursion': 'local function f() return f() end\nreturn f()',
    'pcall loop': 'while true do pcall(function() while true do end end) end',
    'nested pcall': 'local function f() pcall(f) pcall(f) while true do end '
                    'end\nf()',
    'xpcall loop': 'local function spin() while true do end end\n'
                   'while true do xpcall(spin, spin) end',
    'handler of xpcall': "xpcall(error, function() while true do end end)",
    'pcall in a repeat': 'repeat local ok = pcall(function() '
                         'for i = 1, 1e9 do end end) until false',
    'coroutine loop': 'while true do coroutine.wrap(function() '
                      'while true do end end)() end',
    'coroutine yields': 'local co = coroutine.wrap(function() while true do '
                        'coroutine.yield() end end)\nwhile true do co() end',
    'pcall in coroutines': 'while true do local co = coroutine.create('
                           'function() while true do pcall(function() '
                           'while true do end end) end end) '
                           'coroutine.resume(co) end',
    'coroutine in coroutine': 'local function f() local co = coroutine.create'
                              '(f) while true do coroutine.resume(co) '
                              'co = coroutine.create(f) end end\nf()',
    'metamethod': 'local t = setmetatable({}, {__index = function() '
                  'while true do end end})\nwhile true do pcall(function() '
                  'return t.x end) end',
    'metamethod chain': 'local t = setmetatable({}, {__add = function(a, b) '
                        'return a end})\nwhile true do t = t + 1 end',
    '__gc': "setmetatable({}, {__gc = function() while true do end end})\n"
            "collectgarbage() while true do end",
    '__gc that is a table': 'setmetatable({}, {__gc = setmetatable({}, '
                            '{__call = function() while true do end end})})\n'
                            'collectgarbage() while true do end',
    '__close': 'while true do pcall(function() local x <close> = '
               'setmetatable({}, {__close = function() while true do end '
               'end}) error("x") end) end',
    '__close at the end': 'local x <close> = setmetatable({}, {__close = '
                          'function() while true do end end})\n'
                          'return m:discard()',
    'gsub callback': "while true do pcall(string.gsub, ('x'):rep(1000), '.', "
                     "function() while true do end end) end",
    'short gsub callbacks': "local s = ('x'):rep(100000)\nwhile true do "
                            "pcall(string.gsub, s, '.', function() end) end",
    'sort comparator': 'local t = {}\nfor i = 1, 1000 do t[i] = i end\n'
                       'while true do pcall(table.sort, t, function(a, b) '
                       'for i = 1, 1e9 do end return a < b end) end',
    'load reader': 'while true do pcall(load, function() while true do end '
                   'end) end',
    '__tostring': 'local x = setmetatable({}, {__tostring = function() '
                  'while true do end end})\nwhile true do '
                  'pcall(tostring, x) end',
    '__pairs': 'while true do pcall(pairs, setmetatable({}, {__pairs = '
               'function() while true do end end})) end',
    'sleeping loop': 'while true do for i = 1, 1e6 do end '
                     'pcall(sleep, 0.001) end',
    'header values': "local x = setmetatable({}, {__tostring = function() "
                     "while true do end end})\nwhile true do "
                     "pcall(m.insert_header, m, 'X-A', x) end",
    'allocations': 'local t\nwhile true do pcall(function() t = {} '
                   't[1] = t end) end',
    'string building': "while true do local s = '' for i = 1, 100 do "
                       "s = s .. i end end",
}


@pytest.mark.parametrize('case', RUNAWAYS)
def test_runaway(qrelay, case):
    q = qrelay(handler_timeout=BUDGET, handler=f"""
if m.sender == 'ok@x' then return m:discard() end
do {RUNAWAYS[case]} end
return m:discard('not stopped')""")
    assert q.submit(sender=b'ok@x') == b'Kdiscarded'
    start = time.monotonic()
    with q.client() as c:
        c.send(request())
        time.sleep(0.02)
        # the others wait for one budget at most, not for ever
        assert q.submit(sender=b'ok@x') == b'Kdiscarded'
        assert time.monotonic() - start < slow(8)
        assert c.reply(timeout=20) == b'Zscript failed'
    cpu = q.cpu()
    for _ in range(3):
        assert q.submit(sender=b'ok@x') == b'Kdiscarded'
    time.sleep(0.2)
    assert q.cpu() - cpu < 0.15         # nothing runs on in the dark
    failed = [m for m in q.mails(6) if m['verdict'] == b'Z']
    assert len(failed) == 1
    assert failed[0]['text'] == b'script failed'
    assert 'where' in failed[0]
    assert q.messages()


@pytest.mark.valgrind
def test_runaway_is_explained(qrelay):
    q = qrelay(handler_timeout=BUDGET, handler='\nwhile true do end')
    assert q.submit(timeout=20) == b'Zscript failed'
    q.mail()
    assert 'config.lua:' in '\n'.join(q.messages())


def test_budget_is_cpu_not_wall_clock(qrelay):
    q = qrelay(handler_timeout=BUDGET,
               handler='sleep(1) return m:discard()')
    assert q.submit() == b'Kdiscarded'


def test_budget_is_over_all_resumes(qrelay):
    """Slices of work with sleeps between them add up."""
    q = qrelay(handler_timeout=BUDGET, handler="""
for i = 1, 200 do
  local t = os.clock()
  while os.clock() - t < 0.02 do end
  sleep(0.001)
end
return m:discard('not stopped')""")
    assert q.submit(timeout=20) == b'Zscript failed'


def test_budget_is_a_mails_own(qrelay):
    """Many mails that work a little each are not one that works a lot."""
    q = qrelay(handler_timeout=BUDGET, handler="""
local t = os.clock()
while os.clock() - t < 0.05 do end
sleep(0.01)
return m:discard()""")
    clients = [q.client().send(request()) for _ in range(12)]
    for c in clients:
        assert c.reply() == b'Kdiscarded'
        c.close()


def test_several_runaways(qrelay):
    """Each gets its budget, and one that behaves gets through."""
    q = qrelay(handler_timeout=0.2, handler="""
if m.sender == 'ok@x' then return m:discard() end
while true do pcall(function() while true do end end) end""")
    bad = [q.client().send(request()) for _ in range(6)]
    replies = []
    t = threading.Thread(target=lambda: replies.append(
        q.submit(sender=b'ok@x', timeout=30)))
    t.start()
    t.join()
    assert replies == [b'Kdiscarded']
    for c in bad:
        assert c.reply(timeout=30) == b'Zscript failed'
        c.close()


def test_default_budget_is_a_second(qrelay):
    q = qrelay(handler="""local t = os.clock()
while os.clock() - t < 0.5 do end
if m.sender == 'long@x' then while true do end end
return m:discard()""")
    assert q.submit() == b'Kdiscarded'
    before = q.cpu()
    assert q.submit(sender=b'long@x', timeout=20) == b'Zscript failed'
    assert 0.8 < q.cpu() - before < 3
    q.mails(2)


def test_reload_has_more(qrelay):
    """reload may use more than a handler's budget."""
    q = qrelay(handler_timeout=0.1, pre="""function reload()
  local t = os.clock()
  while os.clock() - t < 0.6 do end
  print('reloaded')
end""")
    q.sighup()
    q.wait_message('reloaded')
    assert q.submit() == b'Kdiscarded'


@pytest.mark.parametrize('code', [
    "error(('x'):rep(2000000))", "error(('\\n'):rep(2000000))",
    "print(('x'):rep(2000000))", "print(('\\xff'):rep(2000000))",
    "m[('x'):rep(2000000)] = 1", "m.sender = ('x'):rep(2000000)",
    "m.account = ('x'):rep(2000000)", "m:connect(('x'):rep(2000000))",
    "qmqp_resolve(('x'):rep(2000000))",
    "m:insert_header('A', ('x'):rep(2000000))",
    "return m:reject(('x'):rep(2000000))"])
def test_huge_texts(qrelay, code):
    """What is logged of a huge text costs no more than what is kept."""
    q = qrelay(handler=f"""if m.sender == 'ok@x' then return m:discard() end
{code}""")
    q.submit(sender=b'ok@x')
    before = q.cpu()
    assert q.submit(timeout=60)[:1] in (b'Z', b'D')
    assert q.submit(sender=b'ok@x') == b'Kdiscarded'
    q.mails(3)
    assert q.cpu() - before < 1.5


def peak(q):
    """Resident bytes at most so far."""
    status = pathlib.Path(f'/proc/{q.pid}/status').read_text()
    return int(re.search(r'VmHWM:\s+(\d+) kB', status)[1]) * 1024


EAT = "local t = {} for i = 1, 1e9 do t[i] = ('x'):rep(1e6) .. i end"


@pytest.mark.parametrize('body', ['while true do end', EAT, 'error()'])
def test_error_object_that_runs_away(qrelay, body):
    """What an error says of itself is told within the handler's limits."""
    q = qrelay(handler=f"""error(setmetatable({{}}, {{
__tostring = function() {body} end}}))""", lua_memory=8 << 20,
               handler_timeout=BUDGET)
    assert q.submit() == b'Zscript failed'
    q.mail()
    lines = q.messages()
    assert 'error object is a table value' in lines[0]
    assert any('config.lua:' in line for line in lines[1:]), lines
    assert WATCHED or peak(q) < 32 << 20


def test_finalizer_that_eats(qrelay):
    """It may run when no handler does, but within the limit as well."""
    q = qrelay(pre=f"""collectgarbage('generational')
function eat() {EAT} end""", handler="""
for i = 1, 50 do setmetatable({}, {__gc = eat}) end
return m:discard()""", lua_memory=8 << 20, handler_timeout=BUDGET)
    for _ in range(20):
        q.submit()
    assert WATCHED or peak(q) < 32 << 20


def test_long_error_message(qrelay):
    q = qrelay(handler="error(('x'):rep(50000000))")
    assert q.submit() == b'Zscript failed'
    q.mail()
    assert 'error="' in q.messages()[0]
    assert any('config.lua:' in line for line in q.messages()[1:])
    assert WATCHED or peak(q) < 120 << 20
