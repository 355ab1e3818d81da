/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_DB_PG_OUTBOX_H
#define QRELAY_DB_PG_OUTBOX_H

/*
 * What is still to be called back.  Everything that happens on the database's
 * connections is posted here, and delivered from the loop by one function, with
 * nothing of ours below it: so whoever is called may do anything, free the pool
 * included.
 */

#include <ev.h>
#include <stdbool.h>

#include "base/attr.h"
#include "base/list.h"

struct pg_item;

/* The item is unlinked; the callee may post again, free it, or free the
 * outbox. */
typedef void pg_deliver_fn(struct pg_item *item);

/* Embedded in what is delivered. */
struct pg_item {
	struct list node;
	pg_deliver_fn *deliver;
};

struct pg_outbox {
	bool paused; /* delivers nothing */

	/* private */
	struct ev_loop *loop;
	struct list items; /* borrowed until they are delivered or removed */
	ev_prepare wakeup; /* never started, only fed */
	bool delivering;   /* who frees it leaves that to the deliverer */
	bool freed;
};

static inline void pg_item_init(struct pg_item *item, pg_deliver_fn *deliver)
{
	list_init(&item->node);
	item->deliver = deliver;
}

/* Takes it back if it was posted.  Idempotent. */
static inline void pg_item_remove(struct pg_item *item)
{
	list_remove(&item->node);
}

/* NULL without memory. */
MUSTCHECK struct pg_outbox *pg_outbox_new(struct ev_loop *loop);

/* Forgets what was not delivered.  Takes NULL. */
void pg_outbox_free(struct pg_outbox *o);

/* Delivers again, from the loop. */
void pg_outbox_resume(struct pg_outbox *o);

/* Cannot fail.  `item` must not be posted. */
void pg_outbox_post(struct pg_outbox *o, struct pg_item *item);

#endif
