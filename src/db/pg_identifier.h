/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_DB_PG_IDENTIFIER_H
#define QRELAY_DB_PG_IDENTIFIER_H

/*
 * Quoted identifiers
 * (https://www.postgresql.org/docs/current/sql-syntax-lexical.html), which mean
 * exactly the name that they are made of.
 */

#include <stddef.h>

/* Room for a quoted name of `size` bytes, with its NUL. */
#define PG_IDENTIFIER_MAX(size) (2 * (size) + 3)

/* Writes `name` in double quotes, and a NUL; returns how many bytes without it. */
size_t pg_identifier_quote(const char *name, char *out);

#endif
