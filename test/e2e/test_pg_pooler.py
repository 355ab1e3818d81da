# SPDX-License-Identifier: BSD-2-Clause
"""pg behind PgBouncer: what the manual says of its modes."""
import os
import shutil
import subprocess

import pytest
from harness.daemon import short_dir
from harness.env import find_peer, wait_until
from harness.postgres import server_user
from harness.qmqp import request

HANDLER = """
local n = tonumber(m.sender:match('%d+'))
local insert = 'INSERT INTO t VALUES ($1) RETURNING n'
local r, e
if m.sender:find('^tx') then
  r, e = db:transaction(function(tx)
    assert(tx:execute(insert, {n}))
    return assert(tx:execute('SELECT $1::int AS n', {n}))
  end)
else
  r, e = db:execute(insert, {n})
end
return m:discard(r and r:fetch().n or e)"""


class PgBouncer:
    """Hands queries to a cluster, by no more connections than its pool has."""

    def __init__(self, cluster, mode):
        self.dir = short_dir()
        if cluster.prefix:
            os.chown(self.dir, server_user().pw_uid, server_user().pw_gid)
        (self.dir / 'users').write_text('"postgres" ""\n')
        (self.dir / 'ini').write_text(f"""[databases]
* = host={cluster.dir} port={cluster.port}
[pgbouncer]
pool_mode = {mode}
listen_addr =
listen_port = 6432
unix_socket_dir = {self.dir}
auth_type = trust
auth_file = {self.dir}/users
default_pool_size = {8 if mode == 'session' else 2}
""")
        with open(self.dir / 'log', 'wb') as log:
            self.process = subprocess.Popen(
                [*cluster.prefix, find_peer('pgbouncer'),
                 str(self.dir / 'ini')], cwd='/', stdin=subprocess.DEVNULL,
                stdout=log, stderr=log)
        self.conninfo = f'host={self.dir} port=6432 user=postgres ' \
                        'dbname=postgres'
        wait_until((self.dir / '.s.PGSQL.6432').exists, 'PgBouncer listens')

    def close(self):
        # since 1.23 SIGTERM waits until the last client has gone
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.dir)


@pytest.fixture
def pooler(pg):
    if find_peer('pgbouncer') is None:
        pytest.skip('no pgbouncer; test/tools/setup pg fetches it')
    made = []

    def start(mode):
        made.append(PgBouncer(pg, mode))
        return made[-1]

    yield start
    for one in made:
        one.close()


def many(q, what, first):
    """All are answered right, some mails at a time."""
    clients = [(n, q.client().send(request(sender=b'%s%d@x' % (what, n))))
               for n in range(first, first + 30)]
    for n, client in clients:
        assert client.reply() == b'K%d' % n
        client.close()


def test_session_mode(qrelay, pg, pooler):
    """Everything works: a schema, prepared statements, transactions,
    notifications."""
    p = pooler('session')
    pg.sql('DROP SCHEMA IF EXISTS s CASCADE; CREATE SCHEMA s; '
           'CREATE TABLE s.t (n int)')
    q = qrelay(pre=f"""db = pg:new('{p.conninfo}', 's')
db:listen('news', function(payload) print('heard ' .. payload) end)""",
               handler=HANDLER)
    for i in range(4):
        many(q, b'', 100 * i)
        many(q, b'tx', 100 * i + 50)
    pg.sql("NOTIFY news, 'it'")
    q.wait_message('heard it')
    assert pg.sql('SELECT count(DISTINCT n), count(*) FROM s.t') == '240|240'
    pg.sql('DROP SCHEMA s CASCADE')


def test_transaction_mode(qrelay, pg, pooler):
    """With prepare=false, and with what is set belonging to the user."""
    p = pooler('transaction')
    pg.sql('DROP SCHEMA IF EXISTS s CASCADE; CREATE SCHEMA s; '
           'CREATE TABLE s.t (n int); '
           'ALTER ROLE postgres SET search_path TO s')
    try:
        q = qrelay(pre=f"db = pg:new('{p.conninfo}', nil, {{prepare=false}})",
                   handler=HANDLER)
        for i in range(4):
            many(q, b'', 100 * i)
            many(q, b'tx', 100 * i + 50)
    finally:
        pg.sql('ALTER ROLE postgres RESET search_path')
    assert pg.sql('SELECT count(DISTINCT n), count(*) FROM s.t') == '240|240'
    pg.sql('DROP SCHEMA s CASCADE')


def test_statement_mode(qrelay, pg, pooler):
    """No transactions, and an error that says so."""
    p = pooler('statement')
    pg.sql('CREATE TABLE t (n int)')
    q = qrelay(pre=f"db = pg:new('{p.conninfo}', nil, {{prepare=false}})",
               handler=HANDLER)
    many(q, b'', 0)
    assert b'not allowed in statement pooling mode' in q.submit(
        sender=b'tx1@x')
    many(q, b'', 100)
    assert pg.sql('SELECT count(*) FROM t') == '60'
