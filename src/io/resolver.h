/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_IO_RESOLVER_H
#define QRELAY_IO_RESOLVER_H

/*
 * Host names, looked up by getaddrinfo(3) in one helper thread, so that the loop
 * never waits for a name server.  Names are looked up one after the other.
 */

#include <ev.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/list.h"
#include "io/sockaddr.h"

struct resolver;
struct resolver_job;
struct resolver_query;

/* The thread starts with the first query.  `loop` must outlive the resolver,
 * which does not keep it running.  NULL without memory. */
MUSTCHECK struct resolver *resolver_new(struct ev_loop *loop);

/*
 * Every query must have been deinited, and none may be calling back.  Does not
 * wait for a look-up that hangs: the thread is left to end by itself.  Takes NULL.
 */
void resolver_free(struct resolver *r);

/*
 * Runs exactly once after each successful start, always from the loop.  `err` is
 * 0 when `q->addresses` holds `q->n_addresses` addresses (1 to
 * LIMIT_RESOLVE_ADDRESSES) in the resolver's order; they are q's until it is started again or deinited.
 * Otherwise `err` is -ETIMEDOUT, or -ENOENT, and `q->message` says it in words,
 * those of gai_strerror(3).  The callee may free the object q is embedded in.
 */
typedef void resolver_done_fn(struct resolver_query *q, int err);

struct resolver_query {
	struct socket_address *addresses; /* owned */
	size_t n_addresses;
	const char *message; /* static; of the last failure, else NULL */

	/* private */
	struct resolver *resolver;
	struct resolver_job *job; /* shared with the thread; NULL when idle */
	ev_timer deadline;
	resolver_done_fn *on_done;
};

/* Cannot fail, acquires nothing. */
void resolver_query_init(struct resolver_query *q, struct resolver *r);

/* Abandons the query without calling back.  Idempotent. */
void resolver_query_deinit(struct resolver_query *q);

/*
 * Looks up `host` (stream sockets, AI_ADDRCONFIG not set, so that ::1 and
 * 127.0.0.1 work on a machine without a network) and gives each address `port`.
 * `timeout` is in seconds.  -ENOMEM, -EAGAIN (no thread).
 */
MUSTCHECK int resolver_query_start(struct resolver_query *q, const char *host,
				   unsigned port, double timeout,
				   resolver_done_fn *on_done);

#endif
