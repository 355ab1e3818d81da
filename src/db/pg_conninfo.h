/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_DB_PG_CONNINFO_H
#define QRELAY_DB_PG_CONNINFO_H

/*
 * A libpq connection string
 * (https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING),
 * taken apart so that its host names can be looked up without waiting.
 *
 * Nothing of it is ever quoted: it may hold a password, and one that is not
 * escaped well makes parts of it look like a host, a port or an option.
 */

#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"

/* One of the hosts that are tried in turn; each may be NULL: libpq's default. */
struct pg_host {
	char *name; /* a host name, an address, or a socket's folder */
	char *address;
	char *port;
};

struct pg_conninfo {
	struct pg_host *hosts; /* owned; at least one */
	size_t n_hosts;

	/* private */
	PQconninfoOption *options; /* owned */
};

/*
 * Parses `text`, with PGHOST, PGHOSTADDR and PGPORT as defaults.  -EINVAL if it does
 * not parse, -ENOMEM.
 */
MUSTCHECK int pg_conninfo_init(struct pg_conninfo *c, const char *text);

/* Idempotent. */
void pg_conninfo_deinit(struct pg_conninfo *c);

/* Of an option as it was given; NULL if it was not. */
const char *pg_conninfo_get(const struct pg_conninfo *c, const char *keyword);

/*
 * Starts to connect, with these lists in place of the hosts; an empty list is left
 * out.  Never NULL but without memory; see PQconnectStartParams().
 */
MUSTCHECK PGconn *pg_conninfo_connect(const struct pg_conninfo *c,
				      const char *hosts, const char *addresses,
				      const char *ports);

/*
 * Copies libpq's message of a failed connection to `buf`, in one line and without
 * anything secret.  `began` is false when libpq may have refused an option before
 * it tried any host: such a message quotes whatever was taken for that option.
 */
void pg_conninfo_message(const struct pg_conninfo *c, const PGconn *pq,
			 bool began, char *buf, size_t size);

#endif
