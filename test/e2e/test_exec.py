# SPDX-License-Identifier: BSD-2-Clause
"""exec and exec_raw: programs, as a mail's client and the log see them."""
import pytest
from harness.qmqp import MESSAGE, RCPT, SENDER, Request, netstring, request

ENV = "{env={PATH='/usr/bin:/bin'}}"


def shell(script, function='exec_raw', options=ENV):
    """A handler that hands its mail to a shell script."""
    return f"return m:{function}('/bin/sh', '-c', [==[{script}]==], {options})"


STATUSES = [(0, b'K'), (1, b'Z'), (63, b'Z'), (64, b'D'), (65, b'D'),
            (66, b'Z'), (67, b'D'), (68, b'D'), (69, b'Z'), (70, b'Z'),
            (71, b'Z'), (72, b'D'), (73, b'Z'), (74, b'Z'), (75, b'Z'),
            (76, b'Z'), (77, b'D'), (78, b'D'), (79, b'Z'), (99, b'Z'),
            (100, b'D'), (101, b'Z'), (111, b'Z'), (255, b'Z')]
DEFAULT = {b'K': b'Kok', b'Z': b'Zinternal server error',
           b'D': b'Dinternal server error'}


def test_raw_status(qrelay):
    q = qrelay(handler="return m:exec_raw('/bin/sh', '-c', "
               "'exit ' .. m.sender:match('%d+'))")
    for status, letter in STATUSES:
        assert q.submit(sender=b'%d@x' % status) == DEFAULT[letter]
    q.mails(len(STATUSES))


def test_raw_signal(qrelay):
    q = qrelay(handler=shell('echo text; kill -KILL $$'))
    assert q.submit() == b'Ztext'


def test_raw_log_line(qrelay):
    q = qrelay(handler=shell('echo no such user >&2; exit 67'))
    assert q.submit() == b'Dno such user'
    m = q.mail()
    assert m['action'] == b'exec_raw'
    assert m['target'] == b'/bin/sh'
    assert m['verdict'] == b'D'
    assert m['text'] == b'no such user'
    assert 'where' not in m


def test_raw_input(qrelay, folder):
    q = qrelay(handler="m:insert_header('X-New', 1) " +
               shell(f'cat >{folder}/got'))
    assert q.submit() == b'Kok'
    got = (folder / 'got').read_bytes()
    assert got.startswith(b'X-New: 1\nReceived: from PID=')
    assert got.endswith(MESSAGE)


SIZES = [(0, 0), (1, 1), (255, 255), (256, 255), (1_000_000, 255)]


@pytest.mark.parametrize('printed, kept', SIZES)
def test_raw_text(qrelay, printed, kept):
    q = qrelay(handler=shell(f"head -c {printed} /dev/zero | tr '\\0' x"))
    assert q.submit() == b'K' + (b'x' * kept or b'ok')
    assert len(q.mail()['text']) == kept or kept == 0


def test_raw_text_bytes(qrelay):
    """Control characters are spaces, NUL too; 8-bit passes; nothing in it
    makes a line or a key of the log."""
    q = qrelay(handler=shell(
        r"printf '\n a\000b\r\nid=1-1 verdict=K\033\177\303\244\377\n\n'"))
    assert q.submit() == b'Ka b  id=1-1 verdict=K  \xc3\xa4\xff'
    assert q.mail()['text'] == b'a b  id=1-1 verdict=K  \xc3\xa4\xff'


REPLIES = [
    ('printf 3:Kok,', b'Kok'),
    ('printf 3:Kok,; exit 1', b'Zinternal server error'),
    ('printf 3:Kok,; exit 100', b'Dinternal server error'),
    ('printf 3:Kok,; kill -KILL $$', b'Zinternal server error'),
    ('printf 4:Znow,; exit 100', b'Znow'),
    ('printf 4:Dbad,; exit 75', b'Dbad'),
    ('printf 4:Dbad,; kill -KILL $$', b'Dbad'),
    ('printf 4:Dbad,', b'Dbad'),
    ('exit 0', b'Zinternal server error'),
    ('exit 77', b'Dinternal server error'),
    ('echo hello', b'Zinternal server error'),
    ('printf 3:Xno,; exit 65', b'Dinternal server error'),
    ('printf 30:Kcut', b'Zinternal server error'),
]


@pytest.mark.parametrize('script, reply', REPLIES)
def test_exec_reply(qrelay, script, reply):
    q = qrelay(handler=shell(script, 'exec'))
    assert q.submit() == reply
    assert q.mail()['action'] == b'exec'


def test_exec_input(qrelay, folder):
    """A request, then the end of file."""
    q = qrelay(handler="m.sender = 'new@x' " +
               shell(f'cat >{folder}/got; printf 3:Kok,', 'exec'))
    assert q.submit(rcpts=(b'b@y', b'c@z')) == b'Kok'
    got = (folder / 'got').read_bytes()
    r = Request(got[got.index(b':') + 1:-1])
    assert netstring(got[got.index(b':') + 1:-1]) == got
    assert r.message.endswith(MESSAGE)
    assert r.message.startswith(b'Received: ')
    assert (r.sender, r.rcpts) == (b'new@x', [b'b@y', b'c@z'])


