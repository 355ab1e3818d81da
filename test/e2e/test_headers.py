# SPDX-License-Identifier: BSD-2-Clause
"""Headers that are put in front of a message, and their line endings."""
import os

import pytest
from harness.daemon import lua_value
from harness.env import free_port
from harness.qmqp import MESSAGE


@pytest.fixture
def s(server):
    return server()


def received(eol=b'\n'):
    return b'Received: from PID=%d UID=%d with QMQP' % (
        os.getpid(), os.geteuid()) + eol


def through(qrelay, s, message, headers=()):
    code = ''.join(f"m:insert_header({lua_value(n)}, {lua_value(v)})\n"
                   for n, v in headers)
    q = qrelay(handler=f"{code}return m:connect('{s.address}')")
    assert q.submit(message) == b'Kok'
    return s.requests[-1].message


def test_received_alone(qrelay, s):
    assert through(qrelay, s, MESSAGE) == received() + MESSAGE


@pytest.mark.valgrind
def test_order(qrelay, s):
    """The last one inserted stands first, Received: stands last."""
    assert through(qrelay, s, MESSAGE, [('X-A', '1'), ('X-B', '2')]) == \
        b'X-B: 2\nX-A: 1\n' + received() + MESSAGE


@pytest.mark.parametrize('message, eol', [
    (b'A: b\r\n\r\nbody\n', b'\r\n'), (b'A: b\n\r\nbody\r\n', b'\n'),
    (b'A: b', b'\n'), (b'', b'\n'), (b'\n', b'\n'), (b'\r\n', b'\r\n'),
    (b'A: b\r', b'\n'), (b'A\rB\n', b'\n'), (b'A\rB\r\n', b'\r\n'),
    (b'x' * 70000 + b'\r\n', b'\r\n'), (b'\r\r\n', b'\r\n')])
def test_line_ending(qrelay, s, message, eol):
    """That of the message's first line; LF when it has none."""
    assert through(qrelay, s, message, [('X-A', 'v')]) == \
        b'X-A: v' + eol + received(eol) + message


@pytest.mark.parametrize('message, eol', [
    (b' starts with a space\n', b'\n'), (b'\tstarts with a TAB\n', b'\n'),
    (b' folded\r\nA: b\r\n', b'\r\n'), (b' ', b'\n'), (b'\t', b'\n')])
def test_message_that_would_continue_ours(qrelay, s, message, eol):
    """An empty line follows our headers."""
    assert through(qrelay, s, message, [('X-A', 'v')]) == \
        b'X-A: v' + eol + received(eol) + eol + message


def test_no_received_on_tcp(qrelay, s):
    port = free_port()
    q = qrelay(f"""qmqp_listen('127.0.0.1:{port}', function(m)
  if m.sender == 'with@x' then m:insert_header('X-A', 'v') end
  return m:connect('{s.address}') end)""")
    tcp = ('127.0.0.1', port)
    assert q.submit(address=tcp) == b'Kok'
    assert s.requests[0].message == MESSAGE
    q.submit(address=tcp, sender=b'with@x')
    assert s.requests[1].message == b'X-A: v\n' + MESSAGE
    # nothing is added: nothing needs an empty line
    q.submit(b' x\n', address=tcp)
    assert s.requests[2].message == b' x\n'
    q.submit(b' x\n', address=tcp, sender=b'with@x')
    assert s.requests[3].message == b'X-A: v\n\n x\n'


GOOD = ["'X-A', ''", "'X', 'a b'", "'X-A', 'tab\\there'", "'!#$%&', 'v'",
        "'~', '~'", "('n'):rep(900), 'v'", "'X-A', ('v'):rep(900)",
        "'X-A', 42", "'X-A', 1.5", "'X-A', '\\x01\\x7f'", "'-', ' '",
        "'X-A', setmetatable({}, {__tostring=function() return 'obj' end})",
        "'X-A', qmqp_resolve('192.0.2.1:99')",
        "'X-A', m.size"]
