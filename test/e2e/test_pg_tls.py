# SPDX-License-Identifier: BSD-2-Clause
"""pg: TLS to a server whose certificate is checked.  The host name goes through
the helper thread and reaches libpq as hostaddr; the certificate must still be
that of the name."""
import os
import shutil
import subprocess
import time

import pytest
from harness.daemon import short_dir
from harness.env import free_port, slow, wait_until
from harness.postgres import Cluster, find_bin, server_user
from harness.qmqp import request

NAME = 'db.test'
SELECT = """if m.sender == 'ok@x' then return m:discard() end
local r, e = db:execute([[SELECT ssl, host(inet_server_addr()) AS at
  FROM pg_stat_ssl WHERE pid = pg_backend_pid()]], nil, {timeout = 4})
if not r then return m:discard(e) end
local row = r:fetch()
return m:discard(row.ssl .. ' ' .. row.at)"""


def openssl(*words):
    subprocess.run(['openssl', *map(str, words)], check=True,
                   stdin=subprocess.DEVNULL, capture_output=True, timeout=60)


def make_ca(folder, name):
    openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt',
            'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2', '-subj',
            f'/CN={name}', '-keyout', folder / f'{name}.key', '-out',
            folder / f'{name}.crt')


def make_certificate(folder, ca, host):
    """HOST.key and HOST.crt, signed by the CA."""
    key, req = folder / f'{host}.key', folder / f'{host}.csr'
    names = folder / f'{host}.ext'
    names.write_text(f'subjectAltName=DNS:{host}\n')
    openssl('req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1',
            '-nodes', '-subj', '/CN=a server', '-keyout', key, '-out', req)
    openssl('x509', '-req', '-in', req, '-days', '2', '-CA',
            folder / f'{ca}.crt', '-CAkey', folder / f'{ca}.key',
            '-CAcreateserial', '-extfile', names, '-out',
            folder / f'{host}.crt')
    key.chmod(0o600)
    if os.geteuid() == 0:
        os.chown(key, server_user().pw_uid, server_user().pw_gid)


class TlsCluster(Cluster):
    """Serves TLS on 127.0.0.1 with a certificate for NAME; `files` has the
    authority's certificate, good.crt, and one that is another's, evil.crt."""

    def __init__(self, files):
        self.files = files
        super().__init__(
            listen_addresses='127.0.0.1', port=str(free_port()), ssl='on',
            ssl_cert_file=str(files / f'{NAME}.crt'),
            ssl_key_file=str(files / f'{NAME}.key'))

    def conninfo_tls(self, host=NAME, mode='verify-full', ca='good'):
        return (f'host={host} port={self.port} user=postgres dbname=postgres '
                f'sslmode={mode} sslrootcert={self.files}/{ca}.crt')


@pytest.fixture(scope='module')
def tls():
    if find_bin() is None:
        pytest.skip('no PostgreSQL server; test/tools/setup pg fetches it')
    if shutil.which('openssl') is None:
        pytest.skip('no openssl here')
    files = short_dir()
    make_ca(files, 'good')
    make_ca(files, 'evil')
    make_certificate(files, 'good', NAME)
    cluster = TlsCluster(files)
    yield cluster
    cluster.close()
    shutil.rmtree(files)


@pytest.fixture
def query(qrelay, name_server, tls):
    """query(conninfo, handler): a daemon that knows NAME and other.test."""
    def start(conninfo, handler=SELECT, delay=0):
        n = name_server({NAME: '127.0.0.1', 'other.test': '127.0.0.1'},
                        delay=delay)
        return qrelay(prefix=n.prefix, handler=handler,
                      pre=f"db = pg:new('{conninfo}')")
    return start


def test_verify_full(query, tls):
    q = query(tls.conninfo_tls())
    assert q.submit() == b'Kt 127.0.0.1'


def test_slow_name_holds_nobody_up(query, tls):
    """libpq is given the address, else it would look the name up itself, and
    the loop would wait with it."""
    q = query(tls.conninfo_tls(), delay=1)
    with q.client() as c:
        c.send(request())
        begin = time.monotonic()
        while c.silent(0.01):
            start = time.monotonic()
            assert q.submit(sender=b'ok@x') == b'Kdiscarded'
            assert time.monotonic() - start < slow(0.4)
        assert time.monotonic() - begin > 0.9
        assert c.reply() == b'Kt 127.0.0.1'


def test_wrong_authority(query, tls):
    q = query(tls.conninfo_tls(ca='evil'))
    reply = q.submit()
    assert reply.startswith(b'Ktimeout: ')
    assert b'certificate verify failed' in reply
    assert int(tls.sql("SELECT count(*) FROM pg_stat_ssl WHERE ssl")) == 0


def test_wrong_name(query, tls):
    """The address is the same, the name is not that of the certificate."""
    q = query(tls.conninfo_tls(host='other.test'))
    reply = q.submit()
    assert b'"db.test"' in reply and b'"other.test"' in reply
    assert b'does not match' in reply
    q = query(tls.conninfo_tls(host='other.test', mode='verify-ca'))
    assert q.submit() == b'Kt 127.0.0.1'


def test_no_root_certificate(query, tls):
    q = query(tls.conninfo_tls(ca='missing'))
    reply = q.submit()
    assert b'missing.crt' in reply and b'does not exist' in reply


def test_server_without_tls(qrelay, pg, proxy):
    conninfo = proxy.conninfo().replace('sslmode=disable', 'sslmode=require')
    q = qrelay(pre=f"db = pg:new('{conninfo}')", handler=SELECT)
    assert b'server does not support SSL' in q.submit()


def test_many_and_large(query, tls):
    """What OpenSSL has read already is not waited for at the socket."""
    q = query(tls.conninfo_tls(), """
local r = assert(db:execute("SELECT repeat('x', $1::int) AS v",
  {tonumber(m.sender:match('%d+'))}))
return m:discard(#r:fetch().v)""")
    sizes = [n * 997 for n in range(1, 60)] + [3_000_000, 12_000_000] * 2
    clients = [(n, q.client().send(request(sender=b'%d@x' % n)))
               for n in sizes]
    for n, c in clients:
        assert c.reply(timeout=30) == b'K%d' % n
        c.close()


def test_listen_and_lost_connections(query, tls):
    """Notifications come, and again after the connections were lost."""
    q = query(tls.conninfo_tls() + """')
db:listen('news', function(payload)
  if payload then print('heard ' .. payload) end
end, {on_reconnect = true})
x = ('""")
    tls.sql("NOTIFY news, 'one'")
    q.wait_message('heard one')
    assert q.submit() == b'Kt 127.0.0.1'
    for pid in tls.backends():
        tls.sql(f'SELECT pg_terminate_backend({pid})')
    wait_until(lambda: not tls.sql(
        "SELECT 1 FROM pg_stat_activity WHERE query = 'x'"), 'gone')
    wait_until(lambda: tls.sql("NOTIFY news, 'two'") == '' and
               'heard two' in q.output(), 'it listens again')
    assert q.submit() == b'Kt 127.0.0.1'
