/* SPDX-License-Identifier: BSD-2-Clause */
#include "session_kernel.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static double now = 1000.;
static size_t bite;
static uid_t uids[16];
static size_t n_uids, n_asked;
static bool accept_fails, socket_fails, send_fails;

void session_kernel_reset(void)
{
	bite = 0;
	accept_fails = socket_fails = send_fails = false;
}

void session_kernel_forget_uids(void)
{
	n_uids = n_asked = 0;
}

void session_kernel_add_uid(uid_t uid)
{
	assert(n_uids < sizeof(uids) / sizeof(uids[0]));
	uids[n_uids++] = uid;
}

void session_kernel_pass(double seconds)
{
	now += seconds;
}

void session_kernel_bite(size_t bytes)
{
	bite = bytes;
}

void session_kernel_fail_accept(void)
{
	accept_fails = true;
}

void session_kernel_fail_socket(void)
{
	socket_fails = true;
}

void session_kernel_fail_send(void)
{
	send_fails = true;
}

/* The C library's own names of parameters are reserved ones. */
/* NOLINTBEGIN(readability-inconsistent-declaration-parameter-name): see above */

/* libFuzzer measures by the wall clock, which goes on. */
int clock_gettime(clockid_t clock, struct timespec *t)
{
	double whole;

	if (clock != CLOCK_MONOTONIC)
		return (int)syscall(SYS_clock_gettime, clock, t);
	t->tv_nsec = (long)(modf(now, &whole) * 1e9);
	t->tv_sec = (time_t)whole;
	return 0;
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
	struct iovec iov[4];
	struct msghdr cut = *message;
	size_t left = bite, n = 0;

	if (send_fails) {
		send_fails = false;
		errno = EPIPE;
		return -1;
	}
	if (bite == 0)
		return syscall(SYS_sendmsg, fd, message, flags);
	for (; left > 0 && n < 4 && n < message->msg_iovlen; n++) {
		iov[n] = message->msg_iov[n];
		if (iov[n].iov_len > left)
			iov[n].iov_len = left;
		left -= iov[n].iov_len;
	}
	cut.msg_iov = iov;
	cut.msg_iovlen = n;
	return syscall(SYS_sendmsg, fd, &cut, flags);
}

int accept4(int fd, struct sockaddr *address, socklen_t *size, int flags)
{
	if (accept_fails) {
		accept_fails = false;
		errno = EMFILE;
		return -1;
	}
	return (int)syscall(SYS_accept4, fd, address, size, flags);
}

int session_kernel_socket(int family, int type, int protocol)
{
	return (int)syscall(SYS_socket, family, type, protocol);
}

int socket(int family, int type, int protocol)
{
	if (socket_fails) {
		socket_fails = false;
		errno = EMFILE;
		return -1;
	}
	return session_kernel_socket(family, type, protocol);
}

int getsockopt(int fd, int level, int option, void *value, socklen_t *size)
{
	int r = (int)syscall(SYS_getsockopt, fd, level, option, value, size);

	if (level == SOL_SOCKET && option == SO_PEERCRED) {
		assert(n_asked < n_uids);
		((struct ucred *)value)->uid = uids[n_asked++];
	}
	return r;
}

/* NOLINTEND(readability-inconsistent-declaration-parameter-name) */
