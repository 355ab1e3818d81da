# SPDX-License-Identifier: BSD-2-Clause
"""discard, reject, defer; actions as inert objects; their options."""
import threading

import pytest
from harness.qmqp import request

ACTIONS = [('discard', b'Kdiscarded', b'K'), ('reject', b'Drejected', b'D'),
           ('defer', b'Zdeferred', b'Z')]


@pytest.mark.valgrind
@pytest.mark.parametrize('name, default, code', ACTIONS)
def test_texts(qrelay, name, default, code):
    q = qrelay(handler=f"""
if m.sender == 'none@x' then return m:{name}() end
if m.sender == 'nil@x' then return m:{name}(nil) end
if m.sender == 'long@x' then return m:{name}(('t'):rep(5000)) end
if m.sender == 'exact@x' then return m:{name}(('t'):rep(255)) end
if m.sender == 'ctl@x' then return m:{name}('a\\nb\\rc\\0d\\te\\x7ff\\27') end
if m.sender == 'high@x' then return m:{name}('\\xe4\\u{{e4}}') end
return m:{name}('because')""")
    assert q.submit() == code + b'because'
    assert q.submit(sender=b'none@x') == default
    assert q.submit(sender=b'nil@x') == default
    assert q.submit(sender=b'long@x') == code + b't' * 255
    assert q.submit(sender=b'exact@x') == code + b't' * 255
    assert q.submit(sender=b'ctl@x') == code + b'a b c d e f '
    assert q.submit(sender=b'high@x') == code + b'\xe4\xc3\xa4'
    assert len(q.mails(7)[3]['text']) == 255


@pytest.mark.parametrize('name', ['discard', 'reject', 'defer'])
@pytest.mark.parametrize('arg', ['{}', 'print', 'true', 'm'])
def test_text_of_a_wrong_type(qrelay, name, arg):
    q = qrelay(handler=f"return m:{name}({arg})")
    assert q.submit() == b'Zscript failed'


def test_making_one_does_nothing(qrelay, server):
    s = server()
    q = qrelay(handler=f"""m:reject() m:defer()
m:connect('{s.address}') m:connect('127.0.0.1:1')
return m:discard('only this')""")
    assert q.submit() == b'Konly this'
    assert s.connections == 0


@pytest.mark.valgrind
def test_reused(qrelay, server):
    """They belong to no mail: one may be returned again and again."""
    s = server()
    q = qrelay(handler=f"""if not act then
  act = {{m:connect('{s.address}'), m:discard('one'), m:reject('two')}}
  n = 0
end
n = n + 1
collectgarbage()
return act[n % 3 + 1]""")
    for _ in range(5):
        assert q.submit() == b'Kone'
        assert q.submit() == b'Dtwo'
        assert q.submit() == b'Kok'
    assert len(s.requests) == 5


def test_reused_at_the_same_time(qrelay, server):
    gate = threading.Event()

    def script(conn):
        if conn.read_request():
            gate.wait(10)
            conn.answer(b'Kok')

    s = server(script)
    q = qrelay(handler=f"act = act or m:connect('{s.address}') return act")
    clients = [q.client().send(request()) for _ in range(10)]
    s.wait_requests(10)
    gate.set()
    for c in clients:
        assert c.reply() == b'Kok'
        c.close()


BAD_OPTIONS = {
    'unknown': ('{bogus=1}', 'bogus'),
    'misspelt': ('{time_out=1}', 'time_out'),
    'array': ('{5}', ''),
    'timeout 0': ('{timeout=0}', 'timeout'),
    'timeout negative': ('{timeout=-1}', 'timeout'),
    'timeout too long': ('{timeout=3600.1}', 'timeout'),
    'timeout infinite': ('{timeout=math.huge}', 'timeout'),
    'timeout NaN': ('{timeout=0/0}', 'timeout'),
    'timeout text': ("{timeout='soon'}", 'timeout'),
    'timeout table': ('{timeout={}}', 'timeout'),
    'timeout true': ('{timeout=true}', 'timeout'),
    'connect_timeout 0': ('{connect_timeout=0}', 'connect_timeout'),
    'connect_timeout long': ('{connect_timeout=1e9}', 'connect_timeout'),
    'connect_timeout NaN': ('{connect_timeout=0/0}', 'connect_timeout'),
    'connect_timeout text': ("{connect_timeout='x'}", 'connect_timeout'),
    'no table': ('1', ''),
    'text': ("'x'", ''),
}


@pytest.mark.parametrize('case', BAD_OPTIONS)
def test_bad_options(qrelay, server, case):
    options, word = BAD_OPTIONS[case]
    s = server()
    q = qrelay(handler=f"""local ok, err = pcall(function()
  return m:connect('{s.address}', {options}) end)
return m:discard(tostring(ok) .. ' ' .. tostring(err))""")
    reply = q.submit()
    assert reply.startswith(b'Kfalse ')
    assert word.encode() in reply
    assert s.connections == 0


@pytest.mark.parametrize('options', [
    '{}', 'nil', '{timeout=3600}', '{timeout=0.5}', '{timeout=1e-3 + 2}',
    '{timeout=5, connect_timeout=3600}', '{connect_timeout=0.5}'])
def test_good_options(qrelay, server, options):
    s = server()
    q = qrelay(handler=f"return m:connect('{s.address}', {options})")
    assert q.submit() == b'Kok'
