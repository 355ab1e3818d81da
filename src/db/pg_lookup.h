/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_DB_PG_LOOKUP_H
#define QRELAY_DB_PG_LOOKUP_H

/*
 * Finds the addresses of a conninfo's hosts, so that libpq need not: it would
 * block.  Each connect looks them up anew.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/buffer.h"
#include "io/resolver.h"

struct pg_conninfo;
struct pg_lookup;

/* Runs at most once after each start, perhaps from inside it.  `error` is NULL, or
 * says why no host has an address. */
typedef void pg_lookup_done_fn(struct pg_lookup *l, const char *error);

/* Embedded in its owner. */
struct pg_lookup {
	/* Lists for pg_conninfo_connect(), each with its NUL.  The i-th host goes
	 * with the i-th address and port; an empty item is libpq's default. */
	struct buffer hosts;
	struct buffer addresses;
	struct buffer ports;
	size_t n;

	/* private */
	const struct pg_conninfo *conninfo;
	struct resolver_query query;
	size_t at;           /* of the hosts */
	const char *message; /* static; of a failure */
	struct pg_address *found;
	pg_lookup_done_fn *on_done;
};

/* Acquires nothing; both must outlive `l`. */
void pg_lookup_init(struct pg_lookup *l, const struct pg_conninfo *conninfo,
		    struct resolver *resolver);

/* Abandons it, and frees the lists.  Idempotent. */
void pg_lookup_deinit(struct pg_lookup *l);

/* `timeout` is for each host. */
void pg_lookup_start(struct pg_lookup *l, double timeout,
		     pg_lookup_done_fn *on_done);

/* Which of the `n` the address and port are; n if none. */
size_t pg_lookup_find(const struct pg_lookup *l, const char *address,
		      const char *port);

/*
 * Writes the lists, beginning with the `first` one.  0, -ENOMEM.
 */
MUSTCHECK int pg_lookup_print(struct pg_lookup *l, size_t first);

#endif
