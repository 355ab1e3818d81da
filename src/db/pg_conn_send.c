/* SPDX-License-Identifier: BSD-2-Clause */

/* How a query is put on a connection. */

#include "db/pg_conn.h"

#include <stdio.h>
#include <stdlib.h>

#include "db/pg_conninfo.h"

static void append(struct pg_conn *c, struct pg_query *q)
{
	q->sent = true;
	q->answered = false;
	list_append(&c->sent, &q->node);
	if (c->n_sent++ == 0) {
		q->at_front = ev_now(c->loop);
		if (q->step == PG_STEP_EXECUTE)
			PQsetSingleRowMode(c->pq);
		pg_conn_arm(c);
	}
}

/*
 * One sync a query.  libpq 17 leaves the sending to PQflush(), once for all that
 * the pool hands over in a turn of the loop; before, each sync is a system call.
 */
static void put_sync(struct pg_conn *c)
{
#ifdef LIBPQ_HAS_SEND_PIPELINE_SYNC
	(void)!PQsendPipelineSync(c->pq);
#else
	(void)!PQpipelineSync(c->pq);
#endif
}

/* Where nothing but memory or the connection can have failed. */
static bool refused(struct pg_conn *c, struct pg_query *q)
{
	char message[LIMIT_PG_MESSAGE];

	pg_conninfo_message(c->options->conninfo, c->pq, true, message,
			    sizeof(message));
	pg_conn_close(c, "connection to the database lost: %s", message);
	q->refused++;
	return false;
}

/* One that is given up by the cache: nobody waits for it. */
void pg_conn_deallocate(struct pg_conn *c, unsigned statement)
{
	char name[PG_STATEMENT_NAME], text[PG_STATEMENT_NAME + 16];
	struct pg_query *q;
	int n;

	n = snprintf(text, sizeof(text), "DEALLOCATE %s",
		     pg_statement_name(statement, name));
	q = pg_query_new(text, (size_t)n);
	if (q == NULL)
		return; /* the server keeps it: so be it */
	q->loop = c->loop;
	q->due = ev_now(c->loop) + LIMIT_PG_TIMEOUT_DEFAULT;
	if (!PQsendQueryParams(c->pq, text, 0, NULL, NULL, NULL, NULL, 0)) {
		pg_query_free(q);
		return; /* the query behind it will find out why */
	}
	q->step = PG_STEP_EXECUTE;
	append(c, q);
	put_sync(c);
}

static bool send_pipelined(struct pg_conn *c, struct pg_query *q,
			   const char *const *values)
{
	char name[PG_STATEMENT_NAME];
	bool prepare = false, ok = true;
	unsigned dropped = 0;

	q->statement = 0;
	if (c->options->prepare && !q->no_cache &&
	    q->text_size <= LIMIT_PG_STATEMENT_TEXT) {
		q->statement = pg_statements_find(&c->statements, q->text,
						  q->text_size);
		if (q->statement == 0) {
			q->statement =
				pg_statements_add(&c->statements, q->text,
						  q->text_size, &dropped);
			prepare = q->statement != 0;
		}
	}
	if (dropped != 0)
		pg_conn_deallocate(c, dropped);
	pg_statement_name(q->statement, name);
	if (prepare)
		ok = PQsendPrepare(c->pq, name, q->text, 0, NULL);
	if (ok && q->statement != 0)
		ok = PQsendQueryPrepared(c->pq, name, q->n_parameters, values,
					 NULL, NULL, 0);
	else if (ok)
		ok = PQsendQueryParams(c->pq, q->text, q->n_parameters, NULL,
				       values, NULL, NULL, 0);
	if (!ok)
		return false;
	q->step = prepare ? PG_STEP_PREPARE : PG_STEP_EXECUTE;
	append(c, q);
	/* If this fails the query is on its way all the same, and the connection
	 * is found to be lost when it is read. */
	put_sync(c);
	return true;
}

static bool send_alone(struct pg_conn *c, struct pg_query *q,
		       const char *const *values)
{
	int ok;

	if (q->n_parameters == 0)
		ok = PQsendQuery(c->pq, q->text);
	else
		ok = PQsendQueryParams(c->pq, q->text, q->n_parameters, NULL,
				       values, NULL, NULL, 0);
	if (!ok)
		return false;
	q->step = PG_STEP_EXECUTE;
	append(c, q);
	return true;
}

bool pg_conn_send(struct pg_conn *c, struct pg_query *q)
{
	const char **values = NULL;
	bool ok;

	if (q->n_parameters > 0) {
		values = calloc((size_t)q->n_parameters, sizeof(*values));
		if (values == NULL)
			return refused(c, q);
		pg_query_values(q, values);
	}
	ok = c->exclusive ? send_alone(c, q, values)
			  : send_pipelined(c, q, values);
	free(values);
	if (!ok)
		return refused(c, q);
	if (c->exclusive)
		pg_conn_watch(c);
	return true;
}
