# SPDX-License-Identifier: BSD-2-Clause
"""The Lua in the manual and the README: all of it compiles, and the complete
configurations (their first line is `-- config.lua`) pass --check."""
import re
import shutil
import subprocess
import textwrap

import pytest
from harness.daemon import check_report
from harness.env import DAEMON, SENDMAIL, SINK, TREE, WRAPPER, slow

COMPLETE = '-- config.lua\n'
PAGES = sorted((TREE / 'doc').rglob('*.rst'))


def depth_of(line):
    return len(line) - len(line.lstrip())


def indented(lines):
    """The block that these lines begin with, dedented."""
    block = []
    depth = None
    for line in lines:
        if line.strip():
            if depth is None:
                depth = depth_of(line)
            if depth_of(line) < depth:
                break
        block.append(line)
    return textwrap.dedent('\n'.join(block)).strip('\n') + '\n'


def blocks_of_page(path):
    lines = path.read_text().splitlines()
    language = None
    for i, line in enumerate(lines):
        directive = re.match(r'(\s*)\.\. (highlight|code-block):: *(\S+)',
                             line)
        lua = False
        if directive and directive[2] == 'highlight':
            language = directive[3]
        elif directive:
            lua = directive[3] == 'lua'
        elif line.endswith('::') and not line.lstrip().startswith('..'):
            lua = language == 'lua'
        if lua:
            yield i + 1, indented(lines[i + 1:])


def blocks_of_readme():
    text = (TREE / 'README.md').read_text()
    for match in re.finditer(r'^```lua\n(.*?)^```', text, re.M | re.S):
        yield text.count('\n', 0, match.start()) + 1, match[1]


def blocks():
    for path in PAGES:
        for line, text in blocks_of_page(path):
            yield f'{path.relative_to(TREE)}:{line}', text
    for line, text in blocks_of_readme():
        yield f'README.md:{line}', text


BLOCKS = dict(blocks())
CONFIGS = {where: text for where, text in BLOCKS.items()
           if text.startswith(COMPLETE)}


def check(folder, text):
    path = folder / 'config.lua'
    path.write_text(text)
    r = subprocess.run([*WRAPPER, str(DAEMON), '--check', '--config',
                        str(path)], stdin=subprocess.DEVNULL,
                       capture_output=True, text=True, timeout=slow(30),
                       check=False)
    check_report(r.stderr.encode())
    return r


def test_they_are_found():
    """Else a change of the markup would leave nothing to be tested."""
    assert len(CONFIGS) >= 15
    assert len(BLOCKS) >= len(CONFIGS) + 15
    assert 'README.md' in {where.split(':')[0] for where in CONFIGS}


def test_a_mistake_is_found(folder):
    r = check(folder, COMPLETE + "qmqp_listen('/x', nil)\n")
    assert r.returncode == 1


def test_all_compile(folder):
    """A fragment may begin in the middle; but it is Lua."""
    names = {}
    for n, (where, text) in enumerate(BLOCKS.items()):
        (folder / f'{n}.lua').write_text(text)
        names[n] = where
    r = check(folder, f'''
for n = 0, {len(BLOCKS) - 1} do
  local _, message = loadfile(n .. '.lua')
  if message then
    io.stdout:write(message, '\\n')
  end
end
os.exit(true)
''')
    errors = [f'{names[int(line.split(".lua")[0].rsplit("/")[-1])]}: {line}'
              for line in r.stdout.splitlines()]
    assert r.returncode == 0 and not errors, '\n'.join(errors)


@pytest.mark.parametrize('where', CONFIGS)
def test_config(folder, where):
    # no name server, nor a database that is away: both take their time
    text = CONFIGS[where].replace('host=policy.example.org',
                                  f'host={folder}')
    r = check(folder, text)
    assert r.returncode == 0, r.stderr
    calls = len(re.findall(r'^qmqp_listen\(', text, re.M))
    assert calls > 0
    assert r.stdout.count('would listen on ') == calls, r.stdout


@pytest.mark.parametrize('where', CONFIGS)
def test_handlers(where, qrelay, server, folder):
    """The handlers do something with a mail, and reload() does not fail."""
    sink = server()
    text = re.sub(r"'(192[.\d]+|/tmp/try/sink.sock)'", f"'{sink.address}'",
                  CONFIGS[where])
    text = text.replace('/usr/sbin/sendmail', '/bin/true')
    text = text.replace('host=policy.example.org', f'host={folder}')
    text, calls = re.subn(r"^qmqp_listen\((systemd|'[^']*')",
                          "qmqp_listen('$SOCK'", text, 1, re.M)
    text = re.sub(r"^qmqp_listen\((systemd|'(?!\$)[^']*')",
                  f"qmqp_listen('{folder}/more.sock'", text, 0, re.M)
    text = re.sub(r"\{name='\w+'\}", '{}', text)
    q = qrelay(text)
    assert q.submit(sender=b'www-data@a.example.com') in (
        b'Kok', b'Drejected', b'Zthe policy is not available')
    q.sighup()
    assert q.submit(sender=b'')[:1] in b'KDZ'
    assert calls == 1 and not any('where' in m for m in q.mails(2))
    assert 'reload failed' not in q.output()


def test_programs_are_described():
    """Each option that a program prints stands in its man page."""
    for program, page in ((DAEMON, 'cm4all-qrelay'),
                          (SINK, 'qrelay-sink'),
                          (SENDMAIL, 'qrelay-sendmail')):
        usage = subprocess.run([str(program), '--help'], text=True,
                               capture_output=True, check=True).stdout
        text = (TREE / 'doc' / 'man' / f'{page}.rst').read_text()
        options = set(re.findall(r'(?<![\w-])--?[a-z][a-z-]*', usage))
        assert options
        for option in options:
            assert f'**{option}**' in text, (page, option)


def test_bash_completion():
    """It offers what --help prints."""
    if not shutil.which('bash'):
        pytest.skip('no bash')
    file = TREE / 'completions' / 'qrelay.bash'
    for program, words in (
            ('cm4all-qrelay', {'--config', '--check', '--version', '--help'}),
            ('qrelay-sink', {'--maildir', '--reply', '--delay', '--stdio',
                             '--max-size', '--help', '--version'}),
            ('qrelay-sendmail', {'-f', '-i', '-s', '--help', '--version'})):
        r = subprocess.run(
            ['bash', '--norc', '-c', f'''
. '{file}'
COMP_WORDS=({program} -) COMP_CWORD=1
_qrelay_complete {program} - {program}
printf '%s\\n' "${{COMPREPLY[@]}}"'''],
            capture_output=True, text=True, check=True)
        assert set(r.stdout.split()) == words, r.stderr


def test_client_in_python(qrelay):
    """The one that the manual shows."""
    lines = (TREE / 'doc/manual/operation.rst').read_text().splitlines()
    at = lines.index('.. code-block:: python')
    names = {}
    exec(indented(lines[at + 1:]), names)
    q = qrelay(handler='return m:discard(m.sender .. m.recipients[2])')
    assert names['submit'](q.sock, b'Subject: x\n\nHi.\n', b'a@x',
                           [b'b@y', b'c@z']) == b'Ka@xc@z'
