/* SPDX-License-Identifier: BSD-2-Clause */
#include "db/pg_pool.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db/pg_identifier.h"
#include "db/pg_lease.h"
#include "db/pg_listen.h"

/* Times that libpq may refuse a query, each of which costs a connection. */
#define REFUSALS 3

void pg_pool_wake(struct pg_pool *p)
{
	ev_feed_event(p->loop, &p->dispatch, EV_CUSTOM);
}

static bool is_connecting(const struct pg_conn *c)
{
	return c->state == PG_CONN_RESOLVING ||
	       c->state == PG_CONN_CONNECTING || c->state == PG_CONN_SETUP;
}

/* The least busy shared connection, or NULL to wait for one. */
static struct pg_conn *choose(struct pg_pool *p)
{
	struct pg_conn *best = NULL;
	bool stalled = true, coming = false;

	for (unsigned i = 0; i < p->n_shared; i++) {
		struct pg_conn *c = &p->conns[i];
		bool s;

		coming = coming || is_connecting(c);
		if (!pg_conn_is_open(c) || c->flushing)
			continue;
		s = pg_conn_is_stalled(c);
		if (best == NULL || s < stalled ||
		    (s == stalled && c->n_sent < best->n_sent)) {
			best = c;
			stalled = s;
		}
	}
	return best != NULL && stalled && coming ? NULL : best;
}

static void put_first(struct list *head, struct list *node)
{
	list_append(head->next, node);
}

static void send_backlog(struct pg_pool *p)
{
	struct pg_conn *c;

	while (!list_empty(&p->backlog) && (c = choose(p)) != NULL) {
		struct pg_query *q = container_of(list_first(&p->backlog),
						  struct pg_query, node);

		list_remove(&q->node);
		if (pg_conn_send(c, q))
			continue;
		if (q->refused < REFUSALS) {
			put_first(&p->backlog, &q->node);
		} else {
			pg_query_fail(q, NULL, "the query cannot be sent");
			pg_query_finish(q);
		}
	}
	for (unsigned i = 0; i < p->n_shared; i++)
		if (p->conns[i].state == PG_CONN_READY)
			pg_conn_watch(&p->conns[i]);
}

/* More connections where none is idle. */
static void connect_shared(struct pg_pool *p)
{
	bool busy = !list_empty(&p->backlog);

	for (unsigned i = 0; i < p->n_shared; i++) {
		const struct pg_conn *c = &p->conns[i];

		if (pg_conn_is_open(c) && c->n_sent == 0)
			return;
		busy = busy || c->n_sent > 0;
	}
	for (unsigned i = 0; busy && i < p->n_shared; i++)
		pg_conn_want(&p->conns[i]);
}

static void on_dispatch(EV_P_ ev_prepare *w, int revents)
{
	struct pg_pool *p = container_of(w, struct pg_pool, dispatch);

	(void)loop, (void)revents;
	send_backlog(p);
	connect_shared(p);
	pg_lease_dispatch(p);
	pg_listen_dispatch(p);
}

static void on_ready(struct pg_conn *c)
{
	struct pg_pool *p = c->owner;

	p->trouble[0] = '\0';
	if (c == pg_pool_listener(p))
		pg_listen_ready(p);
	else
		pg_pool_wake(p);
}

static void on_query(struct pg_conn *c, struct pg_query *q)
{
	struct pg_pool *p = c->owner;

	if (c == pg_pool_listener(p)) {
		pg_listen_answered(p, q);
		return;
	}
	if (c->exclusive) {
		pg_lease_answered(p, c, q);
		return;
	}
	pg_pool_wake(p);
	if (q->on_done != NULL && !q->lost && q->once_more) {
		pg_query_rewind(q);
		q->no_cache = true;
		put_first(&p->backlog, &q->node);
	} else if (q->on_done != NULL && !q->lost && q->simple) {
		pg_query_rewind(q);
		pg_lease_run(p, q);
	} else {
		pg_query_finish(q);
	}
}

