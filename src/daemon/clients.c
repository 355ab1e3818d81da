/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/clients.h"

#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

int clients_init(struct clients *c, size_t max_connections)
{
	*c = (struct clients){.n_buckets = 16};
	while (c->n_buckets < max_connections && c->n_buckets < 65536)
		c->n_buckets *= 2;
	c->buckets = calloc(c->n_buckets, sizeof(struct client *));
	return c->buckets != NULL ? 0 : -ENOMEM;
}

void clients_deinit(struct clients *c)
{
	assert(c->connections == 0);
	free(c->buckets);
	c->buckets = NULL;
}

/* Fibonacci hashing: uids of containers differ in high and low bits alike. */
static struct client **bucket(const struct clients *c, uid_t uid)
{
	return &c->buckets[(uint32_t)(uid * 2654435769u) >> 16 &
			   (c->n_buckets - 1)];
}

struct client *clients_add(struct clients *c, uid_t uid)
{
	struct client **b = bucket(c, uid), *client = *b;

	while (client != NULL && client->uid != uid)
		client = client->next;
	if (client == NULL) {
		client = calloc(1, sizeof(*client));
		if (client == NULL)
			return NULL;
		client->uid = uid;
		client->next = *b;
		*b = client;
	}
	client->connections++;
	c->connections++;
	return client;
}

void clients_remove(struct clients *c, struct client *client)
{
	struct client **p;

	assert(client->connections > 0);
	c->connections--;
	if (--client->connections > 0)
		return;
	assert(client->bytes == 0);
	for (p = bucket(c, client->uid); *p != client; p = &(*p)->next)
		;
	*p = client->next;
	free(client);
}

void clients_charge(struct clients *c, struct client *client, size_t bytes)
{
	client->bytes += bytes;
	c->bytes += bytes;
}

void clients_discharge(struct clients *c, struct client *client, size_t bytes)
{
	assert(client->bytes >= bytes);
	client->bytes -= bytes;
	c->bytes -= bytes;
}
