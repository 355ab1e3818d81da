# SPDX-License-Identifier: BSD-2-Clause
"""Fixtures of the end-to-end tests: `qrelay` and `server` are factories
whose products are stopped, and checked, when the test ends."""
import os
import shutil

import pytest

pytest.register_assert_rewrite('harness')

from harness.daemon import Daemon, short_dir  # noqa: E402
from harness.env import DAEMON  # noqa: E402
from harness.nameserver import NameServer  # noqa: E402
from harness.postgres import Cluster, Proxy, find_bin  # noqa: E402
from harness.server import Server  # noqa: E402


def pytest_configure(config):
    for line in ('valgrind: the short run under valgrind',
                 'long: takes minutes; deselected unless -m names it'):
        config.addinivalue_line('markers', line)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    first = set()
    for item in items:      # one set of parameters is enough there
        if item.get_closest_marker('valgrind') and \
                item.function in first:
            item.own_markers = [m for m in item.own_markers
                                if m.name != 'valgrind']
        first.add(item.function)
    if 'long' in (config.option.markexpr or ''):
        return
    kept = [i for i in items if not i.get_closest_marker('long')]
    config.hook.pytest_deselected(
        items=[i for i in items if i.get_closest_marker('long')])
    items[:] = kept


@pytest.fixture(scope='session', autouse=True)
def programs():
    if not os.access(DAEMON, os.X_OK):
        pytest.exit(f'{DAEMON} is missing: build it, or set QRELAY_BUILD', 3)


@pytest.fixture
def qrelay(folder):
    """qrelay(config_text) or qrelay(handler=lua, max_size=..., ...)."""
    made = []

    def factory(*args, **kwargs):
        daemon = Daemon.__new__(Daemon)
        made.append(daemon)
        daemon.__init__(*args, **kwargs)
        return daemon

    yield factory
    failures = []
    for daemon in reversed(made):
        if not hasattr(daemon, 'process'):
            continue
        try:
            daemon.stop()
        except AssertionError as e:
            failures.append(str(e))
    for daemon in made:
        daemon.cleanup()
    assert not failures, '\n'.join(failures)


@pytest.fixture
def server():
    """server(script, where) -> a scripted QMQP server."""
    made = []

    def factory(*args, **kwargs):
        made.append(Server(*args, **kwargs))
        return made[-1]

    yield factory
    for one in made:
        one.close()


@pytest.fixture
def folder():
    """An empty folder with a short path."""
    path = short_dir()
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def name_server(folder):
    """name_server({name: address}, ...) for daemons with its `prefix`."""
    made = []

    def factory(*args, **kwargs):
        made.append(NameServer(folder, *args, **kwargs))
        return made[-1]

    yield factory
    for one in made:
        one.close()


@pytest.fixture
def root():
    """For tests that connect as several users."""
    if os.geteuid() != 0:
        pytest.skip('needs root to connect as several users')


@pytest.fixture(scope='session')
def shared_cluster():
    """One PostgreSQL for all tests that leave it as it was."""
    if find_bin() is None:
        pytest.skip('no PostgreSQL server; test/tools/setup pg fetches it')
    cluster = Cluster()
    yield cluster
    cluster.close()


@pytest.fixture
def pg(shared_cluster):
    """The shared cluster, with a fresh schema public."""
    shared_cluster.drop_clients()
    shared_cluster.sql('DROP SCHEMA IF EXISTS public CASCADE')
    shared_cluster.sql('CREATE SCHEMA public')
    return shared_cluster


@pytest.fixture
def own_pg():
    """A cluster to be killed, frozen, restarted."""
    if find_bin() is None:
        pytest.skip('no PostgreSQL server; test/tools/setup pg fetches it')
    cluster = Cluster()
    yield cluster
    cluster.close()


@pytest.fixture
def proxy(pg):
    proxy = Proxy(pg)
    yield proxy
    proxy.close()
