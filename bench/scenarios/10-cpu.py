# SPDX-License-Identifier: BSD-2-Clause
"""CPU a mail, 20 sessions; ratio: median (quartiles) of the rounds"""

import statistics

from lib import cpu_user_system_ns, ratios, size_name, table, verdict

MAILS = {1000: 3000, 50_000: 1200, 1_000_000: 100}
AIM = {'tcp': 1.10, 'unix': 1.20}  # x the floor


def cells():
    return [f'cpu/{size_name(size)}/{transport}'
            for transport in ('tcp', 'unix') for size in MAILS]


def user_share(running, before):
    user, system = cpu_user_system_ns(running.process.pid)
    user, system = user - before[0], system - before[1]
    return user / (user + system) if user + system else 0.


def aim(transport, name, values, ratio):
    """Whether it is met, and its text; None for what has no aim."""
    if name != 'qrelay' or ratio is None:
        return None, ''
    limit = AIM[transport]
    ok = ratio <= limit
    text = f'<={limit:.2f} {verdict(ok)}'
    if 'haproxy' in values:
        below = (statistics.median(values['qrelay']) <
                 statistics.median(values['haproxy']))
        text += f', <haproxy {verdict(below)}'
        ok = ok and below
    return ok, text


def run_cell(bench, cell, size, transport):
    mails = bench.count(MAILS[size])
    with bench.started(transport) as running:
        before = {n: cpu_user_system_ns(r.process.pid)
                  for n, r in running.items()}
        values = bench.interleaved(
            running,
            lambda r: bench.cpu_per_mail(r, mails, size=size),
            lambda r: bench.load(r, max(20, mails // 5), size=size))
        shares = {n: user_share(r, before[n]) for n, r in running.items()}
    rows = []
    for name, each in values.items():
        median = statistics.median(each)
        ratio = ratios(each, values.get('floor'))
        shown = ('%.2f (%.2f..%.2f)' % ratio) if ratio else ''
        ok, text = aim(transport, name, values, ratio and ratio[0])
        rows.append((cell, name, f'{median / 1000:.1f}',
                     f'{shares[name]:.0%}', shown, text))
        bench.record(cell, name, median, 'ns CPU a mail', rounds=each,
                     ratio=ratio and ratio[0], user_share=shares[name],
                     **({} if ok is None else {'ok': ok, 'aim': text}))
    bench.say(table(rows, ('cell', 'relay', 'us a mail', 'user',
                           'x floor', 'aim')))


def run(bench, chosen):
    for transport in ('tcp', 'unix'):
        for size in MAILS:
            cell = f'cpu/{size_name(size)}/{transport}'
            if cell in chosen:
                run_cell(bench, cell, size, transport)
