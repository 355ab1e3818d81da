# SPDX-License-Identifier: BSD-2-Clause
"""Handlers that fail: the client gets `Zscript failed`, the log says why,
the next mail is fine."""
import os
import re
import signal
import threading
import time

import pytest
from harness.env import wait_until
from harness.qmqp import request

FAILED = b'Zscript failed'


def sick(qrelay, body, **kwargs):
    """A daemon whose handler runs `body` unless the sender is ok@x."""
    return qrelay(handler=f"if m.sender == 'ok@x' then return m:discard() end"
                  f"\n{body}", **kwargs)


def check(q, times=1):
    for _ in range(times):
        assert q.submit() == FAILED
        assert q.submit(sender=b'ok@x') == b'Kdiscarded'
    logged = q.mails(2 * times)
    for m in logged[::2]:
        assert m['verdict'] == b'Z'
        assert m['text'] == b'script failed'
        assert 'where' in m


@pytest.mark.valgrind
def test_error_with_traceback(qrelay):
    q = sick(qrelay, "inner()", pre="""
function inner()
  error('my cause')
end""")
    check(q)
    out = '\n'.join(q.messages())
    assert 'my cause' in out
    assert re.search(r'config\.lua:\d+: my cause', out)
    assert 'traceback' in out
    assert 'inner' in out


ERRORS = {
    'nil index': ("local x = nil\nreturn x.y", 'nil value'),
    'unknown method': ("return m:bogus()", 'bogus'),
    'error(table)': ("error({})", ''),
    'error(nil)': ("error(nil)", ''),
    'error with __tostring': ("error(setmetatable({}, {__tostring="
                              "function() return 'custom' end}))", 'custom'),
    'error in __tostring': ("error(setmetatable({}, {__tostring="
                            "function() error('again') end}))", ''),
    'huge message': ("error(('x'):rep(1000000))", 'xxx'),
    'message with newlines': ("error('a\\nid=forged verdict=K\\nb')", 'a'),
    'message with bytes': ("error('\\xff\\0\\27[2J')", ''),
    'stack overflow': ("local function f() return 1 + f() end\nreturn f()",
                       'overflow'),
    'C stack overflow': ("local function f(s) return s:gsub('.', f) end\n"
                         "return f('x')", 'overflow'),
    'deep pattern': ("return ('('):rep(100):find(('('):rep(100))", ''),
    'error in an upvalue call': ("return (function() error('up') end)()",
                                 'up'),
    'error behind sleep': ("sleep(0.01)\nerror('woken')", 'woken'),
    'error in own coroutine': ("return coroutine.wrap(function()\n"
                               "error('wrapped') end)()", 'wrapped'),
    'assert': ("assert(false, 'asserted')", 'asserted'),
}


@pytest.mark.parametrize('case', ERRORS)
def test_errors(qrelay, case):
    body, cause = ERRORS[case]
    q = sick(qrelay, body)
    check(q, 2)
    assert cause in '\n'.join(q.messages())
    assert q.messages()


RETURNS = ['nil', '', 'true', 'false', '0', "'K'", "'Kok'", '{}', 'print',
           'm', 'm.recipients', 'io.stdout', 'coroutine.create(print)',
           "setmetatable({}, {__index = function() return 'K' end})",
           "setmetatable({}, getmetatable(m:discard()))",
           'qmqp_resolve("127.0.0.1")', 'm.discard', 'systemd']


@pytest.mark.parametrize('value', RETURNS)
def test_wrong_return_value(qrelay, value):
    check(sick(qrelay, f'return {value}'))


def test_additional_return_values_do_not_matter(qrelay):
    q = qrelay(handler='return m:discard(), 1, nil, print')
    assert q.submit() == b'Kdiscarded'


