/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/transaction.h"

#include <stdlib.h>

#include "base/asan.h"
#include "base/clock.h"
#include "daemon/instance.h"
#include "daemon/session.h"

/* Kept for the next mails. */
#define TRANSACTION_SPARES 32

struct transaction *transaction_new(struct session *s)
{
	struct instance *i = s->instance;
	struct transaction *t = i->spare_transaction;

	/* too large for what malloc is quick at */
	if (t != NULL) {
		ASAN_UNPOISON(t, sizeof(*t));
		i->spare_transaction = t->next_spare;
	} else {
		t = malloc(sizeof(*t));
	}
	if (t == NULL)
		return NULL;
	if (i->n_spare_transactions > 0)
		i->n_spare_transactions--;
	t->session = s;
	t->whole = false;
	t->charged = 0;
	t->number = ++i->n_mails;
	t->begun = t->read = clock_now();
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
	struct instance *i;

	if (t == NULL)
		return;
	s = t->session;
	i = s->instance;
	ev_timer_stop(i->loop, &t->deadline);
	hangup_watch_stop(&t->hangup);
	delivery_deinit(&t->delivery);
	handler_deinit(&t->handler);
	mail_deinit(&t->mail);
	instance_trim_later(i);
	clients_discharge(&i->clients, s->client, t->charged);
	if (i->n_spare_transactions == TRANSACTION_SPARES) {
		free(t);
		return;
	}
	t->next_spare = i->spare_transaction;
	i->spare_transaction = t;
	i->n_spare_transactions++;
	ASAN_POISON(t, sizeof(*t));
}

void transaction_free_spares(struct instance *i)
{
	struct transaction *t;

	while ((t = i->spare_transaction) != NULL) {
		ASAN_UNPOISON(t, sizeof(*t));
		i->spare_transaction = t->next_spare;
		free(t);
	}
	i->n_spare_transactions = 0;
}
