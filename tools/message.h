/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_TOOLS_MESSAGE_H
#define QRELAY_TOOLS_MESSAGE_H

/*
 * A message as a program hands it to sendmail(8): CR LF becomes LF, and a line
 * that is a lone dot may end it.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/chain.h"

struct message_reader {
	struct chain *chain; /* borrowed; gets the message */
	bool lone_dot_ends;
	bool ended; /* by a lone dot: what follows is ignored */

	/* private */
	bool line_start;
	bool dot; /* held back: may be a lone one */
	bool cr;  /* held back: a LF may follow */
};

void message_reader_init(struct message_reader *r, struct chain *chain,
			 bool lone_dot_ends);

/* Takes the next bytes.  -ENOMEM. */
MUSTCHECK int message_reader_feed(struct message_reader *r, const char *data,
				  size_t size);

/* The input has ended.  -ENOMEM. */
MUSTCHECK int message_reader_end(struct message_reader *r);

#endif
