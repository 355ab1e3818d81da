/* SPDX-License-Identifier: BSD-2-Clause */
/* Descriptors as values: closed once, and read as bytes, end or -errno. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fd.h"

static void test_close(void **state)
{
	int fds[2], fd, number;

	(void)state;
	assert_int_equal(pipe(fds), 0);
	fd = number = fds[0];
	errno = ERANGE;
	fd_close(&fd);
	assert_int_equal(errno, ERANGE);
	assert_int_equal(fd, -1);
	assert_int_equal(fcntl(number, F_GETFD), -1);

	/* The number's next owner keeps it. */
	assert_int_equal(dup2(fds[1], number), number);
	fd_close(&fd);
	assert_true(fcntl(number, F_GETFD) >= 0);
	close(number);
	errno = ERANGE;
	fd_close(&number); /* fails with EBADF, which is nobody's business */
	assert_int_equal(errno, ERANGE);
	close(fds[1]);
}

/* The socket blocks; the call does not. */
static void test_recv(void **state)
{
	char buf[8];
	int fds[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	assert_int_equal(fd_recv(fds[0], buf, sizeof(buf)), -EAGAIN);
	assert_int_equal(write(fds[1], "0123456789", 10), 10);
	assert_int_equal(fd_recv(fds[0], buf, sizeof(buf)), 8);
	assert_memory_equal(buf, "01234567", 8);
	assert_int_equal(fd_recv(fds[0], buf, sizeof(buf)), 2);
	assert_int_equal(write(fds[0], "x", 1), 1);
	close(fds[1]); /* with a byte unread: a reset */
	assert_int_equal(fd_recv(fds[0], buf, sizeof(buf)), -ECONNRESET);
	assert_int_equal(fd_recv(fds[0], buf, sizeof(buf)), 0);
	assert_int_equal(fd_recv(-1, buf, sizeof(buf)), -EBADF);
	close(fds[0]);
}

static int writer;
static int interrupts;

/* The second one lets the read come to its end. */
static void on_alarm(int signal)
{
	(void)signal;
	if (++interrupts == 2)
		(void)!write(writer, "x", 1);
}

static void test_read(void **state)
{
	const struct itimerval soon = {{0, 20000}, {0, 20000}}, never = {0};
	const struct sigaction action = {.sa_handler = on_alarm};
	char buf[8];
	int fds[2];

	(void)state;
	assert_int_equal(pipe2(fds, 0), 0);
	writer = fds[1];
	sigaction(SIGALRM, &action, NULL); /* without SA_RESTART */
	setitimer(ITIMER_REAL, &soon, NULL);
	assert_int_equal(fd_read(fds[0], buf, sizeof(buf)), 1);
	setitimer(ITIMER_REAL, &never, NULL);
	assert_true(interrupts >= 2);

	assert_int_equal(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
	while (fd_read(fds[0], buf, sizeof(buf)) > 0)
		;
	assert_int_equal(fd_read(fds[0], buf, sizeof(buf)), -EAGAIN);
	close(fds[1]);
	assert_int_equal(fd_read(fds[0], buf, sizeof(buf)), 0);
	close(fds[0]);
	assert_int_equal(fd_read(-1, buf, sizeof(buf)), -EBADF);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_close),
		cmocka_unit_test(test_recv),
		cmocka_unit_test(test_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
