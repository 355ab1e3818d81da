# SPDX-License-Identifier: BSD-2-Clause
"""One run of the soak: puts the daemon, servers, clients and the database
together, disturbs them, stops them, and lets the ledger check."""
import os
import pathlib
import random
import shutil
import subprocess
import threading
import time

from harness.daemon import Daemon
from harness.env import free_port, slow, wait_until
from harness.postgres import Cluster, find_bin

import clients
import mail
import servers
from account import WARM, Account
from family import FORK, Family
from ledger import Ledger
from meter import Meter
from verdicts import Times

HERE = pathlib.Path(__file__).parent
UIDS = [0, 30001, 30002, 30003, 30004]
TABLES = ('CREATE TABLE taken (id text); CREATE TABLE heard (id text); '
          'CREATE TABLE reloads (n int)')
MIB = 1 << 20
# max_connections, of a uid, max_memory: plenty, or hardly enough
LIMITS = [(400, 48, 12 * MIB), (400, 48, 2 * MIB), (60, 30, 12 * MIB)]


class Soak:
    def __init__(self, folder, seed, seconds, database=True):
        self.folder, self.seed, self.seconds = folder, seed, seconds
        self.rng = random.Random(f'{seed}-soak')
        self.root = os.geteuid() == 0
        self.patience = slow(90)
        self.times = Times(slow(3), slow(1.5), slow(20), slow(10))
        self.ready, self.stop, self.last = (FORK.Event() for _ in range(3))
        self.disturbances = {'reloads': 0, 'database restarts': 0}
        self.cluster = self.daemon = self.meter = None
        self.database = database and find_bin() is not None
        self.family = Family()
        self.summary = ''
        (folder / 'spool').mkdir()

    # ----- building -----

    def places(self):
        """[(name, where, port)] of the servers."""
        ip = '127.0.0.1'
        result = [(n, ip, free_port()) for n in ('tcp0', 'tcp1', 'flaky0')]
        result += [(n, str(self.folder / n), 0)
                   for n in ('unix0', 'unix1', 'flaky1')]
        result.append(('abs0', f'@soak-{os.getpid()}', 0))
        if self.two:
            port = free_port()
            result += [('two-a', '127.0.0.2', port),
                       ('two-b', '127.0.0.3', port)]
        return result

    def addresses(self, places):
        """What the script calls them."""
        result = {f'server_{name}': f'{where}:{port}' if port else where
                  for name, where, port in places
                  if not name.startswith('two')}
        result['server_gone'] = f'127.0.0.1:{free_port()}'
        for name, _, port in places:
            if name == 'two-a':
                result['server_two'] = f'two.test:{port}'
        return result

    def build(self):
        self.two = self.root and self.may_unshare()
        places = self.places()
        tcp = ('127.0.0.1', free_port())
        abstract = f'soak-{os.getpid()}-in'
        if self.database:
            self.cluster = Cluster()
            self.cluster.sql(TABLES)
        serving = FORK.Event()
        # before there is a thread here
        self.family.fork(
            servers.serve, places, self.seed,
            self.folder / 'servers.journal', serving, self.last)
        where = {'unix': str(self.folder / 'q.sock'), 'tcp': tcp,
                 'abstract': '\0' + abstract}
        for i, uid in enumerate(UIDS):
            self.family.fork(
                clients.work, self.ready, self.stop, i,
                uid if self.root else os.getuid(), where,
                mail.SERVERS + (mail.TWO if self.two else []),
                self.database, self.seed,
                self.folder / f'client{i}.journal', self.patience)
        if not serving.wait(slow(20)):
            raise RuntimeError('the servers do not start')
        variables = dict(
            tcp='%s:%d' % tcp, abstract='@' + abstract,
            receive=self.times.receive, hang=self.times.hang,
            calm=self.times.calm, program=str(HERE / 'program'),
            spool=str(self.folder / 'spool'), **self.addresses(places))
        self.limits = dict(zip(
            ('max_connections', 'max_connections_per_uid', 'max_memory'),
            self.rng.choice(LIMITS)))
        variables.update(self.limits)
        if self.cluster:
            variables['conninfo'] = self.cluster.conninfo
            variables['shared'] = self.rng.randint(1, 6)
        self.daemon = Daemon(
            (HERE / 'config.lua').read_text(), directory=self.folder,
            prefix=self.with_hosts(), **variables)

    @staticmethod
    def may_unshare():
        return shutil.which('unshare') is not None and subprocess.run(
            ['unshare', '-m', 'true'], stderr=subprocess.DEVNULL
        ).returncode == 0

    def with_hosts(self):
        """A command prefix that gives the daemon a host name with two
        addresses."""
        if not self.two:
            return []
        hosts = self.folder / 'hosts'
        hosts.write_text('127.0.0.1 localhost\n127.0.0.2 two.test\n'
                         '127.0.0.3 two.test\n')
        return ['unshare', '-m', 'sh', '-c',
                f'mount --bind {hosts} /etc/hosts && exec "$@"', 'sh']

    def warm_up(self):
        """One of each, so that what is made once has been made; then the
        database is away, as at the end, and the meter looks."""
        for step, action in (('resolve', 'raw'), ('cgroup', 'exec'),
                             ('sleep1', 'to-tcp0')):
            rcpt = mail.recipient(WARM, step, action, 'K', 0)
            reply = self.daemon.submit(b'', rcpts=(rcpt.encode(),))
            if reply[:1] != b'K':
                raise RuntimeError(f'at the start: {reply}')
        if self.cluster:
            self.cluster.stop()
            time.sleep(0.5)
        self.meter = Meter(self.daemon)
        if self.cluster:
            self.cluster.start()

    # ----- the load -----

    def watch_time(self):
        """Notes how long this run stood still, e.g. by a SIGSTOP."""
        last = time.monotonic()
        while not self.last.wait(0.2):
            now = time.monotonic()
            self.times.pause = max(self.times.pause, now - last - 0.2)
            last = now

    def disturb(self):
        """Until the time is over: SIGHUPs, a database that comes and goes,
        and a look at the daemon every second."""
        begin = now = time.monotonic()
        end = begin + self.seconds
        hup, pg, look = now + 1, now + self.rng.uniform(4, 10), now
        while now < end:
            if not self.daemon.alive():
                return
            if not self.family.all_alive():
                raise RuntimeError('a process of the soak has ended')
            if now >= look:
                self.meter.sample()
                look += 1
            if now >= hup:
                for _ in range(self.rng.choice([1, 1, 3])):
                    self.daemon.sighup()
                    self.disturbances['reloads'] += 1
                hup = now + self.rng.uniform(0.2, 4)
            if self.cluster and now >= pg:
                self.restart_database()
                pg = time.monotonic() + self.rng.uniform(3, 20)
            time.sleep(0.05)
            now = time.monotonic()

    def restart_database(self):
        if self.rng.random() < 0.5:
            self.cluster.stop()
        else:
            self.cluster.kill()
        time.sleep(self.rng.choice([0, 0.3, 2]))
        self.cluster.start()
        self.disturbances['database restarts'] += 1

    def settle(self):
        """-> (faults, rows): stops the load, then looks at what is left."""
        self.stop.set()
        faults = []
        serving, *submitting = self.family.members
        for process in submitting:
            faults += Family.join(process, self.patience + 30)
        self.last.set()         # the servers stay for the last mail
        faults += Family.join(serving, slow(30))
        rows = None
        if not self.daemon.alive():
            faults.append(('the daemon has ended', None,
                           f'status {self.daemon.process.returncode}'))
            return faults, rows
        done = self.daemon.output().count('reload ')
        self.daemon.sighup()
        try:
            wait_until(lambda: self.daemon.output().count('reload ') > done,
                       'the reload', 20)
        except AssertionError as e:
            faults.append(('no reload at the end', None, str(e)))
        if self.cluster:
            rows = set(self.cluster.sql('SELECT id FROM taken').split('\n'))
            self.cluster.stop()
        faults += self.meter.wait_quiet(str(self.folder / 'spool'))
        self.summary = f'{self.meter}; {self.limits}'
        if self.times.pause > 2:
            self.summary += f'; stood still for {self.times.pause:.0f} s'
        return faults, rows

    def run(self):
        """-> (faults, counts, account)"""
        try:
            self.build()
            self.warm_up()
            threading.Thread(target=self.watch_time, daemon=True).start()
            self.ready.set()
            self.disturb()
            faults, rows = self.settle()
            try:
                self.daemon.stop()
            except AssertionError as e:
                faults.append(('the daemon\'s end', None, str(e)[-3000:]))
        finally:
            self.close()
        account = Account(self.folder, self.times, rows)
        ledger = Ledger(account)
        ledger.check()
        return faults + ledger.faults, ledger.counts, account

    def close(self):
        self.family.kill()
        if self.daemon and not self.daemon.stopped:
            self.daemon.stopped = True
            self.daemon.kill()
            self.daemon.notify.close()
        if self.cluster:
            self.cluster.close()
