/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_DB_PG_ARRAY_H
#define QRELAY_DB_PG_ARRAY_H

/*
 * PostgreSQL's text format of arrays
 * (https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO), with the
 * delimiter ',':  {1,"two, \"2\"",NULL,{…}}  and  [0:1]={a,b}
 *
 * Pure: no memory is allocated.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/limits.h"

enum pg_array_token {
	PG_ARRAY_OPEN,  /* '{' */
	PG_ARRAY_CLOSE, /* '}' */
	PG_ARRAY_TEXT,  /* an element */
	PG_ARRAY_NULL,  /* the unquoted word NULL, in any case */
	PG_ARRAY_END,   /* of the whole array; nothing follows */
	PG_ARRAY_MALFORMED,
};

/* All arrays of one depth. */
struct pg_array_level {
	bool has_arrays;   /* their members are arrays, */
	bool has_elements; /* or elements */
	size_t n_members;  /* of the one that is open */
	size_t dimension;  /* members of each that was closed, plus 1; or 0 */
};

struct pg_array_reader {
	/* private */
	const char *s;
	const char *end;
	char *scratch;
	bool begun;
	bool want_member; /* after ',' */
	bool had_member;  /* ',' or '}' must follow */
	int depth;
	struct pg_array_level levels[LIMIT_PG_ARRAY_DEPTH];
};

/* Borrows `size` bytes of `s` and `scratch`, which has room for as many, while it
 * is used. */
void pg_array_reader_init(struct pg_array_reader *r, const char *s, size_t size,
			  char *scratch);

/*
 * The next token.  With PG_ARRAY_TEXT the element's bytes are in `ret_text`,
 * unquoted, good until the next call.  After END or MALFORMED: the same again.
 * Malformed is also what the server would never print: arrays of different
 * length or depth side by side, more than LIMIT_PG_ARRAY_DEPTH levels, a NUL.
 */
MUSTCHECK enum pg_array_token pg_array_next(struct pg_array_reader *r,
					    const char **ret_text,
					    size_t *ret_size);

/*
 * Writes an element, quoted if it must be, to `out`, which has room for
 * PG_ARRAY_QUOTED_MAX(size) bytes.  Returns how many were written.
 */
size_t pg_array_quote(const char *s, size_t size, char *out);

#define PG_ARRAY_QUOTED_MAX(size) (2 * (size) + 2)

#endif
