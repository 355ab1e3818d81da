/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_DAEMON_CLIENTS_H
#define QRELAY_DAEMON_CLIENTS_H

/*
 * What each uid has of us: connections, and bytes of messages.  TCP peers count as
 * one.  Nothing is refused here; the caller asks and decides.
 */

#include <stddef.h>
#include <sys/types.h>

#include "base/attr.h"

/* One uid that is connected. */
struct client {
	uid_t uid; /* (uid_t)-1 for TCP */
	size_t connections;
	size_t refused; /* of them, beyond the limit: being drained */
	size_t bytes;
	struct client *next; /* in its bucket */
};

struct clients {
	struct client **buckets; /* owned, and each client */
	size_t n_buckets;        /* a power of two */
	size_t connections;      /* of all */
	size_t bytes;            /* of all */
};

/* `max_connections` only sizes the table.  -ENOMEM. */
MUSTCHECK int clients_init(struct clients *c, size_t max_connections);

/* Every connection must have been removed.  Idempotent. */
void clients_deinit(struct clients *c);

/* Counts a connection; NULL without memory.  Good until its last connection is
 * removed. */
MUSTCHECK struct client *clients_add(struct clients *c, uid_t uid);
void clients_remove(struct clients *c, struct client *client);

/* Counts bytes that arrived, or were let go of. */
void clients_charge(struct clients *c, struct client *client, size_t bytes);
void clients_discharge(struct clients *c, struct client *client, size_t bytes);

#endif
