/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_DAEMON_LISTENER_H
#define QRELAY_DAEMON_LISTENER_H

/* One listening socket: accepts, and makes a session of each client. */

#include <ev.h>
#include <stdbool.h>

#include "io/sockaddr.h"
#include "io/socket.h"

struct instance;

struct listener {
	struct instance *instance; /* borrowed */
	int handler;               /* in the script's registry */
	char *name;                /* owned; for the log */
	bool is_unix;

	/* private */
	struct socket_listener socket;
	ev_io io;
	unsigned int turn; /* of the loop, the last with a client */
	ev_timer pause;
};

/* Takes over `socket`, whose address is read for the name.  -ENOMEM or -errno;
 * then `socket` is still the caller's. */
MUSTCHECK int listener_init(struct listener *l, struct instance *i, int handler,
			    struct socket_listener *socket);

/* Closes the socket and removes its file; its sessions go on.  Idempotent. */
void listener_close(struct listener *l);

/* Its sessions must have ended.  Idempotent. */
void listener_deinit(struct listener *l);

/* Accepts, or lets clients wait in the backlog. */
void listener_set_accepting(struct listener *l, bool accepting);

#endif
