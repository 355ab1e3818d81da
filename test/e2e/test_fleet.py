# SPDX-License-Identifier: BSD-2-Clause
"""The manual's chapter on fleets: its SQL and its two scripts, as they are, on a
real PostgreSQL."""
import os
import re
import textwrap

import pytest
from harness.env import TREE, wait_until

PAGE = (TREE / 'doc' / 'manual' / 'fleet.rst').read_text()
UID = os.getuid()


def block(language, beginning):
    for match in re.finditer(
            rf'\.\. code-block:: {language}\n\n((?:   .*\n|\n)+)', PAGE):
        text = textwrap.dedent(match[1])
        if beginning in text:
            return text
    raise AssertionError(f'no {language} with {beginning!r} in fleet.rst')


@pytest.fixture
def fleet(qrelay, server, pg):
    """fleet(part of a script) -> a daemon with that script, two servers."""
    pg.sql('DROP TABLE IF EXISTS account, sent CASCADE; '
           'DROP FUNCTION IF EXISTS submit;' +
           block('postgresql', 'CREATE TABLE account'))
    a, b = server(), server()

    def start(part):
        text = block('lua', part)
        text = re.sub(r"pg:new\('[^']*'\)", f"pg:new('{pg.conninfo}')", text)
        text = text.replace("'192.0.2.10'", f"'{a.address}'")
        text = text.replace("'192.0.2.20'", f"'{b.address}'")
        text = re.sub(r"qmqp_listen\((systemd|'[^']*')",
                      "qmqp_listen('$SOCK'", text)
        return qrelay(text), a, b

    yield start
    pg.sql('DROP TABLE account, sent CASCADE; DROP FUNCTION submit;')


def test_policy(fleet, pg):
    q, a, b = fleet('SELECT verdict')
    assert q.submit() == b'Zthe policy is not available'
    pg.sql(f"INSERT INTO account (name, hourly, hub) VALUES ('{UID}', 4, 'b')")
    assert q.submit() == b'Kok'
    assert len(b.requests) == 1 and not a.requests
    assert b'X-Account: %d\n' % UID in b.requests[0].message
    pg.sql('UPDATE account SET blocked = true')
    assert q.submit() == b'Dthis account may not send mail'
    pg.sql('UPDATE account SET blocked = false')
    assert q.submit() == b'Kok'
    assert q.submit() == b'Ztoo many mails in this hour'
    assert {m['account'] for m in q.mails(5)} == {b'%d' % UID}


def test_notify(fleet, pg):
    q, a, _ = fleet("db:listen('account'")
    assert q.submit() == b'Kok'
    pg.sql(f"INSERT INTO account (name, blocked) VALUES ('{UID}', true); "
           'NOTIFY account')
    wait_until(lambda: q.submit() == b'Dthis account is blocked', 'blocked')
    pg.sql('UPDATE account SET blocked = false')
    q.sighup()
    wait_until(lambda: q.submit() == b'Kok', 'free again')
