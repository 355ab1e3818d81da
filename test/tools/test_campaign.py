# SPDX-License-Identifier: BSD-2-Clause
"""test/fuzz/campaign, with targets that only say what libFuzzer would say."""
import pathlib
import subprocess

import pytest

CAMPAIGN = pathlib.Path(__file__).resolve().parents[1] / 'fuzz' / 'campaign'

FINE = '''#!/bin/sh
echo "$@" >> "$(dirname "$0")/arguments"
echo stat::number_of_executed_units: 1234
echo stat::average_exec_per_sec: 567
echo stat::new_units_added: 89
'''
CRASHES = '#!/bin/sh\necho "assertion failed"; exit 77\n'


@pytest.fixture
def campaign(tmp_path):
    """Runs it with these scripts as targets: status, output, arguments."""
    def run(scripts, *options):
        folder = tmp_path / 'build' / 'test' / 'fuzz'
        folder.mkdir(parents=True)
        for name, text in scripts.items():
            path = folder / f'fuzz_{name}'
            path.write_text(text)
            path.chmod(0o755)
        result = subprocess.run(
            [CAMPAIGN, '--build', tmp_path / 'build', '--scratch',
             tmp_path / 'scratch', *options, *scripts],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        arguments = folder / 'arguments'
        return (result.returncode, result.stdout,
                arguments.read_text() if arguments.exists() else '')
    return run


def test_prints_a_line_a_target(campaign, tmp_path):
    status, output, arguments = campaign({'netstring': FINE, 'session': FINE},
                                         '--runs', '4711')
    assert status == 0
    assert [line.split() for line in output.splitlines()] == [
        ['target', 'executions', 'exec/s', 'new', 'crashes'],
        ['netstring', '1234', '567', '89', '0'],
        ['session', '1234', '567', '89', '0']]
    assert arguments.count('-runs=4711 ') == 2
    assert f'{tmp_path}/scratch/session ' in arguments
    assert '/test/fuzz/dict/session' in arguments
    assert '-merge=1' not in arguments


def test_a_crash_is_told(campaign):
    status, output, _ = campaign({'address': CRASHES, 'netstring': FINE},
                                 '--merge')
    assert status == 1
    assert output.splitlines()[1].split() == ['address', '0', '0', '0', '1']
    assert 'assertion failed' in output
    assert output.splitlines()[-1].split()[0] == 'netstring'


def test_merges_into_the_tree(campaign):
    _, _, arguments = campaign({'netstring': FINE}, '--merge')
    merge = arguments.splitlines()[1].split()
    assert merge[0] == '-merge=1'
    assert merge[-2].endswith('test/fuzz/corpus/netstring')
    assert merge[-1].endswith('scratch/netstring')


def test_unknown_target(campaign):
    status, output, _ = campaign({'nonsense': FINE})
    assert status == 2
    assert 'no target nonsense' in output
