/* SPDX-License-Identifier: BSD-2-Clause */
#include "db/pg_lookup.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "db/pg_conninfo.h"

struct pg_address {
	const struct pg_host *host;       /* the conninfo's */
	char text[INET6_ADDRSTRLEN + 24]; /* with %scope; "" for a socket */
};

static const char *or_empty(const char *s)
{
	return s != NULL ? s : "";
}

void pg_lookup_init(struct pg_lookup *l, const struct pg_conninfo *conninfo,
		    struct resolver *resolver)
{
	*l = (struct pg_lookup){.conninfo = conninfo};
	resolver_query_init(&l->query, resolver);
}

void pg_lookup_deinit(struct pg_lookup *l)
{
	resolver_query_deinit(&l->query);
	buffer_deinit(&l->hosts);
	buffer_deinit(&l->addresses);
	buffer_deinit(&l->ports);
	free(l->found);
	l->found = NULL;
	l->n = 0;
	l->on_done = NULL;
}

/* Returns a place for one more, or NULL when there are enough. */
static struct pg_address *add(struct pg_lookup *l)
{
	struct pg_address *a;

	if (l->n == LIMIT_PG_ADDRESSES)
		return NULL;
	a = &l->found[l->n++];
	a->host = &l->conninfo->hosts[l->at];
	a->text[0] = '\0';
	return a;
}

static void add_addresses(struct pg_lookup *l)
{
	for (size_t i = 0; i < l->query.n_addresses; i++) {
		const struct socket_address *s = &l->query.addresses[i];
		struct pg_address *a = add(l);

		if (a != NULL &&
		    getnameinfo(&s->sa, s->size, a->text, sizeof(a->text), NULL,
				0, NI_NUMERICHOST) != 0)
			l->n--;
	}
}

static void finish(struct pg_lookup *l, const char *error)
{
	pg_lookup_done_fn *on_done = l->on_done;

	l->on_done = NULL;
	on_done(l, error); /* may deinit l */
}

static void look_up(struct pg_lookup *l, double timeout);

static void on_resolved(struct resolver_query *q, int err)
{
	struct pg_lookup *l = container_of(q, struct pg_lookup, query);

	if (err == 0)
		add_addresses(l);
	else
		l->message = q->message != NULL ? q->message : strerror(-err);
	l->at++;
	look_up(l, LIMIT_PG_CONNECT_TIME);
}

/* The address that needs no look-up: "" for a socket, NULL if it does. */
static const char *known_address(const struct pg_host *h)
{
	unsigned char any[sizeof(struct in6_addr)];

	if (h->address != NULL)
		return h->address;
	if (h->name == NULL || h->name[0] == '/' || h->name[0] == '@')
		return "";
	if (inet_pton(AF_INET, h->name, any) == 1 ||
	    inet_pton(AF_INET6, h->name, any) == 1)
		return h->name;
	return NULL;
}

static void look_up(struct pg_lookup *l, double timeout)
{
	for (; l->at < l->conninfo->n_hosts; l->at++) {
		const struct pg_host *h = &l->conninfo->hosts[l->at];
		const char *address = known_address(h);
		struct pg_address *a;
		int r;

		if (address == NULL) {
			/* the name stays for TLS and the password file */
			r = resolver_query_start(&l->query, h->name, 1, timeout,
						 on_resolved);
			if (r == 0)
				return;
			l->message = strerror(-r);
		} else if (strlen(address) < sizeof(a->text)) {
			a = add(l);
			if (a != NULL)
				snprintf(a->text, sizeof(a->text), "%s",
					 address);
		} else {
			l->message = "malformed hostaddr";
		}
	}
	finish(l, l->n > 0 ? NULL : or_empty(l->message));
}

void pg_lookup_start(struct pg_lookup *l, double timeout,
		     pg_lookup_done_fn *on_done)
{
	l->on_done = on_done;
	l->at = l->n = 0;
	l->message = NULL;
	free(l->found);
	l->found = calloc(LIMIT_PG_ADDRESSES, sizeof(l->found[0]));
	if (l->found == NULL) {
		finish(l, "not enough memory");
		return;
	}
	look_up(l, timeout);
}

size_t pg_lookup_find(const struct pg_lookup *l, const char *address,
		      const char *port)
{
	size_t i;

	for (i = 0; i < l->n; i++)
		if (strcmp(l->found[i].text, or_empty(address)) == 0 &&
		    (l->found[i].host->port == NULL ||
		     strcmp(l->found[i].host->port, or_empty(port)) == 0))
			break;
	return i;
}

static int add_item(struct buffer *b, bool is_first, const char *s)
{
	int r = is_first ? 0 : buffer_add(b, ",", 1);

	return r < 0 ? r : buffer_add(b, s, strlen(s));
}

int pg_lookup_print(struct pg_lookup *l, size_t first)
{
	int r = 0;

	l->hosts.size = l->addresses.size = l->ports.size = 0;
	for (size_t i = 0; r == 0 && i < l->n; i++) {
		const struct pg_address *a = &l->found[(first + i) % l->n];

		r = add_item(&l->hosts, i == 0, or_empty(a->host->name));
		if (r == 0)
			r = add_item(&l->addresses, i == 0, a->text);
		if (r == 0)
			r = add_item(&l->ports, i == 0,
				     or_empty(a->host->port));
	}
	if (r == 0)
		r = buffer_add(&l->hosts, "", 1);
	if (r == 0)
		r = buffer_add(&l->addresses, "", 1);
	return r < 0 ? r : buffer_add(&l->ports, "", 1);
}
