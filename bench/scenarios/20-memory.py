# SPDX-License-Identifier: BSD-2-Clause
"""Peak memory (VmHWM) of a fresh process after mails, 20 sessions, to TCP"""

from lib import peak_rss, size_name, table

MAILS = {1000: 6000, 50_000: 2000, 1_000_000: 150}


def cells():
    return [f'memory/{size_name(size)}' for size in MAILS]


def run(bench, chosen):
    rows = []
    for size, mails in MAILS.items():
        cell = f'memory/{size_name(size)}'
        if cell not in chosen:
            continue
        with bench.started('tcp') as running:
            for name, r in running.items():
                start = peak_rss(r.process.pid)
                bench.load(r, bench.count(mails), size=size)
                peak = peak_rss(r.process.pid)
                rows.append((cell, name, start // 1024, peak // 1024))
                bench.record(cell, name, peak, 'bytes', at_start=start)
    bench.say(table(rows, ('cell', 'relay', 'kB at start', 'kB at peak')))
