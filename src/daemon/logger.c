/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/logger.h"

#include <stdbool.h>

#include "base/attr.h"
#include "base/log.h"

/* Each write costs as much as a mail's own work. */
#define TOGETHER 0.005

static void flush(struct logger *l)
{
	bool done = log_flush(l->log);

	l->written = ev_now(l->loop);
	ev_timer_stop(l->loop, &l->later);
	if (done)
		ev_io_stop(l->loop, &l->ready);
	else
		ev_io_start(l->loop, &l->ready);
}

static void on_ready(EV_P_ ev_io *w, int revents)
{
	(void)loop, (void)revents;
	flush(container_of(w, struct logger, ready));
}

static void on_turn(EV_P_ ev_prepare *w, int revents)
{
	struct logger *l = container_of(w, struct logger, turn);

	(void)loop, (void)revents;
	if (log_is_empty(l->log) || ev_is_active(&l->ready) ||
	    ev_is_active(&l->later))
		return;
	if (ev_now(l->loop) - l->written >= TOGETHER) {
		flush(l);
	} else {
		ev_timer_set(&l->later, TOGETHER, 0.);
		ev_timer_start(l->loop, &l->later);
	}
}

static void on_later(EV_P_ ev_timer *w, int revents)
{
	(void)loop, (void)revents;
	flush(container_of(w, struct logger, later));
}

void logger_start(struct logger *l, struct ev_loop *loop, struct log *log)
{
	l->loop = loop;
	l->log = log;
	ev_io_init(&l->ready, on_ready, log_fd(log), EV_WRITE);
	ev_init(&l->later, on_later);
	ev_prepare_init(&l->turn, on_turn);
	ev_prepare_start(loop, &l->turn);
	ev_unref(loop); /* it keeps nothing alive */
}

void logger_stop(struct logger *l)
{
	if (l->loop == NULL)
		return;
	if (ev_is_active(&l->turn))
		ev_ref(l->loop);
	ev_prepare_stop(l->loop, &l->turn);
	ev_timer_stop(l->loop, &l->later);
	ev_io_stop(l->loop, &l->ready);
	l->loop = NULL;
}
