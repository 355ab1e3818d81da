# SPDX-License-Identifier: BSD-2-Clause
"""A relay carries addresses, it does not judge them: what is taken and
what is refused, in the envelope and when a script assigns m.sender."""
import pytest
from harness.qmqp import RCPT, SENDER, request

LONG = b'l' * 900 + b'@example.org'
ACCEPTED = [
    b'root', b'user@localhost', b'a@b_c.example', b'user@[192.0.2.1]',
    b'user@[IPv6:2001:db8::1]', b'j\xc3\xb6rg@example.org',
    b'\x80\xff@\xfe.example', LONG, b'x' * 999,
    b'SRS0=abc=de=example.org=user@fwd.example', b'a..b@x', b'a@example.',
    b'-rf@example.org', b'-', b'.@x', b'a@-b', b"o'brien@x", b'a+b=c@x',
    b'%s!#$&*/?^`{|}~@x', b'a\\b@x', b'a,b;c:d@x', b'(c)@x',
    b'"a b"@x', b'"a@b"@x', b'"<a>"@x', b'"a\\"b"@x', b'"a\\\\"@x', b'""@x',
    b'"@"@x', b'"a\x80b"@x',
]
REFUSED = [
    b'a\0b@x', b'\0', b'a@x\0', b'a\nb@x', b'a\rb@x', b'a@x\n', b'\ta@x',
    b'a\x01@x', b'a\x1f@x', b'a\x7f@x', b'<a@x>', b'a<@x', b'a>@x', b'a b@x',
    b' a@x', b'a@x ', b'a@ x', b'a@b@c', b'a@@x', b'@x', b'a@', b'@', b'@@',
    b'x' * 1000, b'a' * 998 + b'@x', b'"a b@x', b'a"b c"@x', b'"a"b c@x',
    b'"a@b@x', b'"a b\\"@x', b'"a\nb"@x', b'"a\0b"@x', b'"a\x7fb"@x',
    b'"a"@b@c', b'"a"@', b'"a b"@x y', b'a@b"c d"',
]
SENDERS_ONLY = [b'', b'#@[]', b'list-@[]', b'a-b-c-@[]']


@pytest.fixture
def q(qrelay):
    return qrelay(handler="return m:connect('$DIR/s')")


@pytest.fixture
def s(q, server):
    return server(where=str(q.dir / 's'))


def test_accepted_recipients(q, s):
    for a in ACCEPTED:
        assert q.submit(rcpts=(a,)) == b'Kok', a
        assert q.submit(rcpts=(RCPT, a)) == b'Kok', a
        assert s.requests[-1].rcpts == [RCPT, a]
    logged = q.mails(2 * len(ACCEPTED))
    assert [m['to'] for m in logged[::2]] == ACCEPTED


def test_accepted_senders(q, s):
    for a in ACCEPTED + SENDERS_ONLY:
        assert q.submit(sender=a) == b'Kok', a
        assert s.requests[-1].sender == a
    assert [m['from'] for m in q.mails(len(s.requests))] == \
        ACCEPTED + SENDERS_ONLY


def test_refused_recipients(q, s):
    for a in REFUSED:
        assert q.submit(rcpts=(a,)) == b'Dbad address', a
        assert q.submit(rcpts=(RCPT, a, RCPT)) == b'Dbad address', a
    for m in q.mails(2 * len(REFUSED)):
        assert m['text'] == b'bad address'
        assert 'where' in m
    assert s.connections == 0


def test_refused_senders(q, s):
    for a in REFUSED:
        assert q.submit(sender=a) == b'Dbad address', a
    q.mails(len(REFUSED))
    assert s.connections == 0


def test_refused_bytewise(q, s):
    for a in (b'a b@x', b'x' * 1000):
        with q.client() as c:
            try:
                c.send_bytewise(request(rcpts=(a,)))
            except BrokenPipeError:
                pass
            assert c.reply() == b'Dbad address'


def lua_bytes(data):
    return "'" + ''.join(f'\\x{b:02x}' for b in data) + "'"


def test_assignment_follows_the_same_rules(qrelay):
    good = ACCEPTED + SENDERS_ONLY
    q = qrelay(
        'good = {' + ','.join(map(lua_bytes, good)) + '}\n'
        'bad = {' + ','.join(map(lua_bytes, REFUSED)) + '}\n'
        """qmqp_listen('$SOCK', function(m)
  for i, a in ipairs(good) do
    m.sender = a
    if m.sender ~= a then return m:reject('good ' .. i) end
  end
  m.sender = 'last@good'
  for i, a in ipairs(bad) do
    if pcall(function() m.sender = a end) then
      return m:reject('bad ' .. i)
    end
    if m.sender ~= 'last@good' then return m:reject('changed ' .. i) end
  end
  for i, v in ipairs({false, {}, print}) do
    if pcall(function() m.sender = v end) then
      return m:reject('type ' .. i)
    end
  end
  if pcall(function() m.sender = nil end) then
    return m:reject('nil')
  end
  return m:discard(#good .. ' ' .. #bad)
end)""")
    assert q.submit() == b'K%d %d' % (len(good), len(REFUSED))


def test_assigned_sender_is_relayed(qrelay, server):
    s = server()
    q = qrelay(handler="m.sender = 'new@' .. m.sender:gsub('@', '.')\n"
               f"return m:connect('{s.address}')")
    assert q.submit() == b'Kok'
    assert s.requests[0].sender == b'new@a.example.org'
    assert s.requests[0].rcpts == [RCPT]


def test_cleared_sender_is_relayed(qrelay, server):
    s = server()
    q = qrelay(handler=f"m.sender = '' return m:connect('{s.address}')")
    assert q.submit(sender=SENDER) == b'Kok'
    assert s.requests[0].sender == b''
