/* SPDX-License-Identifier: BSD-2-Clause */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "io/peer.h"
#include "io/pidfd_info.h"

static void test_unix(void **state)
{
	int fds[2], pidfd;
	struct peer peer;
	pid_t pid;

	(void)state;
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	assert_int_equal(peer_credentials(fds[0], &peer), 0);
	assert_true(peer.known);
	assert_int_equal(peer.pid, getpid());
	assert_int_equal(peer.uid, geteuid());
	assert_int_equal(peer.gid, getegid());

	pidfd = peer_pidfd(fds[0]);
	if (pidfd == -ENOPROTOOPT) {
		print_message("# not tested: SO_PEERPIDFD (Linux 6.5)\n");
	} else {
		assert_true(pidfd >= 0);
		assert_true(fcntl(pidfd, F_GETFD) & FD_CLOEXEC);
		assert_int_equal(pidfd_info_pid(pidfd, &pid), 0);
		assert_int_equal(pid, getpid());
		close(pidfd);
	}
	close(fds[0]);
	close(fds[1]);
}

/* Whoever connected counts, with the ids of that moment. */
static void test_other_uid(void **state)
{
	struct sockaddr_un {
		sa_family_t family;
		char path[108];
	} name = {.family = AF_UNIX};
	socklen_t size = sizeof(sa_family_t);
	int listener, fd, status;
	struct peer peer;
	pid_t child;

	(void)state;
	if (geteuid() != 0) {
		print_message("# not tested: needs root\n");
		return;
	}
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	/* autobind: an abstract name that nobody else has */
	assert_int_equal(bind(listener, (void *)&name, size), 0);
	assert_int_equal(listen(listener, 1), 0);
	size = sizeof(name);
	assert_int_equal(getsockname(listener, (void *)&name, &size), 0);

	child = fork();
	if (child == 0) {
		int s = socket(AF_UNIX, SOCK_STREAM, 0);

		if (setgroups(0, NULL) < 0 || setgid(4321) < 0 ||
		    setuid(1234) < 0 || connect(s, (void *)&name, size) < 0)
			_exit(1);
		_exit(0);
	}
	fd = accept(listener, NULL, NULL);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_int_equal(peer_credentials(fd, &peer), 0);
	assert_true(peer.known);
	assert_int_equal(peer.pid, child);
	assert_int_equal(peer.uid, 1234);
	assert_int_equal(peer.gid, 4321);
	close(fd);
	close(listener);
}

static void test_tcp(void **state)
{
	struct sockaddr_in name = {.sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(name);
	struct peer peer = {.pid = 77};
	int listener, client, fd;

	(void)state;
	listener = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(listener, (void *)&name, size), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (void *)&name, &size), 0);
	client = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(client, (void *)&name, size), 0);
	fd = accept(listener, NULL, NULL);

	assert_int_equal(peer_credentials(fd, &peer), 0);
	assert_false(peer.known);
	assert_int_equal(peer.pid, 0);
	assert_int_equal(peer.uid, 0);
	assert_true(peer_pidfd(fd) < 0);
	close(fd);
	close(client);
	close(listener);
}

static void test_no_socket(void **state)
{
	struct peer peer = {.pid = 77};
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(peer_credentials(fds[0], &peer), -ENOTSOCK);
	assert_int_equal(peer.pid, 77);
	assert_int_equal(peer_pidfd(fds[0]), -ENOTSOCK);
	close(fds[0]);
	close(fds[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unix),
		cmocka_unit_test(test_other_uid),
		cmocka_unit_test(test_tcp),
		cmocka_unit_test(test_no_socket),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
