# SPDX-License-Identifier: BSD-2-Clause
"""The examples, each as it is but for its socket, with servers of our own.

Others have files of their own: sealed-identity*.lua test_sodium.py,
tag-by-container.lua test_tag_by_container.py, sendmail.lua test_exec_life.py,
limits-by-customer.lua and cache-by-notify.lua test_pg_examples.py, demo.lua
`demo/run`.
"""
import os
import re
import subprocess

import pytest
from harness.daemon import StartError
from harness.env import DAEMON, TREE, WRAPPER, slow, wait_until
from harness.qmqp import MESSAGE
from harness.server import answering

EXAMPLES = TREE / 'examples'
HERE = {'null-client.lua', 'two-hubs.lua', 'maintenance.lua',
        'quarantine.lua'}
ELSEWHERE = {'demo.lua', 'sealed-identity.lua', 'sealed-identity-keys.lua',
             'sealed-identity-open.lua', 'sendmail.lua',
             'tag-by-container.lua', 'limits-by-customer.lua',
             'cache-by-notify.lua'}
# those that need a key, or a database, before they start
NEEDY = {'sealed-identity.lua', 'sealed-identity-keys.lua',
         'sealed-identity-open.lua', 'quarantine.lua'}


@pytest.fixture
def example(qrelay):
    """example('name', VARIABLE=value): runs it on a socket path."""
    def start(name, **env):
        text = (EXAMPLES / f'{name}.lua').read_text()
        assert text.count('qmqp_listen(systemd,') == 1
        return qrelay(text.replace('(systemd,', "('$SOCK',"), env=env)
    return start


def lua_files():
    return {path.name for path in EXAMPLES.glob('*.lua')}


def test_every_example_is_tested():
    assert lua_files() == HERE | ELSEWHERE


@pytest.mark.parametrize('path', [
    *(EXAMPLES / name for name in sorted((HERE | ELSEWHERE) - NEEDY)),
    TREE / 'dist' / 'config.lua'], ids=lambda path: path.name)
def test_check(path):
    """--check finds nothing wrong with the file as it is."""
    result = subprocess.run(
        [*WRAPPER, str(DAEMON), '--check', '--config', str(path)],
        stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=slow(20), check=False)
    assert result.returncode == 0, result.stderr
    assert 'would listen on ' in result.stdout


def test_first_configuration(qrelay):
    """What a fresh installation does: nothing is lost, everybody is told."""
    text = (TREE / 'dist' / 'config.lua').read_text()
    q = qrelay(text.replace('(systemd,', "('$SOCK',"))
    assert re.fullmatch(b'Zqrelay is not configured: see /etc/.*', q.submit())


# ----- null-client.lua -----


def test_null_client(example, server):
    hub = server()
    q = example('null-client', QRELAY_HUB=hub.address,
                QRELAY_NAME='web1.example.org')
    for sender, expected in [
            (b'root', b'root@web1.example.org'),
            (b'www-data@localhost', b'www-data@web1.example.org'),
            (b'a@localhost.example.org', b'a@localhost.example.org'),
            (b'a@example.net', b'a@example.net'),
            (b'', b'')]:
        assert q.submit(sender=sender) == b'Kok'
        assert hub.requests[-1].sender == expected
    assert hub.requests[0].message.startswith(
        b'X-Submitted-By: uid=%d host=web1.example.org\n' % os.geteuid())


def test_null_client_and_a_hub_that_refuses(example, server):
    """The verdict is the hub's, word for word."""
    hub = server(answering(b'Dno such user'))
    q = example('null-client', QRELAY_HUB=hub.address)
    assert q.submit() == b'Dno such user'


# ----- two-hubs.lua -----


@pytest.fixture
def hubs(example, server):
    own, other = server(answering(b'Kown')), server(answering(b'Kother'))
    return example('two-hubs', QRELAY_OWN_HUB=own.address,
                   QRELAY_OTHER_HUB=other.address), own, other


@pytest.mark.parametrize('sender, hub', [
    (b'a@example.org', b'own'), (b'a@EXAMPLE.NET', b'own'),
    (b'a@example.org.', b'own'), (b'"a@example.com"@example.org', b'own'),
    (b'a@example.com', b'other'), (b'"a@example.org"@example.com', b'other'),
    (b'a@example.org.example.com', b'other'), (b'a@xexample.org', b'other'),
    (b'', b'other'), (b'root', b'other')])
def test_two_hubs(hubs, sender, hub):
    q, own, other = hubs
    assert q.submit(sender=sender) == b'K' + hub
    assert len(own.requests) + len(other.requests) == 1


