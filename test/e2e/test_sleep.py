# SPDX-License-Identifier: BSD-2-Clause
"""sleep: whoever waits waits alone."""
import time

import pytest
from harness.env import slow
from harness.qmqp import request


@pytest.mark.valgrind
def test_in_a_handler(qrelay):
    q = qrelay(handler="sleep(0.4) return m:discard(m.sender)")
    start = time.monotonic()
    assert q.submit() == b'Ka@example.org'
    assert time.monotonic() - start >= 0.39
    assert float(q.mail()['ms']) >= 390


@pytest.mark.parametrize('value', ['0', '0.0', '1e-9', '0.001', '-0.0'])
def test_short(qrelay, value):
    q = qrelay(handler=f"sleep({value}) return m:discard()")
    assert q.submit() == b'Kdiscarded'


@pytest.mark.parametrize('value', [
    '-1', '-1e-9', '3600.1', '3601', 'math.huge', '-math.huge', '0/0', "'x'",
    'nil', '', '{}', 'true', 'print'])
def test_out_of_range(qrelay, value):
    q = qrelay(handler=f"""local ok, err = pcall(sleep{', ' + value
               if value else ''})
return m:discard(tostring(ok) .. type(err))""")
    start = time.monotonic()
    assert q.submit() == b'Kfalsestring'
    assert time.monotonic() - start < slow(3)


def test_nothing_busy(qrelay):
    q = qrelay(handler="sleep(1) return m:discard()")
    clients = [q.client().send(request()) for _ in range(50)]
    time.sleep(0.2)
    cpu = q.cpu()
    time.sleep(0.5)
    assert q.cpu() - cpu < 0.1
    for c in clients:
        assert c.reply() == b'Kdiscarded'
        c.close()


def test_together(qrelay):
    """Fifty sleepers take as long as one."""
    q = qrelay(handler="sleep(0.5) return m:discard()")
    start = time.monotonic()
    clients = [q.client().send(request()) for _ in range(50)]
    for c in clients:
        assert c.reply() == b'Kdiscarded'
        c.close()
    assert time.monotonic() - start < slow(5)


def test_others_get_through(qrelay):
    q = qrelay(handler="if m.sender == 'w@x' then sleep(1.5) end "
               "return m:discard(m.sender)")
    with q.client() as c:
        c.send(request(sender=b'w@x'))
        for _ in range(20):
            q.submit()
        assert c.silent(0.01)
        assert c.reply() == b'Kw@x'


def test_in_order_of_waking(qrelay):
    q = qrelay(pre='order = {}', handler="""
if m.sender == 'tell@x' then return m:discard(table.concat(order, ' ')) end
local n = tonumber(m.sender:match('%d+'))
sleep(n / 10)
order[#order + 1] = n
return m:discard()""")
    clients = [q.client().send(request(sender=b'%d@x' % n))
               for n in (5, 2, 8, 1)]
    for c in clients:
        c.reply()
        c.close()
    assert q.submit(sender=b'tell@x') == b'K1 2 5 8'


@pytest.mark.parametrize('code', [
    'pcall(sleep, 0.05)', 'xpcall(sleep, print, 0.05)',
    'pcall(pcall, sleep, 0.05)', 'for i in function(_, i) sleep(0.02) '
    'if not i then return 1 end end do end',
    'local t = setmetatable({}, {__index = function() sleep(0.05) '
    'return 1 end}) local x = t.y',
    'local ok, e = pcall(function() sleep(0.05) error("e") end) '
    'assert(not ok and e:find("e"))',
    'for i = 1, 20 do sleep(0.002) end',
    'for i = 1, 3000 do sleep(0) end'])
def test_in_all_kinds_of_calls(qrelay, code):
    q = qrelay(handler=f"{code} return m:discard('done')")
    assert q.submit() == b'Kdone'


@pytest.mark.parametrize('code', [
    "string.gsub('x', '.', function() sleep(0.01) end)",
    "table.sort({3, 2, 1}, function(a, b) sleep(0.01) return a < b end)",
    "assert(load(function() sleep(0.01) end))",
    "tostring(setmetatable({}, {__tostring = function() sleep(0.01) "
    "return 'x' end}))"])
def test_across_a_c_call(qrelay, code):
    """Where Lua cannot yield it is an error, and the next mail is fine."""
    q = qrelay(handler=f"""if m.sender == 'ok@x' then return m:discard() end
local ok, err = pcall(function() {code} end)
return m:discard(tostring(ok))""")
    assert q.submit() in (b'Kfalse', b'Zscript failed')
    assert q.submit(sender=b'ok@x') == b'Kdiscarded'


def test_at_start(qrelay):
    start = time.monotonic()
    q = qrelay(pre='sleep(0.3)')
    assert time.monotonic() - start >= 0.29
    assert q.submit() == b'Kdiscarded'


def test_values_survive(qrelay):
    q = qrelay(handler="""local t = {}
for i = 1, 100 do
  t[i] = {i, m.sender .. i}
  if i % 10 == 0 then sleep(0.001) collectgarbage() end
end
for i = 1, 100 do assert(t[i][1] == i and t[i][2] == m.sender .. i) end
return m:discard('intact')""")
    clients = [q.client().send(request(sender=b'%d@x' % i))
               for i in range(20)]
    for c in clients:
        assert c.reply() == b'Kintact'
        c.close()


@pytest.mark.long
def test_55_seconds_in_all(qrelay):
    """A handler waits at most so long, however it is cut up."""
    q = qrelay(handler="""
if m.sender == 'cut@x' then for i = 1, 70 do sleep(1) end end
sleep(70)
return m:discard('too late')""")
    start = time.monotonic()
    clients = [q.client().send(request(sender=s)) for s in (b'a@x', b'cut@x')]
    for c in clients:
        assert c.reply(timeout=65)[:1] == b'Z'
        assert 50 < time.monotonic() - start < 60
        c.close()


@pytest.mark.long
def test_55_seconds_from_the_last_byte(qrelay, server):
    """Without `timeout` a server's reply is awaited 55 s, handler
    included."""
    s = server(lambda c: (c.read_request(), c.wait_eof(80)))
    q = qrelay(handler=f"sleep(10) return m:connect('{s.address}')")
    start = time.monotonic()
    with q.client() as c:
        assert c.send(request()).reply(timeout=65) == b'Ztimeout'
    assert 53 < time.monotonic() - start < 58
