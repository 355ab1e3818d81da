/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_RELAY_QMQP_CLIENT_H
#define QRELAY_RELAY_QMQP_CLIENT_H

/*
 * Delivers one mail to one QMQP server and collects its verdict.
 *
 * Knows nothing of Lua, and does not retry or log: what a failure means is the
 * caller's decision.
 */

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "proto/qmqp_reply.h"

struct mail;
struct qmqp_client;
struct socket_address;

/*
 * Runs exactly once after each successful start, always from the loop.  `err` is
 * 0 when `c->reply` holds a verdict; -EBADMSG for a reply that is none; -ETIMEDOUT
 * when no connection came in time, -ETIME when no whole reply did; else -errno,
 * -ECONNRESET when the server closed without a whole reply.  `c->connected` and
 * `c->sent` say how far it got.  The callee may start `c` again or deinit it,
 * either of which closes the connection; it may free the object after that.
 */
typedef void qmqp_client_done_fn(struct qmqp_client *c, int err);

/* Runs when the last byte has gone to the server, perhaps inside of start, before
 * any on_done: the mail is not needed any more.  Must leave `c` alone. */
typedef void qmqp_client_sent_fn(struct qmqp_client *c);

/* Embedded in its owner, which reaches itself through container_of(). */
struct qmqp_client {
	struct qmqp_reply reply;
	bool connected; /* the server was there */
	size_t sent;    /* bytes of the mail on the wire */
	size_t size;    /* all of them */

	/* private */
	struct ev_loop *loop;
	ev_io socket;
	ev_timer deadline;
	bool connecting; /* the deadline is that of connecting */
	double until;    /* while connecting: clock_now() of the end of all */
	int fd;          /* owned; -1 if none; may stay open when done */
	const struct mail *mail; /* borrowed from start until sent or done */
	int send_error;          /* -errno that ended the sending, or 0 */
	qmqp_client_sent_fn *on_sent;
	qmqp_client_done_fn *on_done; /* non-NULL exactly while running */
};

/* Cannot fail, acquires nothing.  `loop` must outlive `c`; `on_sent` may be NULL. */
void qmqp_client_init(struct qmqp_client *c, struct ev_loop *loop,
		      qmqp_client_sent_fn *on_sent);

/* Abandons a running delivery without calling back.  Idempotent. */
void qmqp_client_deinit(struct qmqp_client *c);

/*
 * Borrows `mail`, which is sealed, until sent, done or deinit; `to` only during the
 * call.  Seconds: `connect_timeout` to connect, `timeout` for all.  ev_now() must
 * be fresh.  On error returns -errno, `c` is idle again, and `on_done` is never
 * called.
 */
MUSTCHECK int qmqp_client_start(struct qmqp_client *c,
				const struct socket_address *to,
				const struct mail *mail, double connect_timeout,
				double timeout, qmqp_client_done_fn *on_done);

/* Whether the last byte of the request has gone to the server. */
static inline bool qmqp_client_all_sent(const struct qmqp_client *c)
{
	return c->sent == c->size;
}

#endif
