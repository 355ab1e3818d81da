# SPDX-License-Identifier: BSD-2-Clause
"""m.cgroup: what a handler learns of the client's control group."""
import os
import re
import shutil

import pytest
from cgroups import NOBODY, kernel
from cgroups import submitter, tree  # noqa: F401
from harness.env import WRAPPER, free_port, wait_until
from harness.qmqp import request
from harness.server import answering

pytestmark = pytest.mark.skipif(
    kernel() < (6, 5), reason='SO_PEERPIDFD came with Linux 6.5')


PEERPIDFD = r'SOL_SOCKET, (SO_PEERPIDFD|0x4d\b|77\b)'


@pytest.fixture
def nested(tree):
    """Three deep, each with attributes."""
    tree.make('a', at='a', top='yes')
    tree.make('a/b', at='b')
    tree.make('a/b/c', at='c', name='alice')
    return 'a/b/c'


def show(expression):
    """A handler whose reply shows the value, or the error."""
    return ('local ok, value = pcall(function() return ' + expression +
            ' end) return m:discard(tostring(value))')


def text(reply):
    assert reply[:1] == b'K', reply
    return os.fsdecode(reply[1:])


@pytest.fixture(params=['root', 'nobody'])
def daemon(request, qrelay):
    """qrelay(), as root and as an ordinary user."""
    def factory(handler, pre=''):
        q = qrelay(f"{pre}\nqmqp_listen('@$SOCK', function(m)\n{handler}\n"
                   "end)\n",
                   prefix=NOBODY if request.param == 'nobody' else ())
        q.sock = '@' + q.sock
        return q
    return factory


@pytest.mark.parametrize('expression', ['m.cgroup.path', 'm.cgroup'])
def test_path(daemon, submitter, tree, nested, expression):
    q = daemon(show(expression))
    assert text(submitter(nested, q.sock).submit()) == tree.path(nested)
    # once more, now that it is remembered
    assert text(submitter(nested, q.sock).submit()) == tree.path(nested)


def test_xattr(daemon, submitter, tree, nested):
    q = daemon('''
      local x = m.cgroup.xattr
      assert(type(x) == 'table')
      assert(x['user.name'] == 'alice' and x.name == 'alice')
      assert(x.at == 'c' and x.none == nil and x['user.none'] == nil)
      assert(x['trusted.none'] == nil and x['security.none'] == nil)
      assert(x[1] == nil and x[''] == nil and x['a\\0b'] == nil)
      assert(x[string.rep('x', 250)] == nil and x[string.rep('x', 251)] == nil)
      assert(x['user.name\\0'] == nil and x['what.ever'] == nil)
      assert(next(x) == nil)
      local found = {}
      for k, v in pairs(x) do found[#found + 1] = k .. '=' .. v end
      table.sort(found)
      assert(not pcall(function() x.name = 'bob' end))
      return m:discard(table.concat(found, ' '))''')
    reply = submitter(nested, q.sock).submit()
    assert text(reply) == 'user.at=c user.name=alice', q.output()


def test_xattr_values(daemon, submitter, tree):
    tree.make('a')
    for size in (0, 1, 511, 512, 513, 65536):
        os.setxattr(tree.dir('a'), f'user.s{size}',
                    bytes(i * 7 % 256 for i in range(size)))
        q = daemon(f'''
          local v = m.cgroup.xattr.s{size}
          assert(#v == {size})
          for i = 1, #v do assert(v:byte(i) == (i - 1) * 7 % 256) end
          for k, w in pairs(m.cgroup.xattr) do assert(v == w) end
          return m:discard('fine')''')
        assert text(submitter('a', q.sock).submit()) == 'fine', q.output()
        os.removexattr(tree.dir('a'), f'user.s{size}')


def test_name_with_dots(daemon, submitter, tree):
    tree.make('a', **{'mail.account': 'x'})
    q = daemon(show("m.cgroup.xattr['mail.account'] .. "
                    "m.cgroup.xattr['user.mail.account']"))
    assert text(submitter('a', q.sock).submit()) == 'xx'


def test_parents(daemon, submitter, tree, nested):
    q = daemon('''
      local c, all = m.cgroup, {}
      while c do
        all[#all + 1] = c.path .. ':' .. tostring(c.xattr.at)
        c = c.parent
      end
      return m:discard(table.concat(all, ' '))''')
    assert text(submitter(nested, q.sock).submit()) == ' '.join([
        tree.path('a/b/c') + ':c', tree.path('a/b') + ':b',
        tree.path('a') + ':a', tree.path() + ':nil', '/:nil'])


def test_owner(daemon, submitter, tree, nested):
    os.chown(tree.dir('a/b/c'), 1234, 1235)
    q = daemon(show("m.cgroup.uid .. ' ' .. m.cgroup.parent.uid"))
    assert text(submitter(nested, q.sock).submit()) == '1234 0'


def test_client_of_another_user(daemon, submitter, tree, nested):
    q = daemon(show("m.uid .. ' ' .. m.gid .. ' ' .. m.cgroup.xattr.name"))
    one = submitter(nested, q.sock, uid=1234)
    assert text(one.submit()) == '1234 1234 alice'


