# SPDX-License-Identifier: BSD-2-Clause
"""The relays that are compared; each listens on a Unix socket."""

import os
import shutil
import socket
import subprocess

from lib import ROOT, BenchError, wait_for


class Running:
    def __init__(self, name, process, path):
        self.name, self.process, self.socket = name, process, path


def answers(path):
    with socket.socket(socket.AF_UNIX) as s:
        try:
            s.connect(path)
        except OSError:
            return False
    return True


class Relay:
    """`program`: the executable, or None where it is missing."""

    name = None
    program = None
    hint = ''

    def argv(self, bench, listen, server):
        raise NotImplementedError

    def start(self, bench, server):
        listen = bench.path(f'{self.name}.sock')
        with open(bench.path(f'{self.name}.log'), 'wb') as log:
            process = bench.spawn(self.argv(bench, listen, server),
                                  relay=True, stdin=subprocess.DEVNULL,
                                  stdout=log, stderr=log)

        def ready():
            if process.poll() is not None:
                with open(log.name, errors='replace') as f:
                    raise BenchError(f'{self.name} does not start: '
                                     f'{f.read()[-2000:].strip()}')
            return answers(listen)

        wait_for(ready, self.name)
        return Running(self.name, process, listen)


class Floor(Relay):
    """A bare epoll loop that passes bytes on."""

    name = 'floor'

    def __init__(self, build):
        self.program = os.path.join(build, 'bench', 'floor')

    def argv(self, bench, listen, server):
        return [self.program, listen, server]


class Control(Floor):
    """The floor once more: how far its ratio is from 1.00 is the noise."""

    name = 'control'


class HAProxy(Relay):
    """A plain TCP relay with one thread, no logging."""

    name = 'haproxy'
    hint = 'not in PATH, nor .cache/bin; test/tools/setup fetches it'

    def __init__(self, build):
        cached = os.path.join(ROOT, '.cache', 'bin', 'haproxy')
        self.program = shutil.which('haproxy')
        if self.program is None and os.access(cached, os.X_OK):
            self.program = cached

    def argv(self, bench, listen, server):
        config = bench.path('haproxy.cfg')
        with open(config, 'w') as f:
            f.write(f'''\
global
    nbthread 1
    maxconn 9000
defaults
    mode tcp
    maxconn 9000
    timeout connect 10s
    timeout client 1h
    timeout server 1h
listen relay
    bind unix@{listen} backlog 4096
    server sink {server if server[0] != '/' else 'unix@' + server}
''')
        return [self.program, '-db', '-f', config]


class Qrelay(Relay):
    """The daemon, with the least handler that relays."""

    name = 'qrelay'
    hint = 'not built'
    limits = '''\
max_connections = 8192
max_connections_per_uid = 8192
receive_timeout = 3600
'''

    def __init__(self, build):
        program = os.path.join(build, 'src', 'cm4all-qrelay')
        if os.access(program, os.X_OK):
            self.program = program

    def argv(self, bench, listen, server):
        config = bench.path('config.lua')
        with open(config, 'w') as f:
            f.write(f'''\
{self.limits}
local server = qmqp_resolve('{server}')
qmqp_listen('{listen}', function(m)
  return m:connect(server)
end)
''')
        return [self.program, '--config', config]


class QrelayDefaults(Qrelay):
    """With the limits that nobody has set."""

    limits = ''


def find(build, control=False):
    """All relays, those without a program too."""
    found = [Floor(build), HAProxy(build), Qrelay(build)]
    return [*found, Control(build)] if control else found
