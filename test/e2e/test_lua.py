# SPDX-License-Identifier: BSD-2-Clause
"""What a script finds in its environment, at start and in a handler."""
import os

import pytest

# Lua expressions that must be true, at start and in a handler alike.
FACTS = [
    "_VERSION == 'Lua 5.4'",
    "select('#', unpack({1, 2, 3})) == 3",
    "select(2, unpack({1, 2, 3}, 2)) == 3",
    "select('#', unpack({1, nil, 3}, 1, 3)) == 3",
    "loadstring('return 1 + 1')() == 2",
    "select('#', loadstring('return (')) == 2",
    "type(select(2, loadstring('return ('))) == 'string'",
    "table.getn({1, 2, 3}) == 3",
    "table.maxn({[1]=1, [7]=1, x=1}) == 7",
    "table.maxn({}) == 0",
    "debug.sethook == nil",
    "type(debug.traceback()) == 'string'",
    "type(debug.getinfo(1)) == 'table'",
    "type(io.open) == 'function'",
    "type(os.time()) == 'number'",
    "type(os.getenv('PATH')) == 'string'",
    "utf8.char(228) == '\\xc3\\xa4'",
    "string.format('%5.1f', 1) == '  1.0'",
    "table.concat(table.pack(table.unpack({1, 2}))) == '12'",
    "math.type(3 // 2) == 'integer'",
    "type(package.path) == 'string'",
    "type(coroutine.wrap) == 'function'",
    "type(load) == 'function' and type(require) == 'function'",
    "type(qmqp_listen) == 'function' and type(qmqp_resolve) == 'function'",
    "type(sleep) == 'function'",
    "systemd ~= nil and systemd ~= 'systemd'",
    "coroutine.isyieldable()",
    "require('debug').sethook == nil",
    "package.loaded.debug.sethook == nil",
]


@pytest.mark.valgrind
def test_environment(qrelay):
    facts = 'facts = {' + ',\n'.join(
        'function() return %s end' % f for f in FACTS) + '}\n'
    q = qrelay(pre=facts + """
function wrong()
  local bad = {}
  for i, f in ipairs(facts) do
    local ok, value = pcall(f)
    if not ok or value ~= true then bad[#bad + 1] = i - 1 end
  end
  return table.concat(bad, ' ')
end
at_start = wrong()""",
               handler="return m:discard('[' .. at_start .. '][' .. wrong() "
               ".. ']')")
    reply = q.submit()
    bad = [FACTS[int(n)] for n in reply.decode()[1:].replace('[', '')
           .replace(']', ' ').split()]
    assert not bad
    assert reply == b'K[][]'


def test_working_directory(qrelay):
    """The script's own while it runs, then the root folder."""
    q = qrelay(pre="""local f = assert(io.open('beside.txt'))
word = f:read('l') f:close()""",
               handler="return m:discard(word)",
               files={'beside.txt': 'found me\n'}, cwd='/tmp')
    assert q.submit() == b'Kfound me'
    assert os.readlink(f'/proc/{q.pid}/cwd') == '/'


def test_working_directory_while_the_script_waits(qrelay):
    q = qrelay(pre="""sleep(0.1)
word = assert(io.open('beside.txt')):read('l')""",
               handler="return m:discard(word)",
               files={'beside.txt': 'found me\n'}, cwd='/tmp')
    assert q.submit() == b'Kfound me'


def test_require_beside_the_script(qrelay):
    """At start, and later, from a handler."""
    q = qrelay(pre="early = require('early')",
               handler="return m:discard(early.name .. "
               "require('late').name)",
               files={'early.lua': "return {name='early '}",
                      'late.lua': "return {name='late'}"}, cwd='/tmp')
    assert q.submit() == b'Kearly late'


def test_require_with_a_relative_config(qrelay, folder):
    """The folder is found even when --config was a relative path."""
    q = qrelay(pre="early = require('early')",
               handler="return m:discard(early .. require('late'))",
               files={'early.lua': "return 'a'", 'late.lua': "return 'b'"},
               directory=folder, cwd=str(folder), argument='config.lua')
    assert q.submit() == b'Kab'


def test_waiting_in_a_required_module(qrelay):
    """require is a C function: a wait inside is an error that says so, or
    works; never a hang."""
    q = qrelay(handler="local ok, v = pcall(require, 'waits') "
               "return m:discard(tostring(ok))",
               files={'waits.lua': 'sleep(0.01) return 1'})
    assert q.submit() in (b'Ktrue', b'Kfalse')


def test_state_survives_between_mails(qrelay):
    q = qrelay(pre='n = 0', handler='n = n + 1 return m:discard(n .. "")')
    assert [q.submit() for _ in range(3)] == [b'K1', b'K2', b'K3']


def test_handlers_are_values(qrelay):
    """Closures with upvalues, and a callable table if it is taken."""
    q = qrelay("""local function make(text)
  return function(m) return m:discard(text) end
end
for i = 1, 3 do qmqp_listen('$DIR/' .. i, make('h' .. i)) end""")
    for i in (1, 2, 3):
        assert q.submit(address=q.dir / str(i)) == b'Kh%d' % i


def test_globals_of_the_script_are_its_own(qrelay):
    """os.exit and friends are the script's to misuse, but an error inside
    a __gc or __close metamethod is not fatal."""
    q = qrelay(handler="""setmetatable({}, {__gc = function()
  error('in gc') end})
collectgarbage() collectgarbage()
return m:discard()""")
    for _ in range(3):
        assert q.submit() == b'Kdiscarded'
    assert q.alive()


def test_close_variables(qrelay):
    q = qrelay(handler="""local log = {}
do
  local x <close> = setmetatable({}, {__close = function()
    sleep(0.05) log[#log + 1] = 'closed' end})
end
return m:discard(log[1] or 'not closed')""")
    assert q.submit() == b'Kclosed'


def test_memory_limit_in_a_handler(qrelay):
    q = qrelay(lua_memory=32 << 20, handler_timeout=10, handler="""
if m.sender == 'grow@x' then
  local t = {}
  while true do t[#t + 1] = ('x'):rep(1 << 20) .. #t end
end
if m.sender == 'caught@x' then
  local ok, err = pcall(string.rep, 'x', 1 << 30)
  return m:discard(tostring(ok) .. ' ' .. tostring(err))
end
return m:discard()""")
    assert q.submit() == b'Kdiscarded'
    before = q.rss()
    for _ in range(3):
        assert q.submit(sender=b'grow@x') == b'Zscript failed'
        assert q.submit() == b'Kdiscarded'
    assert q.submit(sender=b'caught@x') == b'Kfalse not enough memory'
    q.check_rss(before + (64 << 20))
    assert 'not enough memory' in q.output()
    q.mails(8)


def test_memory_limit_in_reload(qrelay):
    q = qrelay(lua_memory=32 << 20, pre="""function reload()
  local t = {}
  while true do t[#t + 1] = ('x'):rep(1 << 20) .. #t end
end""")
    q.sighup()
    q.wait_message('not enough memory')
    assert q.submit() == b'Kdiscarded'
    q.check_rss(100 << 20)


def test_memory_of_abandoned_handlers(qrelay):
    """A thousand handlers with garbage each: the state does not grow."""
    q = qrelay(lua_memory=32 << 20, handler="""
local t = {}
for i = 1, 2000 do t[i] = m.sender .. i end
return m:discard()""")
    for _ in range(1000):
        assert q.submit() == b'Kdiscarded'
