# SPDX-License-Identifier: BSD-2-Clause
"""A strict reader of the log line of a mail.  It knows nothing but the
documented format, and fails on anything else."""
import re

KEYS = ('id listener pid uid gid client account from to nrcpt size action '
        'target verdict text where ms').split()
QUOTED_ALWAYS = {'from', 'to', 'text'}
NUMBERS = {'pid', 'uid', 'gid', 'nrcpt', 'size'}
BARE = re.compile(r'[A-Za-z0-9._:/@+-]+')
PAIR = re.compile(r'([a-z]+)=(?:([A-Za-z0-9._:/@+-]+)|'
                  r'"((?:[^"\\\x00-\x1f\x7f]|\\["\\]|\\x[0-9a-fA-F]{2})*)")')
# what a script or a child said, beside the line of its mail
ASIDE = re.compile(rb'id=[A-Za-z0-9-]+ (?:error|traceback|stderr)='
                   rb'"(?:[^"\\\x00-\x1f\x7f]|\\["\\]|'
                   rb'\\x[0-9a-fA-F]{2})*"')
ESCAPE = re.compile(rb'\\(?:(["\\])|x([0-9a-fA-F]{2}))')


class BadLogLine(AssertionError):
    pass


def is_mail(line):
    return line.startswith(b'id=') and not ASIDE.fullmatch(line)


def unquote(text):
    """The bytes that a quoted value stands for."""
    return ESCAPE.sub(lambda m: m[1] or bytes([int(m[2], 16)]),
                      text.encode())


def check_value(line, key, bare, quoted):
    if quoted is not None:
        if key in NUMBERS or key in ('ms', 'verdict', 'id'):
            raise BadLogLine(f'{key} is quoted: {line!r}')
        if key not in QUOTED_ALWAYS and BARE.fullmatch(quoted):
            raise BadLogLine(f'{key} is quoted without need: {line!r}')
        return
    if key in QUOTED_ALWAYS:
        raise BadLogLine(f'{key} is not quoted: {line!r}')
    if key in NUMBERS and not re.fullmatch('[0-9]+', bare):
        raise BadLogLine(f'{key} is not a number: {line!r}')
    if key == 'ms' and not re.fullmatch(r'[0-9]+(\.[0-9]+)?', bare):
        raise BadLogLine(f'ms is not a time: {line!r}')
    if key == 'verdict' and bare not in ('K', 'Z', 'D'):
        raise BadLogLine(f'no such verdict: {line!r}')


def parse(raw):
    """bytes of one line without its newline -> {key: bytes}."""
    try:
        line = raw.decode('utf-8')
    except UnicodeDecodeError as e:
        raise BadLogLine(f'not UTF-8: {raw!r}') from e
    result, pos, last = {}, 0, -1
    while True:
        m = PAIR.match(line, pos)
        if not m:
            raise BadLogLine(f'at column {pos}: {line!r}')
        key, bare, quoted = m.groups()
        if key not in KEYS:
            raise BadLogLine(f'unknown key {key}: {line!r}')
        if KEYS.index(key) <= last:
            raise BadLogLine(f'{key} out of order: {line!r}')
        last = KEYS.index(key)
        check_value(line, key, bare, quoted)
        result[key] = bare.encode() if quoted is None else unquote(quoted)
        pos = m.end()
        if pos == len(line):
            break
        if line[pos] != ' ':
            raise BadLogLine(f'no space at column {pos}: {line!r}')
        pos += 1
    for key in ('id', 'listener', 'ms'):
        if key not in result:
            raise BadLogLine(f'no {key}: {line!r}')
    return result
