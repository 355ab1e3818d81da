# SPDX-License-Identifier: BSD-2-Clause
"""The socket's file: stale ones are replaced, living ones are not, no
moment without one, removed at exit only if it is ours."""
import os
import socket
import stat
import threading
import time

import pytest
from harness.daemon import StartError

BEFORE = {'config.lua', 'stderr', 'stdout', 'notify'}


def stale_socket(path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
        s.bind(str(path))
        s.listen()


def living_socket(path, backlog=5):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    s.bind(str(path))
    s.listen(backlog)
    return s


def fails(qrelay, folder):
    with pytest.raises(StartError) as e:
        qrelay(directory=folder)
    assert e.value.code == 1
    assert 'q.sock' in e.value.output
    assert 'config.lua:2' in e.value.output
    assert {p.name for p in folder.iterdir()} <= BEFORE | {'q.sock', 'target'}


@pytest.mark.valgrind
def test_stale_socket_is_replaced(qrelay, folder):
    stale_socket(folder / 'q.sock')
    q = qrelay(directory=folder)
    assert q.submit() == b'Kdiscarded'


def test_no_temporary_file_is_left(qrelay, folder):
    stale_socket(folder / 'q.sock')
    qrelay(directory=folder)
    assert {p.name for p in folder.iterdir()} == BEFORE | {'q.sock'}


def test_living_socket_is_an_error(qrelay, folder):
    with living_socket(folder / 'q.sock') as s:
        fails(qrelay, folder)
        assert (folder / 'q.sock').is_socket()
        with socket.socket(socket.AF_UNIX) as c:
            c.connect(str(folder / 'q.sock'))       # still the old one's
        assert s.getsockname() == str(folder / 'q.sock')


def test_living_daemon_is_an_error(qrelay, folder):
    q = qrelay(directory=folder)
    with pytest.raises(StartError) as e:
        qrelay(f"qmqp_listen('{q.sock}', print)")
    assert e.value.code == 1
    assert 'q.sock' in e.value.output
    assert q.submit() == b'Kdiscarded'


def test_full_backlog_is_alive(qrelay, folder):
    with living_socket(folder / 'q.sock', backlog=0):
        waiting = []
        try:
            while True:
                c = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                waiting.append(c)
                c.setblocking(False)
                c.connect(str(folder / 'q.sock'))
        except BlockingIOError:
            pass
        fails(qrelay, folder)
        for c in waiting:
            c.close()


def test_regular_file_is_an_error(qrelay, folder):
    (folder / 'q.sock').write_text('precious')
    fails(qrelay, folder)
    assert (folder / 'q.sock').read_text() == 'precious'


def test_folder_is_an_error(qrelay, folder):
    (folder / 'q.sock').mkdir()
    fails(qrelay, folder)
    assert (folder / 'q.sock').is_dir()


def test_fifo_is_an_error(qrelay, folder):
    os.mkfifo(folder / 'q.sock')
    fails(qrelay, folder)
    assert stat.S_ISFIFO(os.lstat(folder / 'q.sock').st_mode)


def test_symlink_is_an_error(qrelay, folder):
    """Even one that points to a stale socket."""
    stale_socket(folder / 'target')
    (folder / 'q.sock').symlink_to('target')
    fails(qrelay, folder)
    assert (folder / 'q.sock').is_symlink()
    assert (folder / 'target').is_socket()


def test_dangling_symlink_is_an_error(qrelay, folder):
    (folder / 'q.sock').symlink_to('nowhere')
    fails(qrelay, folder)
    assert (folder / 'q.sock').is_symlink()


def test_no_moment_without_a_socket(qrelay, folder):
    """The stale one stays until the new one, which answers with the right
    mode from the start, takes its place."""
    path = str(folder / 'q.sock')
    stale_socket(path)
    old = os.lstat(path).st_ino
    faults, done = [], threading.Event()

    def watch():
        while not done.is_set():
            try:
                st = os.lstat(path)
            except FileNotFoundError:
                faults.append('gone')
                continue
            if st.st_ino != old and stat.S_IMODE(st.st_mode) != 0o666:
                faults.append(oct(st.st_mode))
            if st.st_ino != old:
                try:
                    with socket.socket(socket.AF_UNIX) as s:
                        s.connect(path)
                except OSError as e:
                    faults.append(str(e))

    thread = threading.Thread(target=watch)
    thread.start()
    q = qrelay(directory=folder)
    time.sleep(0.1)
    done.set()
    thread.join()
    assert not faults
    assert q.submit() == b'Kdiscarded'


def test_removed_at_exit(qrelay, folder):
    q = qrelay(directory=folder)
    assert (folder / 'q.sock').is_socket()
    q.stop()
    assert not (folder / 'q.sock').exists()


def test_not_removed_when_it_is_anothers(qrelay, folder):
    q = qrelay(directory=folder)
    os.unlink(q.sock)
    with living_socket(q.sock):
        inode = os.lstat(q.sock).st_ino
        q.stop()
        assert os.lstat(q.sock).st_ino == inode


def test_not_removed_when_it_is_a_file_now(qrelay, folder):
    q = qrelay(directory=folder)
    os.unlink(q.sock)
    (folder / 'q.sock').write_text('precious')
    q.stop()
    assert (folder / 'q.sock').read_text() == 'precious'


def test_already_gone_at_exit(qrelay, folder):
    q = qrelay(directory=folder)
    os.unlink(q.sock)
    q.stop()


def test_kept_when_the_script_fails_behind(qrelay, folder):
    """A failing start leaves nothing of ours and harms nobody's socket."""
    with pytest.raises(StartError):
        qrelay("qmqp_listen('$SOCK', print)\nerror('later')",
               directory=folder)
    assert not (folder / 'q.sock').exists()
    with living_socket(folder / 'q.sock'):
        with pytest.raises(StartError):
            qrelay("qmqp_listen('$DIR/1', print) error('x')",
                   directory=folder)
        assert (folder / 'q.sock').is_socket()


def test_restart_after_a_crash(qrelay, folder):
    q = qrelay(directory=folder)
    q.kill()
    assert (folder / 'q.sock').is_socket()
    q.stopped = True
    q.notify.close()
    assert qrelay(directory=folder).submit() == b'Kdiscarded'
