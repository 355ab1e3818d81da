/* SPDX-License-Identifier: BSD-2-Clause */

/* What is run on a new connection before its first query. */

#include "db/pg_conn.h"

#include "base/attr.h"

static void become_ready(struct pg_conn *c)
{
	if (PQtransactionStatus(c->pq) != PQTRANS_IDLE) {
		pg_conn_close(c, "init leaves a transaction open");
		return;
	}
	if (!c->exclusive && !PQenterPipelineMode(c->pq)) {
		pg_conn_close_by_libpq(c, true);
		return;
	}
	ev_timer_stop(c->loop, &c->timer);
	c->state = PG_CONN_READY;
	c->ready_at = ev_now(c->loop);
	c->first = 0;
	pg_conn_watch(c);
	pg_conn_arm(c);
	c->events->on_ready(c);
}

void pg_conn_setup_next(struct pg_conn *c)
{
	c->state = PG_CONN_SETUP;
	while (c->setup < ARRAY_SIZE(c->options->setup) &&
	       c->options->setup[c->setup] == NULL)
		c->setup++;
	if (c->setup == ARRAY_SIZE(c->options->setup)) {
		become_ready(c);
		return;
	}
	if (PQsendQuery(c->pq, c->options->setup[c->setup]))
		pg_conn_watch(c);
	else
		pg_conn_close_by_libpq(c, true);
}

static bool is_failure(ExecStatusType status)
{
	return status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK &&
	       status != PGRES_EMPTY_QUERY;
}

void pg_conn_setup_read(struct pg_conn *c)
{
	PGresult *res;

	while (!PQisBusy(c->pq)) {
		res = PQgetResult(c->pq);
		if (res == NULL) {
			c->setup++;
			pg_conn_setup_next(c);
			return;
		}
		if (is_failure(PQresultStatus(res))) {
			const char *message = PQresultErrorField(
				res, PG_DIAG_MESSAGE_PRIMARY);

			pg_conn_close(c, "%s: %s",
				      c->setup == 0 ? "schema" : "init",
				      message != NULL ? message
						      : "not a plain query");
			PQclear(res);
			return;
		}
		PQclear(res);
	}
}
