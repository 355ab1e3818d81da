# SPDX-License-Identifier: BSD-2-Clause
"""What a container sees: the folder of the socket, bind-mounted, goes on
working when the daemon is restarted; the socket alone does not.  (With the
units RuntimeDirectoryPreserve= keeps the folder: test/dist/test_units.py.)"""
import subprocess
import sys

import pytest
from harness.qmqp import MESSAGE, decode_netstring, request

# In a mount namespace of its own: mounts argv[1] over argv[2], then connects
# to argv[3] for each line of stdin and prints the reply, or the error.
CONTAINER = r'''
import socket, subprocess, sys
source, target, address = sys.argv[1:]
subprocess.run(['mount', '--bind', source, target], check=True)
print('ready', flush=True)
for line in sys.stdin:
    try:
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(20)
            s.connect(address)
            s.sendall(bytes.fromhex(line))
            print(s.makefile('rb').read().decode(), flush=True)
    except OSError as e:
        print(type(e).__name__, flush=True)
'''


class Container:
    def __init__(self, source, target, address):
        self.process = subprocess.Popen(
            ['unshare', '--mount', sys.executable, '-c', CONTAINER,
             str(source), str(target), str(address)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == 'ready\n'

    def submit(self):
        """The reply's text, or the name of an error."""
        self.process.stdin.write(request(MESSAGE).hex() + '\n')
        self.process.stdin.flush()
        line = self.process.stdout.readline().rstrip('\n')
        reply = decode_netstring(line.encode()) if ':' in line else None
        return reply[0].decode() if reply else line

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(20)


@pytest.fixture
def container(root):
    made = []

    def enter(*args):
        made.append(Container(*args))
        return made[-1]

    yield enter
    for one in made:
        one.close()


CONFIG = "qmqp_listen('{}', function(m) return m:discard('{}') end)"


@pytest.fixture
def host(folder):
    """The folder for the socket, and what the container has in its place."""
    (folder / 'run').mkdir()
    (folder / 'inside').mkdir()
    return folder


@pytest.mark.parametrize('end', ['stop', 'kill'])
def test_folder(qrelay, container, host, end):
    path = host / 'run' / 'qrelay.sock'
    first = qrelay(CONFIG.format(path, 'one'))
    inside = container(host / 'run', host / 'inside',
                       host / 'inside' / 'qrelay.sock')
    assert inside.submit() == 'Kone'
    getattr(first, end)()
    assert inside.submit() == ('FileNotFoundError' if end == 'stop' else
                               'ConnectionRefusedError')
    qrelay(CONFIG.format(path, 'two'))
    assert inside.submit() == 'Ktwo'


def test_socket_alone(qrelay, container, host):
    """As the manual warns."""
    path = host / 'run' / 'qrelay.sock'
    first = qrelay(CONFIG.format(path, 'one'))
    (host / 'alone').touch()
    inside = container(path, host / 'alone', host / 'alone')
    assert inside.submit() == 'Kone'
    first.stop()
    qrelay(CONFIG.format(path, 'two'))
    assert inside.submit() == 'ConnectionRefusedError'
