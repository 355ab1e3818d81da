# SPDX-License-Identifier: BSD-2-Clause
"""analyzer, tidy and cppcheck, tried on small trees with and without faults."""
import json
import pathlib
import shutil
import subprocess

import pytest

TOOLS = pathlib.Path(__file__).resolve().parent
TREE = TOOLS.parents[1]
SKIPPED = 77

CLEAN = '''
#include <stdlib.h>

int x(void);

int x(void)
{
	char *p = malloc(2);
	int r = p != NULL;

	free(p);
	return r;
}
'''
# each by what only this tool is asked for
TWICE = CLEAN.replace('\treturn', '\tfree(p);\n\treturn')
SIZEOF = '''
#include <string.h>

struct pair {
	int a[9];
};
void x(struct pair *p);

void x(struct pair *p)
{
	memset(p, 0, sizeof(p));
}
'''
BEYOND = '''
int x(void);

int x(void)
{
	static const int a[3] = {1, 2, 3};

	return a[0] + a[3];
}
'''


@pytest.fixture
def look(tmp_path):
    """look(tool, text, folder='src'): exit status and output."""
    def run(tool, text, folder='src'):
        path = tmp_path / folder / 'x.c'
        path.parent.mkdir(parents=True)
        path.write_text(text)
        for config in ('.clang-tidy', 'test/.clang-tidy'):
            (tmp_path / config).parent.mkdir(exist_ok=True)
            shutil.copy(TREE / config, tmp_path / config)
        build = tmp_path / 'build-gcc'
        build.mkdir()
        (build / 'compile_commands.json').write_text(json.dumps([{
            'directory': str(build), 'file': f'../{folder}/x.c',
            'command': f'cc -O2 -MD -o x.o -c ../{folder}/x.c'}]))
        result = subprocess.run([TOOLS / tool, tmp_path], text=True,
                                stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT)
        if result.returncode == SKIPPED:
            pytest.skip(result.stdout.strip())
        return result.returncode, result.stdout
    return run


@pytest.mark.parametrize('tool', ['analyzer', 'tidy', 'cppcheck'])
def test_clean(look, tool):
    assert look(tool, CLEAN) == (0, '1 files\n')


@pytest.mark.parametrize('tool, text, name', [
    ('analyzer', TWICE, '-Wanalyzer-double-free'),
    ('tidy', SIZEOF, 'bugprone-sizeof-expression'),
    ('tidy', TWICE, 'clang-analyzer-unix.Malloc'),
    ('cppcheck', BEYOND, 'arrayIndexOutOfBounds'),
])
def test_finds(look, tool, text, name):
    status, output = look(tool, text)
    assert status == 1
    assert name in output
    assert 'x.c:' in output


@pytest.mark.parametrize('tool, text, line, reason', [
    ('analyzer', TWICE, '\tfree(p);\n\treturn', '/* analyzer: a test */'),
    ('tidy', SIZEOF, '\tmemset', '/* NOLINTNEXTLINE(bugprone-sizeof-'
     'expression,clang-analyzer-core.*): a test */'),
    ('cppcheck', BEYOND, '\treturn',
     '/* cppcheck-suppress arrayIndexOutOfBounds ; a test */'),
])
def test_reason_at_the_line(look, tool, text, line, reason):
    assert text.count(line) == 1
    status, output = look(tool, text.replace(line, f'\t{reason}\n{line}'))
    assert (status, output) == (0, '1 files\n')


def test_reason_elsewhere_does_not_count(look):
    text = TWICE.replace('int x(void);', '/* analyzer: a test */\nint x(void);')
    assert look('analyzer', text)[0] == 1


def test_tidy_is_lenient_with_tests(look):
    assert look('tidy', TWICE, 'test/unit')[0] == 0


def test_tidy_looks_at_tests(look):
    assert look('tidy', SIZEOF, 'test/unit')[0] == 1


@pytest.mark.parametrize('tool, text', [
    ('analyzer', TWICE), ('tidy', SIZEOF)])
def test_what_does_not_compile_is_no_pass(look, tool, text):
    assert look(tool, text + 'int y(\n')[0] == 1


@pytest.mark.parametrize('tool, variable', [
    ('analyzer', 'CC'), ('tidy', 'CLANG_TIDY'), ('cppcheck', 'CPPCHECK')])
def test_without_the_tool_it_is_skipped(tmp_path, tool, variable):
    result = subprocess.run(['env', f'{variable}=/nowhere', TOOLS / tool,
                             tmp_path], stdout=subprocess.PIPE, text=True)
    assert result.returncode == SKIPPED
    assert result.stdout.startswith('no ')
