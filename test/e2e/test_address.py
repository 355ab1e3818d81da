# SPDX-License-Identifier: BSD-2-Clause
"""qmqp_resolve and the strings that connect takes."""
import shutil
import time

import pytest
from harness.daemon import StartError
from harness.env import free_port, slow

PRINTED = {
    '192.168.0.2': '192.168.0.2:628', '192.168.0.2:1': '192.168.0.2:1',
    '[::1]:4321': '[::1]:4321', '::1': '[::1]:628', '[::1]': '[::1]:628',
    '2001:db8::1': '[2001:db8::1]:628', '/run/server5.sock': None,
    '@server4': None, '127.0.0.1:65535': None, '[::ffff:1.2.3.4]:5': None,
    '2001:0db8:0:0::0001': '[2001:db8::1]:628',
}


@pytest.mark.valgrind
@pytest.mark.parametrize('text', PRINTED)
def test_printed(qrelay, text):
    """tostring prints what connect would take, and reads back the same."""
    q = qrelay(pre=f"a = qmqp_resolve('{text}')", handler="""
local t = tostring(a)
assert(tostring(qmqp_resolve(t)) == t)
m:connect(t) m:connect(a)
return m:discard(t)""")
    printed = q.submit()[1:].decode()
    assert printed in (PRINTED[text] or text,
                       (PRINTED[text] or text).removesuffix(':628'),
                       text)


def test_scope(qrelay):
    """fe80::1%eth0, here with the interface that is always there."""
    q = qrelay(pre="a = qmqp_resolve('fe80::1%lo')",
               handler='return m:discard(tostring(a))')
    assert b'fe80::1%lo' in q.submit()


BAD = ['', ' ', '127.0.0.1:', '127.0.0.1:65536',
       '127.0.0.1:-1', '127.0.0.1:+1', '127.0.0.1: 1', '127.0.0.1:1x',
       '127.0.0.1:x', '[::1', '[::1]x', '[::1]:', '[::1]:99999', '[]', '[]:1',
       '[127.0.0.1]:1', '@', 'host:x', ':628', '::1::2', '[:::]:1',
       '/' + 'x' * 108, '@' + 'x' * 108, 'no such host',
       'does-not-exist.invalid', 'does-not-exist.invalid:628', 'a b:1',
       'x' * 300, 'fe80::1%nosuchif', '::1%', 'fe80::1%']


@pytest.mark.parametrize('text', BAD)
@pytest.mark.parametrize('when', ['start', 'handler'])
def test_bad(qrelay, text, when):
    """It raises, and names the string."""
    if when == 'start':
        with pytest.raises(StartError) as e:
            qrelay(pre=f"a = qmqp_resolve('{text}')")
        assert e.value.code == 1
        assert text[:60] in e.value.output
        assert 'config.lua:1' in e.value.output
    else:
        q = qrelay(handler=f"""local ok, err = pcall(qmqp_resolve, '{text}')
return m:discard(tostring(ok) .. ' ' .. err)""")
        reply = q.submit(timeout=30)
        assert reply.startswith(b'Kfalse ')
        assert text[:60].encode() in reply


@pytest.mark.parametrize('code', ['nil', '{}', '1', 'true', '', 'print',
                                  "'a\\0b'", "'/a\\0b'"])
def test_bad_types(qrelay, code):
    q = qrelay(handler=f"return m:discard(tostring(pcall(qmqp_resolve"
               f"{', ' + code if code else ''})))")
    assert q.submit(timeout=30) == b'Kfalse'


@pytest.mark.parametrize('text', [
    'localhost', 'localhost:628', 'example.org', 'server1.local:1234',
    'systemd'])
def test_host_name_in_connect(qrelay, text):
    """An error that names qmqp_resolve, at once."""
    q = qrelay(handler=f"""local ok, err = pcall(m.connect, m, '{text}')
return m:discard(tostring(ok) .. ' ' .. tostring(err))""")
    start = time.monotonic()
    reply = q.submit()
    assert time.monotonic() - start < slow(10)
    assert reply.startswith(b'Kfalse ')
    assert b'qmqp_resolve' in reply


@pytest.mark.parametrize('text', ['', '@', '127.0.0.1:99999',
                                  '[::1', '/' + 'x' * 120])
