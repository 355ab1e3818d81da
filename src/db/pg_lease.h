/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_DB_PG_LEASE_H
#define QRELAY_DB_PG_LEASE_H

/*
 * A connection for somebody alone: a transaction, or a text of several statements.
 * It is taken from the pool with the first query and given back in the end; one
 * that is not as it was (a transaction is open, settings were changed, a query
 * runs) is closed instead, which makes the server roll back.
 */

#include <libpq-fe.h>
#include <stdbool.h>

#include "base/attr.h"
#include "base/list.h"
#include "db/pg_query.h"

struct pg_conn;
struct pg_pool;

struct pg_lease {
	/* private */
	struct list node; /* among those that wait */
	struct pg_pool *pool;
	struct pg_conn *conn; /* NULL before it has one and after its loss */
	struct list pending;  /* the query that waits for a connection */
	bool lost;            /* it had one */
	bool brief;           /* for one query alone: frees itself */
};

/* Acquires no connection.  The pool must outlive it.  NULL without memory. */
MUSTCHECK struct pg_lease *pg_lease_new(struct pg_pool *p);

/* Gives the connection back.  A query that was submitted must have been
 * answered or abandoned.  Takes NULL. */
void pg_lease_free(struct pg_lease *l);

/* The same, after a ROLLBACK if that is needed and possible; nobody waits for it.
 * A query that still runs costs the connection. */
void pg_lease_rollback(struct pg_lease *l);

/* As pg_pool_submit(), one query at a time.  When the connection is lost, this and
 * all that follow fail. */
void pg_lease_submit(struct pg_lease *l, struct pg_query *q, double timeout,
		     pg_query_done_fn *on_done);

/* Closes the connection: what follows fails with `why`. */
void pg_lease_break(struct pg_lease *l, const char *why);

/* False if there is no connection, or a query runs on it, or it is outside of a
 * transaction. */
bool pg_lease_in_transaction(const struct pg_lease *l);

/* ---- for pg_pool.c ---- */

/* Runs a query that was submitted to the pool on a connection for it alone. */
void pg_lease_run(struct pg_pool *p, struct pg_query *q);
void pg_lease_dispatch(struct pg_pool *p);
void pg_lease_answered(struct pg_pool *p, struct pg_conn *c,
		       struct pg_query *q);
void pg_lease_closed(struct pg_pool *p, struct pg_conn *c);
void pg_lease_forget(struct pg_pool *p);

#endif
