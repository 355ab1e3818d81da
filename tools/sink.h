/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_TOOLS_SINK_H
#define QRELAY_TOOLS_SINK_H

/*
 * What qrelay-sink does with a mail, wherever it comes from.
 */

#include <ev.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/block.h"
#include "base/list.h"
#include "proto/qmqp_reply.h"
#include "proto/qmqp_request.h"

struct mail;
struct maildir;

struct sink {
	struct ev_loop *loop; /* NULL with --stdio */
	struct block_pool pool;
	size_t max_size;         /* bytes of a message */
	struct maildir *maildir; /* borrowed; NULL: discard */
	const char *reply;       /* borrowed; NULL: by the delivery */
	double delay;            /* seconds before the reply */

	struct list sessions; /* struct session.node */
	size_t n_sessions;
	void (*on_closed)(struct sink *sink); /* one session less */
};

/* Delivers the whole mail.  Writes the reply to `ret_reply` and returns its
 * size. */
size_t sink_deliver(struct sink *sink, struct mail *mail,
		    char ret_reply[QMQP_REPLY_WIRE_MAX]);

/* The reply to a request that is none. */
size_t sink_refuse(enum qmqp_request_result why,
		   char ret_reply[QMQP_REPLY_WIRE_MAX]);

/*
 * Takes one mail from stdin and answers on stdout (both may wait), as a program
 * does that the daemon's exec() starts.  0, or -errno if there is nobody to answer:
 * -ENODATA when stdin ended early.
 */
MUSTCHECK int sink_serve_stdio(struct sink *sink);

#endif
