# SPDX-License-Identifier: BSD-2-Clause
"""The systemd units: clean, tight, and not tighter than the features allow."""
import os
import pathlib
import re
import shutil
import subprocess

import pytest
from conftest import TREE

EXPOSURE = 1.5
SOCKET = '/run/cm4all/qrelay/socket'
# where it is not installed, `setup check` unpacks it, with the units it needs
CACHE = pathlib.Path(os.environ.get('QRELAY_CACHE') or TREE / '.cache')
ANALYZE = shutil.which('systemd-analyze') or \
    shutil.which(str(CACHE / 'bin' / 'systemd-analyze'))
ENV = dict(os.environ)
if ANALYZE and ANALYZE.startswith(str(CACHE)):
    ENV['SYSTEMD_UNIT_PATH'] = ':'.join(
        str(CACHE / 'systemd' / folder / 'systemd/system')
        for folder in ('usr/lib', 'lib'))
needs_analyze = pytest.mark.skipif(ANALYZE is None,
                                   reason='no systemd-analyze here')


def analyze(*words):
    result = subprocess.run(
        [ANALYZE, *map(str, words)], stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env=ENV, timeout=60)
    return result.returncode, result.stdout


def version():
    return int(re.search(r'systemd (\d+)', analyze('--version')[1])[1])


def settings(text):
    """{key: [value, ...]} of a unit or a drop-in."""
    result = {}
    for key, value in re.findall(r'^(\w+)=(.*)$', text, re.M):
        result.setdefault(key, []).append(value)
    return result


@pytest.fixture
def units(find, tmp_path):
    """The units in a folder; the service starts the staged program."""
    service = find('cm4all-qrelay.service').read_text()
    (tmp_path / 'cm4all-qrelay.service').write_text(re.sub(
        r'^ExecStart=\S+$', f'ExecStart={find("cm4all-qrelay")}', service,
        flags=re.M))
    shutil.copy(find('cm4all-qrelay.socket'), tmp_path)
    return tmp_path


def verify(units):
    # the manual pages may not be built, let alone installed
    return analyze('verify', '--man=no', units / 'cm4all-qrelay.service',
                   units / 'cm4all-qrelay.socket')


@needs_analyze
def test_verify(units):
    assert verify(units) == (0, '')


@needs_analyze
def test_verify_finds_faults(units):
    path = units / 'cm4all-qrelay.service'
    path.write_text(path.read_text().replace('\nProtectHome=', '\nProtectHom='))
    assert 'ProtectHom' in verify(units)[1]


@needs_analyze
def test_security(units, record_property):
    status, output = analyze('security', '--offline=true',
                             units / 'cm4all-qrelay.service')
    assert status == 0, output
    exposure = float(re.search(r'Overall exposure level.*: ([\d.]+)',
                               output)[1])
    print(f'systemd {version()}: exposure {exposure}')
    record_property('exposure', exposure)
    if version() == 252:    # others count differently
        assert exposure <= EXPOSURE, output


def test_what_would_break_features(find):
    """ProtectProc= breaks m.cgroup, PrivateUsers= m.uid, and so on."""
    service = settings(find('cm4all-qrelay.service').read_text())
    for key in ('ProtectProc', 'PrivateUsers', 'PrivateNetwork', 'Delegate',
                'IPAddressDeny', 'DynamicUser', 'RootDirectory'):
        assert key not in service
    assert service['ProtectControlGroups'] == ['yes']
    families = service['RestrictAddressFamilies'][0].split()
    assert {'AF_UNIX', 'AF_INET', 'AF_INET6'} <= set(families)


def test_folder_of_the_socket_stays(find):
    """For bind mounts: see test/e2e/test_bind_mount.py."""
    service = settings(find('cm4all-qrelay.service').read_text())
    socket = settings(find('cm4all-qrelay.socket').read_text())
    assert socket['ListenStream'] == [SOCKET]
    assert '/run/' + service['RuntimeDirectory'][0] == SOCKET.rpartition('/')[0]
    assert service['RuntimeDirectoryPreserve'] == ['yes']


def test_user_is_made(find):
    service = settings(find('cm4all-qrelay.service').read_text())
    sysusers = find('cm4all-qrelay.conf').read_text()
    assert re.search(rf"^u {service['User'][0]} ", sysusers, re.M)


# ----- the drop-in for programs that need a setgid helper -----


IMPLY = '''LockPersonality MemoryDenyWriteExecute PrivateDevices ProtectClock
ProtectHostname ProtectKernelLogs ProtectKernelModules ProtectKernelTunables
RestrictAddressFamilies RestrictNamespaces RestrictRealtime RestrictSUIDSGID
SystemCallArchitectures SystemCallFilter'''.split()


def test_drop_in_lets_setgid_programs_work():
    """systemd.exec(5): each of these implies NoNewPrivileges=yes for a service
    that is not root's."""
    service = settings((TREE / 'dist/cm4all-qrelay.service.in').read_text())
    drop_in = settings((TREE / 'examples/sendmail.conf').read_text())
    for key in ('NoNewPrivileges', *IMPLY):
        assert key in service
        assert drop_in.get(key) in (['no'], ['']), key


@needs_analyze
def test_drop_in_is_clean(units):
    folder = units / 'cm4all-qrelay.service.d'
    folder.mkdir()
    shutil.copy(TREE / 'examples/sendmail.conf', folder)
    assert verify(units) == (0, '')
