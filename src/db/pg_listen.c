/* SPDX-License-Identifier: BSD-2-Clause */
#include "db/pg_listen.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db/pg_identifier.h"
#include "db/pg_pool.h"

struct pg_channel {
	struct list node;
	pg_channel_fn *on_event;
	void *context;
	bool issued; /* on this connection */
	bool active; /* the server has taken it */
	bool missed; /* something may have been: it was without connection */
	char name[LIMIT_PG_NAME + 1];
};

/* What is to be called back. */
struct notice {
	struct pg_item item;
	struct pg_channel *channel; /* borrowed */
	enum pg_channel_event event;
	int pid;
	bool has_text;
	char text[];
};

static struct pg_channel *channel_of(struct list *node)
{
	return container_of(node, struct pg_channel, node);
}

static void deliver(struct pg_item *item)
{
	struct notice *n = container_of(item, struct notice, item);

	n->channel->on_event(n->channel->context, n->event,
			     n->has_text ? n->text : NULL, n->pid);
	free(n);
}

/* Without memory it is lost, as if there had been no connection. */
static bool post(struct pg_pool *p, struct pg_channel *ch,
		 enum pg_channel_event event, const char *text, int pid)
{
	size_t size = text != NULL ? strlen(text) : 0;
	struct notice *n = malloc(sizeof(*n) + size + 1);

	if (n == NULL)
		return false;
	pg_item_init(&n->item, deliver);
	n->channel = ch;
	n->event = event;
	n->pid = pid;
	n->has_text = text != NULL;
	if (text != NULL)
		memcpy(n->text, text, size + 1);
	pg_outbox_post(p->notices, &n->item);
	/* cppcheck-suppress memleak ; the outbox owns it now */
	return true;
}

int pg_listen(struct pg_pool *p, const char *name, pg_channel_fn *on_event,
	      void *context)
{
	struct pg_conn *c = pg_pool_listener(p);
	struct pg_channel *ch = calloc(1, sizeof(*ch));

	if (ch == NULL)
		return -ENOMEM;
	snprintf(ch->name, sizeof(ch->name), "%s", name);
	ch->on_event = on_event;
	ch->context = context;
	list_init(&ch->node);
	list_append(&p->channels, &ch->node);
	c->in_use = c->pinged = true;
	if (c->state == PG_CONN_WAITING)
		/* the caller must not wait for the next attempt */
		post(p, ch, PG_CHANNEL_TROUBLE, c->error, 0);
	pg_pool_wake(p);
	return 0;
}

/* LISTEN for all that were not issued, or something small to see whether the
 * server is still there. */
static struct pg_query *make_query(struct pg_pool *p)
{
	struct buffer text = BUFFER_EMPTY;
	struct pg_query *q = NULL;
	int r = 0;

	for (struct list *node = p->channels.next;
	     r == 0 && node != &p->channels; node = node->next) {
		struct pg_channel *ch = channel_of(node);
		char quoted[PG_IDENTIFIER_MAX(LIMIT_PG_NAME)];

		if (ch->issued)
			continue;
		pg_identifier_quote(ch->name, quoted);
		r = buffer_printf(&text, "LISTEN %s;", quoted);
		ch->issued = true;
	}
	if (r == 0 && text.size == 0)
		r = buffer_add(&text, "SELECT 1", 8);
	if (r == 0)
		q = pg_query_new(text.data, text.size);
	buffer_deinit(&text);
	return q;
}

static void send_next(struct pg_pool *p)
{
	struct pg_conn *c = pg_pool_listener(p);
	struct pg_query *q = make_query(p);

	if (q == NULL) {
		pg_conn_close(c, "not enough memory");
		return;
	}
	q->loop = p->loop;
	q->due = ev_now(p->loop) + LIMIT_PG_CONNECT_TIME;
	if (!pg_conn_send(c, q))
		pg_query_free(q);
}

static bool has_new(struct pg_pool *p)
{
	for (struct list *node = p->channels.next; node != &p->channels;
	     node = node->next)
		if (!channel_of(node)->issued)
			return true;
	return false;
}

/* From the loop: it is connected, a channel was added, or a while has passed. */
void pg_listen_ready(struct pg_pool *p)
{
	struct pg_conn *c = pg_pool_listener(p);

	if (c->state == PG_CONN_READY && c->n_sent == 0 && !c->paused)
		send_next(p);
}

void pg_listen_dispatch(struct pg_pool *p)
{
	struct pg_conn *c = pg_pool_listener(p);

	if (list_empty(&p->channels))
		return;
	if (c->state != PG_CONN_READY)
		pg_conn_want(c);
	else if (c->n_sent == 0 && has_new(p))
		send_next(p);
}

void pg_listen_answered(struct pg_pool *p, struct pg_query *q)
{
	struct pg_conn *c = pg_pool_listener(p);
	bool failed = q->error != NULL;

	if (failed && !q->lost)
		snprintf(p->trouble, sizeof(p->trouble), "%s", q->error);
	for (struct list *node = p->channels.next;
	     !failed && node != &p->channels; node = node->next) {
		struct pg_channel *ch = channel_of(node);

		if (!ch->issued || ch->active)
			continue;
		ch->active = post(p, ch, PG_CHANNEL_ACTIVE,
				  ch->missed ? "" : NULL, 0);
		/* analyzer: post() leaves the notice to the outbox */
		ch->missed = false;
	}
	pg_query_free(q);
	if (failed && c->state == PG_CONN_READY)
		pg_conn_close(c, "LISTEN: %s", p->trouble);
	pg_pool_wake(p);
}

void pg_listen_closed(struct pg_pool *p)
{
	struct pg_conn *c = pg_pool_listener(p);

	for (struct list *node = p->channels.next; node != &p->channels;
	     node = node->next) {
		struct pg_channel *ch = channel_of(node);

		/* analyzer: as above */
		ch->issued = ch->active = false;
		ch->missed = true;
		post(p, ch, PG_CHANNEL_TROUBLE, c->error, 0);
	}
}

void pg_listen_notify(struct pg_pool *p, const PGnotify *n)
{
	for (struct list *node = p->channels.next; node != &p->channels;
	     node = node->next) {
		struct pg_channel *ch = channel_of(node);

		if (strcmp(ch->name, n->relname) == 0)
			post(p, ch, PG_CHANNEL_NOTIFY, n->extra, n->be_pid);
	}
}

void pg_listen_pause(struct pg_pool *p)
{
	struct pg_conn *c = pg_pool_listener(p);

	p->notices->paused = true;
	c->paused = true;
	if (c->state == PG_CONN_READY)
		pg_conn_watch(c);
}

void pg_listen_resume(struct pg_pool *p)
{
	struct pg_conn *c = pg_pool_listener(p);

	if (!p->notices->paused)
		return;
	c->paused = false;
	if (c->state == PG_CONN_READY)
		pg_conn_watch(c);
	pg_conn_arm(c);
	pg_outbox_resume(p->notices);
}

void pg_listen_forget(struct pg_pool *p)
{
	struct list *node;

	while ((node = list_first(&p->notices->items)) != NULL) {
		list_remove(node);
		free(container_of(node, struct notice, item.node));
	}
	while ((node = list_first(&p->channels)) != NULL) {
		list_remove(node);
		free(channel_of(node));
	}
}
