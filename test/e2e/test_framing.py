# SPDX-License-Identifier: BSD-2-Clause
"""Bad requests are answered with the right permanent error."""
import pytest
from harness.qmqp import MESSAGE, netstring, request

M, S, R = netstring(MESSAGE), netstring(b'a@x'), netstring(b'b@y')

MALFORMED = {
    'letter': b'x',
    'no digits': b':',
    'comma first': b',',
    'newline first': b'\n',
    'leading zero': b'0' + request(),
    'two zeros': b'00:,',
    'plus sign': b'+' + request(),
    'minus sign': b'-' + request(),
    'minus zero': b'-0:,',
    'leading space': b' ' + request(),
    'space before colon': b'%d :' % len(M + S + R) + M + S + R + b',',
    'semicolon': b'%d;' % len(M + S + R) + M + S + R + b',',
    'hexadecimal': b'0x10:',
    'empty request': b'0:,',
    'outer comma': b'%d:' % len(M + S + R) + M + S + R + b';',
    'outer newline': b'%d:' % len(M + S + R) + M + S + R + b'\n',
    'only a message': netstring(M),
    'no recipient': netstring(M + S),
    'inner letter': netstring(b'x:' + M + S + R),
    'inner leading zero': netstring(b'0' + M + S + R),
    'inner sign': netstring(b'+' + M + S + R),
    'inner message comma': netstring(M[:-1] + b';' + S + R),
    'sender letter': netstring(M + b'x' + S + R),
    'sender leading zero': netstring(M + b'0' + S + R),
    'sender comma': netstring(M + S[:-1] + b';' + R),
    'recipient letter': netstring(M + S + b'x' + R),
    'recipient leading zero': netstring(M + S + b'0' + R),
    'recipient space': netstring(M + S + b' ' + R),
    'recipient comma': netstring(M + S + R[:-1] + b';'),
    'second recipient comma': netstring(M + S + R + R[:-1] + b';'),
    'recipient past the end': netstring(M + S + b'4:b@y,'),
    'sender past the end': netstring(M + b'40:a@x,' + R),
    'message past the end': netstring(b'500:' + MESSAGE + b',' + S + R),
    'message to the very end': netstring(b'%d:' % len(MESSAGE) + MESSAGE),
    'inner cut in its length': netstring(M + S + R + b'3'),
    'inner cut behind the colon': netstring(M + S + R + b'3:'),
    'recipient without its comma': netstring(M + S + R[:-1]),
    'garbage behind': netstring(M + S + R + b'garbage'),
    'comma behind': netstring(M + S + R + b','),
    'newline behind': netstring(M + S + R + b'\n'),
    'NUL behind': netstring(M + S + R + b'\0'),
    'HTTP': b'GET / HTTP/1.1\r\nHost: x\r\n\r\n',
    'SMTP': b'EHLO example.org\r\n',
}


@pytest.fixture
def q(qrelay):
    return qrelay()


@pytest.mark.valgrind
def test_malformed(q):
    before = q.fds()
    for name, data in MALFORMED.items():
        assert q.send(data) == b'Dmalformed input', name
    lines = q.mails(len(MALFORMED))
    for m in lines:
        assert m['verdict'] == b'D'
        assert m['text'] == b'malformed input'
        assert 'action' not in m
        assert 'where' in m
    q.wait_fds(before)
    assert q.submit() == b'Kdiscarded'


def test_malformed_bytewise(q):
    """The same verdict when the bad byte comes alone."""
    for name, data in MALFORMED.items():
        with q.client() as c:
            try:
                c.send_bytewise(data)
            except BrokenPipeError:
                pass        # answered and drained before we were done
            assert c.reply() == b'Dmalformed input', name


@pytest.mark.parametrize('digits', [19, 20, 21, 25, 40, 300])
@pytest.mark.parametrize('inner', [False, True], ids=['outer', 'inner'])
def test_overflow(q, digits, inner):
    """A length beyond any integer is an error, not a small number."""
    data = b'9' * digits + b':x'
    if inner:
        data = b'400:' + data
    # the contract names neither text for this; both are right
    assert q.send(data) in (b'Dmalformed input', b'Dmessage too large')


@pytest.mark.parametrize('length', [
    2**31, 2**32, 2**32 + len(M + S + R), 2**63, 2**64,
    2**64 + len(M + S + R)])
def test_overflow_wraps(q, length):
    with q.client() as c:
        c.send(b'%d:' % length + M + S + R + b',')
        c.half_close()
        assert c.reply()[:1] == b'D'
    assert q.mail()['verdict'] == b'D'


def test_empty_recipient(q):
    # one paragraph of the contract calls it malformed, another a bad
    # address: either, as long as it is refused
    for data in (request(rcpts=(b'',)), request(rcpts=(b'a@x', b'')),
                 request(rcpts=(b'', b'a@x'))):
        assert q.send(data) in (b'Dmalformed input', b'Dbad address')


def test_bad_input_never_reaches_the_handler(qrelay):
    q = qrelay(handler="print('handler called') return m:discard()")
    for data in (b'x', netstring(M + S), request(rcpts=(b'a b',))):
        assert q.send(data)[:1] == b'D'
    q.mails(3)
    assert 'handler called' not in q.output()


def test_zero_length_sender_is_fine(q):
    assert q.send(netstring(M + b'0:,' + R)) == b'Kdiscarded'


def test_answered_before_the_end(q):
    """The verdict does not wait for bytes that need not come."""
    with q.client() as c:
        c.send(b'1000:' + b'x')
        assert c.reply() == b'Dmalformed input'
