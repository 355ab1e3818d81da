/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_LUA_MAIL_CLASS_H
#define QRELAY_LUA_MAIL_CLASS_H

/*
 * The mail object that a handler gets.  It shows a mail that the daemon owns, for
 * as long as the handler runs; after that it is stale, and any use raises.
 */

#include <lua.h>

#include "base/list.h"
#include "io/peer.h"
#include "io/sockaddr.h"

struct mail;
struct mail_context;

/* Something a library made for one mail and must let go of with it. */
struct mail_closer {
	struct list node; /* in mail_context.closers */
	void (*close)(struct mail_closer *c);
};

/* What the object shows; embedded in whoever owns the mail. */
struct mail_context {
	struct mail *mail;                   /* borrowed until close */
	const struct peer *peer;             /* borrowed until close */
	const struct socket_address *remote; /* the same; NULL on Unix */
	int fd;                              /* the client's; borrowed */
	char *account;                       /* owned; NULL if not set */

	struct list closers; /* run by close, the last one added first */
	struct mail_context *
		*object; /* in the userdata; NULL if there is none */
};

void mail_context_init(struct mail_context *m, struct mail *mail,
		       const struct peer *peer,
		       const struct socket_address *remote, int fd);

/* The object is stale from now on; the account stays.  Idempotent. */
void mail_context_close(struct mail_context *m);

/* Closes and frees what it holds.  Idempotent. */
void mail_context_deinit(struct mail_context *m);

void mail_class_open(lua_State *L);

/* Pushes the object of `m`; once a mail. */
void mail_class_push(lua_State *L, struct mail_context *m);

/* The mail at `index`; raises if it is none, or stale. */
struct mail_context *mail_class_check(lua_State *L, int index);

#endif
