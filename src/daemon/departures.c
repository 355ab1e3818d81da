/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/departures.h"

#include "base/attr.h"

/* Bytes of messages that a processor's cache keeps until they are sent. */
#define TOGETHER 131072

/* Seconds of a turn after which nobody waits for other mails' handlers. */
#define PATIENCE 0.005

static void set_out(struct departures *all)
{
	struct list *node;

	ev_prepare_stop(all->loop, &all->turn);
	ev_now_update(all->loop); /* handlers have run */
	all->bytes = 0;
	while ((node = list_first(&all->waiting)) != NULL) {
		struct departure *d =
			container_of(node, struct departure, node);

		list_remove(node);
		d->on_turn(d);
	}
}

static void on_prepare(EV_P_ ev_prepare *w, int revents)
{
	(void)loop, (void)revents;
	set_out(container_of(w, struct departures, turn));
}

void departures_init(struct departures *all, struct ev_loop *loop)
{
	all->loop = loop;
	list_init(&all->waiting);
	all->bytes = 0;
	all->patience = PATIENCE;
	ev_prepare_init(&all->turn, on_prepare);
}

void departures_deinit(struct departures *all)
{
	ev_prepare_stop(all->loop, &all->turn);
}

void departure_init(struct departure *d, departure_fn *on_turn)
{
	list_init(&d->node);
	d->on_turn = on_turn;
}

void departure_add(struct departure *d, struct departures *all, size_t bytes)
{
	if (list_empty(&all->waiting))
		all->since = ev_now(all->loop);
	list_append(&all->waiting, &d->node);
	all->bytes += bytes;
	if (all->bytes >= TOGETHER || ev_time() - all->since > all->patience)
		set_out(all);
	else
		ev_prepare_start(all->loop, &all->turn);
}

void departure_cancel(struct departure *d)
{
	list_remove(&d->node);
}
