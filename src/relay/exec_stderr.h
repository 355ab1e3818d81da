/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_RELAY_EXEC_STDERR_H
#define QRELAY_RELAY_EXEC_STDERR_H

/*
 * A program's stderr in lines, of which only so many are worth a place in the
 * log: LIMIT_STDERR_LINES of LIMIT_STDERR_LINE bytes; the rest of a long line, and
 * further lines, are dropped.  Does not look at what is in them.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/limits.h"

/* A line without its end; good during the call. */
typedef void exec_stderr_line_fn(void *data, const char *line, size_t size);

struct exec_stderr {
	/* private */
	char line[LIMIT_STDERR_LINE];
	size_t size;
	unsigned n_lines;
	bool open; /* a line was begun */
};

/* Makes it ready for the first byte. */
void exec_stderr_reset(struct exec_stderr *e);

/* The next bytes; on_line runs once for each line that they end. */
void exec_stderr_feed(struct exec_stderr *e, const char *data, size_t size,
		      exec_stderr_line_fn *on_line, void *arg);

/* The end: on_line runs for a last line without a line feed. */
void exec_stderr_end(struct exec_stderr *e, exec_stderr_line_fn *on_line,
		     void *arg);

#endif
