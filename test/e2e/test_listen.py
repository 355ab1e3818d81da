# SPDX-License-Identifier: BSD-2-Clause
"""Every form of qmqp_listen's first argument, and its options."""
import os
import socket
import stat

import pytest
from harness.daemon import StartError
from harness.env import free_port, wait_until
from harness.qmqp import request

H = 'function(m) return m:discard() end'


def test_path(qrelay):
    q = qrelay(f"qmqp_listen('$DIR/a.sock', {H})")
    assert q.submit(address=q.dir / 'a.sock') == b'Kdiscarded'
    assert q.mail()['listener'] == b'%s/a.sock' % os.fsencode(q.dir)


def test_relative_path(qrelay):
    """Relative to the script's folder, wherever we were started."""
    q = qrelay(f"qmqp_listen('rel.sock', {H})", cwd='/')
    assert q.submit(address=q.dir / 'rel.sock') == b'Kdiscarded'


def test_relative_path_with_folder(qrelay, folder):
    (folder / 'sub').mkdir()
    q = qrelay(f"qmqp_listen('sub/r.sock', {H})", directory=folder)
    assert q.submit(address=folder / 'sub' / 'r.sock') == b'Kdiscarded'


def test_the_string_systemd_is_a_path(qrelay):
    q = qrelay(f"qmqp_listen('systemd', {H})")
    assert q.submit(address=q.dir / 'systemd') == b'Kdiscarded'


def test_abstract(qrelay):
    name = f'@qrelay-test-{os.getpid()}'
    q = qrelay(f"qmqp_listen('{name}', {H})")
    assert q.submit(address=name) == b'Kdiscarded'
    m = q.mail()
    assert m['listener'] == name.encode()
    assert m['uid'] == b'%d' % os.geteuid()


@pytest.mark.parametrize('host, form', [
    ('127.0.0.1', '127.0.0.1:{}'), ('127.0.0.1', '0.0.0.0:{}'),
    ('::1', '[::1]:{}'), ('::1', '[::]:{}')])
def test_tcp(qrelay, host, form):
    port = free_port(host)
    text = form.format(port)
    q = qrelay(f"qmqp_listen('{text}', {H})")
    assert q.submit(address=(host, port)) == b'Kdiscarded'
    assert q.mail()['listener'] == text.encode() or '[' in text


@pytest.mark.parametrize('text, host', [
    ('127.0.0.9', '127.0.0.9'), ('::1', '::1')])
def test_default_port(qrelay, root, text, host):
    try:
        q = qrelay(f"qmqp_listen('{text}', {H})")
    except StartError as e:
        if 'in use' in e.output:
            pytest.skip('port 628 is in use on this machine')
        raise
    assert q.submit(address=(host, 628)) == b'Kdiscarded'


@pytest.mark.parametrize('form', ['path', 'tcp', 'abstract'])
def test_address_object(qrelay, form):
    port = free_port()
    text, where = {
        'path': ('$DIR/o.sock', None), 'tcp': (f'127.0.0.1:{port}',
                                               ('127.0.0.1', port)),
        'abstract': (f'@qo{os.getpid()}', f'@qo{os.getpid()}')}[form]
    q = qrelay(f"qmqp_listen(qmqp_resolve('{text}'), {H})")
    assert q.submit(address=where or q.dir / 'o.sock') == b'Kdiscarded'


@pytest.mark.valgrind
def test_several_listeners(qrelay):
    port = free_port()
    q = qrelay(f"""function h(m) return m:discard('shared') end
qmqp_listen('$DIR/1', h)
qmqp_listen('$DIR/2', h)
qmqp_listen('127.0.0.1:{port}', function(m) return m:reject('own') end)""")
    assert q.submit(address=q.dir / '1') == b'Kshared'
    assert q.submit(address=q.dir / '2') == b'Kshared'
    assert q.submit(address=('127.0.0.1', port)) == b'Down'


@pytest.mark.parametrize('option, mode', [
    ('', 0o666), (', {}', 0o666), (', {mode=0600}', 0o600),
    (', {mode=0660}', 0o660), (', {mode=0622}', 0o622)])