def test_bad_string_in_connect(qrelay, text):
    q = qrelay(handler=f"return m:connect('{text}')")
    assert q.submit() == b'Zscript failed'


@pytest.mark.parametrize('text', ['127.0.0.1', '::1', '[::1]', '@x', '/x',
                                  '127.0.0.1:628', '[::1]:9'])
def test_good_string_in_connect(qrelay, text):
    q = qrelay(handler=f"m:connect('{text}') return m:discard()")
    assert q.submit() == b'Kdiscarded'


def test_address_object(qrelay, server):
    s = server()
    q = qrelay(pre=f"a = qmqp_resolve('{s.address}')",
               handler="collectgarbage() return m:connect(a)")
    for _ in range(3):
        assert q.submit() == b'Kok'
    assert q.mails(3)[0]['target'] == s.address.encode()


def test_address_outlives_its_collection(qrelay, server):
    """An action holds what it needs."""
    s = server()
    q = qrelay(handler=f"""local act = m:connect(qmqp_resolve('{s.address}'))
for i = 1, 3 do collectgarbage() end
sleep(0.05)
collectgarbage()
return act""")
    assert q.submit() == b'Kok'


# ---- host names ----

def with_hosts(folder, lines):
    """A command prefix that gives the daemon its own /etc/hosts."""
    hosts = folder / 'hosts'
    hosts.write_text(''.join(x + '\n' for x in lines))
    if shutil.which('unshare') is None:
        pytest.skip('no unshare here')
    return ['unshare', '-m', 'sh', '-c',
            f'mount --bind {hosts} /etc/hosts && exec "$@"', 'sh']


def test_localhost(qrelay, server):
    s = server()
    q = qrelay(pre=f"a = qmqp_resolve('localhost:{s.port}')",
               handler='return m:connect(a)')
    assert q.submit() == b'Kok'


def test_name_in_a_handler(qrelay, server):
    s = server()
    q = qrelay(handler=f"return m:connect(qmqp_resolve('localhost:{s.port}'))")
    assert q.submit() == b'Kok'


@pytest.mark.parametrize('listening', ['127.0.0.1', '::1'])
def test_next_address(qrelay, server, folder, root, listening):
    """Refused by one, it is taken to the next; whichever comes first."""
    s = server(where=listening)
    q = qrelay(prefix=with_hosts(folder, ['127.0.0.1 two.test',
                                          '::1 two.test']),
               pre=f"a = qmqp_resolve('two.test:{s.port}')",
               handler='return m:connect(a)')
    before = q.fds()
    for _ in range(3):
        assert q.submit() == b'Kok'
    assert len(s.requests) == 3
    q.wait_fds(before)
    assert all(m['verdict'] == b'K' and b'%d' % s.port in m['target']
               for m in q.mails(3))


def test_no_address_left(qrelay, folder, root):
    port = free_port()
    q = qrelay(prefix=with_hosts(folder, ['127.0.0.1 two.test',
                                          '::1 two.test']),
               pre=f"a = qmqp_resolve('two.test:{port}')",
               handler='return m:connect(a)')
    assert q.submit() == b'Zconnect failed'
    assert q.submit() == b'Zconnect failed'
    q.mails(2)


@pytest.mark.parametrize('how', ['read some, then reset', 'read all', 'hang',
                                 'close at once', 'refuse with Z'])
def test_never_a_second_server(qrelay, server, folder, root, how):
    """Once a byte may have reached one server no other is tried."""
    def script(conn):
        if how.startswith('read some'):
            conn.read_some(1)
            conn.reset()
        elif how == 'read all':
            conn.read_request()
        elif how == 'hang':
            conn.wait_eof()
        elif how == 'refuse with Z':
            conn.read_request()
            conn.answer(b'Zbusy')

    a = server(script, '127.0.0.1')
    b = server(script, '::1', port=a.port)
    q = qrelay(prefix=with_hosts(folder, ['127.0.0.1 two.test',
                                          '::1 two.test']),
               pre=f"a = qmqp_resolve('two.test:{a.port}')",
               handler='return m:connect(a, {timeout=1})')
    for i in (1, 2):
        assert q.submit()[:1] == b'Z'
        time.sleep(0.1)
        assert a.connections + b.connections == i
    q.mails(2)
