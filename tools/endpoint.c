/* SPDX-License-Identifier: BSD-2-Clause */
#include "tools/endpoint.h"

#include <errno.h>
#include <ev.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "io/resolver.h"

struct lookup {
	struct resolver_query query;
	int err;
};

static void on_done(struct resolver_query *q, int err)
{
	container_of(q, struct lookup, query)->err = err;
}

/* Runs a loop of its own until the name is looked up. */
static int look_up(const char *host, unsigned port, struct endpoint *ret,
		   const char **ret_message)
{
	struct ev_loop *loop = ev_loop_new(EVFLAG_NOENV);
	struct resolver *resolver = loop != NULL ? resolver_new(loop) : NULL;
	struct lookup l = {.err = -ENOMEM};

	*ret_message = "cannot look up names";
	if (resolver != NULL) {
		resolver_query_init(&l.query, resolver);
		l.err = resolver_query_start(&l.query, host, port,
					     LIMIT_RESOLVE_TIME, on_done);
		if (l.err == 0)
			ev_run(loop, 0);
		if (l.query.message != NULL)
			*ret_message = l.query.message;
		if (l.err == 0) {
			ret->addresses = l.query.addresses;
			ret->n_addresses = l.query.n_addresses;
			l.query.addresses = NULL;
		}
		resolver_query_deinit(&l.query);
	}
	resolver_free(resolver);
	if (loop != NULL)
		ev_loop_destroy(loop);
	return l.err;
}

static const char *parse_text(int err)
{
	switch (err) {
	case -ENAMETOOLONG:
		return "too long for a socket's path or name";
	case -ERANGE:
		return "the port is not in 1 ... 65535";
	case -ENODEV:
		return "there is no such interface";
	default:
		return "not an address (/PATH, @NAME, IP[:PORT], [IP6]:PORT, "
		       "HOST[:PORT])";
	}
}

int endpoint_resolve(const char *text, struct endpoint *ret_endpoint,
		     const char **ret_message)
{
	size_t size = strlen(text);
	struct socket_address address;
	char host[254];
	unsigned port;
	int r;

	r = sockaddr_parse(text, size, &address);
	if (r == -EINVAL) {
		r = sockaddr_split_host(text, size, host, &port);
		if (r == 0)
			return look_up(host, port, ret_endpoint, ret_message);
	}
	if (r < 0) {
		*ret_message = parse_text(r);
		return -EINVAL;
	}
	ret_endpoint->addresses = malloc(sizeof(address));
	if (ret_endpoint->addresses == NULL) {
		*ret_message = "no memory";
		return -ENOMEM;
	}
	*ret_endpoint->addresses = address;
	ret_endpoint->n_addresses = 1;
	return 0;
}

void endpoint_deinit(struct endpoint *e)
{
	free(e->addresses);
	*e = (struct endpoint){.addresses = NULL};
}
