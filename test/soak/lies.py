# SPDX-License-Identifier: BSD-2-Clause
"""Requests that are none, and what each must be answered."""
from harness.qmqp import netstring, request

from mail import MAX_RECIPIENTS, MAX_SIZE

MALFORMED = 'Dmalformed input'
ADDRESS = 'Dbad address'
MANY = 'Dtoo many recipients'
LARGE = 'Dmessage too large'


def garbage(rng):
    return b'x' + rng.randbytes(rng.randrange(3000)), {MALFORMED}


def leading_zero(rng):
    return b'0' + request(), {MALFORMED}


def overflow(rng):
    return b'9' * rng.randrange(19, 40) + b':', {MALFORMED, LARGE}


def inner_too_long(rng):
    return netstring(b'500:short,') + b' ' * rng.randrange(500), {MALFORMED}


def no_comma(rng):
    return request()[:-1] + b';', {MALFORMED}


def inner_no_comma(rng):
    return netstring(b'5:hello;' + netstring(b'a@x') * 2), {MALFORMED}


def no_recipient(rng):
    return request(rcpts=()), {MALFORMED}


def empty_recipient(rng):
    return request(rcpts=(b'a@x.test', b'')), {MALFORMED, ADDRESS}


def rest(rng):
    inner = b''.join(map(netstring, (b'm', b's@x', b'r@x')))
    return netstring(inner + b'rest'), {MALFORMED}


def bad_recipient(rng):
    bad = rng.choice([b'a b@x', b'a@b@c', b'a\n@x', b'@x', b'a@', b'<a@x>',
                      b'a\0b@x', b'a' * 1000 + b'@x', b'a\x7f@x'])
    return request(rng.randbytes(rng.randrange(5000)),
                   rcpts=(b'good@x.test', bad)), {ADDRESS}


def bad_sender(rng):
    return request(sender=rng.choice([b'a b@x', b'a\r@x', b'@x'])), {ADDRESS}


def many_recipients(rng):
    rcpts = [b'r%d@x.test' % i for i in range(MAX_RECIPIENTS + 1)]
    return request(rcpts=rcpts), {MANY}


def long_envelope(rng):
    rcpts = [b'r%d' % i + b'x' * 900 + b'@x.test'
             for i in range(2 * MAX_RECIPIENTS)]
    return request(rcpts=rcpts), {MANY}


def large(rng):
    return request(bytes(MAX_SIZE + 1)), {LARGE}


def larger(rng):
    return request(bytes(2 * MAX_SIZE)), {LARGE}


def claim(rng):
    return b'%d:%d:start' % (10 ** 12, 10 ** 11), {LARGE, MANY}


LIES = [garbage, leading_zero, overflow, inner_too_long, no_comma,
        inner_no_comma, no_recipient, empty_recipient, rest, bad_recipient,
        bad_sender, many_recipients, long_envelope, large, larger, claim]
