# SPDX-License-Identifier: BSD-2-Clause
"""m.cgroup of clients that move, exit or hide, and in daemons that see little:
the right group, or a Lua error that says why there is none."""
import ctypes
import os

import pytest
from cgroups import (IN_PID_NAMESPACE, NOBODY, die_with_parent,
                     in_mount_namespace, kernel, needs_exit_info, shell)
from cgroups import submitter, tree  # noqa: F401
from harness.qmqp import request

pytestmark = pytest.mark.skipif(
    kernel() < (6, 5), reason='SO_PEERPIDFD came with Linux 6.5')

REPORT = '''
  local function try(f)
    local ok, value = pcall(f)
    return tostring(value)
  end
  local ok, c = pcall(function() return m.cgroup end)
  if not ok then return m:discard('error: ' .. c) end
  return m:discard(try(function() return c.path end) .. '|' ..
                   try(function() return c.xattr.at end) .. '|' ..
                   try(function() return c.parent end))'''


def start(qrelay, prefix=(), handler=REPORT, wait=''):
    """A daemon whose socket any user and namespace can reach."""
    q = qrelay(f"qmqp_listen('@$SOCK', function(m)\n{wait}\n{handler}\nend)\n",
               prefix=prefix)
    q.sock = '@' + q.sock
    return q


def text(reply):
    assert reply[:1] == b'K', reply
    return os.fsdecode(reply[1:])


@pytest.fixture(params=['root', 'nobody'])
def user(request):
    """A prefix: root, who may open a group by its id, and who may not."""
    return NOBODY if request.param == 'nobody' else ()


# ---- clients that do not stay as they are ----

def test_moves_before_the_handler_looks(qrelay, submitter, tree, user):
    tree.make('a', at='a')
    tree.make('b', at='b')
    q = start(qrelay, user, wait="print('waiting') sleep(0.3)")
    one = submitter('a', q.sock)
    one.client.send(request())
    q.wait_message('waiting')
    tree.move(one.pid, 'b')
    assert text(one.client.reply()) == \
        f"{tree.path('b')}|b|{tree.path()}"


@needs_exit_info()
def test_exits_before_the_handler_looks(qrelay, submitter, tree, user):
    tree.make('a/b', at='b')
    q = start(qrelay, user, wait="print('waiting') sleep(0.3)")
    one = submitter('a/b', q.sock)
    one.client.send(request())
    q.wait_message('waiting')
    one.exit()
    expected = f"{tree.path('a/b')}|b|{tree.path('a')}"
    assert text(one.client.reply()) == expected
    # from the cache: another walk would have to wait
    for _ in range(3):
        one = submitter('a/b', q.sock)
        one.exit()
        assert text(one.submit()) == expected


def test_exits_while_it_connects(qrelay, submitter, tree, user):
    """Gone before accept(2): known on a new kernel, a reason on an old one."""
    tree.make('a', at='a')
    q = start(qrelay, user)
    one = submitter('a', q.sock)
    one.exit()
    reply = text(one.submit())
    if kernel() >= (6, 16):
        assert reply == f"{tree.path('a')}|a|{tree.path()}"
    else:
        assert 'exited' in reply


def test_not_yet_waited_for(qrelay, submitter, tree, user):
    tree.make('a', at='a')
    q = start(qrelay, user)
    one = submitter('a', q.sock)
    one.exit(reap=False)
    assert text(one.submit()) == f"{tree.path('a')}|a|{tree.path()}"


def test_removed(qrelay, submitter, tree, user):
    """The client is a zombie, its group is no more."""
    tree.make('a')
    q = start(qrelay, user)
    one = submitter('a', q.sock)
    one.exit(reap=False)
    tree.unmake('a')
    # neither of these is it
    tree.make('a', at='wrong')
    tree.make('a (deleted)', at='wrong')
    path, xattr, parent = text(one.submit()).split('|')
    assert path == tree.path('a (deleted)')
    assert 'was removed' in xattr
    assert parent == 'nil'


@needs_exit_info()
def test_exited_and_removed(qrelay, submitter, tree, user):
    tree.make('a')
    q = start(qrelay, user)
    one = submitter('a', q.sock)
    one.exit()
    tree.unmake('a')
    tree.make('a', at='wrong')
    reply = text(one.submit())
    assert reply.startswith('error: ') and 'exited' in reply
    assert 'removed' in reply


def test_really_called_deleted(qrelay, submitter, tree, user):
    if kernel() < (6, 13):
        pytest.skip('the id of a control group is told since Linux 6.13')
    tree.make('a (deleted)', at='right')
    q = start(qrelay, user)
    assert text(submitter('a (deleted)', q.sock).submit()) == \
        f"{tree.path('a (deleted)')}|right|{tree.path()}"


def test_becomes_another_user(qrelay, submitter, tree):
    """The credentials of connect(2) count, and the group of now."""
    tree.make('a', at='a')
    q = start(qrelay, handler="return m:discard(m.uid .. ' ' .. m.gid .. "
                              "' ' .. m.cgroup.xattr.at)")
    before = submitter('a', q.sock, uid=1234)
    assert text(before.submit()) == '1234 1234 a'

    def other_gid():
        os.setgid(77)
    one = submitter('a', q.sock, prepare=other_gid)
    assert text(one.submit()) == '0 77 a'


