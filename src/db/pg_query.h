/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_DB_PG_QUERY_H
#define QRELAY_DB_PG_QUERY_H

/*
 * One query: its text, its parameters, and in the end a result or an error.
 *
 * Whoever makes one owns it until it is submitted (pg_pool.h, pg_lease.h); from
 * then on the pool does, until it calls `on_done`, which gets it back.
 */

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/buffer.h"
#include "base/list.h"
#include "db/pg_outbox.h"
#include "db/pg_result.h"

struct pg_query;

/* Runs exactly once after a submit unless the query was abandoned, always from
 * the loop.  The callee owns `q` and may do anything. */
typedef void pg_query_done_fn(struct pg_query *q);

/* Which of its commands the server answers next. */
enum pg_query_step {
	PG_STEP_PREPARE,
	PG_STEP_EXECUTE,
	PG_STEP_SYNC,
};

struct pg_query {
	struct pg_result *result; /* owned; NULL after a failure */
	char *error;              /* owned; NULL after a success */
	char sqlstate[6];         /* of the error, or "" */
	void *context;            /* the owner's */

	/* private to db */
	struct list node; /* in a backlog, or among a connection's sent */
	bool sent;        /* the latter */
	struct pg_item item;
	char *text; /* owned */
	size_t text_size;
	struct buffer values;  /* of the parameters, each with its NUL */
	struct buffer offsets; /* size_t each; (size_t)-1 is NULL */
	int n_parameters;
	unsigned statement; /* number of the prepared statement, or 0 */
	unsigned refused;   /* times that libpq did not take it */
	enum pg_query_step step;
	bool answered;      /* this step has a result */
	ev_tstamp at_front; /* since when it is the oldest one sent */
	bool simple;        /* several statements: simple protocol */
	bool once_more;     /* its statement was gone: may be sent again */
	bool no_cache;      /* not prepared by name */
	bool stale;         /* its statement is useless: deallocate it */
	bool lost;          /* failed with its connection */
	ev_timer deadline;
	ev_tstamp due;            /* when the deadline is, in the loop's time */
	struct ev_loop *loop;     /* NULL before submit */
	struct pg_outbox *outbox; /* borrowed from submit on */
	const char *trouble;      /* the same: why no connection is there */
	struct pg_lease *lease;   /* borrowed; of `simple` */
	pg_query_done_fn *on_done; /* NULL: nobody waits for it any more */
};

/* `text` must not contain a NUL.  NULL without memory. */
MUSTCHECK struct pg_query *pg_query_new(const char *text, size_t size);

/* Not for one that is submitted.  Takes NULL. */
void pg_query_free(struct pg_query *q);

/* Adds a parameter; NULL for SQL's NULL.  `value` must not contain a NUL byte.
 * -ENOMEM, -E2BIG (LIMIT_PG_QUERY, LIMIT_PG_PARAMETERS). */
MUSTCHECK int pg_query_add(struct pg_query *q, const char *value, size_t size);

/* The values as libpq wants them: `ret_values` has room for q->n_parameters. */
void pg_query_values(const struct pg_query *q, const char **ret_values);

/* Starts the time that it has: from submit. */
void pg_query_start(struct pg_query *q, struct ev_loop *loop,
		    struct pg_outbox *outbox, const char *trouble,
		    double timeout, pg_query_done_fn *on_done);

/* The first error counts.  `sqlstate` may be NULL. */
void pg_query_fail(struct pg_query *q, const char *sqlstate, const char *format,
		   ...) PRINTF_LIKE(3, 4);

/* Takes the error of a result, without line ends. */
void pg_query_fail_by(struct pg_query *q, const PGresult *res);

/* Its failure did not count: as if it had not been sent.  Its time goes on. */
void pg_query_rewind(struct pg_query *q);

/* No connection refers to it: calls back by the outbox, or frees it if nobody
 * waits. */
void pg_query_finish(struct pg_query *q);

/* Nobody waits any more: frees it now if it was not sent, else the connection
 * does when it is over. */
void pg_query_abandon(struct pg_query *q);

#endif
