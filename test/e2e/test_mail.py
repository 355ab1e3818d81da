# SPDX-License-Identifier: BSD-2-Clause
"""The mail object: its attributes, its errors, its end."""
import os

import pytest
from harness.env import free_port
from harness.qmqp import MESSAGE, RCPT, request


@pytest.mark.valgrind
def test_attributes(qrelay):
    q = qrelay(handler="""return m:discard(table.concat({m.sender,
  table.concat(m.recipients, ','), m.pid, m.uid, m.gid, m.size,
  tostring(m.remote), tostring(m.account),
  math.type(m.pid), math.type(m.uid), math.type(m.size)}, '|'))""")
    assert q.submit(rcpts=(RCPT, b'root')) == (
        b'Ka@example.org|b@example.org,root|%d|%d|%d|%d|nil|nil|'
        b'integer|integer|integer' %
        (os.getpid(), os.geteuid(), os.getegid(), len(MESSAGE)))


@pytest.mark.parametrize('host', ['127.0.0.1', '::1'])
def test_attributes_on_tcp(qrelay, host):
    port = free_port(host)
    text = f'[{host}]:{port}' if ':' in host else f'{host}:{port}'
    q = qrelay(f"""qmqp_listen('{text}', function(m)
  return m:discard(table.concat({{tostring(m.pid), tostring(m.uid),
    tostring(m.gid), tostring(m.remote)}}, '|'))
end)""")
    with q.client((host, port)) as c:
        peer = c.sock.getsockname()[1]
        reply = c.send(request()).reply().decode()
    fields = reply[1:].split('|')
    assert fields[:3] == ['nil'] * 3
    assert fields[3] == (f'[{host}]:{peer}' if ':' in host
                         else f'{host}:{peer}')


def test_recipients_is_a_fresh_table(qrelay, server):
    s = server()
    q = qrelay(handler=f"""local a, b = m.recipients, m.recipients
assert(a ~= b and #a == 2 and a[1] == b[1] and a[3] == nil and a[0] == nil)
a[1] = 'changed@x' a[3] = 'added@x' table.remove(a, 2)
assert(#m.recipients == 2 and m.recipients[1] ~= 'changed@x')
return m:connect('{s.address}')""")
    assert q.submit(rcpts=(RCPT, b'root')) == b'Kok'
    assert s.requests[0].rcpts == [RCPT, b'root']


@pytest.mark.parametrize('name', ['bogus', 'Sender', 'message', 'body',
                                  'recipient', '__index', 'connectt'])
@pytest.mark.parametrize('code', ['return m.{}', 'm.{} = 1'])
def test_unknown_attribute(qrelay, name, code):
    """An error that names it."""
    q = qrelay(handler=f"""local ok, err = pcall(function()
  {code.format(name)} end)
return m:discard(tostring(ok) .. ' ' .. tostring(err))""")
    reply = q.submit()
    assert reply.startswith(b'Kfalse ')
    assert name.encode() in reply


@pytest.mark.parametrize('name', ['recipients', 'pid', 'uid', 'gid', 'size',
                                  'remote', 'discard'])
def test_read_only(qrelay, name):
    q = qrelay(handler=f"""local before = m.{name}
local ok, err = pcall(function() m.{name} = 7 end)
assert(m.{name} ~= 7)
return m:discard(tostring(ok) .. ' ' .. tostring(err))""")
    reply = q.submit()
    assert reply.startswith(b'Kfalse ')
    assert name.encode() in reply


@pytest.mark.parametrize('key', ['1', '1.5', 'true', '{}', 'print', 'm'])
def test_keys_that_are_no_names(qrelay, key):
    q = qrelay(handler=f"""local a = pcall(function() return m[{key}] end)
local b = pcall(function() m[{key}] = 1 end)
return m:discard(tostring(a) .. tostring(b))""")
    assert q.submit() == b'Kfalsefalse'


def test_account(qrelay):
    q = qrelay(handler="""assert(m.account == nil)
m.account = 'acme' assert(m.account == 'acme')
m.account = nil assert(m.account == nil)
m.account = 'final'
return m:discard()""")
    assert q.submit() == b'Kdiscarded'
    assert q.mail()['account'] == b'final'


STALE = {
    'sender': 'return kept.sender',
    'recipients': 'return kept.recipients',
    'pid': 'return kept.pid',
    'uid': 'return kept.uid',
    'size': 'return kept.size',
    'remote': 'return kept.remote',
    'account': 'return kept.account',
    'set sender': "kept.sender = 'x@y'",
    'set account': "kept.account = 'x'",
    'insert_header': "kept:insert_header('A', 'b')",
    'discard': 'return kept:discard()',
    'reject': 'return kept:reject()',
    'defer': 'return kept:defer()',
    'connect': "return kept:connect('127.0.0.1')",
    'kept method': "return insert(kept, 'A', 'b')",
    'unknown': 'return kept.bogus',
}


