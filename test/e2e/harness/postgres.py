# SPDX-License-Identifier: BSD-2-Clause
"""A private PostgreSQL cluster, and a proxy that mistreats its clients."""
import contextlib
import glob
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import threading
import time

from .daemon import short_dir
from .env import CACHE, slow, wait_until

PASSWORD = 'Xq7sEcReTvW'


def find_bin():
    """The folder of the newest server's programs, or None."""
    places = glob.glob('/usr/lib/postgresql/*/bin/postgres')
    if places:
        places.sort(key=lambda p: int(p.split('/')[-3]))
        return pathlib.Path(places[-1]).parent
    cached = CACHE / 'bin'
    return cached if os.access(cached / 'postgres', os.X_OK) else None


def signal_all(pids, sig):
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):   # ended meanwhile
            os.kill(pid, sig)


def server_user():
    """initdb refuses root: whom to be instead."""
    for name in ('postgres', 'nobody'):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            pass
    raise RuntimeError('no user for PostgreSQL')


class Cluster:
    """Listens on a Unix socket in `dir`; user and database are `postgres`."""

    def __init__(self, **settings):
        self.bin = find_bin()
        self.dir = short_dir()
        self.data = self.dir / 'data'
        self.process = None
        self.settings = {
            'listen_addresses': '', 'unix_socket_directories': str(self.dir),
            'fsync': 'off', 'full_page_writes': 'off',
            'shared_buffers': '16MB', 'max_connections': '60',
            'autovacuum': 'off', 'lc_messages': 'C', 'port': '5432', **settings}
        self.prefix = []
        if os.geteuid() == 0:
            user = server_user()
            os.chown(self.dir, user.pw_uid, user.pw_gid)
            self.prefix = ['setpriv', f'--reuid={user.pw_uid}',
                           f'--regid={user.pw_gid}', '--clear-groups']
        self.run('initdb', '-D', str(self.data), '-U', 'postgres', '-A',
                 'trust', '--no-sync', '--encoding=UTF8', '--locale=C')
        self.start()

    def run(self, program, *args):
        done = subprocess.run(
            [*self.prefix, str(self.bin / program), *args], cwd='/',
            stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f'{program}: {done.stderr}{done.stdout}')
        return done.stdout

    def sql(self, text):
        """Rows as text, columns joined by '|'."""
        return self.run('psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-h',
                        str(self.dir), '-p', self.port, '-U', 'postgres',
                        '-c', text).strip()

    @property
    def port(self):
        return self.settings['port']

    @property
    def conninfo(self):
        return f'host={self.dir} user=postgres dbname=postgres'

    def start(self, **more):
        """Starts the server and waits until it answers."""
        options = [f'-c{k}={v}' for k, v in {**self.settings, **more}.items()]
        with open(self.dir / 'log', 'ab') as log:
            self.process = subprocess.Popen(
                [*self.prefix, str(self.bin / 'postgres'), '-D',
                 str(self.data), *options], cwd='/',
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_until(self.answers, 'PostgreSQL answers', 20)

    def answers(self):
        assert self.process.poll() is None, (self.dir / 'log').read_text()
        try:
            return self.sql('SELECT 1') == '1'
        except RuntimeError:
            return False

    def backends(self):
        """Process ids of the server processes of qrelay."""
        rows = self.sql("SELECT pid FROM pg_stat_activity WHERE "
                        "application_name = 'cm4all-qrelay'")
        return [int(pid) for pid in rows.split()]

    def drop_clients(self):
        """A server process may outlive its client for a while."""
        for pid in self.backends():
            self.sql(f'SELECT pg_terminate_backend({pid})')
        wait_until(lambda: not self.backends(), 'no client is left')

    def children(self):
        """Ids of all processes of the server."""
        path = f'/proc/{self.process.pid}/task/{self.process.pid}/children'
        return [int(p) for p in pathlib.Path(path).read_text().split()]

    def freeze(self, sig=signal.SIGSTOP):
        self.process.send_signal(sig)
        signal_all(self.children(), sig)

    def thaw(self):
        self.freeze(signal.SIGCONT)

    def kill(self):
        """As if the machine had lost power."""
        children = self.children()
        self.process.kill()
        signal_all(children, signal.SIGKILL)
        self.process.wait()
        wait_until(lambda: not any(os.path.exists(f'/proc/{p}')
                                   for p in children), 'all are gone')
        self.remains()

    def remains(self):
        for name in ('postmaster.pid',):
            (self.data / name).unlink(missing_ok=True)
        for path in self.dir.glob('.s.PGSQL.*'):
            path.unlink()

    def stop(self):
        if self.process.poll() is None:
            self.thaw()
            self.process.send_signal(signal.SIGINT)  # "fast"
            try:
                self.process.wait(slow(20))
            except subprocess.TimeoutExpired:
                self.kill()

    def restart(self, **more):
        self.stop()
        self.start(**more)

    def close(self):
        self.stop()
        shutil.rmtree(self.dir, ignore_errors=True)


class Proxy:
    """Passes bytes between TCP clients and a cluster's socket.

    swallow: takes what comes and passes nothing on, in either direction.
    cut_after: bytes from the server after which a connection is closed.
    refuse: closes new connections at once.
    """

    def __init__(self, cluster, host='127.0.0.1'):
        self.target = str(cluster.dir / '.s.PGSQL.5432')
        self.swallow = self.refuse = False
        self.cut_after = None
        self.accepted = 0
        self.pairs = []
        self.sock = socket.create_server((host, 0))
        self.port = self.sock.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def conninfo(self, more=''):
        return (f'host=127.0.0.1 port={self.port} user=postgres '
                f'dbname=postgres sslmode=disable {more}')

    def accept(self):
        while True:
            try:
                client, _ = self.sock.accept()
            except OSError:
                return
            self.accepted += 1
            if self.refuse:
                client.close()
                continue
            server = socket.socket(socket.AF_UNIX)
            try:
                server.connect(self.target)
            except OSError:
                client.close()
                continue
            pair = (client, server)
            self.pairs.append(pair)
            for one, other in (pair, pair[::-1]):
                threading.Thread(target=self.pump, daemon=True,
                                 args=(one, other, one is server)).start()

    def pump(self, source, sink, from_server):
        try:
            while data := source.recv(65536):
                while self.swallow:
                    time.sleep(0.01)
                if from_server and self.cut_after is not None:
                    if len(data) >= self.cut_after:
                        sink.sendall(data[:self.cut_after])
                        self.cut_after = None
                        break
                    self.cut_after -= len(data)
                sink.sendall(data)
        except OSError:
            pass
        for sock in (source, sink):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def cut(self):
        """Closes what is open now."""
        for pair in self.pairs:
            for sock in pair:
                try:
                    sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
        self.pairs.clear()

    def close(self):
        self.swallow = False
        self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()
        self.cut()
