# SPDX-License-Identifier: BSD-2-Clause
"""SIGHUP: `reload`, once more for those that come meanwhile."""
import time

import pytest
from harness.qmqp import request

COUNT = """n = 0
function reload() n = n + 1 print('reload ' .. n .. '.') end"""
TELL = "return m:discard(tostring(n))"


@pytest.mark.valgrind
def test_reload(qrelay):
    q = qrelay(pre=COUNT, handler=TELL)
    assert q.submit() == b'K0'
    for i in (1, 2, 3):
        q.sighup()
        q.wait_message(f'reload {i}.')
        assert q.submit() == b'K%d' % i


def test_none_defined(qrelay):
    q = qrelay()
    for _ in range(3):
        q.sighup()
        time.sleep(0.05)
        assert q.submit() == b'Kdiscarded'


@pytest.mark.parametrize('value', ['42', "'x'", '{}', 'nil', 'false'])
def test_no_function(qrelay, value):
    q = qrelay(pre=f'reload = {value}')
    q.sighup()
    time.sleep(0.1)
    assert q.submit() == b'Kdiscarded'


def test_defined_later(qrelay):
    """Looked up when the signal comes."""
    q = qrelay(pre='n = 0', handler="""
function reload() n = n + 1 print('reloaded') end
return m:discard(tostring(n))""")
    q.submit()
    q.sighup()
    q.wait_message('reloaded')
    assert q.submit() == b'K1'


def test_changes_what_handlers_see(qrelay):
    q = qrelay(pre="text = 'old'\nfunction reload()\n  text = 'new' "
               "print('ok.')\nend", handler="return m:discard(text)")
    assert q.submit() == b'Kold'
    q.sighup()
    q.wait_message('ok.')
    assert q.submit() == b'Knew'


@pytest.mark.parametrize('error', [
    "error('my reload cause')", 'local x = nil\nreturn x.y', 'error({})',
    'coroutine.yield()', "setmetatable({}, {__index = error}).x()"])
def test_error_is_logged(qrelay, error):
    q = qrelay(pre="n = 0\nfunction reload()\nn = n + 1\n"
               f"print('try ' .. n .. '.')\n{error}\nend", handler=TELL)
    for i in (1, 2):
        q.sighup()
        q.wait_message(f'try {i}.')
        assert q.submit() == b'K%d' % i
    said = '\n'.join(q.messages())
    assert 'config.lua:' in said or 'reload' in said.replace('try', '')
    if 'cause' in error:
        assert said.count('config.lua:5: my reload cause') == 2


def test_waits_alone(qrelay):
    """Mail goes on while reload sleeps."""
    q = qrelay(pre="n = 0\nfunction reload() sleep(1) n = n + 1 "
               "print('done.') end", handler=TELL)
    q.sighup()
    time.sleep(0.1)
    for _ in range(10):
        assert q.submit() == b'K0'
    q.wait_message('done.')
    assert q.submit() == b'K1'


@pytest.mark.parametrize('signals', [1, 2, 5])
def test_one_more_for_those_meanwhile(qrelay, signals):
    q = qrelay(pre="""started, done = 0, 0
function reload()
  started = started + 1
  print('started ' .. started .. '.')
  sleep(0.5)
  done = done + 1
  print('done ' .. done .. '.')
end""", handler="return m:discard(started .. ' ' .. done)")
    q.sighup()
    q.wait_message('started 1.')
    for _ in range(signals):
        q.sighup()
        time.sleep(0.02)
    assert q.submit() == b'K1 0'
    q.wait_message('done 2.')
    time.sleep(0.3)
    assert q.submit() == b'K2 2'
    q.sighup()
    q.wait_message('done 3.')


def test_one_more_after_an_error(qrelay):
    q = qrelay(pre="""n = 0
function reload()
  n = n + 1
  print('started ' .. n .. '.')
  sleep(0.3)
  error('oops')
end""", handler=TELL)
    q.sighup()
    q.wait_message('started 1.')
    q.sighup()
    q.wait_message('started 2.')
    time.sleep(0.4)
    assert q.submit() == b'K2'


def test_during_mails(qrelay):
    """Mails in flight are not disturbed."""
    q = qrelay(pre=COUNT, handler="sleep(0.5) return m:discard(m.sender)")
    clients = [q.client().send(request(sender=b'%d@x' % i))
               for i in range(10)]
    half = q.client().send(request()[:20])
    q.sighup()
    q.wait_message('reload 1.')
    for i, c in enumerate(clients):
        assert c.reply() == b'K%d@x' % i
        c.close()
    assert half.send(request()[20:]).reply() == b'Ka@example.org'
    half.close()


def test_resolves_and_may_not_listen(qrelay):
    q = qrelay(pre="""function reload()
  print('address ' .. tostring(qmqp_resolve('localhost:99')))
  print('listen ' .. tostring(pcall(qmqp_listen, '$DIR/late',
    function() end)))
end""")
    q.sighup()
    q.wait_message('address ')
    q.wait_message('listen false')
    assert not (q.dir / 'late').exists()


def test_at_once_after_the_start(qrelay):
    """A signal during a start that waits kills nobody."""
    q = qrelay(f"""sleep(0.5)
{COUNT}
qmqp_listen('$SOCK', function(m) {TELL} end)""", wait=False)
    time.sleep(0.25)
    q.sighup()
    q.wait_ready()
    assert q.submit() in (b'K0', b'K1')


def test_many_do_not_leak(qrelay):
    q = qrelay(pre="""n = 0
function reload() n = n + 1 print('reload ' .. n .. '.') sleep(0) end""")
    q.sighup()
    q.wait_message('reload 1.')
    fds, rss = q.fds(), q.rss()
    for i in range(2, 100):
        q.sighup()
        q.wait_message(f'reload {i}.')
    q.wait_fds(fds)
    q.check_rss(rss + (2 << 20))


def test_error_closes_variables(qrelay):
    """At once, not when the next one begins."""
    q = qrelay(pre="""function reload()
  local c <close> = setmetatable({}, {__close = function(_, e)
    print('closed: ' .. tostring(e)) end})
  sleep(0)
  error('broken', 0)
end""")
    q.sighup()
    q.wait_message('reload failed')
    q.wait_message('closed: broken', 2)
    assert q.submit() == b'Kdiscarded'
