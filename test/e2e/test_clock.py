# SPDX-License-Identifier: BSD-2-Clause
"""Somebody sets the clock: what waits goes on waiting as long as it should."""
import shutil
import subprocess
import time

import pytest
from harness.env import WATCHED, slow
from harness.qmqp import request

CC = shutil.which('cc') or shutil.which('gcc') or shutil.which('clang')

# the wall clock, plus what the file CLOCK says
SHIM = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
int clock_gettime(clockid_t clock, struct timespec *t)
{
	long r = syscall(SYS_clock_gettime, clock, t);
	int fd = clock == CLOCK_REALTIME ? open(getenv("CLOCK"), O_RDONLY) : -1;
	char text[32] = {0};

	if (fd >= 0 && read(fd, text, sizeof(text) - 1) > 0)
		t->tv_sec += atol(text);
	if (fd >= 0)
		close(fd);
	return (int)r;
}
int gettimeofday(struct timeval *restrict tv, void *restrict zone)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	tv->tv_sec = t.tv_sec;
	tv->tv_usec = t.tv_nsec / 1000;
	return 0;
}
"""


@pytest.mark.skipif(CC is None, reason='no C compiler')
@pytest.mark.skipif(WATCHED, reason='a sanitizer wants to be loaded first')
@pytest.mark.parametrize('step', [86400, -86400])
def test_steps(qrelay, server, folder, step):
    def hang(conn):
        conn.read_request()
        conn.wait_eof()

    s = server(hang)
    clock = folder / 'clock'
    clock.write_text('0')
    (folder / 'shim.c').write_text(SHIM)
    subprocess.run([CC, '-shared', '-fPIC', '-o', folder / 'shim.so',
                    folder / 'shim.c'], check=True)
    q = qrelay(handler=f"""
if m.sender == 'a@x' then
  return m:connect('{s.address}', {{timeout=2.5}})
end
sleep(0.2)
return m:discard()""", receive_timeout=2, env={
        'LD_PRELOAD': str(folder / 'shim.so'), 'CLOCK': str(clock)})
    with q.client() as stalled, q.client() as waiting, q.client() as later:
        start = time.monotonic()
        stalled.send(b'100:')
        waiting.send(request(sender=b'a@x'))
        s.wait_requests(1)
        clock.write_text(str(step))
        assert q.submit() == b'Kdiscarded'
        time.sleep(start + 1 - time.monotonic())
        later.send(b'100:')
        assert stalled.reply(5) == b'Ztimeout'
        assert 1.9 < time.monotonic() - start < slow(2.4)
        assert waiting.reply(5) == b'Ztimeout'
        assert 2.4 < time.monotonic() - start < slow(2.9)
        assert later.reply(5) == b'Ztimeout'
        assert 2.9 < time.monotonic() - start < slow(3.4)
    for m in q.mails(4):
        assert 0 < float(m['ms']) < 5000
