/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_LUA_CONFIG_H
#define QRELAY_LUA_CONFIG_H

/*
 * What the script said when it started, as plain data: the limits (its globals)
 * and the listeners (its calls of qmqp_listen).
 */

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/attr.h"
#include "io/sockaddr.h"

struct vm;

struct listener_config {
	bool systemd;                  /* sockets that were handed over */
	char *name;                    /* owned; FDNAME, or NULL for the rest */
	struct socket_address address; /* unless `systemd` */
	mode_t mode;                   /* of a socket file */
	int backlog;
	int handler; /* the function, in the registry */
	char *where; /* owned; "FILE:LINE: " of the call */
};

struct config {
	size_t max_size;       /* bytes of a message */
	size_t max_recipients; /* a mail */
	size_t max_connections;
	size_t max_connections_per_uid;
	size_t max_memory;       /* bytes of messages held */
	double receive_timeout;  /* seconds without a byte */
	double handler_timeout;  /* seconds of CPU a mail */
	size_t lua_memory;       /* bytes of the Lua state */
	double shutdown_timeout; /* seconds */

	struct listener_config *listeners; /* owned */
	size_t n_listeners;

	char *directory; /* owned; of the script */
	bool sealed;     /* the script has run: no more listeners */
};

/* The defaults, no listeners. */
void config_init(struct config *c);

/* The handlers are let go of with the Lua state. */
void config_deinit(struct config *c);

/* Adds an empty listener and returns it, good until the next one is added; NULL
 * without memory. */
MUSTCHECK struct listener_config *config_add_listener(struct config *c);

/* Prints where it listens. */
const char *listener_config_print(const struct listener_config *l, char *buf,
				  size_t size);

/* What one uid may have of them unless the script says otherwise. */
static inline size_t config_connections_per_uid(size_t max_connections)
{
	return max_connections > 4 ? max_connections / 4 : 1;
}

/* Sets the globals to their defaults, for scripts that want to know them. */
void config_push_globals(lua_State *L);

/*
 * Reads the globals and seals the config.  `script` is for messages.  LUA_OK, or a
 * status with the message on vm->L.
 */
MUSTCHECK int config_read_globals(struct vm *vm, const char *script);

#endif
