# SPDX-License-Identifier: BSD-2-Clause
"""m.cgroup: CPU a 1 kB mail, with and without asking for the client's group

The load runs three groups deep in one with an attribute; needs root."""

import contextlib
import os
import statistics
import subprocess

from lib import ratios, table, verdict
from relays import Floor, Qrelay

CELL = 'cgroup/1kB/tcp'
MAILS = 3000
AIM = 0.5  # of a floor mail's CPU, for the path and one attribute

HANDLERS = {
    'without': '',
    'path': 'local path = m.cgroup.path',
    'path+xattr': "local path, name = m.cgroup.path, m.cgroup.xattr.name\n"
                  "  assert(name == 'bench')",
    '3 parents': '''local c = m.cgroup
  while c do local _ = c.uid, c.xattr.name; c = c.parent end''',
}


def cells():
    return [CELL]


class Asking(Qrelay):
    """The daemon with a handler that asks first."""

    def __init__(self, build, name, question):
        super().__init__(build)
        self.name = name
        self.question = question

    def argv(self, bench, listen, server):
        argv = super().argv(bench, listen, server)
        with open(argv[-1]) as f:
            text = f.read()
        with open(argv[-1], 'w') as f:
            f.write(text.replace('  return m:connect',
                                 f'  {self.question}\n  return m:connect'))
        return argv


def find_mount():
    with open('/proc/self/mountinfo') as f:
        for line in f:
            fields, _, kind = line.partition(' - ')
            if kind.startswith('cgroup2 ') and fields.split()[3] == '/':
                return fields.split()[4]
    raise OSError('cgroup2 is not mounted')


@contextlib.contextmanager
def group():
    """A new group, three deep, with an attribute."""
    top = os.path.join(find_mount(), f'qrelay-bench-{os.getpid()}')
    inner = os.path.join(top, 'a', 'b')
    try:
        os.makedirs(inner)
        os.setxattr(inner, 'user.name', b'bench')
        yield inner
    finally:
        for path in (inner, os.path.dirname(inner), top):
            with contextlib.suppress(OSError):
                os.rmdir(path)


class InGroup:
    """A bench whose load enters the group before it starts."""

    def __init__(self, bench, path):
        self.bench = bench
        self.procs = os.path.join(path, 'cgroup.procs')

    def spawn(self, argv, **kwargs):
        return self.bench.spawn(
            ['sh', '-c', 'echo 0 >"$0" && exec "$@"', self.procs, *argv],
            **kwargs)

    def __getattr__(self, name):
        return getattr(self.bench, name)

    def cpu_per_mail(self, running, mails):
        return type(self.bench).cpu_per_mail(self, running, mails)

    def load(self, running, mails, **kwargs):
        return type(self.bench).load(self, running, mails, **kwargs)


def measure(bench, path):
    inside = InGroup(bench, path)
    build = bench.options.build
    relays = [Floor(build)]
    relays += [Asking(build, n, q) for n, q in HANDLERS.items()]
    mails = bench.count(MAILS)
    with bench.started('tcp', relays) as running:
        return bench.interleaved(
            running, lambda r: inside.cpu_per_mail(r, mails),
            lambda r: inside.load(r, max(20, mails // 5)))


def run(bench, chosen):
    if CELL not in chosen:
        return
    try:
        with group() as path:
            values = measure(bench, path)
    except (OSError, subprocess.SubprocessError) as e:
        bench.say(f'  not measured: {e}')
        return
    base = values['floor']
    rows = []
    for name, each in values.items():
        median = statistics.median(each)
        more, text = '', ''
        if name in HANDLERS and name != 'without':
            extra = [a - b for a, b in zip(each, values['without'])]
            ratio = ratios(extra, base)
            more = '%+.2f (%+.2f..%+.2f)' % ratio
            ok = ratio[0] <= AIM
            if name == 'path+xattr':
                text = f'<={AIM:+.2f} {verdict(ok)}'
            bench.record(CELL, name, median, 'ns CPU a mail', rounds=each,
                         extra=ratio[0],
                         **({'ok': ok, 'aim': text} if text else {}))
        else:
            bench.record(CELL, name, median, 'ns CPU a mail', rounds=each)
        rows.append((CELL, name, f'{median / 1000:.1f}', more, text))
    bench.say(table(rows, ('cell', 'handler', 'us a mail',
                           'more, in floor mails', 'aim')))
