# SPDX-License-Identifier: BSD-2-Clause
"""A cm4all-qrelay under test: its configuration, its process, its log."""
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

from . import logline
from .env import DAEMON, WATCHED, WRAPPER, slow, wait_until
from .qmqp import MESSAGE, RCPT, SENDER, Client, request

REPORT = re.compile(rb'(AddressSanitizer|LeakSanitizer|UndefinedBehavior'
                    rb'Sanitizer|runtime error:|[Aa]ssertion .*failed|'
                    rb'definitely lost: [1-9]|ERROR SUMMARY: [1-9]|'
                    rb'Invalid (read|write|free)|uninitialised value)')


def check_report(stderr):
    """No sanitizer, valgrind or assertion has complained."""
    assert not REPORT.search(stderr), stderr.decode(errors='replace')


class StartError(AssertionError):
    """The daemon ended instead of becoming ready."""

    def __init__(self, code, output):
        super().__init__(f'daemon exited with {code}: {output}')
        self.code = code
        self.output = output


class NotifySocket:
    """The receiving end of sd_notify(3).  It always reads, as systemd
    does: a sender may block when nobody does."""

    def __init__(self, path):
        self.path = str(path)
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(self.path)
        os.chmod(self.path, 0o666)
        self.seen = []
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        while True:
            data = self.sock.recv(65536)
            if not data:
                return
            self.seen += data.decode().splitlines()

    def wait(self, line, timeout=10, since=0):
        """Wait until `line` is among what came after the first `since`."""
        wait_until(lambda: line in self.seen[since:], f'{line} is notified',
                   timeout)

    def close(self):
        self.sock.shutdown(socket.SHUT_RD)
        self.thread.join()
        self.sock.close()


def lua_value(value):
    if isinstance(value, bool):
        return 'true' if value else 'false'
    if isinstance(value, (int, float)):
        return repr(value)
    return "'" + str(value).replace('\\', '\\\\').replace("'", "\\'") + "'"


def short_dir():
    """A temporary folder with a path short enough for sun_path."""
    path = pathlib.Path(tempfile.mkdtemp(prefix='qr', dir='/tmp'))
    path.chmod(0o755)
    return path


