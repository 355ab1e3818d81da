/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_DB_PG_CONN_H
#define QRELAY_DB_PG_CONN_H

/*
 * One connection to a PostgreSQL server: connecting, the queries that were sent on
 * it, and its loss.  It does not reconnect by itself, chooses no query and repeats
 * none: that is the pool's.  No call of libpq that may block.
 *
 * A shared connection is in pipeline mode
 * (https://www.postgresql.org/docs/current/libpq-pipeline-mode.html): any number of
 * queries in flight, one sync each.  An exclusive one is not, and has one query at
 * a time.
 */

#include <ev.h>
#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/limits.h"
#include "base/list.h"
#include "db/pg_lookup.h"
#include "db/pg_query.h"
#include "db/pg_statements.h"

struct pg_conn;

enum pg_conn_state {
	PG_CONN_CLOSED,
	PG_CONN_WAITING, /* for the next attempt to be due */
	PG_CONN_RESOLVING,
	PG_CONN_CONNECTING,
	PG_CONN_SETUP, /* search_path, init */
	PG_CONN_READY,
};

/*
 * What the pool is told, from the loop or from inside pg_conn_want() and
 * pg_conn_send().  None of these may call back into the connection but
 * pg_query_finish() and what is posted to an outbox.
 */
struct pg_conn_events {
	/* it takes queries now, or more of them */
	void (*on_ready)(struct pg_conn *c);
	/* `q` is over and unlinked: the callee owns it */
	void (*on_query)(struct pg_conn *c, struct pg_query *q);
	/* all its queries were given back; c->error says why */
	void (*on_closed)(struct pg_conn *c);
	/* the callee frees nothing */
	void (*on_notify)(struct pg_conn *c, const PGnotify *n);
};

/* What all connections of a pool have in common. */
struct pg_conn_options {
	struct pg_conninfo *conninfo;
	const char *setup[2]; /* SQL to be run after connecting; or NULL */
	bool prepare;
};

struct pg_conn {
	enum pg_conn_state state;
	bool exclusive;
	bool in_use;   /* of an exclusive one: somebody has it */
	bool pinged;   /* and on_ready() is called every LIMIT_PG_IDLE */
	bool paused;   /* nothing is read; see pg_conn_watch() */
	bool retired;  /* takes no more queries, and closes after the last */
	bool flushing; /* what was sent is not yet with the kernel */
	size_t n_sent;
	char error[LIMIT_PG_MESSAGE]; /* of the last loss or failure */

	/* private */
	struct ev_loop *loop;
	const struct pg_conn_options *options;
	const struct pg_conn_events *events;
	void *owner;
	PGconn *pq; /* owned */
	ev_io io;
	ev_timer timer; /* connecting; waiting; the oldest query's; idle */
	ev_tstamp timer_at;
	struct pg_lookup lookup;
	size_t first;       /* which address to begin with */
	unsigned setup;     /* which of options->setup is running */
	ev_tstamp ready_at; /* in the loop's time */
	ev_tstamp next_attempt;
	double backoff; /* seconds; 0 after a success */
	struct list sent;
	bool in_row;      /* the last read brought less than a row */
	size_t swallowed; /* bytes of that row, about */
	struct pg_statements statements;
};

/* Acquires nothing.  What is given must outlive `c`. */
void pg_conn_init(struct pg_conn *c, struct ev_loop *loop,
		  const struct pg_conn_options *options,
		  struct resolver *resolver,
		  const struct pg_conn_events *events, void *owner);

/* Closes it without a word; queries that were sent are freed.  Idempotent. */
void pg_conn_deinit(struct pg_conn *c);

/* Connects, at once or when the back-off allows; nothing if it is on its way
 * already. */
void pg_conn_want(struct pg_conn *c);

/* Closes it; its queries fail with the message. */
void pg_conn_close(struct pg_conn *c, const char *format, ...)
	PRINTF_LIKE(2, 3);

/* Calls on_closed() some time after the last query. */
static inline bool pg_conn_is_open(const struct pg_conn *c)
{
	return c->state == PG_CONN_READY && !c->retired;
}

/* It has been working on its oldest query for long. */
bool pg_conn_is_stalled(const struct pg_conn *c);

/*
 * Sends `q`, which is the connection's from now on until on_query().  False if it
 * was not sent at all, and the connection was closed.  After one or more on a
 * shared connection pg_conn_watch() gives them to the kernel.
 */
MUSTCHECK bool pg_conn_send(struct pg_conn *c, struct pg_query *q);

/* Flushes, and watches what there is to wait for. */
void pg_conn_watch(struct pg_conn *c);

/* ---- for pg_conn*.c alone ---- */

/* pg_conn_results.c: takes what has arrived; may close the connection. */
void pg_conn_read_results(struct pg_conn *c);

/* pg_conn_send.c: frees the server of a prepared statement. */
void pg_conn_deallocate(struct pg_conn *c, unsigned statement);

/* Sets the timer to what is due first. */
void pg_conn_arm(struct pg_conn *c);

/* pg_conn_setup.c: goes on with the next text, or becomes ready; takes what has
 * arrived. */
void pg_conn_setup_next(struct pg_conn *c);
void pg_conn_setup_read(struct pg_conn *c);

/* Closes it with libpq's message; see pg_conninfo_message(). */
void pg_conn_close_by_libpq(struct pg_conn *c, bool began);

/* Not for a fault: the next attempt may come at once. */
void pg_conn_close_clean(struct pg_conn *c, const char *why);

#endif
