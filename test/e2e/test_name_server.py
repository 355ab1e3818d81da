# SPDX-License-Identifier: BSD-2-Clause
"""qmqp_resolve and name servers: one that answers, one that takes its time,
one that says nothing.  The look-ups are libc's own."""
import time

import pytest
from harness.env import slow
from harness.qmqp import request

RESOLVE_TIME = 20   # LIMIT_RESOLVE_TIME
CONFIG = """if m.sender == 'ok@x' then return m:discard() end
local ok, result = pcall(qmqp_resolve, m.recipients[1])
return m:discard((ok and 'at ' or 'error ') .. tostring(result))"""


def look_up(q, name):
    """The client of a mail whose handler waits for that name."""
    return q.client().send(request(rcpts=[name]))


def others_go_on(q, seconds):
    """No mail of that time takes long."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        start = time.monotonic()
        assert q.submit(sender=b'ok@x') == b'Kdiscarded'
        assert time.monotonic() - start < slow(0.5)
        time.sleep(0.05)


def test_answer(qrelay, server, name_server):
    s = server()
    n = name_server({'hub.test': '127.0.0.1'})
    q = qrelay(prefix=n.prefix,
               handler=f"return m:connect(qmqp_resolve('hub.test:{s.port}'))")
    assert q.submit() == b'Kok'
    assert 'hub.test' in n.asked


def test_no_such_name(qrelay, name_server):
    n = name_server()
    q = qrelay(prefix=n.prefix, handler=CONFIG)
    with look_up(q, b'nowhere.test') as c:
        reply = c.reply()
    assert reply.startswith(b'Kerror ') and b'nowhere.test' in reply
    assert b'not known' in reply


def test_slow_answer_holds_nobody_up(qrelay, name_server):
    n = name_server({'slow.test': '192.0.2.1'}, delay=1)
    q = qrelay(prefix=n.prefix, handler=CONFIG)
    with look_up(q, b'slow.test') as c:
        others_go_on(q, 0.8)
        assert c.silent(0.01)
        assert c.reply() == b'Kat 192.0.2.1:628'


def test_silence_holds_nobody_up(qrelay, name_server):
    """libc gives up first: its options say when."""
    n = name_server(silent=True, options='timeout:2 attempts:1')
    q = qrelay(prefix=n.prefix, handler=CONFIG)
    with look_up(q, b'mute.test') as c:
        others_go_on(q, 1)
        reply = c.reply(timeout=30)
    assert reply.startswith(b'Kerror ') and b'mute.test' in reply


@pytest.mark.parametrize('gone', [False, True])
def test_silence_delays_no_exit(qrelay, name_server, gone):
    """Whether the mail still waits for the name or its client has gone."""
    n = name_server(silent=True, options='timeout:5 attempts:5')
    q = qrelay(prefix=n.prefix, handler=CONFIG, shutdown_timeout=1)
    c = look_up(q, b'mute.test')
    n.wait_asked('mute.test')
    if gone:
        c.close()
    start = time.monotonic()
    q.stop()
    assert time.monotonic() - start < slow(3)
    c.close()


@pytest.mark.long
def test_silence_for_longer_than_we_wait(qrelay, name_server):
    """The daemon's own limit: libc would go on.  Names are looked up one after
    the other, so one behind it waits as well, from its own beginning on; when
    the name server is back, both work."""
    n = name_server({'mute.test': '192.0.2.1', 'next.test': '192.0.2.2'},
                    silent=True, options='timeout:5 attempts:20')
    q = qrelay(prefix=n.prefix, handler=CONFIG)
    with look_up(q, b'mute.test') as first:
        start = time.monotonic()
        others_go_on(q, 2)
        with look_up(q, b'next.test') as second:
            others_go_on(q, RESOLVE_TIME - 3)
            assert first.silent(0.01)
            reply = first.reply()
            assert RESOLVE_TIME - 0.5 < time.monotonic() - start \
                < RESOLVE_TIME + slow(1)
            assert reply.startswith(b'Kerror ')
            assert b'mute.test' in reply and b'no answer within 20 s' in reply
            assert second.silent(0.5)
            assert second.reply() == reply.replace(b'mute', b'next')
    assert 'next.test' not in n.asked
    n.silent = False
    with look_up(q, b'next.test') as c:
        others_go_on(q, 1)
        assert c.reply(timeout=15) == b'Kat 192.0.2.2:628'
