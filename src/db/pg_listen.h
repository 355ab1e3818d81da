/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_DB_PG_LISTEN_H
#define QRELAY_DB_PG_LISTEN_H

/*
 * LISTEN (https://www.postgresql.org/docs/current/sql-listen.html) on a connection
 * of its own, which is made again when it is lost, for as long as the pool lives.
 */

#include <libpq-fe.h>
#include <stdbool.h>

#include "base/attr.h"
#include "base/limits.h"
#include "base/list.h"

struct pg_channel;
struct pg_pool;
struct pg_query;

enum pg_channel_event {
	/* The server has taken LISTEN: what is notified from now on comes.  `text`
	 * is NULL, or "" if something may have been missed before. */
	PG_CHANNEL_ACTIVE,
	/* No connection; `text` says why.  Another attempt will be made. */
	PG_CHANNEL_TROUBLE,
	/* `text` is the payload, `pid` the notifying server process. */
	PG_CHANNEL_NOTIFY,
};

/* From the loop, in the server's order.  The callee may free the pool. */
typedef void pg_channel_fn(void *context, enum pg_channel_event event,
			   const char *text, int pid);

/*
 * Listens to `name`, at most LIMIT_PG_NAME bytes without NUL, not yet quoted.  One
 * name may be listened to several times.  0, -ENOMEM.
 */
MUSTCHECK int pg_listen(struct pg_pool *p, const char *name,
			pg_channel_fn *on_event, void *context);

/* Nothing more is called back, nor read, until it is resumed. */
void pg_listen_pause(struct pg_pool *p);
void pg_listen_resume(struct pg_pool *p);

/* ---- for pg_pool.c ---- */

void pg_listen_dispatch(struct pg_pool *p);
void pg_listen_ready(struct pg_pool *p);
void pg_listen_answered(struct pg_pool *p, struct pg_query *q);
void pg_listen_closed(struct pg_pool *p);
void pg_listen_notify(struct pg_pool *p, const PGnotify *n);
void pg_listen_forget(struct pg_pool *p);

#endif
