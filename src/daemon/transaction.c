/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/transaction.h"

#include <stdlib.h>

#include "daemon/instance.h"
#include "daemon/session.h"

struct transaction *transaction_new(struct session *s)
{
	struct instance *i = s->instance;
	struct transaction *t = malloc(sizeof(*t));

	if (t == NULL)
		return NULL;
	t->session = s;
	t->whole = false;
	t->charged = 0;
	t->number = ++i->n_mails;
	t->begun = t->read = ev_now(i->loop);
	mail_init(&t->mail, &i->blocks);
	qmqp_request_init(&t->request, &t->mail, i->config.max_size,
			  i->config.max_recipients);
	mail_context_init(&t->handler.mail, &t->mail, &s->peer, s->remote,
			  s->fd);
	handler_init(&t->handler, i->vm);
	delivery_init(&t->delivery, &i->children, session_on_stderr);
	hangup_watch_init(&t->hangup, &i->hangup);
	ev_init(&t->deadline, session_on_deadline);
	return t;
}

void transaction_free(struct transaction *t)
{
	struct session *s;

	if (t == NULL)
		return;
	s = t->session;
	ev_timer_stop(s->instance->loop, &t->deadline);
	hangup_watch_stop(&t->hangup);
	delivery_deinit(&t->delivery);
	handler_deinit(&t->handler);
	mail_deinit(&t->mail);
	instance_trim_later(s->instance);
	clients_discharge(&s->instance->clients, s->client, t->charged);
	free(t);
}