BAD = ["'', 'v'", "'X A', 'v'", "'X:A', 'v'", "'X-A:', 'v'", "'X\\n', 'v'",
       "'X\\t', 'v'", "'X\\x7f', 'v'", "'X\\xe4', 'v'", "'X\\0', 'v'",
       "'X-A', 'a\\nb'", "'X-A', 'a\\rb'", "'X-A', 'a\\0b'", "'X-A', '\\n'",
       "'X-A', 'a\\r\\n b'", "'X-A', '\\xe4'", "'X-A', '\\xc3\\xa4'",
       "'X-A', ('v'):rep(999)", "('n'):rep(999), 'v'", "'X-A', ('v'):rep(1e6)",
       "'X-A', nil", "'X-A'", "nil, 'v'", "'X-A', {}", "'X-A', print",
       "'X-A', true", "'X-A', setmetatable({}, {__tostring="
       "function() return 'a\\nb' end})", "{}, 'v'",
       "'X-A', setmetatable({}, {__tostring=function() error('no') end})",
       "'X-A', setmetatable({}, {__tostring=function() return {} end})"]


def test_what_is_taken(qrelay, s):
    for args in GOOD:
        q = qrelay(handler=f"""m:insert_header({args})
return m:connect('{s.address}')""")
        assert q.submit() == b'Kok', args
        first = s.requests[-1].message.split(b'\n')[0]
        assert b': ' in first or first.endswith(b':'), args
        assert len(first) <= 998
        q.stop()


def test_values(qrelay, s):
    q = qrelay(handler=f"""m:insert_header('N', 42)
m:insert_header('T', 'a\\tb')
m:insert_header('A', qmqp_resolve('192.0.2.1:99'))
m:insert_header('O', setmetatable({{}}, {{__tostring=function()
  return 'obj' end}}))
return m:connect('{s.address}')""")
    assert q.submit() == b'Kok'
    assert s.requests[0].message == b'O: obj\nA: 192.0.2.1:99\nT: a\tb\n' \
        b'N: 42\n' + received() + MESSAGE


def test_what_is_refused(qrelay, s):
    """Each raises, and nothing of it is in the message."""
    tries = ''.join(f"  function(m) m:insert_header({a}) end,\n" for a in BAD)
    q = qrelay(pre='tries = {' + tries + '}', handler=f"""
m:insert_header('X-First', '1')
for i, try in ipairs(tries) do
  if pcall(try, m) then return m:reject('taken: ' .. i) end
end
return m:connect('{s.address}')""")
    assert q.submit() == b'Kok'
    assert s.requests[0].message == b'X-First: 1\n' + received() + MESSAGE


def test_line_length(qrelay, s):
    """998 bytes are a line, 999 an error."""
    q = qrelay(handler=f"""m:insert_header('X-A', ('v'):rep(998 - 5))
assert(not pcall(m.insert_header, m, 'X-A', ('v'):rep(999 - 5)))
return m:connect('{s.address}')""")
    assert q.submit() == b'Kok'
    assert len(s.requests[0].message.split(b'\n')[0]) == 998


def test_many(qrelay, s):
    """No small cap on their number."""
    q = qrelay(handler=f"""for i = 1, 3000 do
  m:insert_header('X-' .. i, 'value ' .. i) end
return m:connect('{s.address}')""")
    assert q.submit() == b'Kok'
    assert s.requests[0].message == b''.join(
        b'X-%d: value %d\n' % (i, i) for i in range(3000, 0, -1)) + \
        received() + MESSAGE


def test_lua_garbage_does_not_touch_them(qrelay, s):
    q = qrelay(handler=f"""for i = 1, 50 do
  m:insert_header('X-' .. i, ('v'):rep(i))
  collectgarbage()
end
sleep(0.05)
collectgarbage()
return m:connect('{s.address}')""")
    assert q.submit() == b'Kok'
    assert s.requests[0].message.startswith(b'X-50: ' + b'v' * 50 + b'\n')


def test_size_is_that_of_the_message(qrelay, s):
    q = qrelay(handler=f"""local before = m.size
m:insert_header('X-A', 'v')
assert(m.size == before)
return m:connect('{s.address}')""")
    assert q.submit() == b'Kok'
    assert int(q.mail()['size']) == len(MESSAGE)
