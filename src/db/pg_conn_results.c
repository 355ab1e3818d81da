/* SPDX-License-Identifier: BSD-2-Clause */

/* What the server answers, and whose it is. */

#include "db/pg_conn.h"

#include <errno.h>
#include <string.h>

#include "base/attr.h"
#include "db/pg_conninfo.h"

#define NEEDS_TRANSACTION "transaction control needs db:transaction"

/* A TLS record that libpq has only half taken makes no socket readable. */
#define TLS_READS 16

static struct pg_query *first(const struct pg_conn *c)
{
	struct list *node = list_first(&c->sent);

	return node != NULL ? container_of(node, struct pg_query, node) : NULL;
}

static bool field_is(const PGresult *res, int field, const char *want)
{
	const char *is = PQresultErrorField(res, field);

	return is != NULL && strcmp(is, want) == 0;
}

/* The whole text was refused when it was parsed, because it holds several
 * statements: nothing of it has run. */
static bool holds_several(const struct pg_query *q, const PGresult *res)
{
	return q->n_parameters == 0 &&
	       field_is(res, PG_DIAG_SQLSTATE, "42601") &&
	       field_is(res, PG_DIAG_SOURCE_FUNCTION, "exec_parse_message");
}

/* Our statement was not there when it was to be bound. */
static bool statement_is_gone(const struct pg_query *q, const PGresult *res)
{
	const char *message = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);
	char name[PG_STATEMENT_NAME];

	return field_is(res, PG_DIAG_SQLSTATE, "26000") && message != NULL &&
	       PQresultErrorField(res, PG_DIAG_CONTEXT) == NULL &&
	       strstr(message, pg_statement_name(q->statement, name)) != NULL;
}

/* "cached plan must not change result type", in any language; not from inside a
 * function, which may have done something before. */
static bool plan_is_stale(const PGresult *res)
{
	return field_is(res, PG_DIAG_SQLSTATE, "0A000") &&
	       field_is(res, PG_DIAG_SOURCE_FUNCTION,
			"RevalidateCachedQuery") &&
	       PQresultErrorField(res, PG_DIAG_CONTEXT) == NULL;
}

/* What failed before it had run may be sent again, once. */
static void classify(struct pg_conn *c, struct pg_query *q, const PGresult *res)
{
	if (q->on_done == NULL || q->text == NULL || c->exclusive)
		return;
	if (holds_several(q, res))
		q->simple = true;
	if (q->statement == 0)
		return;
	if (q->step == PG_STEP_EXECUTE) {
		q->stale = plan_is_stale(res);
		q->once_more = q->stale || statement_is_gone(q, res);
	}
	if (q->step == PG_STEP_PREPARE || q->once_more)
		pg_statements_remove(&c->statements, q->text, q->text_size,
				     q->statement);
}

static void take_error(struct pg_conn *c, struct pg_query *q, PGresult *res)
{
	if (q->error == NULL)
		classify(c, q, res);
	pg_query_fail_by(q, res);
	if (PQstatus(c->pq) == CONNECTION_BAD)
		pg_conn_close(c, "connection to the database lost");
}

/* Rows, or the end of a command. */
static void take_success(struct pg_conn *c, struct pg_query *q, PGresult *res)
{
	const char *tag = PQcmdStatus(res);
	int r = 0;

	if (q->step != PG_STEP_EXECUTE)
		return;
	if (!c->exclusive && (strcmp(tag, "BEGIN") == 0 ||
			      strcmp(tag, "START TRANSACTION") == 0)) {
		/* what is behind it runs inside that transaction, and must go
		 * down with it; libpq does not tell the state in between */
		pg_conn_close_clean(c, NEEDS_TRANSACTION);
		return;
	}
	/* the next one must not find another's settings */
	if (strcmp(tag, "SET") == 0 || strcmp(tag, "RESET") == 0 ||
	    strcmp(tag, "DISCARD ALL") == 0)
		c->retired = true;
	if (q->on_done == NULL || q->error != NULL)
		return;
	if (q->result == NULL)
		q->result = pg_result_new();
	r = q->result != NULL ? pg_result_add(q->result, res) : -ENOMEM;
	if (r == -EMSGSIZE)
		pg_query_fail(q, NULL, "the result is larger than %d MiB",
			      LIMIT_PG_RESULT >> 20);
	else if (r < 0)
		pg_query_fail(q, NULL, "not enough memory for the result");
}

