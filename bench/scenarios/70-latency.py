# SPDX-License-Identifier: BSD-2-Clause
"""Latency of a 1 kB mail, microseconds, at half the rate that the slower of
qrelay and HAProxy can do: alone, while one client sends mails of 16 MiB without
pause, and while another user takes and drips into all connections he gets;
medians of the rounds"""

import contextlib
import json
import os
import statistics
import subprocess
import time

from lib import BenchError, ratios, table, verdict
from relays import QrelayDefaults

MAILS = 3000
SESSIONS = 200  # fewer than a quarter of 1024: as many as a uid gets
LARGE = 16 * 1024 * 1024
NOBODY = 65534
SHARE = 0.5  # of the maximal rate
AIM = {'alone': 1.0, 'large': 1.5}  # x HAProxy's p99 in the same round
AIM_HOSTILE = 3.0  # x qrelay's own p99 without him
KINDS = ('alone', 'large', 'hostile')
SHOWN = ('p50', 'p99', 'p999')
HEADER = ('cell', 'relay', 'mails/s', *SHOWN, 'p99 x', 'aim')


def cells():
    return [f'latency/{kind}' for kind in KINDS]


def half_rate(bench, running):
    """Half of what the slowest can do; the floor is not asked."""
    asked = {n: r for n, r in running.items() if n in ('haproxy', 'qrelay')}
    rates = bench.interleaved(
        asked or running,
        lambda r: MAILS / bench.load(r, MAILS)['seconds'])
    return int(SHARE * min(statistics.median(v) for v in rates.values()))


@contextlib.contextmanager
def large_mails(bench, running):
    """One client that sends them, one after the other, and yields to the
    others that share its CPU."""
    process = bench.spawn(
        [bench.tool('load'), '-n', '1000000', '-s', str(LARGE), '-c', '1',
         running.socket], nice=19, stdout=subprocess.DEVNULL)
    time.sleep(0.1)
    try:
        yield
        if process.poll() is not None:
            raise BenchError(f'{running.name}: refuses large mails')
    finally:
        bench.stop(process)


@contextlib.contextmanager
def hostile(bench, running):
    process = bench.spawn(
        [bench.tool('drip'), '-u', str(NOBODY), running.socket],
        nice=19, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        if process.stdout.readline() != 'ready\n':
            raise BenchError('the hostile client does not start')
        time.sleep(0.5)
        yield
        result = json.loads(process.communicate('')[0])
        if result['held'] == 0 or result['lost'] == 0:
            raise BenchError(f'the hostile client is not: {result}')
    finally:
        bench.stop(process)


def latency(bench, running, rate, disturbed=None):
    with disturbed(bench, running) if disturbed else contextlib.nullcontext():
        return bench.load(running, bench.count(MAILS), sessions=SESSIONS,
                          rate=rate)


def report(bench, cell, rate, name, values, ratio, limit):
    medians = {p: statistics.median(v[p] for v in values) for p in SHOWN}
    ok = None if ratio is None or limit is None else ratio[0] <= limit
    aim = '' if ok is None else f'<={limit:.2f} {verdict(ok)}'
    bench.record(cell, name, medians['p99'], 'us', **medians, rate=rate,
                 ratio=ratio and ratio[0],
                 rounds=[[v[p] for p in SHOWN] for v in values],
                 **({} if ok is None else {'ok': ok, 'aim': aim}))
    return (cell, name, rate, *(f'{medians[p]:.0f}' for p in SHOWN),
            '%.2f (%.2f..%.2f)' % ratio if ratio else '', aim)


def p99(values):
    return [v['p99'] for v in values]


def beside_haproxy(bench, running, rate, kind):
    values = bench.interleaved(
        running, lambda r: latency(bench, r, rate, large_mails
                                   if kind == 'large' else None))
    base = values.get('haproxy')
    return [report(bench, f'latency/{kind}', rate, name, each,
                   ratios(p99(each), base and p99(base)),
                   AIM[kind] if name == 'qrelay' else None)
            for name, each in values.items()]


def beside_hostile(bench, rate, relay):
    with bench.started('tcp', [relay]) as started:
        running = started['qrelay']
        # what interleaved() rotates are the two states of one relay
        values = bench.interleaved(
            {'qrelay': None, 'qrelay + hostile': hostile},
            lambda disturbed: latency(bench, running, rate, disturbed))
    base = p99(values['qrelay'])
    return [report(bench, 'latency/hostile', rate, name, each,
                   ratios(p99(each), base),
                   AIM_HOSTILE if name != 'qrelay' else None)
            for name, each in values.items()]


def run(bench, chosen):
    rows = []
    with bench.started('tcp') as running:
        rate = half_rate(bench, running)
        for kind in ('alone', 'large'):
            if f'latency/{kind}' in chosen:
                rows += beside_haproxy(bench, running, rate, kind)
    if 'latency/hostile' in chosen and 'qrelay' in running:
        if os.geteuid() == 0:
            os.chmod(bench.dir, 0o711)
            rows += beside_hostile(bench, rate,
                                   QrelayDefaults(bench.options.build))
        else:
            bench.say('  latency/hostile: left out, it takes root to be two '
                      'users')
    if rows:
        bench.say(table(rows, HEADER))
