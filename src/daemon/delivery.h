/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_DAEMON_DELIVERY_H
#define QRELAY_DAEMON_DELIVERY_H

/*
 * Carries out an action on a mail and comes to a verdict, whatever happens.
 */

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "io/sockaddr.h"
#include "relay/qmqp_client.h"
#include "relay/verdict.h"

struct action;
struct children;
struct delivery;
struct mail;
struct program;

/* Runs exactly once after a start that returned false, from the loop.  The callee
 * may free the object d is embedded in. */
typedef void delivery_done_fn(struct delivery *d);

/* Runs, from the loop, for a line that a program wrote to stderr.  Must leave d
 * alone. */
typedef void delivery_stderr_fn(struct delivery *d, const char *line,
				size_t size);

/* Runs, once at most, when a server or program has got all that it gets: the message
 * is not needed any more.  Perhaps inside of start; must leave d alone. */
typedef void delivery_sent_fn(struct delivery *d);

struct delivery {
	struct verdict verdict;
	const char *where; /* static: the step that failed; NULL if none */
	int error;         /* -errno of that step, or 0 */

	/* private */
	struct ev_loop *loop;
	struct children *children; /* borrowed until deinit */
	delivery_stderr_fn *on_stderr;
	delivery_sent_fn *on_sent;
	struct qmqp_client client;
	struct program *program;     /* owned; NULL unless one is executed */
	const struct action *action; /* borrowed until done */
	const struct mail *mail;     /* borrowed until done */
	size_t address;              /* which of the action's is tried */
	double until;
	delivery_done_fn *on_done;
};

/* Cannot fail, acquires nothing. */
void delivery_init(struct delivery *d, struct children *children,
		   delivery_stderr_fn *on_stderr, delivery_sent_fn *on_sent);

/* Abandons it without calling back.  Idempotent. */
void delivery_deinit(struct delivery *d);

/*
 * Starts; the mail is sealed.  `until` is when a server's reply must be there (by
 * clock_now()); a program has the action's own time.  Returns true if d->verdict is known already: then on_done does
 * not run.
 */
MUSTCHECK bool delivery_start(struct delivery *d, const struct action *action,
			      const struct mail *mail, double until,
			      delivery_done_fn *on_done);

/* Whether a client that goes away changes nothing any more: a server has all. */
bool delivery_is_committed(const struct delivery *d);

/* The step it is at, or failed at, for the log. */
const char *delivery_step(const struct delivery *d);

/* What the mail is given to, good until done; NULL if there is nothing. */
const char *delivery_target(const struct delivery *d);

#endif
