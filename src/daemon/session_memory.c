/* SPDX-License-Identifier: BSD-2-Clause */

/* Whose mail goes when max_memory is reached. */

#include "daemon/instance.h"
#include "daemon/session.h"
#include "daemon/transaction.h"

/* The uid that holds most, `self` before others that hold as much. */
static const struct client *greediest(const struct session *self)
{
	const struct list *head = &self->instance->sessions, *node;
	const struct client *most = self->client;

	for (node = head->next; node != head; node = node->next) {
		const struct session *s =
			container_of(node, struct session, node);

		if (s->client->bytes > most->bytes)
			most = s->client;
	}
	return most;
}

/* What it is still sending and has been without progress for longest. */
static struct session *stalest_reception(struct instance *i,
					 const struct client *client)
{
	struct list *head = &i->receiving.items, *node;

	for (node = head->next; node != head; node = node->next) {
		struct session *s = container_of(
			container_of(node, struct timeout_item, node),
			struct session, timeout);

		if (s->client == client && s->transaction != NULL)
			return s;
	}
	return NULL;
}

/* Of what is whole, and not yet in anybody else's hands. */
static struct session *largest_mail(struct instance *i,
				    const struct client *client)
{
	struct list *head = &i->sessions, *node;
	struct session *largest = NULL;
	size_t most = 0;

	for (node = head->next; node != head; node = node->next) {
		struct session *s = container_of(node, struct session, node);

		if (s->client == client && s->transaction != NULL &&
		    !session_is_committed(s) &&
		    s->transaction->charged > most) {
			largest = s;
			most = s->transaction->charged;
		}
	}
	return largest;
}

bool session_keep_memory_limit(struct session *self)
{
	struct instance *i = self->instance;
	bool self_lives = true;

	while (self_lives && i->clients.bytes > i->config.max_memory) {
		const struct client *client = greediest(self);
		struct session *s = stalest_reception(i, client);

		if (s == NULL)
			s = largest_mail(i, client);
		if (s == NULL)
			s = self;
		self_lives = s != self;
		session_refuse(s, 'Z', "too busy", session_where(s));
	}
	return self_lives;
}
