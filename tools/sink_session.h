/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_TOOLS_SINK_SESSION_H
#define QRELAY_TOOLS_SINK_SESSION_H

/*
 * One client of qrelay-sink: a request is received, delivered, answered; then what
 * the client still sends is drained, so that it can read its answer.
 */

#include <ev.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/block.h"
#include "base/list.h"

struct maildir;

/* What all clients share. */
struct sink {
	struct ev_loop *loop;
	struct block_pool pool;
	size_t max_size;         /* bytes of a message */
	struct maildir *maildir; /* borrowed; NULL: discard */
	const char *reply;       /* borrowed; NULL: by the delivery */
	double delay;            /* seconds before the reply */

	struct list sessions; /* struct session.node */
	size_t n_sessions;
	void (*on_closed)(struct sink *sink); /* one session less */
};

/* Takes over the connected, non-blocking `fd`, also on failure: -ENOMEM. */
MUSTCHECK int session_start(struct sink *sink, int fd);

/* Drops every client. */
void session_close_all(struct sink *sink);

#endif
