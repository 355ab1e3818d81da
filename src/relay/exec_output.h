/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_RELAY_EXEC_OUTPUT_H
#define QRELAY_RELAY_EXEC_OUTPUT_H

/*
 * What a program that was given a mail has printed, and what that means together
 * with its exit status.  No fd, no clock.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/limits.h"
#include "proto/qmqp_reply.h"
#include "relay/verdict.h"

struct exec_output {
	/* private */
	bool raw;
	enum qmqp_reply_result result; /* of `reply` */
	struct qmqp_reply reply;       /* not raw */
	char text[LIMIT_REPLY_TEXT];   /* raw */
	size_t size;
};

/* Makes it ready for the first byte.  `raw`: text, not a QMQP reply. */
void exec_output_reset(struct exec_output *o, bool raw);

/* The next bytes that the program printed. */
void exec_output_feed(struct exec_output *o, const char *data, size_t size);

/*
 * What the program meant.  `status` is an exit status, or negative if it had none
 * (child.h).  A reply counts as it stands, but a "K" only with status 0; without
 * one, and for text, the status decides: 0 (of text only) is "K", those of
 * sysexits.h and qmail(7) that will not change by themselves are "D", the rest is
 * "Z".
 */
void exec_output_verdict(const struct exec_output *o, int status,
			 struct verdict *ret_verdict);

#endif