def test_two_hubs_never_both(hubs):
    q, own, other = hubs
    own.close()
    assert q.submit(sender=b'a@example.org').startswith(b'Z')
    assert q.submit(sender=b'a@example.com') == b'Kother'
    assert len(other.requests) == 1


# ----- maintenance.lua -----


def test_maintenance(example, server, folder):
    s = server()
    env = {'QRELAY_SERVER': s.address, 'QRELAY_FOLDER': str(folder)}
    q = example('maintenance', **env)
    assert q.submit() == b'Kok'
    flag = folder / 'maintenance'
    flag.write_text('back at 14:00\nnot this line\n')
    assert q.submit() == b'Kok'  # not before the reload
    q.sighup()
    q.wait_message('maintenance: back at 14:00')
    assert q.submit() == b'Zback at 14:00'
    again = example('maintenance', **env)
    assert again.submit() == b'Zback at 14:00'  # nor does a restart open it
    flag.write_text('')
    q.sighup()
    q.wait_message('maintenance: closed for maintenance')
    assert q.submit() == b'Zclosed for maintenance'
    flag.unlink()
    opened = q.output().count('open\n')
    q.sighup()
    wait_until(lambda: q.output().count('open\n') > opened, 'it is open')
    assert q.submit() == b'Kok'
    assert len(s.requests) == 3


# ----- quarantine.lua -----


def load(pg, name):
    pg.sql((EXAMPLES / name).read_text())


@pytest.fixture
def quarantine(example, server, pg):
    load(pg, 'quarantine.sql')
    s = server()
    q = example('quarantine', QRELAY_DATABASE=pg.conninfo, QRELAY_SERVER=s.address)
    q.wait_message('quarantine: 0 accounts')
    return q


SHUT = b'Dthis account is in quarantine: stolen'


def becomes(q, reply):
    wait_until(lambda: q.submit() == reply, f'the reply is {reply}')


def test_quarantine(quarantine, pg):
    q, uid = quarantine, os.geteuid()
    assert q.submit() == b'Kok'
    pg.sql(f"INSERT INTO quarantine VALUES ({uid + 1}, 'another')")
    q.wait_message('quarantine: 1 accounts')
    assert q.submit() == b'Kok'
    pg.sql(f"INSERT INTO quarantine VALUES ({uid}, 'stolen')")
    becomes(q, SHUT)
    pg.sql(f"UPDATE quarantine SET reason = 'thief' WHERE uid = {uid}")
    becomes(q, SHUT.replace(b'stolen', b'thief'))
    pg.sql(f'DELETE FROM quarantine WHERE uid = {uid}')
    becomes(q, b'Kok')


def test_quarantine_many_changes(quarantine, pg):
    """However they fall together with what is being read: the last counts."""
    uid = os.geteuid()
    for i in range(30):
        pg.sql(f"INSERT INTO quarantine VALUES ({uid + 1 + i}, 'x')")
    pg.sql(f"INSERT INTO quarantine VALUES ({uid}, 'stolen')")
    becomes(quarantine, SHUT)
    quarantine.wait_message('quarantine: 31 accounts')


def test_quarantine_while_the_database_is_away(example, server, own_pg):
    """A mail costs no query, so it goes on."""
    load(own_pg, 'quarantine.sql')
    uid = os.geteuid()
    own_pg.sql(f"INSERT INTO quarantine VALUES ({uid}, 'stolen')")
    s = server()
    q = example('quarantine', QRELAY_DATABASE=own_pg.conninfo,
                QRELAY_SERVER=s.address)
    assert q.submit() == SHUT
    own_pg.stop()
    assert q.submit() == SHUT  # as it was last seen
    own_pg.start()
    # a change that nobody is told of
    own_pg.sql('ALTER TABLE quarantine DISABLE TRIGGER tell; '
               'DELETE FROM quarantine')
    becomes(q, b'Kok')


def test_quarantine_without_a_list(example):
    with pytest.raises(StartError) as e:
        example('quarantine', QRELAY_DATABASE='host=/nonexistent dbname=mail')
    assert 'quarantine cannot be read' in e.value.output
    assert e.value.code == 1


def test_forged_header_stands_below(example, server):
    """What a client writes itself does not stand before ours."""
    hub = server()
    q = example('null-client', QRELAY_HUB=hub.address)
    assert q.submit(b'X-Submitted-By: uid=0 host=bank\n' + MESSAGE) == b'Kok'
    lines = hub.requests[0].message.split(b'\n')
    mine = [x for x in lines if x.startswith(b'X-Submitted-By:')]
    assert mine[0] != b'X-Submitted-By: uid=0 host=bank'
    assert len(mine) == 2
