/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_IO_HANGUP_H
#define QRELAY_IO_HANGUP_H

/*
 * Tells when a peer has gone for good: POLLHUP or POLLERR, and nothing else.
 *
 * The loop's own watchers always ask for reading or writing as well, and a peer
 * that half-closed or sent too much is readable for ever.  So these sockets lie
 * in an epoll(7) of their own, with no events asked for, and the loop watches
 * that one.
 */

#include <ev.h>
#include <stdbool.h>

#include "base/attr.h"

struct hangup_watch;

/* Runs from the loop, at most once after a start; the watch is stopped then, and
 * the callee may free it. */
typedef void hangup_fn(struct hangup_watch *w);

struct hangup {
	/* private */
	struct ev_loop *loop;
	ev_io io; /* fd owned; -1 when not set up */
};

struct hangup_watch {
	/* private */
	struct hangup *hangup;
	int fd; /* borrowed; -1 when stopped */
	hangup_fn *on_hangup;
};

/* 0 or -errno. */
MUSTCHECK int hangup_init(struct hangup *h, struct ev_loop *loop);
void hangup_deinit(struct hangup *h);

void hangup_watch_init(struct hangup_watch *w, struct hangup *h);

/* Watches `fd`, which must stay open until stop.  0 or -errno. */
MUSTCHECK int hangup_watch_start(struct hangup_watch *w, int fd,
				 hangup_fn *on_hangup);

/* Idempotent. */
void hangup_watch_stop(struct hangup_watch *w);

#endif
