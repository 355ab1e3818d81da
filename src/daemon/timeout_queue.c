/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/timeout_queue.h"

#include <assert.h>

#include "base/attr.h"
#include "base/clock.h"

static struct timeout_item *first(struct timeout_queue *q)
{
	struct list *node = list_first(&q->items);

	return node ? container_of(node, struct timeout_item, node) : NULL;
}

static void arm(struct timeout_queue *q, ev_tstamp left)
{
	ev_timer_stop(q->loop, &q->timer);
	ev_timer_set(&q->timer, left > 0. ? left : 0., 0.);
	ev_timer_start(q->loop, &q->timer);
}

/* The first item may have been touched since the timer was set: look anew. */
static void on_timer(EV_P_ ev_timer *w, int revents)
{
	struct timeout_queue *q = container_of(w, struct timeout_queue, timer);
	struct timeout_item *item;

	(void)revents;
	while ((item = first(q)) != NULL) {
		ev_tstamp left = item->since + q->seconds - clock_now();

		if (left > 0.) {
			arm(q, left);
			return;
		}
		list_remove(&item->node);
		q->on_expired(item);
	}
}

void timeout_queue_init(struct timeout_queue *q, struct ev_loop *loop,
			timeout_expired_fn *on_expired)
{
	*q = (struct timeout_queue){.loop = loop, .on_expired = on_expired};
	list_init(&q->items);
	ev_init(&q->timer, on_timer);
}

void timeout_queue_set(struct timeout_queue *q, double seconds)
{
	q->seconds = seconds;
}

void timeout_queue_deinit(struct timeout_queue *q)
{
	assert(list_empty(&q->items));
	ev_timer_stop(q->loop, &q->timer);
}

void timeout_item_init(struct timeout_item *item)
{
	list_init(&item->node);
	item->since = 0.;
}

void timeout_item_touch(struct timeout_item *item, struct timeout_queue *q)
{
	list_remove(&item->node);
	list_append(&q->items, &item->node);
	item->since = clock_now();
	if (!ev_is_active(&q->timer))
		arm(q, q->seconds);
}

void timeout_item_remove(struct timeout_item *item)
{
	list_remove(&item->node);
}
