/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_LUA_HANDLER_H
#define QRELAY_LUA_HANDLER_H

/*
 * Asks the script's handler what to do with a mail.
 */

#include <stdbool.h>

#include "base/attr.h"
#include "lua/action_class.h"
#include "lua/coro.h"
#include "lua/mail_class.h"

struct handler;
struct vm;

enum handler_status {
	HANDLER_DONE,    /* h->action says what to do */
	HANDLER_WAITING, /* on_done will run */
	HANDLER_FAILED,  /* h->coro.error says why, with a traceback */
};

/* Runs exactly once after a start that returned HANDLER_WAITING, from the loop,
 * with DONE or FAILED; the callee may free the object h is embedded in. */
typedef void handler_done_fn(struct handler *h, enum handler_status status);

struct handler {
	struct mail_context mail;    /* what the script sees of the mail */
	const struct action *action; /* good until deinit */
	struct coro coro;            /* for its error */

	/* private */
	int function;
	handler_done_fn *on_done;
};

/* Acquires nothing; `h->mail` must be set by mail_context_init(). */
void handler_init(struct handler *h, struct vm *vm);

/* Abandons the handler if it waits.  Idempotent. */
void handler_deinit(struct handler *h);

/* Calls the `function` of the registry with h->mail, which is stale when the
 * handler is done.  `cpu` is in seconds. */
MUSTCHECK enum handler_status handler_start(struct handler *h, int function,
					    double cpu,
					    handler_done_fn *on_done);

#endif