@pytest.mark.parametrize('umask', [0o022, 0o077, 0])
def test_mode(qrelay, option, mode, umask):
    """The mode as it is written in the script, whatever the umask."""
    q = qrelay(f"qmqp_listen('$SOCK', {H}{option})", umask=umask)
    st = os.lstat(q.sock)
    assert stat.S_ISSOCK(st.st_mode)
    assert oct(stat.S_IMODE(st.st_mode)) == oct(mode)


def test_backlog(qrelay):
    """As many clients as it holds may wait; the next one does not."""
    q = qrelay(f"qmqp_listen('$SOCK', {H}, {{backlog=3}})",
               max_connections=1, max_connections_per_uid=1)
    clients = []
    try:
        for _ in range(12):
            s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            clients.append(s)
            s.setblocking(False)
            s.connect(q.sock)
        raise AssertionError('the backlog has no end')
    except BlockingIOError:
        assert 4 <= len(clients) <= 7
    for s in clients:
        s.close()

    def served():
        try:
            return q.submit() == b'Kdiscarded'
        except BlockingIOError:     # the closed ones are not accepted yet
            return False
    wait_until(served, 'the next one is served')


BAD = {
    'unknown option': ("'$SOCK', h, {bogus=1}", 'bogus'),
    'mode of a wrong type': ("'$SOCK', h, {mode={}}", 'mode'),
    'backlog of a wrong type': ("'$SOCK', h, {backlog='x'}", 'backlog'),
    'options that are no table': ("'$SOCK', h, 1", ''),
    'no handler': ("'$SOCK'", ''),
    'a handler that is no function': ("'$SOCK', 'h'", ''),
    'no address': ("nil, h", ''),
    'an address of a wrong type': ("{}, h", ''),
    'an empty string': ("'', h", ''),
    'a port out of range': ("'127.0.0.1:65536', h", '65536'),
    'a path too long': ("'/" + 'x' * 120 + "', h", 'xxxx'),
    'a missing folder': ("'$DIR/missing/q', h", 'missing/q'),
    'a NUL in the path': (r"'$DIR/a\0b', h", ''),
    'an address not ours': ("'192.0.2.1:6280', h", '192.0.2.1:6280'),
    'the same path twice': ("'$SOCK', h) qmqp_listen('$SOCK', h", 'q.sock'),
}


@pytest.mark.parametrize('case', BAD)
def test_bad_arguments(qrelay, case):
    args, names = BAD[case]
    with pytest.raises(StartError) as e:
        qrelay(f"function h() end\n\nqmqp_listen({args})\n")
    assert e.value.code == 1
    assert 'config.lua:3' in e.value.output
    assert names in e.value.output


def test_port_in_use(qrelay):
    port = free_port()
    with socket.create_server(('127.0.0.1', port)):
        with pytest.raises(StartError) as e:
            qrelay(f"qmqp_listen('127.0.0.1:{port}', {H})")
    assert e.value.code == 1
    assert f'127.0.0.1:{port}' in e.value.output
    assert 'config.lua:1' in e.value.output


def test_after_start(qrelay):
    """A clear error, and the daemon lives."""
    q = qrelay(f"""qmqp_listen('$SOCK', function(m)
  local ok, err = pcall(qmqp_listen, '$DIR/late', {H})
  return m:discard(tostring(ok) .. ' ' .. tostring(err))
end)""")
    reply = q.submit()
    assert reply.startswith(b'Kfalse ')
    assert b'qmqp_listen' in reply or b'start' in reply
    assert not (q.dir / 'late').exists()


def test_nothing_is_accepted_while_the_script_waits(qrelay):
    q = qrelay(f"qmqp_listen('$DIR/early', {H})\nprint('called')\n"
               f"sleep(0.7)\nqmqp_listen('$SOCK', {H})", wait=False)
    q.wait_message('called')
    try:
        with q.client(q.dir / 'early') as c:
            assert c.send(request()).silent(0.3)
    except (FileNotFoundError, ConnectionRefusedError):
        pass
    q.wait_ready()
    assert q.submit(address=q.dir / 'early') == b'Kdiscarded'
    assert q.submit() == b'Kdiscarded'
