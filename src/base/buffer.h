/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_BASE_BUFFER_H
#define QRELAY_BASE_BUFFER_H

/* Bytes in one piece that grow at their end. */

#include <stddef.h>

#include "base/attr.h"

struct buffer {
	char *data; /* owned; NULL while nothing was added */
	size_t size;
	size_t capacity;
};

/* An empty buffer is all zeroes. */
#define BUFFER_EMPTY ((struct buffer){NULL, 0, 0})

/* Frees what it holds and empties it.  Idempotent. */
void buffer_deinit(struct buffer *b);

/* Empties it, and keeps its memory for the next bytes if that is at most `keep`
 * bytes. */
void buffer_clear(struct buffer *b, size_t keep);

/* Makes room for `more` bytes behind the present ones.  -ENOMEM. */
MUSTCHECK int buffer_reserve(struct buffer *b, size_t more);

/* Adds `n` bytes; on -ENOMEM nothing has changed. */
MUSTCHECK int buffer_add(struct buffer *b, const void *data, size_t n);

MUSTCHECK int buffer_printf(struct buffer *b, const char *format, ...)
	PRINTF_LIKE(2, 3);

#endif
