/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_TOOLS_SINK_SESSION_H
#define QRELAY_TOOLS_SINK_SESSION_H

/*
 * One client of qrelay-sink: a request is received, delivered, answered; then what
 * the client still sends is drained, so that it can read its answer.
 */

#include "base/attr.h"

struct sink;

/* Takes over the connected, non-blocking `fd`, also on failure: -ENOMEM. */
MUSTCHECK int session_start(struct sink *sink, int fd);

/* Drops every client. */
void session_close_all(struct sink *sink);

#endif
