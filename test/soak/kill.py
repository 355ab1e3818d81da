# SPDX-License-Identifier: BSD-2-Clause
"""One run of the soak with --kill: the daemon and the servers behind it are
killed and started again at random, while senders repeat each mail until
it is taken.  Then each mail whose K was seen must be in a Maildir; that
some are there twice is what queues live with, and counted."""
import os
import pathlib
import random
import signal
import subprocess
import time

from harness.daemon import Daemon
from harness.env import SINK, free_port, slow, wait_until
from harness.qmqp import open_socket

import senders
from family import FORK, Family
from mailbox import TORN, Mailboxes
from meter import named

HERE = pathlib.Path(__file__).parent
PROCESSES = 4
VICTIMS = ['daemon'] * 4 + ['a', 'b'] * 2 + ['both', 'term']


class Sink:
    """A server that stores: qrelay-sink."""

    def __init__(self, folder, name, address):
        self.command = [SINK, '--maildir', folder / f'maildir-{name}',
                        address]
        host, _, port = address.rpartition(':')
        self.address = (host, int(port)) if host else address
        self.process = None

    def start(self):
        self.process = subprocess.Popen(self.command,
                                        stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL)
        wait_until(self.answers, 'qrelay-sink listens')

    def answers(self):
        assert self.process.poll() is None, 'qrelay-sink has ended'
        try:
            open_socket(self.address).close()
            return True
        except OSError:
            return False

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        self.process.terminate()
        assert self.process.wait(slow(10)) == 0, 'qrelay-sink\'s exit status'


class Kill:
    def __init__(self, folder, seed, seconds):
        self.folder, self.seed, self.seconds = folder, seed, seconds
        self.rng = random.Random(f'{seed}-kill')
        self.ready, self.stop = FORK.Event(), FORK.Event()
        self.disturbances = {'kills of the daemon': 0, 'of servers': 0,
                             'ends of the daemon by SIGTERM': 0}
        self.summary = ''
        self.tcp = free_port()
        self.sinks = {
            'a': Sink(folder, 'a', f'127.0.0.1:{free_port()}'),
            'b': Sink(folder, 'b', str(folder / 'b'))}
        self.daemon, self.family = None, Family()

    def start_daemon(self):
        a, b = (str(self.sinks[name].command[-1]) for name in 'ab')
        self.daemon = Daemon(
            (HERE / 'kill.lua').read_text(), directory=self.folder,
            tcp=f'127.0.0.1:{self.tcp}', sink_a=a, sink_b=b, sink=str(SINK),
            maildir_x=str(self.folder / 'maildir-x'), timeout=slow(5))

    def kill_daemon(self):
        self.daemon.stopped = True
        self.daemon.kill()
        self.daemon.notify.close()
        if not (self.daemon.raw_log() or b'\n').endswith(b'\n'):
            with open(self.daemon.stderr_path, 'ab') as log:
                log.write(TORN + b'\n')

    def strike(self):
        """Kills one, or both; then what was killed comes back."""
        victim = self.rng.choice(VICTIMS)
        if victim == 'term':
            self.daemon.terminate()
            self.daemon.stop()
            self.disturbances['ends of the daemon by SIGTERM'] += 1
        if victim in ('daemon', 'both'):
            self.kill_daemon()
            self.disturbances['kills of the daemon'] += 1
        sinks = [sink for name, sink in self.sinks.items()
                 if victim in (name, 'both')]
        for sink in sinks:
            sink.kill()
            self.disturbances['of servers'] += 1
        time.sleep(self.rng.choice([0, 0, 0.05, 0.4]))
        for sink in sinks:
            sink.start()
        if self.daemon.stopped:
            self.start_daemon()

    def build(self):
        for i in range(PROCESSES):
            self.family.fork(
                senders.send, self.ready, self.stop, i,
                [str(self.folder / 'q.sock'), ('127.0.0.1', self.tcp)],
                self.seed, self.folder / f'sender{i}.journal', slow(60))
        for sink in self.sinks.values():
            sink.start()
        self.start_daemon()

    def run(self):
        """-> (faults, counts, mailboxes)"""
        faults = []
        try:
            self.build()
            self.ready.set()
            end = time.monotonic() + self.seconds
            while time.monotonic() < end:
                time.sleep(self.rng.uniform(0.05, 1.5))
                if not self.daemon.alive():
                    faults.append(('the daemon has ended', None,
                                   f'{self.daemon.process.returncode}'))
                    break
                self.strike()
            self.stop.set()
            for process in self.family.members:
                faults += Family.join(process, senders.GIVE_UP + slow(60))
            self.daemon.stop()
            for sink in self.sinks.values():
                sink.stop()
            wait_until(lambda: not named(f'{self.folder}/maildir-x'),
                       'programs have ended', 10)
        except AssertionError as e:
            faults.append(('starting and stopping', None, str(e)[-3000:]))
        finally:
            self.close()
        boxes = Mailboxes(self.folder)
        boxes.check()
        return faults + boxes.faults, boxes.counts, boxes

    def close(self):
        self.family.kill()
        if self.daemon and not self.daemon.stopped:
            self.kill_daemon()
        for sink in self.sinks.values():
            if sink.process and sink.process.poll() is None:
                os.kill(sink.process.pid, signal.SIGKILL)
                sink.process.wait()
