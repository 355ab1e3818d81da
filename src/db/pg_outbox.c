/* SPDX-License-Identifier: BSD-2-Clause */
#include "db/pg_outbox.h"

#include <stdlib.h>

static void on_wakeup(EV_P_ ev_prepare *w, int revents)
{
	struct pg_outbox *o = container_of(w, struct pg_outbox, wakeup);
	struct list *node;

	(void)loop, (void)revents;
	if (o->delivering)
		return; /* somebody below runs the loop */
	o->delivering = true;
	while (!o->paused && (node = list_first(&o->items)) != NULL) {
		struct pg_item *item = container_of(node, struct pg_item, node);

		list_remove(node);
		item->deliver(item); /* may free o, which empties it */
	}
	o->delivering = false;
	if (o->freed)
		free(o);
}

struct pg_outbox *pg_outbox_new(struct ev_loop *loop)
{
	struct pg_outbox *o = calloc(1, sizeof(*o));

	if (o == NULL)
		return NULL;
	o->loop = loop;
	list_init(&o->items);
	ev_prepare_init(&o->wakeup, on_wakeup);
	return o;
}

void pg_outbox_free(struct pg_outbox *o)
{
	struct list *node;

	if (o == NULL)
		return;
	ev_clear_pending(o->loop, &o->wakeup);
	while ((node = list_first(&o->items)) != NULL)
		list_remove(node);
	if (o->delivering)
		o->freed = true;
	else
		free(o);
}

void pg_outbox_post(struct pg_outbox *o, struct pg_item *item)
{
	list_append(&o->items, &item->node);
	ev_feed_event(o->loop, &o->wakeup, EV_CUSTOM);
}

void pg_outbox_resume(struct pg_outbox *o)
{
	o->paused = false;
	ev_feed_event(o->loop, &o->wakeup, EV_CUSTOM);
}
