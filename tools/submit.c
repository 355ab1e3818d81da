/* SPDX-License-Identifier: BSD-2-Clause */
#include "tools/submit.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <time.h>

#include "base/fd.h"
#include "base/limits.h"
#include "io/socket.h"
#include "proto/mail.h"

/* How often a Unix socket with a full backlog is tried. */
#define RETRY_MS 50

static long long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

/* Waits for one of `events`, or an error: 0, -ETIMEDOUT. */
static int wait_for(int fd, short events, long long until, short *ret_events)
{
	struct pollfd p = {.fd = fd, .events = events};
	long long left = until - now_ms();
	int r = poll(&p, 1, left > 0 ? (int)left : 0);

	if (r < 0 && errno != EINTR)
		return -errno;
	if (r == 0)
		return -ETIMEDOUT;
	*ret_events = r < 0 ? 0 : p.revents;
	return 0;
}

static int connect_error(int fd)
{
	int err = 0;
	socklen_t size = sizeof(err);

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &size) < 0)
		return -errno;
	return -err;
}

/* A connected socket. */
static int connect_to(const struct socket_address *to)
{
	long long until = now_ms() + LIMIT_CONNECT_TIME * 1000LL;
	short ready = 0;
	int fd, r = 0;

	while ((fd = socket_connect(to)) == -EAGAIN && now_ms() < until)
		poll(NULL, 0, RETRY_MS);
	if (fd < 0)
		return fd;
	while (r == 0 && ready == 0)
		r = wait_for(fd, POLLOUT, until, &ready);
	if (r == 0)
		r = connect_error(fd);
	if (r < 0) {
		fd_close(&fd);
		return r;
	}
	return fd;
}

/* Reads what is there of the reply: 1 when it is whole, 0 when more must come. */
static int receive(int fd, struct qmqp_reply *reply)
{
	char buf[4096];
	ssize_t n = fd_recv(fd, buf, sizeof(buf));

	if (n < 0)
		return n == -EAGAIN ? 0 : (int)n;
	if (n == 0)
		return -ECONNRESET;
	switch (qmqp_reply_feed(reply, buf, (size_t)n)) {
	case QMQP_REPLY_MORE:
		return 0;
	case QMQP_REPLY_DONE:
		return 1;
	case QMQP_REPLY_BAD:
		break;
	}
	return -EBADMSG;
}

/*
 * Sends and receives at the same time: a server may refuse before it has the whole
 * mail, and its reply counts even when sending has failed.
 */
static int converse(int fd, const struct mail *mail, struct qmqp_reply *reply,
		    size_t *ret_sent)
{
	size_t size = mail_wire_size(mail, MAIL_QMQP), sent = 0;
	int r = 0, send_error = 0;

	while (r == 0) {
		bool more = send_error == 0 && sent < size;
		short events = POLLIN, ready = 0;

		if (more)
			events |= POLLOUT;
		r = wait_for(fd, events, now_ms() + SUBMIT_TIMEOUT * 1000LL,
			     &ready);
		if (r == 0 && ready & (POLLIN | POLLHUP | POLLERR))
			r = receive(fd, reply);
		if (r == 0 && more && ready & POLLOUT) {
			ssize_t n = socket_send_mail(fd, mail, MAIL_QMQP, sent);

			if (n > 0)
				sent += (size_t)n;
			else if (n != -EAGAIN)
				send_error = (int)n;
		}
	}
	*ret_sent = sent;
	return r > 0 ? 0 : r;
}

int submit(const struct socket_address *addresses, size_t n_addresses,
	   const struct mail *mail, struct qmqp_reply *ret_reply)
{
	struct qmqp_reply reply;
	size_t sent = 0;
	int r = -ENOENT;

	for (size_t i = 0; i < n_addresses && r < 0 && sent == 0; i++) {
		int fd = connect_to(&addresses[i]);

		r = fd;
		if (fd < 0)
			continue;
		qmqp_reply_reset(&reply);
		r = converse(fd, mail, &reply, &sent);
		fd_close(&fd);
	}
	if (r == 0)
		*ret_reply = reply;
	return r;
}
