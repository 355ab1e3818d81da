/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/transaction.h"

#include <stdlib.h>

#include "base/limits.h"
#include "daemon/instance.h"
#include "daemon/session.h"

/* Kept for the next mails. */
#define TRANSACTION_SPARES 32

struct transaction *transaction_new(struct session *s, double now)
{
	struct instance *i = s->instance;
	struct transaction *t = spares_take(&i->spare_transactions);

	if (t == NULL) {
		t = malloc(sizeof(*t));
		if (t == NULL)
			return NULL;
		mail_init(&t->mail, &i->blocks);
	}
	t->session = s;
	t->whole = false;
	t->charged = 0;
	t->number = ++i->n_mails;
	t->begun = t->read = now;
	qmqp_request_init(&t->request, &t->mail, i->config.max_size,
			  i->config.max_recipients);
	mail_context_init(&t->handler.mail, &t->mail, &s->peer, s->remote,
			  s->fd);
	handler_init(&t->handler, i->vm);
	departure_init(&t->departure, session_on_departure);
	delivery_init(&t->delivery, &i->children, session_on_stderr,
		      session_on_sent);
	hangup_watch_init(&t->hangup, &i->hangup);
	ev_init(&t->deadline, session_on_deadline);
	return t;
}

void transaction_charge(struct transaction *t, size_t bytes)
{
	struct instance *i = t->session->instance;
	bool was_large = t->charged >= LIMIT_LARGE;

	t->charged += bytes;
	clients_charge(&i->clients, t->session->client, bytes);
	if (!was_large && t->charged >= LIMIT_LARGE)
		i->n_large++;
}

static void discharge(struct transaction *t)
{
	struct instance *i = t->session->instance;

	instance_trim_later(i);
	clients_discharge(&i->clients, t->session->client, t->charged);
	if (t->charged >= LIMIT_LARGE)
		i->n_large--;
	t->charged = 0;
}

void transaction_free(struct transaction *t)
{
	struct session *s;
	struct instance *i;

	if (t == NULL)
		return;
	s = t->session;
	i = s->instance;
	ev_timer_stop(i->loop, &t->deadline);
	departure_cancel(&t->departure);
	hangup_watch_stop(&t->hangup);
	delivery_deinit(&t->delivery);
	handler_deinit(&t->handler);
	mail_clear(&t->mail);
	discharge(t);
	if (!spares_keep(&i->spare_transactions, t)) {
		mail_deinit(&t->mail);
		free(t);
	}
}

void transaction_drop_message(struct transaction *t)
{
	mail_drop_message(&t->mail);
	discharge(t);
}

void transaction_init_spares(struct instance *i)
{
	spares_init(&i->spare_transactions, sizeof(struct transaction),
		    TRANSACTION_SPARES);
}

void transaction_free_spares(struct instance *i)
{
	struct transaction *t;

	while ((t = spares_take(&i->spare_transactions)) != NULL) {
		mail_deinit(&t->mail);
		free(t);
	}
}