class Daemon:
    """One process; made by the `qrelay` fixture."""

    def __init__(self, config=None, *, handler=None, pre='', prefix=(),
                 env=None, files=None, directory=None, stderr=None,
                 umask=-1, cwd=None, command=None, argument=None,
                 wait=True, **variables):
        self.dir = directory or short_dir()
        self.own_dir = directory is None
        self.sock = str(self.dir / 'q.sock')
        self.config = self.dir / 'config.lua'
        self.config.write_bytes(
            self.config_text(config, handler, pre, variables))
        for name, text in (files or {}).items():
            (self.dir / name).write_text(text)
        self.stopped = False
        self.expect_exit = 0
        self.stderr_path = self.dir / 'stderr'
        self.stdout_path = self.dir / 'stdout'
        notify = self.dir / 'notify'
        notify.unlink(missing_ok=True)
        self.notify = NotifySocket(notify)
        environ = {k: v for k, v in os.environ.items()
                   if not k.startswith(('LISTEN_', 'WATCHDOG_'))}
        environ['NOTIFY_SOCKET'] = self.notify.path
        environ.update(env or {})
        command = command or [*WRAPPER, str(DAEMON)]
        with open(self.stderr_path, 'ab') as err, \
                open(self.stdout_path, 'ab') as out:
            self.process = subprocess.Popen(
                [*prefix, *command, '--config',
                 argument or str(self.config)],
                stdin=subprocess.DEVNULL, stdout=out,
                stderr=err if stderr is None else stderr,
                env=environ, umask=umask, cwd=cwd)
        if wait:
            self.wait_ready()

    def config_text(self, config, handler, pre, variables):
        lines = [f'{k} = {lua_value(v)}\n' for k, v in variables.items()]
        if config is None:
            config = (f"{pre}\nqmqp_listen('$SOCK', function(m)\n"
                      f"{handler or 'return m:discard()'}\nend)\n")
        text = ''.join(lines) + config
        text = text.replace('$SOCK', self.sock).replace('$DIR', str(self.dir))
        return os.fsencode(text)

    # ---- life ----

    @property
    def pid(self):
        return self.process.pid

    def alive(self):
        return self.process.poll() is None

    def wait_ready(self):
        end = time.monotonic() + slow(20)
        while 'READY=1' not in self.notify.seen:
            if not self.alive():
                self.stopped = True
                self.notify.close()
                check_report(self.raw_log())
                raise StartError(self.process.returncode, self.output())
            if time.monotonic() > end:
                self.kill()
                raise AssertionError('daemon is not ready: ' + self.output())
            time.sleep(0.003)

    def wait_exit(self, timeout=15):
        try:
            return self.process.wait(slow(timeout))
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError('daemon did not exit: ' + self.output())

    def sighup(self):
        self.process.send_signal(signal.SIGHUP)

    def terminate(self, sig=signal.SIGTERM):
        self.process.send_signal(sig)

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.expect_exit = -signal.SIGKILL

    def stop(self):
        """SIGTERM, exit status, no report of a checker in stderr."""
        if self.stopped:
            return
        self.stopped = True
        try:
            if self.alive():
                self.terminate()
            code = self.wait_exit()
            assert code == self.expect_exit, \
                f'exit status {code}: {self.output()}'
            check_report(self.raw_log())
        finally:
            self.notify.close()

    def cleanup(self):
        if self.own_dir:
            shutil.rmtree(self.dir, ignore_errors=True)

    # ---- what can be seen from outside ----

    def raw_log(self):
        return self.stderr_path.read_bytes()

    def output(self):
        """All it printed, for messages and for print()."""
        return (self.raw_log() +
                self.stdout_path.read_bytes()).decode(errors='replace')

    def log_lines(self):
        """The whole lines on stderr, as bytes."""
        return self.raw_log().split(b'\n')[:-1]

    def messages(self):
        """The lines that are neither a mail's nor valgrind's, as text."""
        return [line.decode(errors='replace') for line in self.log_lines()
                if not logline.is_mail(line) and
                not re.match(rb'(==|--)[0-9]+\1', line)]

    def peek_mails(self):
        """The mails logged so far; each line must be well-formed."""
        return [logline.parse(line) for line in self.log_lines()
                if logline.is_mail(line)]

    def mails(self, n, settle=0.05):
        """Exactly n mails are logged: wait for them, then for more."""
        wait_until(lambda: len(self.peek_mails()) >= n,
                   f'{n} mails are logged ({self.output()[-1500:]})')
        time.sleep(settle)
        result = self.peek_mails()
        assert len(result) == n, self.output()[-1500:]
        ids = [m['id'] for m in result]
        assert len(set(ids)) == n, f'an id twice: {ids}'
        return result

    def mail(self):
        """The only mail that is logged."""
        return self.mails(1)[0]

    def wait_message(self, text, timeout=10):
        wait_until(lambda: text in self.output(), f'{text!r} is printed',
                   timeout)

    def fds(self):
        """{number: target} of what it has open, once that is quiet."""
        last = None
        for _ in range(50):
            result = self.fds_now()
            if result == last:
                break
            last = result
            time.sleep(0.015)
        return result

    def fds_now(self):
        """But for the socket of a notification, which may just be going."""
        result = {}
        folder = f'/proc/{self.pid}/fd'
        for name in os.listdir(folder):
            try:
                result[int(name)] = os.readlink(f'{folder}/{name}')
            except FileNotFoundError:
                pass
        table = pathlib.Path(f'/proc/{self.pid}/net/unix').read_text()
        notifying = {f'socket:[{line.split()[6]}]'
                     for line in table.splitlines()[1:]
                     if int(line.split()[4], 16) == socket.SOCK_DGRAM}
        return {n: t for n, t in result.items() if t not in notifying}

    def wait_fds(self, before):
        """As many fds as in `before`, soon, and for a while: clients that
        came and went may still wait to be accepted."""
        same = 0
        end = time.monotonic() + slow(10)
        while same < 6:
            fds = self.fds_now()
            same = same + 1 if len(fds) == len(before) else 0
            if time.monotonic() > end:
                assert fds == before
            time.sleep(0.01)

    def rss(self):
        """Resident bytes."""
        status = pathlib.Path(f'/proc/{self.pid}/status').read_text()
        return int(re.search(r'VmRSS:\s+(\d+) kB', status)[1]) * 1024

    def check_rss(self, limit):
        """At most so many bytes are resident, soon.  No question where a
        sanitizer or valgrind keeps what was freed."""
        if not WATCHED:
            try:
                wait_until(lambda: self.rss() < limit, 'memory is low', 12)
            except AssertionError:
                assert self.rss() < limit

    def cpu(self):
        """Seconds of CPU it has used."""
        stat = pathlib.Path(f'/proc/{self.pid}/stat').read_text()
        fields = stat.rpartition(')')[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')

    # ---- mail ----

    def client(self, address=None):
        return Client(address or self.sock)

    def submit(self, message=MESSAGE, sender=SENDER, rcpts=(RCPT,),
               address=None, timeout=10):
        """Send one mail, return the reply's payload."""
        return self.send(request(message, sender, rcpts), address, timeout)

    def send(self, data, address=None, timeout=10):
        """Send these bytes, return the reply's payload."""
        with self.client(address) as c:
            return c.send(data).reply(timeout)
