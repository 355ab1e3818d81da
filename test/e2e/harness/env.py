# SPDX-License-Identifier: BSD-2-Clause
"""Where the programs under test are, and how patient the tests are.

QRELAY_BUILD    build directory (default: build/ of this tree)
QRELAY_WRAPPER  words put before the daemon's command, e.g. valgrind
QRELAY_SLOW     factor on every time-out, for slow builds and machines
                (default: 1; 3 with a sanitizer, 8 behind a wrapper)
QRELAY_CACHE    where test/tools/setup put the peers (default: .cache)
"""
import os
import pathlib
import random
import shlex
import shutil
import socket
import time

TREE = pathlib.Path(__file__).resolve().parents[3]
BUILD = pathlib.Path(os.environ.get('QRELAY_BUILD') or TREE / 'build').resolve()
DAEMON = BUILD / 'src' / 'cm4all-qrelay'
SINK = BUILD / 'tools' / 'qrelay-sink'
SENDMAIL = BUILD / 'tools' / 'qrelay-sendmail'
WRAPPER = shlex.split(os.environ.get('QRELAY_WRAPPER', ''))
CACHE = pathlib.Path(os.environ.get('QRELAY_CACHE') or TREE / '.cache')


def is_sanitized():
    try:
        return b'__asan_init' in DAEMON.read_bytes()
    except OSError:
        return False


# resident memory says nothing about a daemon that is being watched
WATCHED = bool(WRAPPER) or is_sanitized()
SLOW = float(os.environ.get('QRELAY_SLOW') or
             (8 if WRAPPER else 3 if WATCHED else 1))


def slow(seconds):
    """A time-out of so many seconds on the reference machine."""
    return seconds * SLOW


def find_peer(name):
    """A third-party program: from the tree's cache folder or PATH."""
    cached = CACHE / 'bin' / name
    if os.access(cached, os.X_OK):
        return str(cached)
    return shutil.which(name, path=os.environ.get('PATH', '') +
                        ':/usr/sbin:/usr/lib/postfix/sbin')


def wait_until(predicate, what, timeout=10):
    """Poll until predicate() is true and return its value."""
    end = time.monotonic() + slow(timeout)
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f'timed out waiting until {what}')
        time.sleep(0.01)


def free_port(host='127.0.0.1'):
    """A TCP port nobody listens on just now, and that no outgoing
    connection is given: below the ephemeral ones."""
    family = socket.AF_INET6 if ':' in host else socket.AF_INET
    while True:
        port = random.randrange(12000, 32000)
        with socket.socket(family, socket.SOCK_STREAM) as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind((host, port))
                return port
            except OSError:
                continue
