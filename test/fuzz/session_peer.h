/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_FUZZ_SESSION_PEER_H
#define QRELAY_FUZZ_SESSION_PEER_H

/*
 * The other end of one of the daemon's connections, a client or a server.  It
 * remembers all that it sent and got.
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/buffer.h"

#define SESSION_PEERS 24
#define SESSION_CLIENTS 6 /* of them */

struct session_peer {
	int fd;       /* owned; -1 after it was closed */
	int server;   /* whose client the daemon is: 0 or 1; -1 for a client */
	uid_t uid;    /* of a client */
	bool eof;     /* the daemon has closed, or reset */
	bool left;    /* we closed before that */
	bool excused; /* the daemon may have ended it without a word */

	struct buffer queue; /* what may be sent */
	size_t sent;         /* of it */
	struct buffer got;

	bool used; /* the ledger has found what it belongs to */
};

struct session_peers {
	struct session_peer v[SESSION_PEERS];
	size_t n, n_clients;
};

/* A client of `name`, an abstract one, by that uid; does nothing if there are
 * enough. */
void session_peers_connect(struct session_peers *all, const char *name,
			   uid_t uid);

/* Accepts from a listening socket; false if nothing waits. */
bool session_peers_accept(struct session_peers *all, int fd, int server);

/* Closes and frees. */
void session_peers_deinit(struct session_peers *all);

/* Sends the next bytes of the queue, as far as the socket takes them. */
void session_peer_send(struct session_peer *p, size_t size);

/* Reads at most that many bytes; false at the end, or when nothing is there. */
bool session_peer_read(struct session_peer *p, size_t size);

/* Reads all that is there. */
void session_peer_drain(struct session_peer *p);

void session_peer_half_close(struct session_peer *p);

/* Closes.  Unless it has been drained, what was not read resets the daemon's end;
 * it counts as got. */
void session_peer_close(struct session_peer *p);

#endif
