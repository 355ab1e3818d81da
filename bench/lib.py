# SPDX-License-Identifier: BSD-2-Clause
"""What every scenario needs: processes, measuring, interleaving, results.

CPU is what the kernel's scheduler charged to all threads of a process, in
nanoseconds, user and system together (/proc/PID/task/*/schedstat); where the
kernel has no schedstat, utime + stime of /proc/PID/stat in clock ticks.
Memory is Rss of /proc/PID/smaps_rollup and VmHWM of /proc/PID/status.
"""

import contextlib
import fnmatch
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TICK_NS = 1_000_000_000 // os.sysconf('SC_CLK_TCK')
WAIT = 10  # seconds for a process to become ready or to end


class BenchError(Exception):
    """A measurement that could not be made, or was not what it claims."""


def cpu_source():
    try:
        with open('/proc/self/schedstat') as f:
            f.read()
        return 'schedstat'
    except OSError:
        return 'stat'


def cpu_user_system_ns(pid):
    with open(f'/proc/{pid}/stat') as f:
        fields = f.read().rpartition(')')[2].split()
    return int(fields[11]) * TICK_NS, int(fields[12]) * TICK_NS


def cpu_ns(pid):
    if cpu_source() == 'stat':
        return sum(cpu_user_system_ns(pid))
    total = 0
    for task in os.listdir(f'/proc/{pid}/task'):
        with contextlib.suppress(FileNotFoundError):
            with open(f'/proc/{pid}/task/{task}/schedstat') as f:
                total += int(f.read().split()[0])
    return total


def cpu_settled_ns(pid):
    """The CPU time once the process has nothing left to do."""
    deadline = time.monotonic() + 2
    last, same = cpu_ns(pid), 0
    while same < 2 and time.monotonic() < deadline:
        time.sleep(0.005)
        value = cpu_ns(pid)
        same = same + 1 if value == last else 0
        last = value
    return last


def proc_kb(pid, name, field):
    with open(f'/proc/{pid}/{name}') as f:
        for line in f:
            if line.startswith(field + ':'):
                return int(line.split()[1])
    raise BenchError(f'/proc/{pid}/{name} has no {field}')


def rss(pid):
    return proc_kb(pid, 'smaps_rollup', 'Rss') * 1024


def rss_settled(pid):
    """Resident bytes once three readings in a row are the same."""
    deadline = time.monotonic() + 5
    last, same = rss(pid), 0
    while same < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
        value = rss(pid)
        same = same + 1 if value == last else 0
        last = value
    return last


def peak_rss(pid):
    return proc_kb(pid, 'status', 'VmHWM') * 1024


def fd_count(pid):
    return len(os.listdir(f'/proc/{pid}/fd'))


def wait_for(condition, what, seconds=WAIT):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise BenchError(f'{what}: not within {seconds} s')
        time.sleep(0.01)


