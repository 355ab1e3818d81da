/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_TEST_RELAYING_H
#define QRELAY_TEST_RELAYING_H

/* What the tests of relaying share: a sealed mail of any size, and a server whose
 * every move the test makes itself. */

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "base/block.h"
#include "base/fd.h"
#include "io/sockaddr.h"
#include "processes.h"
#include "proto/mail.h"
#include "proto/qmqp_request.h"

static inline struct socket_address parse_address(const char *text)
{
	struct socket_address a = {0};

	assert_int_equal(sockaddr_parse(text, strlen(text), &a), 0);
	return a;
}

/* Receives and seals a mail from a@x to b@y whose message has `size` bytes. */
static inline void make_mail(struct mail *m, struct block_pool *pool,
			     size_t size)
{
	struct qmqp_request request;
	char *inner = malloc(size + 100), *wire = malloc(size + 200);
	size_t n = (size_t)sprintf(inner, "%zu:", size), done = 0, used;

	memset(inner + n, 'm', size);
	n += size;
	n += (size_t)sprintf(inner + n, ",3:a@x,3:b@y,");
	used = (size_t)sprintf(wire, "%zu:", n);
	memcpy(wire + used, inner, n);
	wire[used + n] = ',';
	n += used + 1;

	mail_init(m, pool);
	qmqp_request_init(&request, m, 64 << 20, 10);
	while (done < n) {
		struct iovec iov;
		size_t part = n - done;

		assert_int_equal(chain_space(&m->chain, 1, &iov, 1), 1);
		part = part < iov.iov_len ? part : iov.iov_len;
		memcpy(iov.iov_base, wire + done, part);
		chain_commit(&m->chain, part);
		assert_int_equal(
			qmqp_request_feed(&request, wire + done, part, &used),
			done + part == n ? QMQP_REQUEST_DONE
					 : QMQP_REQUEST_MORE);
		done += part;
	}
	assert_int_equal(mail_seal(m, NULL), 0);
	free(inner);
	free(wire);
}

/* A listening socket of a kind, and where it is. */
struct server {
	int fd;
	struct socket_address at;
};

static inline struct server serve_at(struct socket_address at, int backlog)
{
	struct server s = {.at = at};

	s.fd = socket(at.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(s.fd, &at.sa, at.size), 0);
	assert_int_equal(listen(s.fd, backlog), 0);
	assert_int_equal(getsockname(s.fd, &s.at.sa, &s.at.size), 0);
	return s;
}

/* On an abstract Unix socket. */
static inline struct server serve_unix(int number)
{
	char name[40];

	snprintf(name, sizeof(name), "@qrelay-unit-%d-%d", (int)getpid(),
		 number);
	return serve_at(parse_address(name), 5);
}

/* On a TCP port that the kernel chooses. */
static inline struct server serve_tcp(int backlog)
{
	struct socket_address at = parse_address("127.0.0.1:1");

	at.in.sin_port = 0;
	return serve_at(at, backlog);
}

/* The next client; fails the test if none comes. */
static inline int accept_client(struct ev_loop *loop, struct server *s)
{
	double end = now() + patience();

	while (!readable(s->fd) && now() < end)
		run_for(loop, .001);
	assert_true(readable(s->fd));
	return accept(s->fd, NULL, NULL);
}

/* Reads while the loop runs until `size` bytes came; returns what came. */
static inline size_t serve_read(struct ev_loop *loop, int fd, char *buf,
				size_t size)
{
	double end = now() + patience();
	size_t got = 0;

	while (got < size && now() < end) {
		ssize_t n = recv(fd, buf + got, size - got, MSG_DONTWAIT);

		if (n == 0 || (n < 0 && errno != EAGAIN))
			break;
		if (n > 0)
			got += (size_t)n;
		else
			run_for(loop, .001);
	}
	return got;
}

static inline void serve_write(int fd, const char *reply)
{
	assert_int_equal(send(fd, reply, strlen(reply), MSG_NOSIGNAL),
			 strlen(reply));
}

/* Closes with a reset, on TCP. */
static inline void serve_reset(int fd)
{
	const struct linger now_ = {1, 0};

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now_, sizeof(now_));
	close(fd);
}

#endif
