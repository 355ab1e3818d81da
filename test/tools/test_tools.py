# SPDX-License-Identifier: BSD-2-Clause
"""The checks of this folder, tried on small trees that break their rules."""
import pathlib
import subprocess

import pytest

TOOLS = pathlib.Path(__file__).resolve().parent


def tool(name, tree):
    result = subprocess.run([TOOLS / name, tree], stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True)
    return result.returncode, result.stdout


def write(tree, name, text):
    path = tree / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize('name, include', [
    ('src/lua/mail.c', '"relay/verdict.h"'),
    ('src/lua/vm.h', '<lua.h>'),
    ('src/daemon/session.c', '"lua/vm.h"'),
    ('src/io/socket.c', '"io/sockaddr.h"'),
    ('src/base/fd.c', '<unistd.h>'),
    ('tools/qrelay_sink.c', '"proto/netstring.h"'),
])
def test_layers_allows(tmp_path, name, include):
    write(tmp_path, name, f'#include {include}\n')
    assert tool('layers', tmp_path) == (0, '1 files\n')


@pytest.mark.parametrize('name, include', [
    ('src/base/fd.c', '"io/socket.h"'),
    ('src/proto/mail.c', '"io/socket.h"'),
    ('src/relay/exec.c', '"db/pg_conn.h"'),
    ('src/db/pg_conn.c', '"relay/verdict.h"'),
    ('src/lua/mail.c', '"daemon/session.h"'),
    ('src/relay/exec.c', '"lua/vm.h"'),
    ('src/daemon/session.c', '<lua.h>'),
    ('src/daemon/session.c', '<lua5.4/lauxlib.h>'),
    ('src/daemon/session.c', '"session.h"'),
    ('src/daemon/session.c', '"../base/fd.h"'),
    ('src/other/thing.c', '"base/fd.h"'),
    ('tools/qrelay_sink.c', '"daemon/session.h"'),
])
def test_layers_refuses(tmp_path, name, include):
    write(tmp_path, name, f'#include <stdio.h>\n  #  include {include}\n')
    status, output = tool('layers', tmp_path)
    assert status == 1
    assert output.startswith(f'{name}:')


def test_layers_refuses_an_empty_tree(tmp_path):
    assert tool('layers', tmp_path)[0] == 1


GUARDED = '#ifndef X_H\n#define X_H\n{}#endif\n'


def test_headers(tmp_path):
    write(tmp_path, 'src/base/x.h',
          GUARDED.format('#include <stddef.h>\nextern size_t x;\n'))
    assert tool('headers', tmp_path) == (0, '1 headers\n')


@pytest.mark.parametrize('text', [
    GUARDED.format('extern size_t x;\n'),    # needs stddef.h
    'struct x {\n\tint y;\n};\n',            # no guard
], ids=['not alone', 'not twice'])
def test_headers_refuses(tmp_path, text):
    write(tmp_path, 'src/base/x.h', text)
    status, output = tool('headers', tmp_path)
    assert status == 1
    assert output.startswith('src/base/x.h: does not compile alone')


SPDX = '# SPDX-License-Identifier: BSD-2-Clause\n'


def test_files(tmp_path):
    write(tmp_path, 'src/x.c', SPDX + 'x\n' * 498)
    write(tmp_path, 'run', '#!/bin/sh\n' + SPDX)
    write(tmp_path, 'build/x.c', 'generated\n')
    write(tmp_path, '.cache/x.c', 'fetched\n')
    write(tmp_path, 'notes.txt', 'prose \n')
    assert tool('files', tmp_path) == (0, '2 files\n')


@pytest.mark.parametrize('name, text, wrong', [
    ('src/x.c', 'int x;\n', '1: no "SPDX'),
    ('.ci/run', '#!/bin/sh\n', '1: no "SPDX'),
    ('src/x.c', SPDX + 'x\n' * 499, '500: 500 lines'),
    ('x.py', SPDX + 'x', '2: no newline'),
    ('src/x.h', SPDX + 'x \n', '2: blank'),
])
def test_files_refuses(tmp_path, name, text, wrong):
    write(tmp_path, name, text)
    status, output = tool('files', tmp_path)
    assert status == 1
    assert output.startswith(f'{name}:{wrong}')
