# SPDX-License-Identifier: BSD-2-Clause
"""CPU a 1 kB mail to TCP while clients are connected that send nothing, and
resident bytes each of those costs"""

import copy
import statistics
import subprocess
import time

from lib import (BenchError, build_variant, cpu_settled_ns, fd_count,
                 ratios, rss_settled, table, verdict, wait_for)

LEVELS = (0, 1000, 4000)
FDS_A_CLIENT = 8  # what qrelay reserves; it lowers max_connections to fit
FDS_MEASURED = 4  # enough for clients that do nothing, and few mails
SPARE = 100  # connections for the mails that are measured
MAILS = 2000
AIM = 512  # bytes an idle client


def cells():
    return ['idle']


class IdleClients:
    """Holds connections to one relay, opened level by level."""

    def __init__(self, bench, running):
        self.bench, self.running = bench, running
        self.holders = []
        self.count = 0
        self.grown = 0  # resident bytes
        self.all_taken = True

    def raise_to(self, level):
        more = level - self.count
        if more <= 0 or not self.all_taken:
            return
        pid = self.running.process.pid
        cpu_settled_ns(pid)
        rss, fds = rss_settled(pid), fd_count(pid)
        holder = self.bench.spawn(
            [self.bench.tool('load'), '-i', str(more), self.running.socket],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.holders.append(holder)
        if holder.stdout.readline() != 'ready\n':
            raise BenchError(f'{self.running.name}: idle clients are refused')
        try:
            wait_for(lambda: fd_count(pid) >= fds + more, 'accepting', 5)
        except BenchError:
            self.all_taken = False
            return
        time.sleep(0.1)
        self.grown += rss_settled(pid) - rss
        self.count = level

    def close(self):
        """Raises if the relay has closed one meanwhile."""
        lost = 0
        for holder in self.holders:
            holder.communicate('')
            lost += holder.returncode != 0
            self.bench.stop(holder)
        if lost:
            raise BenchError(f'{self.running.name}: closed idle clients')


def most(bench, fds):
    return bench.nofile // fds - SPARE


def relays(bench):
    """Where descriptors lack, a qrelay that reserves fewer."""
    chosen = []
    for relay in bench.relays:
        if (relay.name == 'qrelay'
                and most(bench, FDS_A_CLIENT) < LEVELS[-1]
                and most(bench, FDS_MEASURED) >= LEVELS[-1]):
            bench.say(f'  {LEVELS[-1]} clients would need a hard limit of '
                      f'{(LEVELS[-1] + SPARE) * FDS_A_CLIENT} descriptors, '
                      f'here it is {bench.nofile}: this qrelay was compiled '
                      f'to reserve {FDS_MEASURED} a client, not '
                      f'{FDS_A_CLIENT}')
            relay = copy.copy(relay)
            relay.program = build_variant(
                bench.options.build, 'idle',
                f'-DLIMIT_FDS_PER_CONNECTION={FDS_MEASURED}')
        chosen.append(relay)
    return chosen


def levels(bench, running):
    """LEVELS, the last one lowered where even so descriptors lack."""
    if 'qrelay' not in running:
        return LEVELS
    limit = most(bench, FDS_MEASURED)
    if limit < LEVELS[-1]:
        bench.say(f'  {LEVELS[-1]} clients would need a hard limit of '
                  f'{(LEVELS[-1] + SPARE) * FDS_MEASURED} descriptors, here '
                  f'it is {bench.nofile}: {limit} clients instead')
    return sorted({min(level, limit) for level in LEVELS})


def measure_level(bench, level, running, clients):
    taken = {}
    for name, r in running.items():
        clients[name].raise_to(level)
        if clients[name].count == level:
            taken[name] = r
        else:
            bench.say(f'  {name}: does not accept {level} clients '
                      f'({bench.nofile} descriptors); left out')
    if not taken:
        return {}
    mails = bench.count(MAILS)
    return bench.interleaved(
        taken, lambda r: bench.cpu_per_mail(r, mails),
        lambda r: bench.load(r, max(20, mails // 5)))


def report_memory(bench, clients):
    rows = []
    for name, c in clients.items():
        if c.count == 0:
            continue
        each = c.grown / c.count
        ok = each < AIM if name == 'qrelay' else None
        text = f'<{AIM} {verdict(ok)}' if ok is not None else ''
        rows.append((f'idle/{c.count}', name, f'{each:.0f}', text))
        bench.record('idle/rss', name, each, 'bytes an idle client',
                     clients=c.count,
                     **({} if ok is None else {'ok': ok, 'aim': text}))
    bench.say(table(rows, ('cell', 'relay', 'bytes a client', 'aim')))


def run(bench, chosen):
    rows, alone = [], {}
    with bench.started('tcp', relays(bench)) as running:
        clients = {n: IdleClients(bench, r) for n, r in running.items()}
        for level in levels(bench, running):
            cell = f'idle/{level}'
            values = measure_level(bench, level, running, clients)
            for name, each in values.items():
                median = statistics.median(each)
                alone.setdefault(name, median)
                ratio = ratios(each, values.get('floor'))
                rows.append((cell, name, f'{median / 1000:.1f}',
                             f'{median / alone[name]:.2f}',
                             f'{ratio[0]:.2f}' if ratio else ''))
                bench.record(cell, name, median, 'ns CPU a mail',
                             rounds=each, ratio=ratio and ratio[0])
        for c in clients.values():
            c.close()
    bench.say(table(rows, ('cell', 'relay', 'us a mail', 'x without idle',
                           'x floor')))
    bench.say()
    report_memory(bench, clients)