def stderr_lines(q):
    return [line for line in q.log_lines() if b' stderr=' in line]


def test_exec_stderr(qrelay):
    """Line by line, quoted, with the mail's id; before the mail's line."""
    q = qrelay(handler=shell(
        r"""printf 'plain\n"quoted" \\ \033[1m\r\n\377\n\nid=1-1 x=y\nend' >&2;
printf 3:Kok,""", 'exec'))
    assert q.submit() == b'Kok'
    ident = q.mail()['id']
    assert stderr_lines(q) == [
        b'id=' + ident + b' stderr="' + text + b'"' for text in (
            b'plain', rb'\"quoted\" \\ \x1B[1m\x0D', rb'\xFF', b'',
            b'id=1-1 x=y', b'end')]
    lines = [line for line in q.log_lines() if line.startswith(b'id=' + ident)]
    assert b' verdict=K ' in lines[-1]


def test_exec_stderr_limits(qrelay):
    q = qrelay(handler=shell(
        "head -c 600 /dev/zero | tr '\\0' x >&2; echo >&2; seq 1 100 >&2;"
        "head -c 1000000 /dev/zero >&2; printf 3:Kok,", 'exec'))
    assert q.submit() == b'Kok'
    q.mail()
    lines = stderr_lines(q)
    assert len(lines) == 64
    assert lines[0].endswith(b' stderr="' + b'x' * 512 + b'"')
    assert lines[-1].endswith(b' stderr="63"')


def test_raw_stderr_is_not_logged(qrelay):
    q = qrelay(handler=shell('echo text >&2'))
    assert q.submit() == b'Ktext'
    q.mail()
    assert stderr_lines(q) == []


# ---- what the program gets ----

ENVIRONMENTS = [
    ('', []), (', {}', []), (', {env={}}', []), (', {timeout=9}', []),
    (", {env={A='1'}}", [b'A=1']),
    (", {env={A='xy=z', ['B.c']=2, E=''}}", [b'A=xy=z', b'B.c=2', b'E=']),
]


@pytest.mark.parametrize('options, printed', ENVIRONMENTS)
def test_environment(qrelay, options, printed):
    q = qrelay(handler=f"return m:exec_raw('/usr/bin/env'{options})",
               env={'SECRET': 'of the daemon'})
    reply = q.submit()
    if printed:
        assert sorted(reply[1:].split()) == printed
    else:
        assert reply == b'Kok'


def test_arguments(qrelay):
    q = qrelay(handler="return m:exec_raw('/bin/sh', '-c', "
               "[==[printf '<%s>' \"$@\"]==], 'sh', '', 'a b', 1, 2.5, "
               "'*$x;`', '\\xff', m.size)")
    size = b'%d' % len(MESSAGE)
    assert q.submit() == b'K<><a b><1><2.5><*$x;`><\xff><' + size + b'>'


def test_descriptors(qrelay):
    """None but stdio, whatever the daemon and the script have open."""
    q = qrelay(pre="kept = assert(io.open('/dev/null'))",
               handler=shell('cd /proc/$$/fd; '
                             'for i in *; do test -e $i && echo $i; done; true'))
    assert q.submit() == b'K0 1 2'


def test_signals_group_and_folder(qrelay):
    q = qrelay(handler=shell(
        'grep -h -E "^Sig(Blk|Ign)" /proc/self/status | tr -d "0\\t\\n";'
        'read p c s pp g rest </proc/$$/stat; test $g = $$ && echo leader;'
        'pwd'))
    assert q.submit() == b'KSigBlk:SigIgn:leader /'


def test_nofile(qrelay):
    """The daemon raised its own limit."""
    q = qrelay(handler=shell('ulimit -Sn; ulimit -Hn'),
               prefix=['prlimit', '--nofile=100:2000'])
    assert q.submit() == b'K100 2000'


def test_five_thousand_recipients(qrelay):
    q = qrelay(max_recipients=5000,
               handler="return m:exec_raw('/bin/sh', '-c', "
               "'echo $# ${1} ${5000}', 'sh', table.unpack(m.recipients))")
    rcpts = [b'recipient-%d@department.example.org' % i for i in range(5000)]
    assert q.submit(rcpts=rcpts) == b'K5000 ' + rcpts[0] + b' ' + rcpts[-1]


# ---- what cannot be started ----

UNSTARTABLE = [
    ("'/nonexistent'", b'No such file or directory'),
    ("'/etc/passwd'", b'Permission denied'),
    ("'/'", b'Permission denied'),
    ("'/bin/true', ('x'):rep(200000)", b'Argument list too long'),
    ("'/bin/true', table.unpack(many)", b'Argument list too long'),
]