def test_own_pid_namespace(qrelay, submitter, tree, user):
    """A client in a pid namespace beneath ours has a pid here, too."""
    tree.make('a', at='a')

    def unshare():
        assert ctypes.CDLL(None).unshare(0x20000000) == 0  # CLONE_NEWPID
        child = os.fork()
        if child:
            os.waitpid(child, 0)
            os._exit(0)
        die_with_parent()
        assert os.getpid() == 1

    q = start(qrelay, user, handler="return m:discard((m.pid or 'nil') .. "
                                    "' ' .. m.cgroup.xattr.at)")
    one = submitter('a', q.sock, prepare=unshare)
    pid, at = text(one.submit()).split()
    assert int(pid) > one.pid and at == 'a'


# ---- daemons that see little ----

def test_client_outside_the_pid_namespace(qrelay, submitter, tree):
    tree.make('a')
    q = start(qrelay, IN_PID_NAMESPACE, handler='''
      local ok, e = pcall(function() return m.cgroup end)
      return m:discard(tostring(m.pid) .. ' ' .. m.uid .. ' ' .. m.gid ..
                       ' ' .. tostring(ok) .. ' ' .. tostring(e))''')
    reply = text(submitter('a', q.sock, uid=1234).submit())
    assert reply.startswith('nil 1234 1234 false ')
    assert 'pid namespace' in reply


@pytest.mark.parametrize('mode', [1, 2])
def test_hidepid(qrelay, submitter, tree, mode):
    tree.make('a')
    q = start(qrelay, in_mount_namespace(
        f'mount -t proc -o hidepid={mode} proc /proc') + NOBODY)
    reply = text(submitter('a', q.sock).submit())
    assert reply.startswith('error: ') and 'hidepid' in reply


def test_part_of_the_tree_is_mounted(qrelay, submitter, tree, user):
    """No path of the mount may be taken for one of /proc."""
    tree.make('a/b', at='b')
    tree.make('a' + tree.path('a/b'), at='wrong')
    q = start(qrelay, in_mount_namespace('mount --bind "$1" "$2"; shift 2',
                                         tree.dir('a'), tree.mount) + user)
    path, xattr, parent = text(submitter('a/b', q.sock).submit()).split('|')
    assert path == tree.path('a/b')
    assert 'part of the tree' in xattr
    assert parent == 'nil'


def test_not_mounted(qrelay, submitter, tree, user):
    tree.make('a')
    q = start(qrelay, in_mount_namespace('umount -l "$1"; shift',
                                         tree.mount) + user)
    path, xattr, parent = text(submitter('a', q.sock).submit()).split('|')
    assert path == tree.path('a')
    assert 'not mounted' in xattr
    assert parent == 'nil'


def test_mounted_elsewhere(qrelay, submitter, tree, user, folder):
    tree.make('a', at='a')
    place = folder / 'with space\\and\tmore'
    place.mkdir()
    q = start(qrelay, in_mount_namespace(
        'umount -l "$1"; mount -t cgroup2 none "$2"; shift 2', tree.mount,
        place) + user)
    assert text(submitter('a', q.sock).submit()) == \
        f"{tree.path('a')}|a|{tree.path()}"


# Enters group $1 and makes it the root of a cgroup namespace, mounted at $2.
CGROUP_NAMESPACE = '''echo 0 >"$1/cgroup.procs"
exec unshare --cgroup --mount --propagation=private sh -ec '
  umount -l "$1"; mount -t cgroup2 none "$1"; shift; exec "$@"' sh "$2" \
'''


def in_cgroup_namespace(group, mount):
    return ('sh', '-ec', 'root=$1; mount=$2; shift 2\n' +
            CGROUP_NAMESPACE.replace('$1/', '$root/').replace('"$2" ',
                                                               '"$mount" ') +
            '"$@"', 'sh', str(group), str(mount))


def test_client_outside_the_cgroup_namespace(tree, qrelay, submitter, user):
    # `tree` comes first: it must go last, for the daemon is in it
    tree.make('a', at='a')
    tree.make('daemon')
    q = start(qrelay, in_cgroup_namespace(tree.dir('daemon'), tree.mount) +
              user)
    path, xattr, parent = text(submitter('a', q.sock).submit()).split('|')
    assert path == '/../a'
    assert 'cgroup namespace' in xattr
    assert parent == 'nil'


def test_client_inside_the_cgroup_namespace(tree, qrelay, submitter, user):
    tree.make('daemon/a', at='a')
    q = start(qrelay, in_cgroup_namespace(tree.dir('daemon'), tree.mount) +
              user)
    assert text(submitter('daemon/a', q.sock).submit()) == '/a|a|/'


def test_errors_leak_no_descriptor(qrelay, submitter, tree):
    """A reason that is raised leaves nothing behind."""
    tree.make('a')
    q = start(qrelay, in_mount_namespace(
        'mount -t proc -o hidepid=2 proc /proc') + NOBODY, handler='''
      for i = 1, 50 do assert(not pcall(function() return m.cgroup end)) end
      return m:discard()''')
    one = submitter('a', q.sock)
    assert one.submit() == b'Kdiscarded'
    one.close()
    before = q.fds()
    for _ in range(20):
        one = submitter('a', q.sock)
        assert one.submit() == b'Kdiscarded'
        one.close()
    q.wait_fds(before)


def test_uncaught_reason(qrelay, submitter, tree):
    """Without pcall it ends the mail, and the log says why."""
    tree.make('a')
    q = start(qrelay, shell('true') + in_mount_namespace(
        'mount -t proc -o hidepid=2 proc /proc') + NOBODY,
        handler='return m:discard(m.cgroup.path)')
    assert submitter('a', q.sock).submit() == b'Zscript failed'
    q.wait_message('hidepid')
