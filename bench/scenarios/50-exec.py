# SPDX-License-Identifier: BSD-2-Clause
"""Mails a second through exec_raw('/bin/true'), against posix_spawn and wait in
a loop (spawn); and what they take in a daemon with 1 GB resident"""

import json
import statistics
import subprocess

from lib import BenchError, ratios, rss, table, verdict
from relays import Qrelay

MAILS = 1000
AIM = 0.8  # x the rate of the bare loop
AIM_LARGE = 1.1  # x the time of the small daemon
SIZES = {'10MB': 10, '1GB': 1000}


def cells():
    return ['exec/rate', 'exec/resident']


class Exec(Qrelay):
    """The daemon, with a program as its server."""

    def __init__(self, build, name='qrelay', megabytes=0):
        super().__init__(build)
        self.name, self.megabytes = name, megabytes

    def argv(self, bench, listen, server):
        config = bench.path('config.lua')
        with open(config, 'w') as f:
            f.write(f'''\
lua_memory = 4 * 1024^3
handler_timeout = 60
qmqp_listen('{listen}', function(m)
  if not ballast then -- lua_memory holds from the first mail on
    ballast = {{}}
    for i = 1, {self.megabytes // 10} do ballast[i] = ('x'):rep(10000000) end
  end
  return m:exec_raw('/bin/true')
end)
''')
        return [self.program, '--config', config]


def mail_us(bench, running, mails):
    return 1e6 * bench.load(running, mails)['seconds'] / mails


def spawn_us(bench, count):
    process = bench.spawn([bench.tool('spawn'), str(count), '/bin/true'],
                          relay=True, text=True, stdout=subprocess.PIPE)
    out = process.communicate()[0]
    bench.stop(process)
    if not out:
        raise BenchError('spawn failed')
    return json.loads(out)['us'] / count


def run_rate(bench):
    mails = bench.count(MAILS)
    relay = Exec(bench.options.build)
    running = {'spawn': None, 'qrelay': relay.start(bench, None)}
    values = bench.interleaved(
        running, lambda r: mail_us(bench, r, mails) if r
        else spawn_us(bench, mails))
    bench.stop(running['qrelay'].process)
    # the ratio of rates is that of times, upside down
    ratio = ratios(values['spawn'], values['qrelay'])
    ok = ratio[0] >= AIM
    rows = []
    for name, each in values.items():
        median = statistics.median(each)
        more = {}
        shown = text = ''
        if name == 'qrelay':
            text = f'>={AIM:.2f} {verdict(ok)}'
            shown = '%.2f (%.2f..%.2f)' % ratio
            more = {'ratio': ratio[0], 'ok': ok, 'aim': text}
        rows.append(('exec/rate', name, f'{1e6 / median:.0f}', shown, text))
        bench.record('exec/rate', name, 1e6 / median, 'a second',
                     rounds=each, **more)
    bench.say(table(rows, ('cell', 'who', 'a second', 'x spawn', 'aim')))


def run_resident(bench):
    mails = bench.count(MAILS)
    running = {name: Exec(bench.options.build, name, size).start(bench, None)
               for name, size in SIZES.items()}
    for r in running.values():
        bench.load(r, 20)
    resident = {n: rss(r.process.pid) for n, r in running.items()}
    values = bench.interleaved(running, lambda r: mail_us(bench, r, mails))
    for r in running.values():
        bench.stop(r.process)
    rows = []
    for name, each in values.items():
        ratio = ratios(each, values['10MB'])
        ok = ratio[0] <= AIM_LARGE
        text = f'<={AIM_LARGE:.2f} {verdict(ok)}' if name != '10MB' else ''
        median = statistics.median(each)
        rows.append(('exec/resident', f'{resident[name] / 1e6:.0f} MB',
                     f'{median:.0f}', '%.2f (%.2f..%.2f)' % ratio, text))
        bench.record('exec/resident', name, median, 'us a mail', rounds=each,
                     resident=resident[name], ratio=ratio[0],
                     **({'ok': ok, 'aim': text} if text else {}))
    bench.say(table(rows, ('cell', 'resident', 'us a mail', 'x small',
                           'aim')))


def run(bench, chosen):
    if 'exec/rate' in chosen:
        run_rate(bench)
    if 'exec/resident' in chosen:
        run_resident(bench)
