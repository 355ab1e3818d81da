/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_PROTO_QMQP_REQUEST_H
#define QRELAY_PROTO_QMQP_REQUEST_H

/*
 * A QMQP request (https://cr.yp.to/proto/qmqp.html) as it arrives:
 *
 *   netstring( netstring(message) netstring(sender) 1*netstring(recipient) )
 *
 * The bytes themselves stay in the mail's chain; this reads them once, notes
 * where the message lies, and copies the envelope.  A fault is told with the
 * first byte that shows it.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "proto/netstring.h"

struct mail;

enum qmqp_request_result {
	QMQP_REQUEST_MORE,        /* not whole yet */
	QMQP_REQUEST_DONE,        /* the mail is complete */
	QMQP_REQUEST_MALFORMED,   /* "malformed input" */
	QMQP_REQUEST_BAD_ADDRESS, /* "bad address" */
	QMQP_REQUEST_MANY,        /* "too many recipients" */
	QMQP_REQUEST_LARGE,       /* "message too large" */
	QMQP_REQUEST_MEMORY,      /* no memory for the envelope */
};

/* "malformed input" and so on, "internal server error" for MEMORY; NULL for MORE
 * and DONE. */
const char *qmqp_request_strerror(enum qmqp_request_result r);

struct qmqp_request {
	/* private */
	struct mail *mail; /* borrowed until done */
	size_t max_size;
	size_t max_recipients;
	unsigned char state;
	struct netstring_length length;
	size_t offset;   /* bytes read so far */
	size_t outer;    /* bytes left of the outer netstring's content */
	size_t inner;    /* bytes left of the message or address being read */
	bool first_line; /* the message's first line has not ended yet */
	bool cr;         /* … and the last byte of it was a CR */
};

/* Fills `mail`, which must be fresh.  Limits are in bytes and recipients, the
 * latter at most LIMIT_MAX_RECIPIENTS_MAX. */
void qmqp_request_init(struct qmqp_request *r, struct mail *mail,
		       size_t max_size, size_t max_recipients);

/*
 * Reads the next `size` bytes of the request, which lie in the mail's chain (or
 * will).  `*ret_used` is set to how many of them belong to the request: fewer
 * than `size` only when it is done; a fault leaves it alone.  After a fault
 * nothing more may be fed.
 */
MUSTCHECK enum qmqp_request_result qmqp_request_feed(struct qmqp_request *r,
						     const char *data,
						     size_t size,
						     size_t *ret_used);

#endif