/* `q` is over.  The connection may be closed afterwards. */
static void finish(struct pg_conn *c, struct pg_query *q)
{
	unsigned stale = q->stale ? q->statement : 0;
	struct pg_query *next;
	bool open;

	list_remove(&q->node);
	c->n_sent--;
	q->sent = false;
	open = c->n_sent == 0 && PQtransactionStatus(c->pq) != PQTRANS_IDLE;
	if (open && (!c->exclusive || q->simple))
		pg_query_fail(q, NULL, NEEDS_TRANSACTION);
	next = first(c);
	if (next != NULL) {
		next->at_front = ev_now(c->loop);
		if (next->step == PG_STEP_EXECUTE)
			PQsetSingleRowMode(c->pq);
	}
	c->events->on_query(c, q);
	if (open && !c->exclusive)
		pg_conn_close_clean(c, NEEDS_TRANSACTION);
	else if (c->retired && !c->exclusive && c->n_sent == 0)
		pg_conn_close_clean(c, "its settings were changed");
	else if (stale != 0)
		pg_conn_deallocate(c, stale);
	if (c->state == PG_CONN_READY)
		pg_conn_arm(c);
}

static void take(struct pg_conn *c, struct pg_query *q, PGresult *res)
{
	q->answered = true;
	switch (PQresultStatus(res)) {
	case PGRES_PIPELINE_SYNC:
		finish(c, q);
		break;
	case PGRES_PIPELINE_ABORTED:
		pg_query_fail(q, NULL, "the query was not run");
		break;
	case PGRES_EMPTY_QUERY:
	case PGRES_COMMAND_OK:
	case PGRES_TUPLES_OK:
	case PGRES_SINGLE_TUPLE:
		take_success(c, q, res);
		break;
	case PGRES_COPY_IN:
	case PGRES_COPY_OUT:
	case PGRES_COPY_BOTH:
		pg_conn_close_clean(c, "COPY to or from the client is not "
				       "possible; the connection was closed");
		break;
	default:
		take_error(c, q, res);
		break;
	}
}

/* All results of one command were taken. */
static void end_of_command(struct pg_conn *c, struct pg_query *q)
{
	q->answered = false;
	if (c->exclusive) {
		finish(c, q);
	} else if (q->step == PG_STEP_PREPARE) {
		q->step = PG_STEP_EXECUTE;
		PQsetSingleRowMode(c->pq);
	} else {
		q->step = PG_STEP_SYNC;
	}
}

static bool take_results(struct pg_conn *c)
{
	bool any = false;
	struct pg_query *q;

	while (c->state == PG_CONN_READY && (q = first(c)) != NULL &&
	       !PQisBusy(c->pq)) {
		PGresult *res = PQgetResult(c->pq);

		if (res == NULL && !q->answered)
			break;
		any = true;
		if (res == NULL)
			end_of_command(c, q);
		else
			take(c, q, res);
		PQclear(res);
	}
	return any;
}

static void take_notifications(struct pg_conn *c)
{
	PGnotify *n;

	while (c->state == PG_CONN_READY && (n = PQnotifies(c->pq)) != NULL) {
		c->events->on_notify(c, n);
		PQfreemem(n);
	}
}

void pg_conn_read_results(struct pg_conn *c)
{
	bool any = take_results(c);

	for (int i = 0;
	     i < TLS_READS && c->state == PG_CONN_READY && c->n_sent > 0 &&
	     PQsslInUse(c->pq) && PQconsumeInput(c->pq);
	     i++)
		any = take_results(c) || any;
	if (c->state == PG_CONN_READY)
		take_notifications(c);
	if (c->state != PG_CONN_READY)
		return;
	c->in_row = !any && c->n_sent > 0;
	if (!c->in_row)
		c->swallowed = 0;
	pg_conn_watch(c);
}
