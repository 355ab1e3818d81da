# SPDX-License-Identifier: BSD-2-Clause
"""What the daemon holds: descriptors, children, memory; before, during and
after the load."""
import os
import pathlib
import time

from harness.env import WATCHED, slow

MIB = 1 << 20
# how much the last third of a run may stand above the second: Lua's garbage
# collector breathes, and a sanitizer keeps what was freed
GROWTH = (1.25, 24 * MIB) if WATCHED else (1.10, 4 * MIB)
REST = (96 if WATCHED else 20) * MIB    # above the start, when all is quiet
IDLE = 0.1              # of a CPU, when there is nothing to do
CHILD_GRACE = 10        # seconds until the daemon kills what ignores SIGTERM
SKIP = 0.2              # of the samples: caches fill


def children(pid):
    path = f'/proc/{pid}/task/{pid}/children'
    return [int(p) for p in pathlib.Path(path).read_text().split()]


def named(word):
    """Processes whose command line has this word."""
    result = []
    for name in os.listdir('/proc'):
        if name.isdigit() and int(name) != os.getpid():
            try:
                line = pathlib.Path('/proc', name, 'cmdline').read_bytes()
            except OSError:
                continue
            if word.encode() in line:
                result.append((int(name), line.replace(b'\0', b' ').decode(
                    errors='replace')))
    return result


class Meter:
    def __init__(self, daemon):
        self.daemon = daemon
        self.fds = daemon.fds()
        self.start = daemon.rss()
        self.samples = []

    def sample(self):
        self.samples.append(self.daemon.rss())

    def wait_quiet(self, spool):
        """-> faults.  When the last client has gone, everything else has
        to go soon."""
        faults = []
        end = time.monotonic() + slow(CHILD_GRACE + 15)
        quiet = 0
        while quiet < 5 and time.monotonic() < end:
            fds, left = self.daemon.fds_now(), children(self.daemon.pid)
            quiet = quiet + 1 if len(fds) == len(self.fds) and not left else 0
            time.sleep(0.2)
        if quiet < 5:
            if left:
                faults.append(('children are left', None, str(left)))
            if len(fds) != len(self.fds):
                faults.append(('descriptors are left', None,
                               f'{len(self.fds)} before, now {len(fds)}: '
                               f'{fds}'))
        if orphans := named(spool):
            faults.append(('programs are left', None, str(orphans)))
        rest = self.daemon.rss()
        if rest > self.start + REST:
            faults.append(('memory is left', None,
                           f'{self.start} bytes before, now {rest}'))
        before = self.daemon.cpu()
        time.sleep(1)
        used = self.daemon.cpu() - before
        if used > IDLE:
            faults.append(('it is busy with nothing', None, f'{used} s'))
        return faults + self.growth()

    def growth(self):
        used = self.samples[int(len(self.samples) * SKIP):]
        third = len(used) // 3
        if third < 5:
            return []
        before, after = max(used[third:2 * third]), max(used[2 * third:])
        if after > before * GROWTH[0] + GROWTH[1]:
            return [('memory grows', None, f'{before} bytes, then {after}')]
        return []

    def __str__(self):
        top = max(self.samples, default=self.start)
        return (f'memory {self.start / MIB:.0f} MiB at the start, '
                f'{top / MIB:.0f} at most, '
                f'{self.daemon.rss() / MIB:.0f} at the end; '
                f'{len(self.fds)} descriptors')
