# SPDX-License-Identifier: BSD-2-Clause
"""Looking up one of 100,000 rows in PostgreSQL, 50 mails at once"""

import json
import os
import statistics
import subprocess
import sys

from lib import ROOT, BenchError, cpu_settled_ns, ratios, table, verdict

CALLERS = 50
LOOKUPS = 20000
MAILS = 3000
AIM_RATE, AIM_CPU = 2.0, 1 / 3  # x one query at a time

sys.path.insert(0, os.path.join(ROOT, 'test', 'e2e'))


def cells():
    return ['pg/client', 'pg/handler']


def start_cluster():
    from harness.postgres import Cluster, find_bin
    if find_bin() is None:
        return None
    cluster = Cluster()
    cluster.sql('CREATE TABLE customer (id int PRIMARY KEY, max_mails int); '
                'INSERT INTO customer SELECT i, i % 100 FROM '
                'generate_series(1, 100000) i; ANALYZE customer')
    return cluster


def lookup(bench, cluster, mode):
    done = subprocess.run(
        [bench.tool('pg_lookup'), mode, str(bench.count(LOOKUPS)),
         str(CALLERS), cluster.conninfo], text=True, capture_output=True,
        preexec_fn=(lambda: os.sched_setaffinity(0, bench.relay_cpu))
        if bench.pinned else None)
    if done.returncode:
        raise BenchError(f'pg_lookup: {done.stderr.strip()}')
    return json.loads(done.stdout)


def run_client(bench, cluster):
    """The library alone, against one query at a time."""
    modes = {'one at a time': 'one', 'qrelay': 'pool'}
    values = bench.interleaved(modes, lambda m: lookup(bench, cluster, m))
    rows = []
    for name, each in values.items():
        rate = ratios([v['rate'] for v in each],
                      [v['rate'] for v in values['one at a time']])
        cpu = ratios([v['cpu_us'] for v in each],
                     [v['cpu_us'] for v in values['one at a time']])
        ok, text = None, ''
        if name == 'qrelay':
            ok = rate[0] >= AIM_RATE and cpu[0] <= AIM_CPU
            text = (f'rate >={AIM_RATE:.0f} {verdict(rate[0] >= AIM_RATE)}, '
                    f'CPU <={AIM_CPU:.2f} {verdict(cpu[0] <= AIM_CPU)}')
        median = statistics.median(v['rate'] for v in each)
        us = statistics.median(v['cpu_us'] for v in each)
        rows.append(('pg/client', name, f'{median:.0f}', f'{us:.1f}',
                     f'{rate[0]:.2f}', f'{cpu[0]:.2f}', text))
        bench.record('pg/client', name, us, 'us CPU a query', rate=median,
                     rounds=each, **({} if ok is None else
                                     {'ok': ok, 'aim': text}))
    bench.say(table(rows, ('cell', 'client', 'queries/s', 'us a query',
                           'x rate', 'x CPU', 'aim')))


def start_daemon(bench, name, config):
    from relays import Qrelay

    class Handler(Qrelay):
        def argv(self, bench, listen, server):
            path = bench.path('config.lua')
            with open(path, 'w') as f:
                f.write(config.replace('$SOCK', listen))
            return [self.program, '--config', path]

    relay = Handler(bench.options.build)
    if relay.program is None:
        return None
    relay.name = name
    return relay.start(bench, None)


def measure_mails(bench, running):
    pid = running.process.pid
    mails = bench.count(MAILS)
    before = cpu_settled_ns(pid)
    result = bench.load(running, mails, sessions=CALLERS)
    return {'us': (cpu_settled_ns(pid) - before) / mails / 1000,
            'rate': mails / result['seconds']}


def run_handler(bench, cluster):
    """The same handler with and without the query."""
    configs = {'without': "qmqp_listen('$SOCK', function(m) "
                          "return m:discard() end)",
               'with': f"""
db = pg:new('{cluster.conninfo}')
local n = 0
qmqp_listen('$SOCK', function(m)
  n = n % 100000 + 1
  local r = assert(db:execute(
    'SELECT max_mails FROM customer WHERE id = $1', {{n}}))
  assert(r:fetch().max_mails)
  return m:discard()
end)"""}
    running = {}
    try:
        for name, config in configs.items():
            running[name] = start_daemon(
                bench, name, 'max_connections_per_uid = 1024\n' + config)
        if None in running.values():
            bench.say('  pg/handler: the daemon is not built')
            return
        values = bench.interleaved(running,
                                   lambda r: measure_mails(bench, r))
        rows = []
        for name, each in values.items():
            us = statistics.median(v['us'] for v in each)
            rate = statistics.median(v['rate'] for v in each)
            rows.append(('pg/handler', name + ' query', f'{us:.1f}',
                         f'{rate:.0f}',
                         '%.2f' % ratios([v['us'] for v in each],
                                         [v['us'] for v in
                                          values['without']])[0]))
            bench.record('pg/handler', name, us, 'us CPU a mail', rounds=each)
        bench.say(table(rows, ('cell', 'handler', 'us a mail', 'mails/s',
                               'x CPU')))
    finally:
        for each in running.values():
            if each is not None:
                bench.stop(each.process)


def run(bench, chosen):
    cluster = start_cluster()
    if cluster is None:
        bench.say('  left out: no PostgreSQL server; test/tools/setup pg')
        return
    try:
        if 'pg/client' in chosen:
            run_client(bench, cluster)
        if 'pg/handler' in chosen:
            run_handler(bench, cluster)
    finally:
        cluster.close()
