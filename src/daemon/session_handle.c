/* SPDX-License-Identifier: BSD-2-Clause */
#include <string.h>

#include "base/limits.h"
#include "base/number.h"
#include "daemon/instance.h"
#include "daemon/listener.h"
#include "daemon/mail_log.h"
#include "daemon/session.h"
#include "daemon/transaction.h"
#include "relay/verdict.h"

#define RECEIVED_MAX (32 + 2 * NUMBER_MAX)

/* The client has gone for good.  What a server has in full cannot be taken back:
 * its reply is awaited, for the log. */
static void on_hangup(struct hangup_watch *w)
{
	struct transaction *t = container_of(w, struct transaction, hangup);
	struct session *s = t->session;

	if (!session_is_committed(s))
		session_abandon(s, session_where(s), "client gone");
}

/* From here on it matters that the client is there.  Without a descriptor left
 * the mail goes on unwatched. */
static void watch_client(struct session *s)
{
	struct transaction *t = s->transaction;

	if (t->hangup.fd < 0)
		(void)!hangup_watch_start(&t->hangup, s->fd, on_hangup);
}

static void delivered(struct session *s)
{
	const struct delivery *d = &s->transaction->delivery;

	session_answer(s, &d->verdict, d->where, d->error);
}

static void on_delivered(struct delivery *d)
{
	delivered(container_of(d, struct transaction, delivery)->session);
}

void session_on_stderr(struct delivery *d, const char *line, size_t size)
{
	struct transaction *t = container_of(d, struct transaction, delivery);

	mail_log_stderr(t->session, line, size);
}

void session_on_sent(struct delivery *d)
{
	transaction_drop_message(container_of(d, struct transaction, delivery));
}

/* What the Received header says of the client, at most RECEIVED_MAX bytes; nothing
 * is known on TCP. */
static const char *print_received(const struct peer *p, char *buf)
{
	char *at;

	if (!p->known)
		return NULL;
	at = stpcpy(buf, "from ");
	if (p->pid != 0) {
		at = stpcpy(at, "PID=");
		at += number_print(at, (uint64_t)p->pid);
		at = stpcpy(at, " ");
	}
	at = stpcpy(at, "UID=");
	at += number_print(at, p->uid);
	stpcpy(at, " with QMQP");
	return buf;
}

static void deliver(struct session *s)
{
	struct transaction *t = s->transaction;
	const struct action *action = t->handler.action;
	double timeout =
		action->timeout > 0. ? action->timeout : LIMIT_ANSWER_TIME;
	char received[RECEIVED_MAX];

	session_enter(s, SESSION_DELIVER);
	if (mail_seal(&t->mail, print_received(&s->peer, received)) < 0) {
		session_refuse(s, 'Z', "internal server error", "deliver");
		return;
	}
	if (delivery_start(&t->delivery, action, &t->mail, t->read + timeout,
			   on_delivered))
		delivered(s);
	else if (!delivery_is_committed(&t->delivery))
		watch_client(s);
}

void session_on_departure(struct departure *d)
{
	deliver(container_of(d, struct transaction, departure)->session);
}

static void handled(struct session *s, enum handler_status status)
{
	struct transaction *t = s->transaction;

	ev_timer_stop(s->instance->loop, &t->deadline);
	if (status == HANDLER_DONE) {
		departure_add(&t->departure, &s->instance->departures,
			      t->mail.message_size);
		return;
	}
	mail_log_error(s, &t->handler.coro.error);
	session_refuse(s, 'Z', "script failed", "handle");
}

static void on_handled(struct handler *h, enum handler_status status)
{
	handled(container_of(h, struct transaction, handler)->session, status);
}

void session_handle(struct session *s)
{
	struct transaction *t = s->transaction;
	struct instance *i = s->instance;
	enum handler_status status;

	session_enter(s, SESSION_HANDLE);
	status = handler_start(&t->handler, s->listener->handler,
			       i->config.handler_timeout, on_handled);
	if (status != HANDLER_WAITING) {
		handled(s, status);
		return;
	}
	ev_now_update(i->loop); /* Lua has run */
	ev_timer_set(&t->deadline, LIMIT_ANSWER_TIME, 0.);
	ev_timer_start(i->loop, &t->deadline);
	watch_client(s);
}

void session_on_deadline(EV_P_ ev_timer *w, int revents)
{
	struct transaction *t = container_of(w, struct transaction, deadline);

	(void)loop, (void)revents;
	session_refuse(t->session, 'Z', "timeout", "handle");
}