def raise_nofile(want=80000):
    """8 descriptors for each of 8192 connections; returns what it got."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < want:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (want, want))
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def size_name(n):
    for factor, unit in ((1_000_000, 'MB'), (1000, 'kB')):
        if n >= factor:
            return f'{n // factor}{unit}'
    return f'{n}B'


class Bench:
    """One run of the bench: a folder, processes, options, results."""

    def __init__(self, options, relays):
        self.options = options
        self.relays = relays
        self.results = []
        self.nofile = raise_nofile()
        self.dir = tempfile.mkdtemp(prefix='qrelay-bench-')
        self.running = []
        self.sinks = {}
        self.serial = 0
        cpus = sorted(os.sched_getaffinity(0))
        self.pinned = options.pin and len(cpus) >= 2
        self.relay_cpu, self.peer_cpu = {cpus[-1]}, {cpus[0]}

    def close(self):
        for process in reversed(self.running):
            self.stop(process)
        shutil.rmtree(self.dir, ignore_errors=True)

    # Processes

    def tool(self, name):
        return os.path.join(self.options.build, 'bench', name)

    def path(self, name):
        self.serial += 1
        return os.path.join(self.dir, f'{self.serial}-{name}')

    def spawn(self, argv, relay=False, nice=0, **kwargs):
        cpus = self.relay_cpu if relay else self.peer_cpu

        def prepare():
            if self.pinned:
                os.sched_setaffinity(0, cpus)
            if nice:
                os.nice(nice)
            elif self.options.realtime:
                os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))

        process = subprocess.Popen(argv, preexec_fn=prepare, **kwargs)
        self.running.append(process)
        return process

    def stop(self, process):
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(WAIT)
            except subprocess.TimeoutExpired:
                process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                stream.close()
        if process in self.running:
            self.running.remove(process)

    def sink(self, transport):
        """The address of a QMQP server that accepts everything."""
        if transport not in self.sinks:
            want = '127.0.0.1:0' if transport == 'tcp' else self.path('sink')
            process = self.spawn([self.tool('sink'), want], text=True,
                                 stdout=subprocess.PIPE)
            self.sinks[transport] = process.stdout.readline().strip()
            if not self.sinks[transport]:
                raise BenchError('the sink does not start')
        return self.sinks[transport]

    @contextlib.contextmanager
    def started(self, transport, relays=None):
        """Fresh relays that talk to the sink: {relay name: Running}."""
        running = {}
        try:
            for relay in relays or self.relays:
                running[relay.name] = relay.start(self, self.sink(transport))
            yield running
        finally:
            for each in running.values():
                self.stop(each.process)

    # Measuring

    def load(self, running, mails, size=1000, sessions=20, rate=None):
        """Sends mails; anything but a K for each of them is an error."""
        argv = [self.tool('load'), '-n', str(mails), '-s', str(size),
                '-c', str(sessions)]
        if rate is not None:
            argv += ['-r', str(rate)]
        # who measures latency must not wait for the sink, on the same CPU
        nice = -15 if rate is not None and os.geteuid() == 0 else 0
        process = self.spawn([*argv, running.socket], nice=nice, text=True,
                             stdout=subprocess.PIPE)
        out = process.communicate()[0]
        self.stop(process)
        result = json.loads(out) if out else {}
        if result.get('K') != mails:
            raise BenchError(f'{running.name}: not every mail was accepted: '
                             f'{out.strip() or "no result"}')
        return result

    def cpu_per_mail(self, running, mails, **kwargs):
        """Nanoseconds of the relay's CPU a mail."""
        pid = running.process.pid
        before = cpu_settled_ns(pid)
        self.load(running, mails, **kwargs)
        return (cpu_settled_ns(pid) - before) / mails

    def interleaved(self, running, measure, warm_up=None):
        """Calls measure(relay) for each relay in each round, so that whatever
        else the machine does falls on all alike.  The order rotates by one a
        round and turns round when all have been first, so that nobody always
        follows the same one.  Returns {relay name: [values]}."""
        names = list(running)
        values = {name: [] for name in names}
        for name in names:
            (warm_up or measure)(running[name])
        for i in range(self.options.rounds):
            turn = i % len(names)
            order = names[turn:] + names[:turn]
            if i // len(names) % 2:
                order.reverse()
            for name in order:
                values[name].append(measure(running[name]))
        return values

    def count(self, n):
        """A number of mails, made smaller by --quick."""
        return max(20, n // 5) if self.options.quick else n

    # Results

    def wanted(self, cell):
        """Whether --only lets this cell in: a part of its name, or a glob."""
        only = self.options.only
        return not only or only in cell or fnmatch.fnmatch(cell, only)

    def record(self, cell, relay, value, unit, **more):
        self.results.append({'cell': cell, 'relay': relay, 'value': value,
                             'unit': unit, **more})

    def say(self, text=''):
        print(text, flush=True)


def ratios(values, base):
    """Median, lower and upper quartile of the ratios round by round."""
    if not base:
        return None
    each = [v / b for v, b in zip(values, base)]
    if len(each) == 1:
        return each[0], each[0], each[0]
    low, middle, high = statistics.quantiles(each, n=4, method='inclusive')
    return middle, low, high


def verdict(ok):
    return 'ok' if ok else 'over'


def table(rows, header):
    """Columns padded to their widest cell; the first one to the left."""
    rows = [header, *rows]
    widths = [max(len(str(row[i])) for row in rows)
              for i in range(len(header))]
    lines = []
    for row in rows:
        cells = [str(row[0]).ljust(widths[0])]
        cells += [str(c).rjust(w) for c, w in zip(row[1:], widths[1:])]
        lines.append('  ' + '  '.join(cells).rstrip())
    return '\n'.join(lines)


def run_quietly(argv):
    """Shows a command's output only if it fails."""
    done = subprocess.run(argv, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)
    if done.returncode != 0:
        sys.stderr.write(done.stdout)
        raise BenchError(f'{argv[0]} failed')


def build_variant(build, name, c_args):
    """The daemon compiled with other arguments, in a folder of its own."""
    folder = f'{build}-{name}'
    if not os.path.exists(os.path.join(folder, 'build.ninja')):
        run_quietly(['meson', 'setup', f'-Dc_args={c_args}',
                     '-Ddocs=disabled', folder, ROOT])
    run_quietly(['ninja', '-C', folder, 'src/cm4all-qrelay'])
    return os.path.join(folder, 'src', 'cm4all-qrelay')


def build_all(build):
    """Brings the Meson build folder up to date: daemon and bench tools."""
    if not os.path.exists(os.path.join(build, 'build.ninja')):
        run_quietly(['meson', 'setup', build, ROOT])
    run_quietly(['ninja', '-C', build, 'src/cm4all-qrelay',
                 'bench/floor', 'bench/load', 'bench/sink',
                 'bench/spawn', 'bench/drip', 'bench/pg_lookup'])
