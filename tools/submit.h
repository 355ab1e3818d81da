/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_TOOLS_SUBMIT_H
#define QRELAY_TOOLS_SUBMIT_H

/* Hands one mail to one QMQP server, and waits for it. */

#include <stddef.h>

#include "base/attr.h"
#include "proto/qmqp_reply.h"

struct mail;
struct socket_address;

/* Seconds without a byte from or to the server.  A server of ours answers within
 * LIMIT_ANSWER_TIME, but a program that it runs may take longer; giving up means
 * that the mail may arrive twice. */
#define SUBMIT_TIMEOUT 300

/*
 * Tries the addresses in turn, LIMIT_CONNECT_TIME each, until a byte of the sealed
 * mail has been sent.  0 with a whole reply, else -errno: -ETIMEDOUT, -ECONNRESET
 * for a server that closed without one, -EBADMSG for what is none.
 */
MUSTCHECK int submit(const struct socket_address *addresses, size_t n_addresses,
		     const struct mail *mail, struct qmqp_reply *ret_reply);

#endif