@pytest.mark.valgrind
def test_stale(qrelay):
    """After its mail is done any use raises `stale object`."""
    uses = ''.join(f"  ['{k}'] = function() {v} end,\n"
                   for k, v in STALE.items())
    q = qrelay(pre='uses = {' + uses + '}', handler="""
if not kept then kept, insert = m, m.insert_header return m:discard() end
for name, use in pairs(uses) do
  local ok, err = pcall(use)
  if ok or not tostring(err):find('stale object', 1, true) then
    return m:reject(name .. ': ' .. tostring(err))
  end
end
return m:discard('all stale')""")
    q.submit()
    for _ in range(20):
        assert q.submit() == b'Kall stale'


@pytest.mark.parametrize('end', ["return m:discard()", "error('x')",
                                 'coroutine.yield()', 'return 1',
                                 "return m:connect('127.0.0.1:1')",
                                 'while true do end'])
def test_stale_however_the_mail_ended(qrelay, end):
    q = qrelay(handler_timeout=0.2, handler=f"""
if not kept then kept = m {end} end
local ok, err = pcall(function() return kept.sender end)
return m:discard(tostring(ok) .. tostring(err))""")
    q.submit()
    reply = q.submit()
    assert reply.startswith(b'Kfalse') and b'stale object' in reply


def test_stale_after_the_client_has_gone(qrelay):
    q = qrelay(handler="""
if not kept then kept = m sleep(30) end
local ok, err = pcall(function() return kept.sender end)
return m:discard(tostring(err))""")
    with q.client() as c:
        c.send(request())
        assert c.silent(0.2)
    q.mail()
    assert b'stale object' in q.submit()


def test_kept_in_a_timer_of_another_mail(qrelay):
    """A waiting handler uses the object of a mail that ends meanwhile."""
    q = qrelay(handler="""
if m.sender == 'wait@x' then
  sleep(0.5)
  local ok, err = pcall(function() return kept.sender end)
  return m:discard(tostring(err))
end
kept = m
return m:discard()""")
    with q.client() as c:
        c.send(request(sender=b'wait@x'))
        assert c.silent(0.1)
        assert q.submit(sender=b'secret@x') == b'Kdiscarded'
        reply = c.reply()
    assert b'stale object' in reply
    assert b'secret' not in reply


def test_one_mail_is_not_another(qrelay):
    """Objects of two mails alive at once keep to themselves."""
    q = qrelay(pre='all = {}', handler="""
local mine = m.sender
all[mine] = m
sleep(0.2)
for name, other in pairs(all) do
  local ok, value = pcall(function() return other.sender end)
  if ok and value ~= name then return m:reject(name .. value) end
end
assert(m.sender == mine)
return m:discard(mine)""")
    clients = []
    for i in range(20):
        clients.append(q.client().send(request(sender=b's%d@x' % i)))
    for i, c in enumerate(clients):
        assert c.reply() == b'Ks%d@x' % i
        c.close()


@pytest.mark.parametrize('code', [
    'getmetatable(m).__gc(m)', 'getmetatable(m).__index(nil, "sender")',
    'getmetatable(m).__index({}, "sender")', 'm.insert_header({}, "A", "b")',
    'm.insert_header()', 'm.discard()', 'm.discard(io.stdout)', 'm.connect()',
    'm:connect()', 'm:connect(nil)', 'm:connect({})', 'm:connect(m)',
    'setmetatable(m, {})', 'debug.setmetatable(m, nil)',
    'debug.setuservalue(m, nil, 1)', 'rawset(m, 1, 1)',
    'getmetatable(m:discard()).__gc(m)', 'm:insert_header(m:discard(), "x")',
    "m.discard(m:discard())", "tostring(m)", "#m", "m == m:discard()",
    'collectgarbage() collectgarbage()',
])
def test_misuse_does_not_crash(qrelay, code):
    # as a statement or as an expression, whichever compiles
    q = qrelay(pre=f"code = [==[{code}]==]", handler="""
local f = load('local m = ... ' .. code) or
  load('local m = ... return ' .. code)
pcall(f, m)
collectgarbage()
return m:discard()""")
    for _ in range(2):
        assert q.submit() in (b'Kdiscarded', b'Zscript failed')
    assert q.alive()
