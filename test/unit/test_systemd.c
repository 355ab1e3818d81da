/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What systemd hands over and hears: the environment and descriptors are set up
 * as sd_listen_fds(3) and sd_notify(3) describe them, in a child for each test.
 */
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cmocka.h>

#include "io/systemd.h"
#include "processes.h"

#define FIRST 3 /* the first descriptor that is handed over */

/* In the child: exits with the line of what is wrong. */
#define CHECK(x)                                   \
	do                                         \
		if (!(x))                          \
			_exit(__LINE__ % 255 + 1); \
	while (0)

static void in_child(void (*f)(void))
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		f();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (status != 0)
		fail_msg("status %#x, line %d modulo 255", status,
			 WEXITSTATUS(status) - 1);
}

static void set_number(const char *name, long value)
{
	char text[24];

	snprintf(text, sizeof(text), "%ld", value);
	setenv(name, text, 1);
}

/* Puts a listening Unix socket and a pipe at 3 and 4. */
static void hand_over(const char *names)
{
	const struct sockaddr_un any = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0), fds[2];

	CHECK(bind(fd, (const void *)&any, sizeof(sa_family_t)) == 0);
	CHECK(listen(fd, 5) == 0);
	CHECK(pipe(fds) == 0);
	fd = fcntl(fd, F_DUPFD, 20);
	fds[0] = fcntl(fds[0], F_DUPFD, 20);
	CHECK(dup2(fd, FIRST) == FIRST && dup2(fds[0], FIRST + 1) == FIRST + 1);
	set_number("LISTEN_PID", getpid());
	set_number("LISTEN_FDS", 2);
	if (names != NULL)
		setenv("LISTEN_FDNAMES", names, 1);
	else
		unsetenv("LISTEN_FDNAMES");
}

static void take(void)
{
	struct systemd_sockets s;

	hand_over("qmqp:other");
	CHECK(systemd_sockets_take(&s) == 0);
	CHECK(s.n == 2);
	for (int i = 0; i < 2; i++) {
		CHECK(s.v[i].fd == FIRST + i);
		CHECK(fcntl(s.v[i].fd, F_GETFD) & FD_CLOEXEC);
		CHECK(fcntl(s.v[i].fd, F_GETFL) & O_NONBLOCK);
	}
	CHECK(strcmp(s.v[0].name, "qmqp") == 0);
	CHECK(strcmp(s.v[1].name, "other") == 0);
	CHECK(systemd_check_listening(FIRST) == 0);
	CHECK(systemd_check_listening(FIRST + 1) == -EINVAL);
	/* neither we nor a program we start takes them twice */
	CHECK(getenv("LISTEN_PID") == NULL && getenv("LISTEN_FDS") == NULL &&
	      getenv("LISTEN_FDNAMES") == NULL);

	/* One is taken by somebody, the other one goes. */
	s.v[0].fd = -1;
	systemd_sockets_deinit(&s);
	CHECK(s.n == 0);
	CHECK(fcntl(FIRST, F_GETFD) >= 0);
	CHECK(fcntl(FIRST + 1, F_GETFD) < 0 && errno == EBADF);
	systemd_sockets_deinit(&s);
	CHECK(systemd_sockets_take(&s) == 0);
	CHECK(s.n == 0);
	systemd_sockets_deinit(&s);
}

static void test_take(void **state)
{
	(void)state;
	in_child(take);
}

static void take_unnamed(void)
{
	struct systemd_sockets s;

	hand_over(NULL);
	CHECK(systemd_sockets_take(&s) == 0);
	CHECK(s.n == 2);
	CHECK(strcmp(s.v[0].name, "unknown") == 0);
	systemd_sockets_deinit(&s);
}

static void test_take_unnamed(void **state)
{
	(void)state;
	in_child(take_unnamed);
}

static void take_none(void)
{
	struct systemd_sockets s;

	/* those of somebody else */
	hand_over("a:b");
	set_number("LISTEN_PID", getppid());
	CHECK(systemd_sockets_take(&s) == 0);
	CHECK(s.n == 0);
	systemd_sockets_deinit(&s);
	CHECK(fcntl(FIRST, F_GETFD) >= 0);
}

static void test_take_none(void **state)
{
	(void)state;
	in_child(take_none);
}

