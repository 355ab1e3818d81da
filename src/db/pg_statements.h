/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_DB_PG_STATEMENTS_H
#define QRELAY_DB_PG_STATEMENTS_H

/*
 * Which texts are prepared on a connection, and under which number: at most
 * LIMIT_PG_STATEMENTS, the least recently used one gives way.  Knows nothing of the
 * connection: whoever drops one deallocates it there.
 */

#include <stddef.h>

#include "base/attr.h"
#include "base/list.h"

/* Room for a statement's name. */
#define PG_STATEMENT_NAME 32

struct pg_statement;

struct pg_statements {
	/* private */
	struct pg_statement **buckets; /* owned; NULL while empty */
	struct list used;              /* the least recently used one first */
	size_t n;
	unsigned last; /* number given */
};

void pg_statements_init(struct pg_statements *s);

/* Forgets all; numbers go on.  Idempotent. */
void pg_statements_clear(struct pg_statements *s);

/* The number of the text, which is the most recently used one now; 0 if it is not
 * there. */
unsigned pg_statements_find(struct pg_statements *s, const char *text,
			    size_t size);

/*
 * Gives a text that is not there a number, 1 or more.  `ret_dropped` is the number
 * of the one that gave way, or 0.  Returns 0 without memory.
 */
MUSTCHECK unsigned pg_statements_add(struct pg_statements *s, const char *text,
				     size_t size, unsigned *ret_dropped);

/* Forgets the text if it has that number. */
void pg_statements_remove(struct pg_statements *s, const char *text,
			  size_t size, unsigned number);

/* Prints the name that the server knows it by; returns `buf`. */
const char *pg_statement_name(unsigned number, char *buf);

#endif
