# SPDX-License-Identifier: BSD-2-Clause
"""Limits on what one client may send: exactly at them, and one beyond."""
import time

import pytest
from harness.daemon import StartError
from harness.env import wait_until
from harness.qmqp import RCPT, SENDER, netstring

KIB = 1024
MIB = 1024 * KIB


@pytest.mark.valgrind
@pytest.mark.parametrize('limit', [1024, 300000])
def test_max_size(qrelay, limit):
    q = qrelay(max_size=limit)
    for size in (limit - 1, limit):
        assert q.submit(b'x' * size) == b'Kdiscarded'
    for size in (limit + 1, limit + 2, limit + 2000):
        assert q.submit(b'x' * size) == b'Dmessage too large'
    # an envelope at its own limit does not count
    rcpts = [b'r' * 900] * 1024
    assert q.submit(b'x' * limit, rcpts=rcpts) == b'Kdiscarded'
    logged = q.mails(6)
    assert [m['verdict'] for m in logged] == [b'K', b'K', b'D', b'D', b'D',
                                              b'K']
    assert logged[1]['size'] == b'%d' % limit


def test_max_size_default(qrelay):
    q = qrelay()
    assert q.submit(b'x' * 16777216, timeout=30) == b'Kdiscarded'
    assert q.submit(b'x' * 16777217, timeout=30) == b'Dmessage too large'


def test_too_large_is_answered_at_once(qrelay):
    """The length alone is enough; the message need not arrive."""
    q = qrelay(max_size=1024)
    with q.client() as c:
        c.send(b'100000:90000:')
        assert c.reply() == b'Dmessage too large'


def test_added_headers_do_not_count(qrelay, server):
    s = server()
    q = qrelay(max_size=1024, handler="m:insert_header('X-A', ('a'):rep(900))"
               f"return m:connect('{s.address}')")
    assert q.submit(b'x' * 1024) == b'Kok'
    assert len(s.requests[0].message) > 1924


def test_max_recipients(qrelay):
    q = qrelay(max_recipients=3)
    assert q.submit(rcpts=(RCPT,) * 3) == b'Kdiscarded'
    assert q.submit(rcpts=(RCPT,) * 4) == b'Dtoo many recipients'
    assert q.submit(rcpts=(RCPT,) * 1000) == b'Dtoo many recipients'


def test_max_recipients_default(qrelay):
    q = qrelay()
    assert q.submit(rcpts=(b'r',) * 1024) == b'Kdiscarded'
    assert q.submit(rcpts=(b'r',) * 1025) == b'Dtoo many recipients'


def test_longest_addresses(qrelay):
    """The envelope's bound holds max_recipients of the longest kind."""
    q = qrelay(max_recipients=10)
    longest = b'r' * 999
    assert q.submit(sender=longest, rcpts=(longest,) * 10) == b'Kdiscarded'
    assert q.submit(sender=longest, rcpts=(longest,) * 11) == \
        b'Dtoo many recipients'


def test_envelope_claimed_too_large(qrelay):
    """An envelope beyond (max_recipients + 1) x 1004 bytes is refused by
    its claimed length."""
    q = qrelay(max_recipients=2)
    message = netstring(b'hello')
    envelope = 3 * 1004
    with q.client() as c:
        c.send(b'%d:' % (len(message) + envelope + 1) + message +
               netstring(SENDER))
        c.half_close()
        assert c.reply() == b'Dtoo many recipients'


def test_long_address_length(qrelay):
    q = qrelay()
    assert q.submit(rcpts=(b'r' * 999,)) == b'Kdiscarded'
    assert q.submit(rcpts=(b'r' * 1000,)) == b'Dbad address'
    assert q.submit(rcpts=(b'r' * 5000,)) == b'Dbad address'
    assert q.submit(sender=b's' * 1000) == b'Dbad address'


@pytest.mark.parametrize('value', ['1023', '0', '-1', '1024.5', "'x'", '{}',
                                   '(1 << 30) + 1', '1e30', '0/0', 'true'])
def test_max_size_out_of_range(qrelay, value):
    with pytest.raises(StartError) as e:
        qrelay(f"max_size = {value}\nqmqp_listen('$SOCK', print)")
    assert e.value.code == 1
    assert 'max_size' in e.value.output


def test_max_memory_follows_max_size(qrelay):
    """The default of max_memory is no reason to refuse a max_size."""
    q = qrelay('max_size = 1 << 30\n'
               "qmqp_listen('$SOCK', function(m) return m:discard() end)")
    assert q.submit() == b'Kdiscarded'


@pytest.mark.parametrize('value', ['1024', '1 << 30', '2.0 ^ 20', '1e6'])
def test_max_size_in_range(qrelay, value):
    q = qrelay(f"max_size = {value} max_memory = 1 << 30\n"
               "qmqp_listen('$SOCK', function(m) return m:discard() end)")
    assert q.submit() == b'Kdiscarded'


@pytest.mark.parametrize('name', [
    'max_recipients', 'max_connections', 'max_connections_per_uid',
    'max_memory', 'receive_timeout', 'handler_timeout', 'lua_memory',
    'shutdown_timeout'])
@pytest.mark.parametrize('value', ['-1', "'x'", '{}', '0/0'])
def test_nonsense_globals(qrelay, name, value):
    with pytest.raises(StartError) as e:
        qrelay(f"{name} = {value}\nqmqp_listen('$SOCK', print)")
    assert e.value.code == 1
    assert name in e.value.output


def test_globals_after_start_have_no_effect(qrelay):
    q = qrelay("""qmqp_listen('$SOCK', function(m)
  max_size = 1024
  max_recipients = 1
  return m:discard()
end)
function reload() max_size = 1024 print('reloaded') end""")
    assert q.submit(b'x' * 5000, rcpts=(RCPT,) * 3) == b'Kdiscarded'
    q.sighup()
    q.wait_message('reloaded')
    assert q.submit(b'x' * 5000, rcpts=(RCPT,) * 3) == b'Kdiscarded'


def test_memory_follows_the_bytes(qrelay, root):
    """A claimed length costs nothing until the bytes arrive."""
    q = qrelay(max_connections_per_uid=200, max_connections=200)
    q.submit(b'x' * MIB)
    before = q.rss()
    clients = [q.client() for _ in range(100)]
    for c in clients:
        c.send(b'16000020:16000000:Subject: x\n')
    time.sleep(0.3)
    q.check_rss(before + 3 * MIB)
    one = q.client()
    one.send(b'16000020:16000000:' + b'x' * (8 * MIB))
    wait_until(lambda: q.rss() > before + 7 * MIB, 'the message has arrived')
    time.sleep(0.2)
    q.check_rss(before + 19 * MIB // 2)
    for c in (*clients, one):
        c.close()


def test_memory_is_given_back(qrelay):
    q = qrelay()
    q.submit(b'x' * 16 * KIB)
    before = q.rss()
    for _ in range(5):
        q.submit(b'x' * 15 * MIB)
    q.check_rss(before + 5 * MIB)


def test_idle_clients_are_cheap(qrelay):
    q = qrelay(max_connections=2000, max_connections_per_uid=2000)
    q.submit()
    before, fds = q.rss(), q.fds()
    clients = [q.client() for _ in range(1000)]
    wait_until(lambda: len(q.fds()) >= len(fds) + 1000, 'all are accepted')
    q.check_rss(before + 1000 * 1024)
    for c in clients:
        c.close()
    q.wait_fds(fds)
    assert q.submit() == b'Kdiscarded'
