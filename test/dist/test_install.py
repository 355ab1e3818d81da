# SPDX-License-Identifier: BSD-2-Clause
"""What is installed, with which rights, and that it is hardened."""
import json
import platform
import re
import stat
import subprocess

import pytest
from conftest import BUILD, TREE, install

PROGRAMS = ('cm4all-qrelay', 'qrelay-sendmail', 'qrelay-sink')


def run(*command, **kwargs):
    return subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, timeout=60, **kwargs)


def readelf(option, path):
    result = run('readelf', '-W', option, path)
    assert result.returncode == 0
    return result.stdout


@pytest.mark.parametrize('name, where', [
    ('cm4all-qrelay', 'sbin'),
    ('qrelay-sendmail', 'bin'),
    ('qrelay-sink', 'bin'),
    ('config.lua', 'etc/cm4all/qrelay'),
    ('cm4all-qrelay.service', 'lib/systemd/system'),
    ('cm4all-qrelay.socket', 'lib/systemd/system'),
    ('cm4all-qrelay.conf', 'lib/sysusers.d'),
    ('sealed-identity.lua', 'share/doc/cm4all-qrelay/examples'),
])
def test_place(staged, find, name, where):
    folder = '/' + str(find(name).parent.relative_to(staged))
    assert folder.endswith('/' + where)


def test_modes(staged):
    """Whatever the umask of who installs: readable, and only programs run."""
    for path in staged.rglob('*'):
        mode = stat.S_IMODE(path.lstat().st_mode)
        runs = path.is_dir() or path.parent.name in ('bin', 'sbin')
        assert mode == (0o755 if runs else 0o644), path


def test_every_example(staged, find):
    for path in (TREE / 'examples').iterdir():
        if path.name != 'meson.build':
            assert find(path.name).read_bytes() == path.read_bytes()
    assert not list(staged.rglob('meson.build'))


def test_edited_config_is_kept(tmp_path):
    install(tmp_path)
    config = tmp_path / 'etc/cm4all/qrelay/config.lua'
    config.write_text('-- mine\n')
    install(tmp_path)
    assert config.read_text() == '-- mine\n'


def test_service_starts_what_is_installed(staged, find):
    unit = find('cm4all-qrelay.service').read_text()
    command = re.search(r'^ExecStart=/(\S+)$', unit, re.M)[1]
    result = run(staged / command, '--version')
    assert result.returncode == 0
    assert result.stdout.startswith('cm4all-qrelay ')


# ----- hardening: fatal, as an unhardened build is a mistake in meson.build -----


@pytest.fixture(params=PROGRAMS)
def program(request, find):
    return find(request.param)


def test_pie(program):
    assert re.search(r'Type:\s+DYN ', readelf('-h', program))
    assert re.search(r'FLAGS_1.*\bPIE\b', readelf('-d', program))


def test_full_relro(program):
    assert 'GNU_RELRO' in readelf('-l', program)
    assert re.search(r'FLAGS.*\b(BIND_NOW|NOW)\b', readelf('-d', program))


def test_stack_is_not_executable(program):
    flags = re.search(r'GNU_STACK(?:\s+0x\w+){5}\s+(\w+)',
                      readelf('-l', program))[1]
    assert flags == 'RW'


def test_no_segment_is_written_and_run(program):
    for line in readelf('-l', program).splitlines():
        assert not re.match(r'\s+LOAD\s.*\sRWE\s', line), line


def test_stack_protector_and_fortify(program):
    symbols = readelf('--dyn-syms', program)
    assert '__stack_chk_fail@' in symbols
    assert re.search(r' __(?!stack)\w+_chk@', symbols)


def test_branch_targets_are_marked(program):
    """-fcf-protection, x86's.  The property that would tell the loader is lost
    when one object lacks it, and the C runtime's own do on Debian."""
    if platform.machine() != 'x86_64':
        pytest.skip('no -fcf-protection here')
    code = run('objdump', '-d', '--no-show-raw-insn', program).stdout
    assert re.search(r'^[0-9a-f]+ <main>:\n.*\tendbr64', code, re.M)
    assert code.count('\tendbr64') > 20     # a bare one has 2, of crt1.o


def test_fortify_level():
    """3 where the C library has it: the program itself does not tell 2 from 3."""
    known = run('sh', '-c', 'echo "#include <features.h>\n__USE_FORTIFY_LEVEL" |'
                ' cc -O2 -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 -E -P - |'
                ' tail -n 1').stdout.strip()
    if known != '3':
        pytest.skip(f'the C library knows level {known}')
    entries = json.loads((BUILD / 'compile_commands.json').read_text())
    commands = [e['command'] for e in entries
                if e['file'].startswith(('../src/', '../tools/'))]
    assert commands
    for command in commands:
        assert ' -D_FORTIFY_SOURCE=3 ' in command
        assert '-U_FORTIFY_SOURCE' not in command


def test_no_search_path(program):
    assert not re.search(r'R(UN)?PATH', readelf('-d', program))