static void on_closed(struct pg_conn *c)
{
	struct pg_pool *p = c->owner;

	if (c->backoff > 0)
		memcpy(p->trouble, c->error, sizeof(p->trouble));
	if (c == pg_pool_listener(p))
		pg_listen_closed(p);
	else if (c->exclusive)
		pg_lease_closed(p, c);
	pg_pool_wake(p);
}

static void on_notify(struct pg_conn *c, const PGnotify *n)
{
	struct pg_pool *p = c->owner;

	if (c == pg_pool_listener(p))
		pg_listen_notify(p, n);
}

static const struct pg_conn_events events = {
	.on_ready = on_ready,
	.on_query = on_query,
	.on_closed = on_closed,
	.on_notify = on_notify,
};

/* SET search_path TO "schema" */
static char *make_setup(const char *schema)
{
	static const char command[] = "SET search_path TO ";
	char *text =
		malloc(sizeof(command) + PG_IDENTIFIER_MAX(strlen(schema)));

	if (text != NULL) {
		memcpy(text, command, sizeof(command));
		pg_identifier_quote(schema, text + sizeof(command) - 1);
	}
	return text;
}

static int set_options(struct pg_pool *p, const struct pg_pool_options *options)
{
	struct pg_conn_options *o = &p->conn_options;
	int r = pg_conninfo_init(&p->conninfo, options->conninfo);

	if (r < 0)
		return r;
	o->prepare = options->prepare;
	if (options->schema != NULL &&
	    (o->setup[0] = make_setup(options->schema)) == NULL)
		return -ENOMEM;
	if (options->init != NULL &&
	    (o->setup[1] = strdup(options->init)) == NULL)
		return -ENOMEM;
	return 0;
}

struct pg_pool *pg_pool_new(struct ev_loop *loop, struct resolver *resolver,
			    const struct pg_pool_options *options)
{
	struct pg_pool *p = calloc(1, sizeof(*p));
	int r;

	if (p == NULL)
		return NULL;
	p->loop = loop;
	p->n_shared = options->shared;
	p->conn_options.conninfo = &p->conninfo;
	list_init(&p->backlog);
	list_init(&p->leases);
	list_init(&p->channels);
	p->outbox = pg_outbox_new(loop);
	p->notices = pg_outbox_new(loop);
	ev_prepare_init(&p->dispatch, on_dispatch);
	/* after all that this turn of the loop may still bring */
	ev_set_priority(&p->dispatch, EV_MINPRI);
	for (unsigned i = 0; i < LIMIT_PG_CONNECTIONS; i++) {
		pg_conn_init(&p->conns[i], loop, &p->conn_options, resolver,
			     &events, p);
		p->conns[i].exclusive = i >= p->n_shared;
	}
	r = p->outbox != NULL && p->notices != NULL ? set_options(p, options)
						    : -ENOMEM;
	if (r < 0) {
		pg_pool_free(p);
		errno = -r;
		return NULL;
	}
	return p;
}

static void forget(struct list *queries)
{
	struct list *node;

	while ((node = list_first(queries)) != NULL)
		pg_query_abandon(container_of(node, struct pg_query, node));
}

void pg_pool_free(struct pg_pool *p)
{
	if (p == NULL)
		return;
	for (unsigned i = 0; i < LIMIT_PG_CONNECTIONS; i++)
		pg_conn_deinit(&p->conns[i]);
	forget(&p->backlog);
	pg_lease_forget(p);
	if (p->notices != NULL)
		pg_listen_forget(p);
	pg_outbox_free(p->outbox);
	pg_outbox_free(p->notices);
	ev_clear_pending(p->loop, &p->dispatch);
	pg_conninfo_deinit(&p->conninfo);
	free((char *)p->conn_options.setup[0]);
	free((char *)p->conn_options.setup[1]);
	free(p);
}

void pg_pool_submit(struct pg_pool *p, struct pg_query *q, double timeout,
		    pg_query_done_fn *on_done)
{
	pg_query_start(q, p->loop, p->outbox, p->trouble, timeout, on_done);
	list_append(&p->backlog, &q->node);
	pg_pool_wake(p);
}
