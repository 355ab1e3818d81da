# SPDX-License-Identifier: BSD-2-Clause
"""Tests of what `meson install` installs.  QRELAY_BUILD names the build."""
import os
import pathlib
import subprocess

import pytest

TREE = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get('QRELAY_BUILD') or TREE / 'build').resolve()


def install(destdir):
    """Installs below that folder; returns what was printed."""
    result = subprocess.run(
        ['meson', 'install', '--no-rebuild', '-C', BUILD],
        env={**os.environ, 'DESTDIR': str(destdir)}, umask=0o077,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, timeout=60)
    assert result.returncode == 0, result.stdout
    return result.stdout


@pytest.fixture(scope='session')
def staged(tmp_path_factory):
    """The folder below which all was installed."""
    folder = tmp_path_factory.mktemp('staged')
    install(folder)
    return folder


@pytest.fixture(scope='session')
def find(staged):
    """find('name'): the one installed file of that name; a shell's completion
    is called like the program."""
    def one(name):
        found = [p for p in staged.rglob(name)
                 if p.is_file() and p.parent.name != 'completions']
        assert len(found) == 1, f'{name}: {found}'
        return found[0]
    return one
