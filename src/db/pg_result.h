/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_DB_PG_RESULT_H
#define QRELAY_DB_PG_RESULT_H

/*
 * The rows of a result, packed: libpq's own form takes 2 kB a row, and cannot be
 * bounded while it grows.  Holds at most LIMIT_PG_RESULT bytes.
 */

#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/buffer.h"

struct pg_result {
	size_t n_fields;
	size_t n_rows;
	unsigned long long affected; /* rows, as the command's tag says; or 0 */

	/* private */
	struct buffer names; /* each with its NUL */
	struct buffer cells; /* length, bytes; row by row */
	bool complete;       /* what is added next begins another result */
};

/* NULL without memory. */
MUSTCHECK struct pg_result *pg_result_new(void);

/* Takes NULL. */
void pg_result_free(struct pg_result *r);

/*
 * Adds the rows of `res`: of PGRES_SINGLE_TUPLE more may follow; any other status
 * ends the result, and what comes behind it replaces it.  -ENOMEM, -EMSGSIZE for a
 * result that is too large.
 */
MUSTCHECK int pg_result_add(struct pg_result *r, PGresult *res);

/* Where a reader is; all zeroes at the beginning. */
struct pg_result_cursor {
	size_t row; /* the next one */
	size_t at;  /* private */
};

/* The next value of a row, false for NULL.  Must be called n_fields times a row,
 * while cursor->row < n_rows; the bytes are the result's. */
bool pg_result_read(const struct pg_result *r, struct pg_result_cursor *cursor,
		    const char **ret_value, size_t *ret_size);

/* The name after `previous`, or the first one for NULL; n_fields times. */
const char *pg_result_name(const struct pg_result *r, const char *previous);

/* Frees the cells: all were read.  The numbers and names stay. */
void pg_result_drop_rows(struct pg_result *r);

/* Bytes that it takes. */
size_t pg_result_size(const struct pg_result *r);

#endif
