/* SPDX-License-Identifier: BSD-2-Clause */
#include "db/pg_query.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"

/* Looked at again so soon if there was no memory to part with a query. */
#define RETRY 0.1

static void on_deadline(EV_P_ ev_timer *w, int revents);

static struct pg_query *new_query(size_t text_size)
{
	struct pg_query *q = calloc(1, sizeof(*q));

	if (q == NULL)
		return NULL;
	q->text_size = text_size;
	list_init(&q->node);
	/* analyzer: part() puts it into a list */
	ev_init(&q->deadline, on_deadline);
	return q;
}

static void deliver(struct pg_item *item)
{
	struct pg_query *q = container_of(item, struct pg_query, item);
	pg_query_done_fn *on_done = q->on_done;

	q->on_done = NULL;
	q->loop = NULL;
	on_done(q);
}

/*
 * What the server still owes for `q`, as a query that nobody waits for: it takes
 * q's place on the connection.
 */
static struct pg_query *part(struct pg_query *q)
{
	struct pg_query *rest = new_query(0);

	if (rest == NULL)
		return NULL;
	rest->step = q->step;
	rest->answered = q->answered;
	rest->statement = q->statement;
	rest->simple = q->simple;
	rest->lease = q->lease;
	rest->due = q->due;
	rest->at_front = q->at_front;
	rest->loop = q->loop;
	rest->outbox = q->outbox;
	rest->sent = true;
	rest->node.prev = q->node.prev;
	rest->node.next = q->node.next;
	rest->node.prev->next = rest->node.next->prev = &rest->node;
	list_init(&q->node);
	q->sent = false;
	return rest;
}

static void on_deadline(EV_P_ ev_timer *w, int revents)
{
	struct pg_query *q = container_of(w, struct pg_query, deadline);
	bool sent = q->sent;

	(void)loop, (void)revents;
	if (sent && part(q) == NULL) {
		ev_timer_set(&q->deadline, RETRY, 0.);
		ev_timer_start(q->loop, &q->deadline);
		return;
	}
	list_remove(&q->node);
	if (sent)
		pg_query_fail(q, NULL, "timeout: no answer from the database");
	else
		pg_query_fail(q, NULL, "timeout: no connection is free%s%s",
			      *q->trouble ? ": " : "", q->trouble);
	pg_query_finish(q);
}

struct pg_query *pg_query_new(const char *text, size_t size)
{
	struct pg_query *q = new_query(size);

	if (q == NULL)
		return NULL;
	q->text = malloc(size + 1);
	if (q->text == NULL) {
		free(q);
		return NULL;
	}
	memcpy(q->text, text, size);
	q->text[size] = '\0';
	pg_item_init(&q->item, deliver);
	return q;
}

void pg_query_free(struct pg_query *q)
{
	if (q == NULL)
		return;
	assert(list_empty(&q->node));
	if (q->loop != NULL)
		ev_timer_stop(q->loop, &q->deadline);
	buffer_deinit(&q->values);
	buffer_deinit(&q->offsets);
	pg_result_free(q->result);
	free(q->error);
	free(q->text);
	free(q);
}

int pg_query_add(struct pg_query *q, const char *value, size_t size)
{
	size_t offset = value != NULL ? q->values.size : (size_t)-1;
	int r;

	if (q->n_parameters == LIMIT_PG_PARAMETERS || size > LIMIT_PG_QUERY ||
	    q->text_size + q->values.size + size >= LIMIT_PG_QUERY)
		return -E2BIG;
	r = buffer_add(&q->offsets, &offset, sizeof(offset));
	if (r < 0)
		return r;
	q->n_parameters++;
	if (value == NULL)
		return 0;
	r = buffer_add(&q->values, value, size);
	return r < 0 ? r : buffer_add(&q->values, "", 1);
}

void pg_query_values(const struct pg_query *q, const char **ret_values)
{
	for (int i = 0; i < q->n_parameters; i++) {
		size_t offset;

		memcpy(&offset, q->offsets.data + (size_t)i * sizeof(offset),
		       sizeof(offset));
		ret_values[i] =
			offset == (size_t)-1 ? NULL : q->values.data + offset;
	}
}

void pg_query_start(struct pg_query *q, struct ev_loop *loop,
		    struct pg_outbox *outbox, const char *trouble,
		    double timeout, pg_query_done_fn *on_done)
{
	q->loop = loop;
	q->trouble = trouble;
	q->outbox = outbox;
	q->on_done = on_done;
	ev_now_update(loop); /* Lua may have run for long */
	q->due = ev_now(loop) + timeout;
	ev_timer_set(&q->deadline, timeout, 0.);
	ev_timer_start(loop, &q->deadline);
}

void pg_query_fail(struct pg_query *q, const char *sqlstate, const char *format,
		   ...)
{
	char text[LIMIT_PG_MESSAGE];
	va_list ap;

	if (q->error != NULL)
		return;
	pg_result_free(q->result);
	q->result = NULL;
	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	q->error = strdup(text);
	if (sqlstate != NULL)
		snprintf(q->sqlstate, sizeof(q->sqlstate), "%s", sqlstate);
}

void pg_query_fail_by(struct pg_query *q, const PGresult *res)
{
	const char *sqlstate = PQresultErrorField(res, PG_DIAG_SQLSTATE);
	const char *message = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);
	const char *detail = PQresultErrorField(res, PG_DIAG_MESSAGE_DETAIL);

	if (message == NULL) /* libpq's own */
		message = PQresultErrorMessage(res);
	if (detail != NULL)
		pg_query_fail(q, sqlstate, "%s (%s)", message, detail);
	else
		pg_query_fail(q, sqlstate, "%.*s", (int)strcspn(message, "\n"),
			      message);
}

void pg_query_rewind(struct pg_query *q)
{
	pg_result_free(q->result);
	q->result = NULL;
	free(q->error);
	q->error = NULL;
	q->sqlstate[0] = '\0';
	q->statement = 0;
	q->answered = q->once_more = q->stale = false;
}

void pg_query_finish(struct pg_query *q)
{
	q->sent = false;
	ev_timer_stop(q->loop, &q->deadline);
	if (q->on_done == NULL)
		pg_query_free(q);
	else
		pg_outbox_post(q->outbox, &q->item);
}

void pg_query_abandon(struct pg_query *q)
{
	q->on_done = NULL;
	if (q->sent) {
		ev_timer_stop(q->loop, &q->deadline);
		return;
	}
	pg_item_remove(&q->item);
	list_remove(&q->node);
	pg_query_free(q);
}
