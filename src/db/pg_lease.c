/* SPDX-License-Identifier: BSD-2-Clause */
#include "db/pg_lease.h"

#include <stdlib.h>

#include "db/pg_pool.h"

static struct pg_lease **holder_of(struct pg_pool *p, const struct pg_conn *c)
{
	return &p->holders[c - p->conns];
}

struct pg_lease *pg_lease_new(struct pg_pool *p)
{
	struct pg_lease *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return NULL;
	l->pool = p;
	list_init(&l->node);
	list_init(&l->pending);
	return l;
}

/* Its connection is free for the next one, if it is fit for that. */
static void give_back(struct pg_lease *l)
{
	struct pg_conn *c = l->conn;

	if (c == NULL)
		return;
	*holder_of(l->pool, c) = NULL;
	l->conn = NULL;
	c->in_use = false;
	if (c->n_sent > 0 || c->retired ||
	    PQtransactionStatus(c->pq) != PQTRANS_IDLE)
		pg_conn_close_clean(c, "not fit to be used again");
	else
		pg_conn_arm(c);
	pg_pool_wake(l->pool);
}

void pg_lease_free(struct pg_lease *l)
{
	if (l == NULL)
		return;
	give_back(l);
	list_remove(&l->node);
	free(l);
}

static void fail(struct pg_query *q, const char *why)
{
	pg_query_fail(q, NULL, "%s", why);
	pg_query_finish(q);
}

static void send_query(struct pg_lease *l, struct pg_query *q)
{
	/* when it fails the loss of the connection is told to us first */
	if (!pg_conn_send(l->conn, q))
		fail(q, "connection to the database lost");
}

void pg_lease_rollback(struct pg_lease *l)
{
	struct pg_query *q = NULL;

	if (l != NULL && l->conn != NULL && l->conn->n_sent == 0 &&
	    pg_lease_in_transaction(l))
		q = pg_query_new("ROLLBACK", 8);
	if (q == NULL) {
		pg_lease_free(l);
		return;
	}
	q->loop = l->pool->loop;
	q->due = ev_now(q->loop) + LIMIT_PG_CONNECT_TIME;
	l->brief = true;
	if (!pg_conn_send(l->conn, q)) /* frees l */
		pg_query_free(q);
}

void pg_lease_submit(struct pg_lease *l, struct pg_query *q, double timeout,
		     pg_query_done_fn *on_done)
{
	struct pg_pool *p = l->pool;

	pg_query_start(q, p->loop, p->outbox, p->trouble, timeout, on_done);
	if (l->conn != NULL && l->conn->n_sent == 0) {
		send_query(l, q);
	} else if (l->conn != NULL) {
		fail(q, "another query of this transaction is running");
	} else if (l->lost) {
		fail(q, "connection to the database lost");
	} else {
		list_append(&l->pending, &q->node);
		if (list_empty(&l->node))
			list_append(&p->leases, &l->node);
		pg_pool_wake(p);
	}
}

void pg_lease_break(struct pg_lease *l, const char *why)
{
	l->lost = true;
	if (l->conn != NULL)
		pg_conn_close_clean(l->conn, why);
}

bool pg_lease_in_transaction(const struct pg_lease *l)
{
	PGTransactionStatusType status;

	if (l->conn == NULL)
		return false;
	status = PQtransactionStatus(l->conn->pq);
	return status == PQTRANS_INTRANS || status == PQTRANS_INERROR;
}

void pg_lease_run(struct pg_pool *p, struct pg_query *q)
{
	struct pg_lease *l = pg_lease_new(p);

	if (l == NULL) {
		fail(q, "not enough memory");
		return;
	}
	l->brief = true;
	list_append(&l->pending, &q->node);
	list_append(&p->leases, &l->node);
	pg_pool_wake(p);
}

static void grant(struct pg_lease *l, struct pg_conn *c)
{
	struct pg_query *q =
		container_of(list_first(&l->pending), struct pg_query, node);

	list_remove(&l->node);
	list_remove(&q->node);
	/* analyzer: there is one that waits */
	*holder_of(l->pool, c) = l;
	l->conn = c;
	c->in_use = true;
	send_query(l, q); /* may free l */
}

/* Those whose query gave up. */
static size_t drop_idle(struct pg_pool *p)
{
	struct list *node = p->leases.next;
	size_t n = 0;

	while (node != &p->leases) {
		struct pg_lease *l = container_of(node, struct pg_lease, node);

		node = node->next;
		if (!list_empty(&l->pending))
			n++;
		else if (l->brief)
			pg_lease_free(l);
		else
			list_remove(&l->node);
	}
	return n;
}

void pg_lease_dispatch(struct pg_pool *p)
{
	struct pg_conn *end = pg_pool_listener(p);
	size_t waiting = drop_idle(p);

	for (struct pg_conn *c = &p->conns[p->n_shared]; waiting > 0 && c < end;
	     c++) {
		if (c->in_use || c->state != PG_CONN_READY)
			continue;
		waiting--;
		grant(container_of(list_first(&p->leases), struct pg_lease,
				   node),
		      c);
	}
	for (struct pg_conn *c = &p->conns[p->n_shared]; waiting > 0 && c < end;
	     c++) {
		if (c->in_use || c->state == PG_CONN_READY)
			continue;
		waiting--; /* for each one that is on its way, too */
		pg_conn_want(c);
	}
}

void pg_lease_answered(struct pg_pool *p, struct pg_conn *c, struct pg_query *q)
{
	struct pg_lease *l = *holder_of(p, c);

	pg_query_finish(q);
	if (l != NULL && l->brief && c->state == PG_CONN_READY)
		pg_lease_free(l);
}

void pg_lease_closed(struct pg_pool *p, struct pg_conn *c)
{
	struct pg_lease *l = *holder_of(p, c);

	*holder_of(p, c) = NULL;
	c->in_use = false;
	if (l == NULL)
		return;
	l->conn = NULL;
	l->lost = true;
	if (l->brief)
		pg_lease_free(l);
}

void pg_lease_forget(struct pg_pool *p)
{
	struct list *node;

	for (size_t i = 0; i < LIMIT_PG_CONNECTIONS; i++) {
		if (p->holders[i] == NULL)
			continue;
		p->holders[i]->conn = NULL;
		p->holders[i]->lost = true;
		if (p->holders[i]->brief)
			free(p->holders[i]);
		p->holders[i] = NULL;
	}
	while ((node = list_first(&p->leases)) != NULL) {
		struct pg_lease *l = container_of(node, struct pg_lease, node);

		while ((node = list_first(&l->pending)) != NULL)
			pg_query_abandon(
				container_of(node, struct pg_query, node));
		list_remove(&l->node);
		if (l->brief)
			free(l);
	}
}
