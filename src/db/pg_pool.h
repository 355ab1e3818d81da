/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_DB_PG_POOL_H
#define QRELAY_DB_PG_POOL_H

/*
 * The connections to one database: a few that share all queries, one for LISTEN
 * (pg_listen.h), the others for who needs one alone (pg_lease.h).
 *
 * A query waits in the backlog until a connection can take it, and goes to the
 * least busy one.  One that was sent is never repeated, unless the server has
 * said that it has not run.
 */

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/limits.h"
#include "base/list.h"
#include "db/pg_conn.h"
#include "db/pg_conninfo.h"
#include "db/pg_outbox.h"
#include "db/pg_query.h"

struct pg_lease;
struct resolver;

struct pg_pool_options {
	const char *conninfo;
	const char *schema; /* identifier, not quoted; or NULL */
	const char *init;   /* SQL; or NULL */
	unsigned shared;    /* connections, 1 to LIMIT_PG_SHARED_MAX */
	bool prepare;
};

struct pg_pool {
	char trouble[LIMIT_PG_MESSAGE]; /* why there is no connection; or "" */

	/* private to db */
	struct ev_loop *loop;
	struct pg_conninfo conninfo;
	struct pg_conn_options conn_options; /* owns its strings */
	unsigned n_shared;
	struct pg_conn conns[LIMIT_PG_CONNECTIONS];
	struct pg_lease *holders[LIMIT_PG_CONNECTIONS];
	struct list backlog;
	struct list leases; /* that wait for a connection */
	struct list channels;
	struct pg_outbox *outbox;  /* owned; queries */
	struct pg_outbox *notices; /* owned; notifications */
	ev_prepare dispatch;       /* never started, only fed */
};

/* Connects to nothing yet.  `resolver` must outlive the pool.  NULL with errno:
 * EINVAL for a conninfo that does not parse, ENOMEM. */
MUSTCHECK struct pg_pool *pg_pool_new(struct ev_loop *loop,
				      struct resolver *resolver,
				      const struct pg_pool_options *options);

/* Whatever was submitted is forgotten without a callback.  May be called from a
 * callback.  Takes NULL. */
void pg_pool_free(struct pg_pool *p);

/*
 * Takes `q` over; `on_done` gets it back within `timeout` seconds.  To be abandoned
 * with pg_query_abandon().
 */
void pg_pool_submit(struct pg_pool *p, struct pg_query *q, double timeout,
		    pg_query_done_fn *on_done);

/* ---- for src/db alone ---- */

/* Looks, from the loop, what can be sent and what must be connected. */
void pg_pool_wake(struct pg_pool *p);

/* The connection that LISTEN has. */
static inline struct pg_conn *pg_pool_listener(struct pg_pool *p)
{
	return &p->conns[LIMIT_PG_CONNECTIONS - 1];
}

#endif
