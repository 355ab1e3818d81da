# SPDX-License-Identifier: BSD-2-Clause
"""examples/limits-by-customer.lua and examples/cache-by-notify.lua."""
import os
import re
import subprocess
import time

from harness.env import TREE, wait_until
from harness.qmqp import request

EXAMPLES = TREE / 'examples'


def start(qrelay, pg, server, name):
    text = (EXAMPLES / name).read_text()
    assert text.count('qmqp_listen(systemd') == 1
    return qrelay(text.replace('qmqp_listen(systemd', "qmqp_listen('$SOCK'"),
                  env={'QRELAY_DATABASE': pg.conninfo,
                       'QRELAY_SERVER': server.address})


def test_limits_by_customer(qrelay, pg, server):
    pg.sql((EXAMPLES / 'limits-by-customer.sql').read_text())
    s = server()
    q = start(qrelay, pg, s, 'limits-by-customer.lua')
    assert q.submit() == b'Dyou may not send mail'
    pg.sql(f"INSERT INTO customer VALUES ({os.getuid()}, 'acme', 10)")
    assert q.submit(rcpts=[b'a@x'] * 11)[:1] == b'D'
    assert q.submit(rcpts=[b'a@x'] * 3) == b'Kok'
    assert q.peek_mails()[-1]['account'] == b'acme'
    assert q.submit(rcpts=[b'a@x'] * 8)[:1] == b'D'
    # of twenty at once, seven fit
    clients = [q.client().send(request()) for _ in range(20)]
    replies = [c.reply()[:1] for c in clients]
    for c in clients:
        c.close()
    assert replies.count(b'K') == 7 and replies.count(b'D') == 13
    assert pg.sql('SELECT recipients FROM mail_count') == '10'
    assert len(s.requests) == 8


def test_limits_without_database(qrelay, pg, server):
    q = start(qrelay, pg, server(), 'limits-by-customer.lua')
    assert q.submit() == b'Ztry again later'


def test_cache_by_notify(qrelay, pg, server):
    head = (EXAMPLES / 'cache-by-notify.lua').read_text()
    ddl = '\n'.join(re.findall(r'^--   (.*)$', head, re.M))
    pg.sql(ddl)
    q = start(qrelay, pg, server(), 'cache-by-notify.lua')
    assert q.submit() == b'Kok'
    pg.sql(f"INSERT INTO blocked VALUES ({os.getuid()}, 'spam')")
    wait_until(lambda: q.submit() == b'Dblocked: spam', 'it is blocked', 5)
    # from the cache: the table is locked, and nobody asks it
    lock = "BEGIN; LOCK blocked; SELECT pg_sleep(1); COMMIT"
    locker = subprocess.Popen(
        [*pg.prefix, str(pg.bin / 'psql'), '-Xq', '-h', str(pg.dir), '-U',
         'postgres', '-c', lock], cwd='/', stdout=subprocess.DEVNULL)
    time.sleep(0.3)
    start_time = time.monotonic()
    assert q.submit() == b'Dblocked: spam'
    assert time.monotonic() - start_time < 0.5
    locker.wait()
    pg.sql('DELETE FROM blocked')
    wait_until(lambda: q.submit() == b'Kok', 'it is not', 5)