@pytest.mark.parametrize('arguments, why', UNSTARTABLE)
@pytest.mark.parametrize('function', ['exec', 'exec_raw'])
def test_cannot_start(qrelay, function, arguments, why):
    q = qrelay(pre="many = {} for i = 1, 80 do many[i] = "
               "('x'):rep(120000) end",
               handler=f"return m:{function}({arguments})")
    before = q.fds()
    for _ in range(3):
        assert q.submit() == b'Zinternal server error'
    for m in q.mails(3):
        assert m['where'] == b'exec: ' + why
        assert m['verdict'] == b'Z'
    q.wait_fds(before)


BAD = {
    'none': ("", 'program'),
    'nil program': ("nil", '#1'),
    'relative': ("'true'", '#1'),
    'dot': ("'./true'", '#1'),
    'empty': ("''", '#1'),
    'number': ("5", '#1'),
    'NUL in program': ("'/bin/true\\0x'", '#1'),
    'options alone': ("{}", '#1'),
    'nil': ("'/bin/true', nil", '#2'),
    'nil between': ("'/bin/true', 'a', nil, 'b'", '#3'),
    'boolean': ("'/bin/true', 'a', true", '#3'),
    'function': ("'/bin/true', print", '#2'),
    'table between': ("'/bin/true', {}, 'a'", '#2'),
    'mail': ("'/bin/true', m", '#2'),
    'NUL': ("'/bin/true', 'a\\0b'", '#2'),
    'two options': ("'/bin/true', {}, {}", '#2'),
    'unknown option': ("'/bin/true', {bogus=1}", "'bogus'"),
    'recipients': ("'/bin/true', m.recipients", "'1'"),
    'connect_timeout': ("'/bin/true', {connect_timeout=1}",
                        "'connect_timeout'"),
    'timeout 0': ("'/bin/true', {timeout=0}", 'timeout'),
    'timeout long': ("'/bin/true', {timeout=3601}", 'timeout'),
    'timeout text': ("'/bin/true', {timeout='1'}", 'timeout'),
    'env text': ("'/bin/true', {env='A=1'}", 'env'),
    'env true': ("'/bin/true', {env=true}", 'env'),
    'env list': ("'/bin/true', {env={'A=1'}}", 'env'),
    'env empty name': ("'/bin/true', {env={['']='1'}}", 'env'),
    'env name with =': ("'/bin/true', {env={['A=B']='1'}}", "'A=B'"),
    'env name with NUL': ("'/bin/true', {env={['A\\0B']='1'}}", 'env'),
    'env boolean': ("'/bin/true', {env={A=true}}", "'A'"),
    'env table': ("'/bin/true', {env={A={}}}", "'A'"),
    'env NUL': ("'/bin/true', {env={A='x\\0y'}}", "'A'"),
}


@pytest.mark.parametrize('case', BAD)
@pytest.mark.parametrize('function', ['exec', 'exec_raw'])
def test_bad_arguments(qrelay, function, case):
    arguments, word = BAD[case]
    q = qrelay(handler=f"""local ok, err = pcall(function()
  return m:{function}({arguments}) end)
return m:discard(tostring(ok) .. ' ' .. tostring(err))""")
    reply = q.submit().decode()
    assert reply.startswith('Kfalse ')
    assert 'config.lua:' in reply
    assert function in reply
    assert word in reply


def test_inert_and_reused(qrelay, folder):
    """Making one starts nothing; one may be returned again and again."""
    q = qrelay(handler=f"""m:exec_raw('/bin/touch', '{folder}/made')
if not action then
  action = m:exec_raw('/bin/sh', '-c', 'echo $A$1', 'sh', 'x',
                      {{env={{A='y'}}}})
end
collectgarbage()
return action""")
    assert [q.submit() for _ in range(5)] == [b'Kyx'] * 5
    assert not (folder / 'made').exists()


@pytest.mark.parametrize('options', ['', ', {}', ", {env={A='1'}}"])
def test_survives_the_collector(qrelay, options):
    """The action alone keeps its arguments."""
    q = qrelay(handler=f"""kept = kept or m:exec_raw('/bin/echo',
  'a' .. 'b', 1 .. 'c'{options})
for i = 1, 3 do
  collectgarbage()
  for j = 1, 1000 do string.rep('x', j) end
end
return kept""")
    for _ in range(5):
        assert q.submit() == b'Kab 1c'


def test_many_at_once(qrelay):
    q = qrelay(handler=shell('sleep .1; echo done'))
    before = q.fds()
    clients = [q.client().send(request()) for _ in range(50)]
    for c in clients:
        assert c.reply() == b'Kdone'
        c.close()
    q.mails(50)
    q.wait_fds(before)


def test_addresses_are_no_options(qrelay):
    """As in examples/sendmail.lua."""
    q = qrelay(handler="return m:exec_raw('/bin/sh', '-c', "
               "'echo \"$@\"', 'sh', '-i', '-f', m.sender, '--', "
               "table.unpack(m.recipients))")
    assert (q.submit(sender=b'-oi@x', rcpts=(b'-t', RCPT)) ==
            b'K-i -f -oi@x -- -t ' + RCPT)
    assert q.submit(sender=b'') == b'K-i -f  -- ' + RCPT
    assert q.mails(2)[0]['from'] == b'-oi@x'
    assert SENDER
