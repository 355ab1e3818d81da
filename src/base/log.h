/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_BASE_LOG_H
#define QRELAY_BASE_LOG_H

/*
 * The log: whole lines to a descriptor that may be slow, or stuck.
 *
 * Lines wait in a buffer until log_flush(), which never blocks; what does not fit
 * is dropped and counted, and the count is logged when there is room again.  What
 * cannot be written (nobody reads it, the disk is full) is dropped and counted as
 * well; the next line brings the count.
 *
 * A value is bare if it matches [A-Za-z0-9._:/@+-]+, else in double quotes with
 * \", \\ and \xNN for control and non-UTF-8 bytes: nothing from outside can make
 * a line or a key.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/attr.h"
#include "base/buffer.h"
#include "base/limits.h"

struct log {
	/* private */
	int fd;         /* borrowed, or owned if `reopened` */
	bool reopened;  /* fd is our own description of the same file */
	bool is_socket; /* send(2) without waiting */
	bool ask_first; /* may block: poll(2), then at most PIPE_BUF */
	struct buffer lines;
	size_t written; /* of `lines` */
	unsigned long dropped;
	unsigned long told; /* by a line that is in `lines`, or 0 */
	bool torn;          /* the last byte written was not a line's end */
};

/* A line that is being made, on the caller's stack. */
struct log_line {
	size_t size;
	char text[LIMIT_LOG_LINE];
};

/* Borrows `fd` until deinit.  Cannot fail. */
void log_init(struct log *l, int fd);
void log_deinit(struct log *l);

/* Writes what `fd` takes now.  Returns true when nothing is left. */
bool log_flush(struct log *l);

/* Whether nothing waits to be written. */
bool log_is_empty(const struct log *l);

/* The descriptor to wait for while log_flush() returns false. */
int log_fd(const struct log *l);

/* Flushes for at most that long; for the end of the process. */
void log_flush_wait(struct log *l, int milliseconds);

static inline void log_line_init(struct log_line *line)
{
	line->size = 0;
}

/*
 * Adds " key=", without the space if it is the line's first; returns false, and
 * adds nothing, without room for it and a value's quotes.  Private.
 */
bool log_line_key(struct log_line *line, const char *key, size_t size);
void log_line_add(struct log_line *line, const char *value, size_t size);
void log_line_add_quoted(struct log_line *line, const char *value, size_t size);
void log_line_add_number(struct log_line *line, uint64_t value);
void log_line_add_tenths(struct log_line *line, uint64_t value);

/* These are inline so that the compiler counts the key's letters. */

/* Adds " key=value", the value bare if it can be. */
static inline void log_line_value(struct log_line *line, const char *key,
				  const char *value, size_t size)
{
	if (log_line_key(line, key, strlen(key)))
		log_line_add(line, value, size);
}

/* Adds " key=value", the value always quoted. */
static inline void log_line_quoted(struct log_line *line, const char *key,
				   const char *value, size_t size)
{
	if (log_line_key(line, key, strlen(key)))
		log_line_add_quoted(line, value, size);
}

/* Adds " key=" and a number. */
static inline void log_line_number(struct log_line *line, const char *key,
				   uint64_t value)
{
	if (log_line_key(line, key, strlen(key)))
		log_line_add_number(line, value);
}

/* Adds " key=" and a number that has one decimal: value / 10. */
static inline void log_line_tenths(struct log_line *line, const char *key,
				   uint64_t value)
{
	if (log_line_key(line, key, strlen(key)))
		log_line_add_tenths(line, value);
}

/* Queues the line. */
void log_line_end(struct log *l, const struct log_line *line);

/* Queues one line of free text, control (but TAB) and non-UTF-8 bytes escaped. */
void log_text(struct log *l, const char *prefix, const char *text, size_t size);

/* The same from a format. */
void log_printf(struct log *l, const char *format, ...) PRINTF_LIKE(2, 3);

#endif
