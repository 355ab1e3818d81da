# SPDX-License-Identifier: BSD-2-Clause
"""The command line, and what a script that fails at start says."""
import os
import re
import subprocess

import pytest
from harness.daemon import StartError, check_report
from harness.env import DAEMON, WRAPPER, free_port, slow

H = 'function(m) return m:discard() end'


def run(*args, **kwargs):
    r = subprocess.run([*WRAPPER, str(DAEMON), *map(str, args)],
                       stdin=subprocess.DEVNULL, capture_output=True,
                       text=True, timeout=slow(20), **kwargs)
    check_report(r.stderr.encode())
    return r


def write(folder, text):
    path = folder / 'config.lua'
    path.write_text(text)
    return path


def test_version():
    r = run('--version')
    assert r.returncode == 0
    assert re.search(r'\d+\.\d+', r.stdout)
    assert not r.stderr


def test_help():
    r = run('--help')
    assert r.returncode == 0
    for word in ('--config', '--check', '--version', '--help'):
        assert word in r.stdout
    assert not r.stderr


@pytest.mark.parametrize('args', [
    ['--bogus'], ['-x'], ['extra'], ['--config'], ['--check', 'extra'],
    ['--config', '/x', 'extra'], ['--config=', '/x'], ['--check=1'], ['']])
def test_anything_else(args):
    r = run(*args)
    assert r.returncode == 2
    assert '--config' in r.stderr or 'usage' in r.stderr.lower()
    assert not r.stdout


def test_check(folder):
    port = free_port()
    path = write(folder, f"""qmqp_listen('/run/x/q.sock', {H})
qmqp_listen('rel.sock', {H})
qmqp_listen('@abstract-{port}', {H})
qmqp_listen('127.0.0.1:{port}', {H})
qmqp_listen('[::1]:{port}', {H})
""")
    r = run('--check', '--config', path)
    assert r.returncode == 0, r.stderr
    for text in ('/run/x/q.sock', 'rel.sock', f'@abstract-{port}',
                 f'127.0.0.1:{port}', f'[::1]:{port}'):
        assert text in r.stdout
    assert {p.name for p in folder.iterdir()} == {'config.lua'}


def test_check_of_a_running_configuration(qrelay):
    """It opens no socket, so it does not mind a living daemon."""
    q = qrelay()
    r = run('--config', q.config, '--check')
    assert r.returncode == 0, r.stderr
    assert q.sock in r.stdout
    assert q.submit() == b'Kdiscarded'


def test_check_runs_what_waits(folder):
    path = write(folder, "sleep(0.2) print('slept')\n"
                 "a = qmqp_resolve('localhost:1')\n"
                 f"qmqp_listen('/x', {H})")
    r = run('--check', '--config', path)
    assert r.returncode == 0, r.stderr
    assert 'slept' in r.stdout + r.stderr


def test_check_with_systemd(folder):
    path = write(folder, f"qmqp_listen(systemd, {H})")
    r = run('--check', '--config', path)
    assert r.returncode == 0, r.stderr
    assert 'systemd' in r.stdout


FAILING = {
    'syntax error': ('\n\nlocal = 1\n', 3, "near '='"),
    'unfinished': ('x = {\n', 2, '<eof>'),
    'run-time error': ("\nlocal x = nil\nx.y = 1\n", 3, 'nil value'),
    'error()': ("\nerror('my cause')\n", 2, 'my cause'),
    'in a function': ("function f()\n  error('deep')\nend\nf()\n", 2, 'deep'),
    'behind a wait': ("sleep(0.01)\nerror('late')\n", 2, 'late'),
    'an unknown address': (f"\nqmqp_listen('1.2.3.4:x', {H})\n", 2, ''),
}


@pytest.mark.parametrize('check', [False, True], ids=['start', 'check'])
@pytest.mark.parametrize('case', FAILING)
def test_script_errors(folder, case, check):
    """One message that names file, line and cause; exit 1."""
    text, line, cause = FAILING[case]
    path = write(folder, text)
    if case == 'an unknown address':
        (folder / '1.2.3.4:x').write_text('')   # a path, and a taken one
        if check:
            pytest.skip('--check opens no socket')
    r = run('--config', path, *(['--check'] if check else []))
    assert r.returncode == 1
    assert f'config.lua:{line}' in r.stderr
    assert cause in r.stderr


@pytest.mark.parametrize('check', [False, True], ids=['start', 'check'])
def test_no_listen(folder, check):
    path = write(folder, "print('hi')\n")
    r = run('--config', path, *(['--check'] if check else []))
    assert r.returncode == 1
    assert 'qmqp_listen' in r.stderr
    assert 'config.lua' in r.stderr


def test_error_that_is_no_string(folder):
    for value in ('{}', 'nil', '42', 'setmetatable({}, {__tostring='
                  'function() return "custom" end})'):
        path = write(folder, f"error({value})")
        r = run('--config', path)
        assert r.returncode == 1
        assert 'config.lua' in r.stderr
    assert 'custom' in r.stderr


def test_missing_file(folder):
    r = run('--config', folder / 'absent.lua')
    assert r.returncode == 1
    assert 'absent.lua' in r.stderr
    assert len(r.stderr.splitlines()) == 1


def test_folder_as_config(folder):
    r = run('--config', folder)
    assert r.returncode == 1
    assert r.stderr


def test_relative_config(folder):
    write(folder, f"qmqp_listen('/x', {H})")
    r = run('--check', '--config', 'config.lua', cwd=folder)
    assert r.returncode == 0, r.stderr


def test_yield_at_start(folder):
    path = write(folder, "\ncoroutine.yield()\n")
    r = run('--config', path)
    assert r.returncode == 1
    assert 'config.lua' in r.stderr


def test_endless_start(folder):
    """No: 60 s of CPU are the script's at start; only a kill ends it
    before.  It must not have opened its socket."""
    path = write(folder, f"qmqp_listen('{folder}/s', {H})\nwhile true do end")
    with pytest.raises(subprocess.TimeoutExpired):
        subprocess.run([str(DAEMON), '--config', str(path)], timeout=0.7,
                       stdin=subprocess.DEVNULL, capture_output=True)
    assert not os.path.exists(folder / 's')


def test_failing_start_leaves_the_exit_code(qrelay):
    with pytest.raises(StartError) as e:
        qrelay("error('x')")
    assert e.value.code == 1