def test_one_object_a_mail(daemon, submitter, tree, nested):
    q = daemon('''
      local c = m.cgroup
      assert(c == m.cgroup and c.parent == m.cgroup.parent)
      assert(c.xattr == m.cgroup.xattr and c ~= c.parent)
      assert(c.xattr ~= c.parent.xattr)
      assert(c.pid == nil and c.name == nil and c[1] == nil and c[c] == nil)
      assert(not pcall(function() c.path = 'x' end))
      assert(not pcall(function() m.cgroup = nil end))
      assert(getmetatable(c) == false and getmetatable(c.xattr) == false)
      return m:discard('fine')''')
    assert text(submitter(nested, q.sock).submit()) == 'fine', q.output()


def test_header(qrelay, server, submitter, tree, nested):
    s = server(answering(b'Kok'))
    q = qrelay(handler="m:insert_header('X-Cgroup', m.cgroup)\n"
               f"return m:connect('{s.address}')")
    one = submitter(nested, q.sock)
    assert one.submit(b'Subject: x\n\nx\n') == b'Kok'
    assert s.requests[0].message.startswith(
        b'X-Cgroup: ' + os.fsencode(tree.path(nested)) + b'\nReceived: from')


def test_tcp(qrelay):
    port = free_port()
    q = qrelay(f"qmqp_listen('127.0.0.1:{port}', function(m)\n"
               "assert(m.cgroup == nil and m.pid == nil and m.uid == nil "
               "and m.gid == nil)\nreturn m:discard('fine')\nend)")
    assert q.submit(address=('127.0.0.1', port)) == b'Kfine', q.output()


def test_stale(daemon, submitter, tree, nested):
    q = daemon('''
      if not kept then
        local c = m.cgroup
        kept = {
          path = function() return c.path end,
          uid = function() return c.uid end,
          string = function() return tostring(c) end,
          parent = function() return c.parent end,
          xattr = function() return c.xattr end,
        }
        local x, p, f, s, k = c.xattr, c.parent, pairs(c.xattr)
        kept.name = function() return x.name end
        kept.pairs = function() return pairs(x) end
        kept.next = function() return f(s, k) end
        kept.parent_path = function() return p.path end
        for n, try in pairs(kept) do try() end
        return m:discard()
      end
      for n, try in pairs(kept) do
        local ok, e = pcall(try)
        assert(not ok and tostring(e):find('stale object'), n)
      end
      kept = nil
      collectgarbage()
      return m:discard('fine')''')
    for reply in ('discarded', 'fine') * 3:
        assert text(submitter(nested, q.sock).submit()) == reply, q.output()


def test_no_descriptor_stays(daemon, submitter, tree, nested):
    q = daemon('''
      local c = m.cgroup
      while c do local _ = c.xattr.at, c.uid; c = c.parent end
      if m.sender == 'error@x' then error('on purpose') end
      return m:discard()''')
    assert submitter(nested, q.sock).submit()[:1] == b'K'
    before = q.fds()
    for _ in range(20):
        assert submitter(nested, q.sock).submit()[:1] == b'K'
        one = submitter(nested, q.sock)
        reply = one.client.send(request(sender=b'error@x')).reply()
        assert reply == b'Zscript failed'
        one.close()
    q.wait_fds(before)


def test_one_descriptor_while_it_waits(qrelay, submitter, tree):
    """However deep the client is: it could make others run out of them."""
    deep = '/'.join('x' * 30)
    tree.make(deep)
    q = qrelay(handler='''
      local n, c = 0, m.cgroup
      while c do local _ = c.uid; c = c.parent; n = n + 1 end
      print('walked ' .. n)
      sleep(1)
      return m:discard()''')
    assert q.submit()[:1] == b'K'
    before = len(q.fds())
    one = submitter(deep, q.sock)
    one.client.send(request())
    q.wait_message('walked 32')
    assert len(q.fds()) <= before + 2
    assert one.client.reply() == b'Kdiscarded'


@pytest.mark.skipif(not shutil.which('strace') or WRAPPER,
                    reason='needs strace, and no other wrapper')
def test_costs_nothing_unasked(qrelay, folder, submitter, tree, nested):
    trace = folder / 'trace'
    q = qrelay(handler="if m.sender == 'ask@x' then local _ = m.cgroup.path "
               'end return m:discard()',
               env={'ASAN_OPTIONS': 'detect_leaks=0'},  # it cannot here
               prefix=('strace', '-f', '-D', '-o', str(trace), '-e',
                       'trace=getsockopt,ioctl,openat,openat2,accept4'))

    for sender in (b'a@x', b'ask@x'):
        one = submitter(nested, q.sock)
        one.client.send(request(sender=sender)).reply()
        one.close()
    wait_until(lambda: re.search(PEERPIDFD, trace.read_text()), 'it is asked')
    unasked = trace.read_text().split(' accept4(')[1]
    assert 'SO_PEERCRED' in unasked
    assert not re.search(PEERPIDFD + r'|open|ioctl\((?!\d+, FIONREAD)',
                         unasked), unasked
