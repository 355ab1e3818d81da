/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_LUA_SCRIPT_H
#define QRELAY_LUA_SCRIPT_H

/*
 * The script itself, and its function `reload`: what runs outside of any mail.
 */

#include <stdbool.h>

#include "base/attr.h"
#include "lua/coro.h"

struct script;
struct vm;

/* `error` is NULL if all went well, else the message with a traceback. */
typedef void script_done_fn(struct script *s, const char *error);

/* Embedded in its owner. */
struct script {
	/* private */
	struct coro coro;
	struct vm *vm;
	const char *path; /* borrowed until done; NULL for `reload` */
	script_done_fn *on_done;
};

void script_init(struct script *s, struct vm *vm);

/* Abandons what runs.  Idempotent. */
void script_deinit(struct script *s);

/*
 * Runs the file at `path`, then seals the config.  `on_done` runs exactly once,
 * perhaps from inside this call.
 */
void script_run(struct script *s, const char *path, script_done_fn *on_done);

/* Runs the global function `reload` if there is one; as above. */
void script_reload(struct script *s, script_done_fn *on_done);

#endif
