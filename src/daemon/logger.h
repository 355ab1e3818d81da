/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_DAEMON_LOGGER_H
#define QRELAY_DAEMON_LOGGER_H

/*
 * Writes the log: a line at once after a quiet while, else those of some
 * milliseconds together, and when stderr takes more.
 */

#include <ev.h>

struct log;

struct logger {
	/* private */
	struct ev_loop *loop;
	struct log *log; /* borrowed */
	ev_prepare turn;
	ev_timer later;
	ev_io ready;
	ev_tstamp written; /* ev_now() of the last time */
};

void logger_start(struct logger *l, struct ev_loop *loop, struct log *log);
void logger_stop(struct logger *l);

#endif
