# SPDX-License-Identifier: BSD-2-Clause
"""Real control groups for the tests, clients that live in them, and daemons
that see less than root does."""
import contextlib
import ctypes
import itertools
import os
import pathlib
import re
import signal
import socket
import sys

import pytest
from harness.env import slow, wait_until
from harness.qmqp import Client, request

NOBODY = ('setpriv', '--reuid=65534', '--regid=65534', '--clear-groups')
SERIAL = itertools.count()


def kernel():
    return tuple(map(int, re.findall(r'\d+', os.uname().release)[:2]))


def find_mount():
    """Where the whole tree of cgroup2 is mounted, or None."""
    for line in pathlib.Path('/proc/self/mountinfo').read_text().splitlines():
        fields, _, kind = line.partition(' - ')
        if kind.startswith('cgroup2 ') and fields.split()[3] == '/':
            path = fields.split()[4]
            return pathlib.Path(
                re.sub(r'\\(\d{3})', lambda m: chr(int(m[1], 8)), path))
    return None


class Tree:
    """A group of our own, and what is made beneath it."""

    def __init__(self, mount):
        self.mount = mount
        self.root = mount / f'qrelay-e2e-{os.getpid()}-{next(SERIAL)}'
        self.root.mkdir()

    def dir(self, name):
        return self.root / name.lstrip('/')

    def path(self, name=''):
        """As /proc shows it."""
        return '/' + str(self.dir(name).relative_to(self.mount))

    def make(self, name, /, **xattrs):
        self.dir(name).mkdir(parents=True, exist_ok=True)
        for key, value in xattrs.items():
            os.setxattr(self.dir(name), 'user.' + key, os.fsencode(value))
        return self.dir(name)

    def enter(self, name):
        self.move(0, name)

    def move(self, pid, name):
        (self.dir(name) / 'cgroup.procs').write_text(str(pid))

    def unmake(self, name):
        """The last process may take a moment to be gone from it."""
        def removed():
            with contextlib.suppress(OSError):
                self.dir(name).rmdir()
            return not self.dir(name).exists()
        wait_until(removed, f'{name} is removed')

    def remove(self):
        def removed():
            for folder, _, _ in os.walk(self.root, topdown=False):
                with contextlib.suppress(OSError):
                    os.rmdir(folder)
            return not self.root.exists()
        wait_until(removed, 'the groups are removed')


@pytest.fixture
def tree(root):
    mount = find_mount()
    if mount is None:
        pytest.skip('no cgroup2 mount that shows the whole tree')
    made = Tree(mount)
    try:
        os.setxattr(made.root, 'user.test', b'')
        os.removexattr(made.root, 'user.test')
    except OSError as e:
        made.remove()
        pytest.skip(f'control groups take no user.* attributes: {e}')
    yield made
    made.remove()


def die_with_parent():
    libc = ctypes.CDLL(None)
    libc.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def needs_exit_info():
    return pytest.mark.skipif(
        kernel() < (6, 16), reason='what was reaped is kept since Linux 6.16')


class Submitter:
    """A process that connects from within a group, maybe as another user, and
    hands the connection over to the test; it lives until exit().  Nothing of it runs in between."""

    def __init__(self, tree, group, address, uid=None, prepare=None):
        ours, theirs = socket.socketpair()
        address = str(address)
        if address.startswith('@'):
            address = '\0' + address[1:]
        self.pid = os.fork()
        if self.pid == 0:
            try:
                die_with_parent()
                tree.enter(group)
                if prepare:
                    prepare()
                if uid is not None:
                    os.setgroups([])
                    os.setgid(uid)
                    os.setuid(uid)
                s = socket.socket(socket.AF_UNIX)
                s.connect(address)
                socket.send_fds(theirs, [b'x'], [s.fileno()])
                s.close()
                signal.pause()
            finally:
                os._exit(1)
        theirs.close()
        ours.settimeout(slow(10))
        fds = socket.recv_fds(ours, 1, 1)[1]
        ours.close()
        self.client = Client.__new__(Client)
        self.client.sock = socket.socket(fileno=fds[0])
        self.reaped = False

    def exit(self, reap=True):
        if self.reaped:
            return
        os.kill(self.pid, signal.SIGKILL)
        os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        if reap:
            os.waitpid(self.pid, 0)
            self.reaped = True

    def submit(self, message=None, timeout=10):
        data = request() if message is None else request(message)
        return self.client.send(data).reply(timeout)

    def close(self):
        self.exit()
        self.client.close()


@pytest.fixture
def submitter(tree):
    made = []

    def factory(*args, **kwargs):
        made.append(Submitter(tree, *args, **kwargs))
        return made[-1]

    yield factory
    for one in made:
        one.close()


def shell(script, *args):
    """A prefix that runs `script` and then the daemon in its place: "$@"."""
    return ('sh', '-ec', script + '\nexec "$@"', 'sh', *map(str, args))


def in_mount_namespace(script, *args):
    return ('unshare', '--mount', '--propagation=private',
            *shell(script, *args))


# The first process of a pid namespace; its parent stands for it.
PID_NAMESPACE = '''
import ctypes, os, signal, sys
assert ctypes.CDLL(None).unshare(0x20020000) == 0
child = os.fork()
if child == 0:
    os.system('mount --make-rprivate / && mount -t proc proc /proc')
    os.execvp(sys.argv[1], sys.argv[1:])
for s in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    signal.signal(s, lambda n, _: os.kill(child, n))
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
'''
IN_PID_NAMESPACE = (sys.executable, '-c', PID_NAMESPACE)
