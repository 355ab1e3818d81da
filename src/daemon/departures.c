/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/departures.h"

#include "base/attr.h"

static void on_prepare(EV_P_ ev_prepare *w, int revents)
{
	struct departures *all = container_of(w, struct departures, turn);
	struct list *node;

	(void)revents;
	ev_prepare_stop(EV_A, w);
	ev_now_update(EV_A); /* handlers have run */
	while ((node = list_first(&all->waiting)) != NULL) {
		struct departure *d =
			container_of(node, struct departure, node);

		list_remove(node);
		d->on_turn(d);
	}
}

void departures_init(struct departures *all, struct ev_loop *loop)
{
	all->loop = loop;
	list_init(&all->waiting);
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

void departure_add(struct departure *d, struct departures *all)
{
	list_append(&all->waiting, &d->node);
	ev_prepare_start(all->loop, &all->turn);
}

void departure_cancel(struct departure *d)
{
	list_remove(&d->node);
}
