# SPDX-License-Identifier: BSD-2-Clause
"""Coroutines: the script's own, and ours in the script's hands."""
import re
import time

import pytest
from harness.qmqp import request
from harness.server import answering

FORGET = """saved = nil
for i = 1, 3 do collectgarbage() end
local t = {} for i = 1, 1000 do t[i] = ('x'):rep(i) end
"""


@pytest.mark.parametrize('what', [
    'coroutine.close(saved)', 'coroutine.resume(saved)',
    'coroutine.resume(saved, m, 1)'])
@pytest.mark.parametrize('wait', [
    'sleep(0.5)', "qmqp_resolve('localhost')"])
def test_of_a_handler_that_waits(qrelay, what, wait):
    """Only we end or continue it: what it waits for lies in its stack."""
    q = qrelay(handler=f"""
if m.sender == 'a@x' then
  saved = coroutine.running()
  {wait}
  return m:discard('slept')
end
if saved then pcall(function() {what} end) end
{FORGET}
return m:discard()""")
    with q.client() as c:
        c.send(request(sender=b'a@x'))
        if 'sleep' in wait:
            time.sleep(0.1)
        assert q.submit() == b'Kdiscarded'
        assert c.reply() == b'Kslept'
    time.sleep(0.2)
    assert q.alive()


@pytest.mark.parametrize('what', [
    'coroutine.close(saved)', 'coroutine.resume(saved)'])
def test_of_a_handler_that_has_returned(qrelay, server, what):
    """Its action lives as long as the delivery."""
    def slow(conn):
        conn.read_request()
        time.sleep(0.5)
        conn.answer(b'Kok')

    s = server(slow)
    q = qrelay(handler=f"""
if m.sender == 'a@x' then
  saved = coroutine.running()
  return m:connect('{s.address}')
end
pcall(function() {what} end)
{FORGET}
return m:discard()""")
    with q.client() as c:
        c.send(request(sender=b'a@x'))
        s.wait_requests(1)
        assert q.submit() == b'Kdiscarded'
        assert c.reply() == b'Kok'
    mail = q.mails(2)[1]
    assert mail['action'] == b'connect'
    assert mail['target'] == s.address.encode()


def test_wrap_passes_errors_on(qrelay, server):
    """The error object itself, or what closing the variables raised."""
    s = server(answering())
    q = qrelay(handler=f"""
local function try(f)
  local ok, e = pcall(coroutine.wrap(f))
  return tostring(ok) .. ' ' .. (type(e) == 'table' and e.text or tostring(e))
end
print('1', try(function() local a, b = 'wrong', 'wrong' error('one', 0) end))
print('2', try(function() local a = 'wrong' error({{text='two'}}) end))
print('3', try(function()
  local c <close> = setmetatable({{}}, {{__close=function(_, e)
    print('closed', e) end}})
  error('three', 0)
end))
print('4', try(function()
  local c <close> = setmetatable({{}}, {{__close=function(_, e)
    error(e .. ' four', 0) end}})
  error('three', 0)
end))
print('5', try(function() local t = {{}} for i = 1, 9 do t = {{t}} end
  error(nil) end))
return m:connect('{s.address}')""")
    assert q.submit() == b'Kok'
    out = [line.split('script: ')[1] for line in q.output().splitlines()
           if line.startswith('script: ')]
    assert [line.split('\t')[0] for line in out] == [
        '1', '2', 'closed', '3', '4', '5'], out
    for line, end in zip(out, ['one', 'two', 'three', 'three', 'three four',
                               'nil']):
        assert line.endswith(end), out
        assert 'wrong' not in line, out


@pytest.mark.parametrize('code, want', [
    ('local co co = coroutine.create(function() return coroutine.close(co) end)'
     ' return coroutine.resume(co)', 'false cannot close a running coroutine'),
    ('local co co = coroutine.create(function() return coroutine.resume('
     'coroutine.create(function() return coroutine.close(co) end)) end)'
     ' return coroutine.resume(co)',
     'true false cannot close a normal coroutine'),
    ('local co = coroutine.create(function() local c <close> = setmetatable({},'
     ' {__close=function() error("late", 0) end}) coroutine.yield() end)'
     ' coroutine.resume(co) return coroutine.close(co)', 'false late'),
    ('local t = {} for i = 1, 600000 do t[i] = i end'
     ' local co = coroutine.create(function(...) coroutine.yield() return ...'
     ' end) coroutine.resume(co, table.unpack(t))'
     ' return coroutine.resume(co, table.unpack(t))',
     'false too many arguments to resume'),
    ('local t = {} for i = 1, 600000 do t[i] = i end'
     ' local function more(...) local r = table.pack(coroutine.resume('
     'coroutine.create(function() return table.unpack(t) end)))'
     ' return r[1], r[2] end return more(table.unpack(t))', 'false too many results to resume'),
], ids=['close running', 'close normal', 'close fails', 'arguments', 'results'])
def test_errors_that_are_results(qrelay, code, want):
    """What Lua's own functions say, though these are not they."""
    q = qrelay(handler=f"""
local t = table.pack((function() {code} end)())
for i = 1, t.n do t[i] = tostring(t[i]) end
return m:discard(table.concat(t, ' ', 1, math.min(t.n, 3)))""",
               handler_timeout=10)
    text = re.sub(rb'\S+/config\.lua:\d+: ', b'', q.submit())
    assert text == b'K' + want.encode()