YIELDS = {
    'plain': 'coroutine.yield()',
    'with values': "coroutine.yield(m:discard(), 1)",
    'of an action': 'return coroutine.yield(m:discard())',
    'in a pcall': 'pcall(coroutine.yield)',
    'in a loop': 'while true do pcall(coroutine.yield) end',
    'of a number': 'coroutine.yield(1)',
    'in a metamethod': 'local t = setmetatable({}, {__index = '
                       'function() return coroutine.yield() end})\n'
                       'return t.x',
    'in __close': 'local x <close> = setmetatable({}, '
                  '{__close = function() coroutine.yield() end})\n'
                  'return m:discard()',
    'in close after an error': 'local x <close> = setmetatable({}, '
                               '{__close = function() coroutine.yield() end})'
                               "\nerror('x')",
    'of the coroutine itself': 'coroutine.yield(coroutine.running())',
}


@pytest.mark.parametrize('case', YIELDS)
def test_foreign_yield(qrelay, case):
    """A yield that is not ours ends the mail."""
    check(sick(qrelay, YIELDS[case]), 2)


def test_own_coroutines_work(qrelay):
    q = qrelay(handler="""local co = coroutine.wrap(function(a)
  local b = coroutine.yield(a + 1)
  return b * 2
end)
local x = co(1)
sleep(0.01)
return m:discard(x .. ' ' .. co(21))""")
    assert q.submit() == b'K2 42'


@pytest.mark.parametrize('waits', ['sleep(0.01)',
                                   "qmqp_resolve('localhost:1')"])
def test_waiting_inside_an_own_coroutine(qrelay, waits):
    q = qrelay(handler=f"""local co = coroutine.create(function()
  {waits} return 'waited' end)
local ok, err = coroutine.resume(co)
return m:discard(tostring(ok) .. ' ' .. tostring(err))""")
    reply = q.submit()
    assert reply.startswith(b'Kfalse ')
    assert b'cannot wait inside a coroutine of the script' in reply
    q.mail()


def test_resuming_the_handler_itself(qrelay):
    """A script that gets hold of a waiting handler's coroutine can neither
    wake it nor crash us."""
    q = qrelay(pre='others = {}', handler="""
if m.sender == 'wait@x' then
  others[1] = coroutine.running()
  sleep(0.7)
  return m:discard('slept')
end
local ok = coroutine.resume(others[1], 'surprise')
local closed = pcall(coroutine.close, others[1])
return m:discard('poked')""")
    with q.client() as c:
        c.send(request(sender=b'wait@x'))
        assert c.silent(0.2)
        q.submit()
        assert c.reply()[:1] in (b'K', b'Z')
    assert q.submit(sender=b'wait@x') == b'Kslept'
    q.mails(3)


def test_error_does_not_undo_the_others(qrelay):
    """One handler fails while another waits."""
    q = qrelay(handler="if m.sender == 'wait@x' then sleep(0.5) "
               "return m:discard('slept') end error('x')")
    with q.client() as c:
        c.send(request(sender=b'wait@x'))
        for _ in range(5):
            assert q.submit() == FAILED
        assert c.reply() == b'Kslept'


def test_answers_do_not_wait_for_other_handlers(qrelay):
    """Each mail goes on when its own handler is done, though the clients
    have all sent before the first one ran."""
    q = qrelay(handler="local t = os.clock() "
               "while os.clock() - t < 0.05 do end return m:discard()")
    before = len(q.fds())
    clients = [q.client() for _ in range(12)]
    wait_until(lambda: len(q.fds_now()) == before + 12, 'all are accepted')
    os.kill(q.pid, signal.SIGSTOP)
    for c in clients:
        c.send(request())
    os.kill(q.pid, signal.SIGCONT)
    times = []

    def wait(c):
        assert c.reply() == b'Kdiscarded'
        times.append(time.monotonic())

    start = time.monotonic()
    threads = [threading.Thread(target=wait, args=(c,)) for c in clients]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for c in clients:
        c.close()
    assert len(times) == len(clients)
    assert min(times) - start < (max(times) - start) / 2