static void take_nonsense(void)
{
	struct systemd_sockets s = {(void *)1, 77};

	set_number("LISTEN_PID", getpid());
	setenv("LISTEN_FDS", "many", 1);
	CHECK(systemd_sockets_take(&s) < 0);
	CHECK(s.v == (void *)1 && s.n == 77);
	hand_over("one name only");
	CHECK(systemd_sockets_take(&s) < 0);
	CHECK(s.v == (void *)1 && s.n == 77);
}

static void test_take_nonsense(void **state)
{
	(void)state;
	in_child(take_nonsense);
}

static void check_listening(void)
{
	struct sockaddr_in in = {.sin_family = AF_INET};
	int fds[2], fd = socket(AF_INET, SOCK_STREAM, 0);

	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	CHECK(systemd_check_listening(fd) == -EINVAL);
	CHECK(bind(fd, (const void *)&in, sizeof(in)) == 0);
	CHECK(listen(fd, 1) == 0);
	CHECK(systemd_check_listening(fd) == 0);
	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
	CHECK(systemd_check_listening(fds[0]) == -EINVAL);
	fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	CHECK(bind(fd,
		   (const struct sockaddr *)&(struct sockaddr_un){
			   .sun_family = AF_UNIX},
		   sizeof(sa_family_t)) == 0);
	CHECK(listen(fd, 1) == 0);
	CHECK(systemd_check_listening(fd) == -EINVAL);
	CHECK(systemd_check_listening(-1) == -EINVAL);
}

static void test_check_listening(void **state)
{
	(void)state;
	in_child(check_listening);
}

static void notify(void)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	char name[40], got[200];
	unsigned long long usec;
	ssize_t n;

	snprintf(name, sizeof(name), "@qrelay-test-%d", (int)getpid());
	memcpy(at.sun_path + 1, name + 1, strlen(name) - 1);
	CHECK(bind(fd, (const void *)&at,
		   (socklen_t)(sizeof(sa_family_t) + strlen(name))) == 0);
	setenv("NOTIFY_SOCKET", name, 1);
	systemd_notify_ready();
	CHECK((n = recv(fd, got, sizeof(got), 0)) == 7);
	CHECK(memcmp(got, "READY=1", 7) == 0);
	systemd_notify_stopping();
	CHECK(recv(fd, got, sizeof(got), 0) == 10);
	CHECK(memcmp(got, "STOPPING=1", 10) == 0);
	systemd_notify_watchdog();
	CHECK(recv(fd, got, sizeof(got), 0) == 10);
	CHECK(memcmp(got, "WATCHDOG=1", 10) == 0);
	systemd_notify_reloading();
	n = recv(fd, got, sizeof(got) - 1, 0);
	CHECK(n > 0);
	got[n] = '\0';
	CHECK(sscanf(got, "RELOADING=1\nMONOTONIC_USEC=%llu", &usec) == 1);
	CHECK((double)usec / 1e6 <= now() && (double)usec / 1e6 > now() - 9.);
	CHECK(getenv("NOTIFY_SOCKET") != NULL);

	/* nobody there: no harm */
	close(fd);
	systemd_notify_ready();
	unsetenv("NOTIFY_SOCKET");
	systemd_notify_ready();
	systemd_notify_reloading();
}

static void test_notify(void **state)
{
	(void)state;
	in_child(notify);
}

static void watchdog(void)
{
	double seconds;

	CHECK(systemd_watchdog() <= 0.);
	setenv("WATCHDOG_USEC", "1500000", 1);
	set_number("WATCHDOG_PID", getpid());
	seconds = systemd_watchdog();
	CHECK(seconds > 1.49 && seconds < 1.51);
	set_number("WATCHDOG_PID", getppid());
	CHECK(systemd_watchdog() <= 0.);
	setenv("WATCHDOG_USEC", "soon", 1);
	set_number("WATCHDOG_PID", getpid());
	CHECK(systemd_watchdog() <= 0.);
}

static void test_watchdog(void **state)
{
	(void)state;
	in_child(watchdog);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_take),
		cmocka_unit_test(test_take_unnamed),
		cmocka_unit_test(test_take_none),
		cmocka_unit_test(test_take_nonsense),
		cmocka_unit_test(test_check_listening),
		cmocka_unit_test(test_notify),
		cmocka_unit_test(test_watchdog),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
