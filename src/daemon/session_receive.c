/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <sys/uio.h>

#include "base/fd.h"
#include "base/limits.h"
#include "daemon/instance.h"
#include "daemon/session.h"
#include "daemon/transaction.h"

/* The most of the first read, when nothing is known yet of the request's size. */
#define FIRST_READ 65536

/* Mails come in series: as much as the last one had. */
static size_t first_read(const struct instance *i)
{
	return i->last_size < FIRST_READ ? i->last_size : FIRST_READ;
}

/* Reads at most about `want` bytes into the mail's chain: bytes, 0, or -errno. */
static ssize_t read_chain(struct session *s, size_t want, struct iovec *iov,
			  int max)
{
	struct chain *c = &s->transaction->mail.chain;
	int n = chain_space(c, want, iov, max);
	ssize_t r;

	if (n < 0)
		return n;
	do
		r = readv(s->fd, iov, n);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		r = -errno;
	chain_commit(c, r > 0 ? (size_t)r : 0);
	return r;
}

static enum qmqp_request_result feed(struct session *s, const struct iovec *iov,
				     size_t size)
{
	enum qmqp_request_result result = QMQP_REQUEST_MORE;

	while (size > 0 && result == QMQP_REQUEST_MORE) {
		size_t n = iov->iov_len < size ? iov->iov_len : size, used = n;

		result = qmqp_request_feed(&s->transaction->request,
					   iov->iov_base, n, &used);
		s->over_read = used < n || size > n;
		size -= n;
		iov++;
	}
	return result;
}

static bool took_too_long(const struct session *s, double now)
{
	const struct instance *i = s->instance;

	return now - s->since >
	       LIMIT_RECEIVE_TOTAL_FACTOR * i->config.receive_timeout;
}

/* Nothing came, or the client has gone: its mail never existed. */
static void no_bytes(struct session *s, ssize_t n)
{
	if (n == -EAGAIN) {
		if (s->transaction->mail.chain.size == 0) {
			transaction_free(s->transaction);
			s->transaction = NULL;
		}
		if (!ev_is_active(&s->io))
			session_enter(s, SESSION_RECEIVE);
	} else if (n == -ENOMEM) {
		session_refuse(s, 'Z', "internal server error", "receive");
	} else {
		session_end(s);
	}
}

void session_receive(struct session *s, double now)
{
	struct instance *i = s->instance;
	enum qmqp_request_result result;
	struct iovec iov[LIMIT_READ_AT_ONCE / BLOCK_SIZE + 1];
	struct transaction *t;
	size_t want;
	ssize_t n;

	if (s->transaction == NULL)
		s->transaction = transaction_new(s, now);
	t = s->transaction;
	if (t == NULL) {
		session_end(s);
		return;
	}
	want = t->mail.chain.size == 0 ? first_read(i) : LIMIT_READ_AT_ONCE;
	n = read_chain(s, want, iov, ARRAY_SIZE(iov));
	if (n <= 0) {
		no_bytes(s, n);
		return;
	}
	transaction_charge(t, (size_t)n);

	result = feed(s, iov, (size_t)n);
	switch (result) {
	case QMQP_REQUEST_DONE:
		t->whole = true;
		i->last_size = t->mail.chain.size;
		t->read = now;
		if (i->clients.bytes > i->config.max_memory) {
			/* no exception for what came in one piece */
			session_enter(s, SESSION_RECEIVE);
			if (!session_keep_memory_limit(s))
				return;
		}
		session_handle(s);
		return;
	case QMQP_REQUEST_MORE:
		break;
	case QMQP_REQUEST_MEMORY:
		session_refuse(s, 'Z', "internal server error", "receive");
		return;
	default:
		session_refuse(s, 'D', qmqp_request_strerror(result),
			       "receive");
		return;
	}
	session_enter(s, SESSION_RECEIVE);
	if (took_too_long(s, now))
		session_refuse(s, 'Z', "timeout", "receive");
	else if (i->clients.bytes > i->config.max_memory)
		(void)session_keep_memory_limit(s);
}

void session_on_receive_timeout(struct timeout_item *item)
{
	struct session *s = container_of(item, struct session, timeout);

	if (s->transaction != NULL)
		session_refuse(s, 'Z', "timeout", "receive");
	else
		session_end(s);
}

void session_drain(struct session *s)
{
	static char scratch[65536];
	const struct instance *i = s->instance;
	ssize_t n = fd_recv(s->fd, scratch, sizeof(scratch));

	if (n > 0)
		s->drained += (size_t)n;
	if ((n <= 0 && n != -EAGAIN) ||
	    s->drained / LIMIT_DRAIN_FACTOR >= i->config.max_size)
		session_end(s);
}

void session_on_drain_timeout(struct timeout_item *item)
{
	session_end(container_of(item, struct session, timeout));
}
