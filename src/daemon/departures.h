/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_DAEMON_DEPARTURES_H
#define QRELAY_DAEMON_DEPARTURES_H

/*
 * Mails that were decided on in this turn of the loop.  They set out together at
 * its end, or earlier if handlers take their time: a server that gets one mail
 * after the other, without a handler's time in between, stays awake for all of
 * them, and waking it costs as much as all else that a small mail does.
 */

#include <ev.h>
#include <stddef.h>

#include "base/list.h"

struct departure;

/* The mail sets out.  May do to its owner what it likes. */
typedef void departure_fn(struct departure *d);

/* Embedded in the mail's owner. */
struct departure {
	struct list node; /* in departures.waiting, or unlinked */
	departure_fn *on_turn;
};

struct departures {
	/* private */
	struct ev_loop *loop; /* borrowed until deinit */
	struct list waiting;
	size_t bytes; /* of their messages */
	double since; /* ev_now() when the first one came: its turn's start */
	double patience; /* seconds; not for tests on slow machines */
	ev_prepare turn; /* active while one waits */
};

void departures_init(struct departures *all, struct ev_loop *loop);

/* Those that still wait stay where they are.  Idempotent. */
void departures_deinit(struct departures *all);

void departure_init(struct departure *d, departure_fn *on_turn);

/* A mail of so many bytes: its on_turn runs, once, before the loop waits for anything
 * else, perhaps at once. */
void departure_add(struct departure *d, struct departures *all, size_t bytes);

/* It does not set out.  Idempotent. */
void departure_cancel(struct departure *d);

#endif
