/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/session.h"

#include <assert.h>
#include <errno.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/limits.h"
#include "daemon/instance.h"
#include "daemon/listener.h"
#include "daemon/mail_log.h"
#include "daemon/transaction.h"
#include "io/sockaddr.h"
#include "proto/qmqp_reply.h"
#include "relay/verdict.h"

/* Kept for the next clients. */
#define SESSION_SPARES 32

static void on_readable(EV_P_ ev_io *w, int revents)
{
	struct session *s = container_of(w, struct session, io);

	(void)loop, (void)revents;
	if (s->state == SESSION_RECEIVE)
		session_receive(s, clock_now());
	else
		session_drain(s);
}

void session_enter(struct session *s, enum session_state state)
{
	struct instance *i = s->instance;

	s->state = state;
	switch (state) {
	case SESSION_RECEIVE:
		ev_io_start(i->loop, &s->io);
		timeout_item_touch(&s->timeout, &i->receiving);
		break;
	case SESSION_HANDLE:
	case SESSION_DELIVER:
		timeout_item_remove(&s->timeout);
		ev_io_stop(i->loop, &s->io);
		break;
	case SESSION_DRAIN:
		transaction_free(s->transaction);
		s->transaction = NULL;
		shutdown(s->fd, SHUT_WR);
		ev_io_start(i->loop, &s->io);
		timeout_item_remove(&s->timeout);
		timeout_item_touch(&s->timeout, &i->draining);
		break;
	}
}

/* Nothing refers to it any more. */
static void discard(struct instance *i, struct session *s)
{
	free(s->remote);
	if (!spares_keep(&i->spare_sessions, s))
		free(s);
}

void session_init_spares(struct instance *i)
{
	spares_init(&i->spare_sessions, sizeof(struct session), SESSION_SPARES);
}

void session_free_spares(struct instance *i)
{
	struct session *s;

	while ((s = spares_take(&i->spare_sessions)) != NULL)
		free(s);
}

void session_end(struct session *s)
{
	struct instance *i = s->instance;

	transaction_free(s->transaction);
	timeout_item_remove(&s->timeout);
	ev_io_stop(i->loop, &s->io);
	fd_close(&s->fd);
	list_remove(&s->node);
	if (s->refused)
		s->client->refused--;
	clients_remove(&i->clients, s->client);
	discard(i, s);
	instance_update_accepting(i);
}

/*
 * Whether closing would leave bytes unread: the kernel answers those with a reset,
 * which may overtake our answer.
 */
static bool has_unread(const struct session *s)
{
	int size = 0;

	return s->over_read || (ioctl(s->fd, SIOCINQ, &size) == 0 && size > 0);
}

/* An empty socket takes it all; a client that has gone needs none. */
static void send_reply(struct session *s, const struct verdict *v)
{
	char reply[QMQP_REPLY_WIRE_MAX];
	size_t size = qmqp_reply_print(reply, v->letter, v->text, v->size);

	(void)!send(s->fd, reply, size, MSG_DONTWAIT | MSG_NOSIGNAL);
}

void session_answer(struct session *s, const struct verdict *v,
		    const char *where, int err)
{
	bool whole = s->transaction != NULL && s->transaction->whole;

	assert(s->state != SESSION_DRAIN);
	send_reply(s, v);
	mail_log(s, v, where, err);
	if (whole && !has_unread(s))
		session_end(s);
	else
		session_enter(s, SESSION_DRAIN);
}

const char *session_where(const struct session *s)
{
	switch (s->state) {
	case SESSION_HANDLE:
		return "handle";
	case SESSION_DELIVER:
		return delivery_step(&s->transaction->delivery);
	default:
		return "receive";
	}
}

bool session_is_committed(const struct session *s)
{
	return s->state == SESSION_DELIVER &&
	       delivery_is_committed(&s->transaction->delivery);
}

void session_refuse(struct session *s, char letter, const char *text,
		    const char *where)
{
	struct verdict v;

	verdict_set_string(&v, letter, text);
	session_answer(s, &v, where, 0);
}

void session_abandon(struct session *s, const char *where, const char *why)
{
	struct verdict v;

	verdict_set_string(&v, '\0', why);
	mail_log(s, &v, where, 0);
	session_end(s);
}

/*
 * One uid has all the connections it may have.  A few of those beyond are drained
 * like any other, so that their clients read the answer; the rest is let go at
 * once, or the limit would be none.
 */
static void refuse_connection(struct session *s)
{
	struct instance *i = s->instance;
	struct verdict v;

	verdict_set_string(&v, 'Z', "too many connections");
	i->n_mails++; /* an id of its own */
	send_reply(s, &v);
	mail_log(s, &v, "accept", 0);
	if (s->client->refused == LIMIT_REFUSED_PER_UID) {
		session_end(s);
		return;
	}
	s->client->refused++;
	s->refused = true;
	session_enter(s, SESSION_DRAIN);
	instance_update_accepting(i);
}

int session_new(struct listener *l, int fd, const struct socket_address *remote,
		double now)
{
	struct instance *i = l->instance;
	struct session *s = spares_take(&i->spare_sessions);
	int r = -ENOMEM;

	if (s == NULL)
		s = malloc(sizeof(*s));
	if (s == NULL)
		return r;
	*s = (struct session){.fd = -1}; /* calloc is slower */
	if (remote != NULL) {
		s->remote = malloc(sizeof(*remote));
		if (s->remote == NULL)
			goto fail;
		*s->remote = *remote;
	} else {
		r = peer_credentials(fd, &s->peer);
		if (r < 0)
			goto fail;
	}
	s->client = clients_add(&i->clients,
				s->peer.known ? s->peer.uid : (uid_t)-1);
	if (s->client == NULL) {
		r = -ENOMEM;
		goto fail;
	}
	s->instance = i;
	s->listener = l;
	s->fd = fd;
	s->since = now;
	ev_io_init(&s->io, on_readable, fd, EV_READ);
	timeout_item_init(&s->timeout);
	list_init(&s->node);
	list_append(&i->sessions, &s->node);

	if (s->client->connections - s->client->refused >
	    i->config.max_connections_per_uid) {
		refuse_connection(s);
		return 0;
	}
	s->state = SESSION_RECEIVE;
	session_receive(s, now); /* most have sent all by now */
	instance_update_accepting(i);
	return 0;

fail:
	discard(i, s);
	return r;
}

void session_stop(struct session *s)
{
	if (s->state == SESSION_DRAIN ||
	    (s->state == SESSION_RECEIVE && s->transaction == NULL))
		session_end(s);
}

void session_kill(struct session *s)
{
	if (s->state == SESSION_HANDLE || s->state == SESSION_DELIVER)
		session_abandon(s, session_where(s), "shutdown");
	else
		session_end(s);
}
