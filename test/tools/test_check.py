# SPDX-License-Identifier: BSD-2-Clause
"""The check runner, tried in a small tree of its own."""
import pathlib
import shutil
import subprocess

import pytest

CHECK = pathlib.Path(__file__).resolve().parent / 'check'


@pytest.fixture
def check(tmp_path):
    """check(name=script, ...): exit status and output of these steps."""
    tools = tmp_path / 'test' / 'tools'
    tools.mkdir(parents=True)
    shutil.copy(CHECK, tools)

    def run(*steps, **scripts):
        for name, text in scripts.items():
            path = tools / (name.replace('_py', '.py'))
            path.write_text(text)
            path.chmod(0o755)
        result = subprocess.run(
            [tools / 'check', *steps], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        return result.returncode, result.stdout

    return run


def test_passed(check):
    status, output = check('files', files='#!/bin/sh\necho fine\n')
    assert status == 0
    assert output.startswith('ok     files')
    assert 'fine' not in output
    assert output.endswith('\n1 passed, 0 failed\n')


def test_failed_is_shown_and_the_rest_runs(check):
    status, output = check('files', 'layers',
                           files='#!/bin/sh\necho boom; exit 1\n',
                           layers='#!/bin/sh\n')
    assert status == 1
    assert 'boom\n' in output
    assert 'FAILED files' in output and 'ok     layers' in output
    assert output.endswith('\n1 passed, 1 failed\n')


def test_nothing_ran(check):
    status, output = check('format',
                           format='#!/bin/sh\necho no tool; exit 77\n')
    assert status == 1
    assert '(no tool)' in output
    assert output.endswith('\n0 passed, 0 failed, 1 skipped\n')


def test_missing_script_is_a_failure(check):
    status, output = check('files')
    assert status == 1
    assert output.endswith('\n0 passed, 1 failed\n')


def test_stdin_is_empty(check):
    assert check('files', files='#!/bin/sh\ncat\n')[0] == 0


def test_pytest_is_counted(check):
    status, output = check('tools', test_x_py='\n'.join([
        'import pytest',
        'def test_a(): pass',
        'def test_b(): pass',
        'def test_c(): assert "this" == "that"',
        'def test_d(): pytest.skip("no")']))
    assert status == 1
    assert "assert 'this' == 'that'" in output
    assert output.endswith('\n2 passed, 1 failed, 1 skipped\n')


def test_pytest_that_cannot_start_is_a_failure(check):
    status, output = check('tools', test_x_py='import nothing_like_this\n')
    assert status == 1
    assert 'nothing_like_this' in output
    assert output.endswith('\n0 passed, 1 failed\n')


def test_a_broken_build_is_one_failure(check):
    status, output = check('unit')
    assert status == 1
    assert '(not run: gcc failed)' in output
    assert output.endswith('\n0 passed, 1 failed, 1 skipped\n')


def test_unknown_step(check):
    status, output = check('nonsense')
    assert status == 1
    assert 'no step nonsense' in output
