/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_DAEMON_TIMEOUT_QUEUE_H
#define QRELAY_DAEMON_TIMEOUT_QUEUE_H

/*
 * Many things that all have the same time: a queue in the order in which they
 * were touched last, and one timer for its first.  A touch costs no timer.
 */

#include <ev.h>

#include "base/list.h"

struct timeout_queue;

/* Embedded in what may expire. */
struct timeout_item {
	struct list node;
	double since; /* clock_now() of the last touch */
};

/* The item has been taken off the queue; it may be freed, or touched again. */
typedef void timeout_expired_fn(struct timeout_item *item);

struct timeout_queue {
	struct list items; /* the one touched longest ago first */

	/* private */
	struct ev_loop *loop;
	ev_timer timer;
	double seconds;
	timeout_expired_fn *on_expired;
};

void timeout_queue_init(struct timeout_queue *q, struct ev_loop *loop,
			timeout_expired_fn *on_expired);

/* Before the first item. */
void timeout_queue_set(struct timeout_queue *q, double seconds);

/* Every item must have been removed. */
void timeout_queue_deinit(struct timeout_queue *q);

void timeout_item_init(struct timeout_item *item);

/* Starts its time anew. */
void timeout_item_touch(struct timeout_item *item, struct timeout_queue *q);

/* Idempotent. */
void timeout_item_remove(struct timeout_item *item);

#endif
