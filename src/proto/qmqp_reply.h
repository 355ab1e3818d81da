/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_PROTO_QMQP_REPLY_H
#define QRELAY_PROTO_QMQP_REPLY_H

/*
 * A QMQP server's reply (https://cr.yp.to/proto/qmqp.html): one netstring of "K",
 * "Z" or "D" and a text.  Up to LIMIT_REPLY_READ bytes are taken, LIMIT_REPLY of
 * them are kept: a "K" with a long text is still a "K".
 */

#include <stddef.h>

#include "base/attr.h"
#include "base/limits.h"
#include "proto/netstring.h"

enum qmqp_reply_result {
	QMQP_REPLY_MORE,
	QMQP_REPLY_DONE, /* `text` holds the reply, its letter first */
	QMQP_REPLY_BAD,  /* not a netstring, too long, or not K, Z or D */
};

struct qmqp_reply {
	char text[LIMIT_REPLY]; /* not terminated */
	size_t size;            /* of it, cut to what is kept */

	/* private */
	unsigned char state;
	struct netstring_length length;
	size_t left;
};

/* Makes it ready for the first byte. */
void qmqp_reply_reset(struct qmqp_reply *r);

/* Reads the next bytes; what follows a whole reply is ignored. */
MUSTCHECK enum qmqp_reply_result qmqp_reply_feed(struct qmqp_reply *r,
						 const char *data, size_t size);

/* The most bytes that qmqp_reply_print() writes. */
#define QMQP_REPLY_WIRE_MAX (LIMIT_REPLY + NETSTRING_LENGTH_MAX)

/*
 * Writes a reply to `buf`: the letter, then at most LIMIT_REPLY_TEXT bytes of
 * `text`, verbatim.  Returns its size.
 */
size_t qmqp_reply_print(char *buf, char letter, const char *text, size_t size);

#endif
