/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_LUA_CORO_H
#define QRELAY_LUA_CORO_H

/*
 * One run of a script's function: the script itself, `reload`, a handler, a
 * callback.  Each is a coroutine, so that it may wait.  This is the only place
 * that resumes or yields for us, and that keeps a coroutine from being collected.
 */

#include <lua.h>
#include <stdbool.h>

#include "base/attr.h"
#include "base/buffer.h"
#include "lua/budget.h"

struct coro;
struct vm;

enum coro_status {
	CORO_DONE,    /* it returned: the results are on c->thread */
	CORO_WAITING, /* it waits for something; on_done will run */
	CORO_FAILED,  /* c->error says why, with a traceback */
};

/* Pushes the function and its arguments on `L`; returns how many arguments.  May
 * raise. */
typedef int coro_push_fn(lua_State *L, void *context);

/* Runs exactly once after each start that returned CORO_WAITING, from the loop,
 * with CORO_DONE or CORO_FAILED.  The callee may free the object that c is
 * embedded in. */
typedef void coro_done_fn(struct coro *c, enum coro_status status);

/* Abandons what a coroutine waits for; must not resume it. */
typedef void coro_cancel_fn(void *context);

struct coro {
	lua_State *thread;   /* anchored until deinit; NULL before start */
	struct buffer error; /* of the last failure: message, traceback */

	/* private */
	struct vm *vm;
	int anchor; /* in the registry */
	struct budget_account account;
	bool unfinished;        /* variables may have to be closed */
	bool closing;           /* they are: nothing may wait */
	coro_cancel_fn *cancel; /* non-NULL exactly while waiting */
	void *wait_context;
	coro_done_fn *on_done;
};

/* Acquires nothing.  `vm` must outlive `c`. */
void coro_init(struct coro *c, struct vm *vm);

/* Abandons a coroutine that waits, closes the to-be-closed variables of one that
 * waited or failed, and lets go of it.  No callback.  Idempotent. */
void coro_deinit(struct coro *c);

/* Runs it until it ends or waits; `cpu` is how many seconds of CPU it may use in
 * all.  Must not be called while another one runs. */
MUSTCHECK enum coro_status coro_start(struct coro *c, double cpu,
				      coro_push_fn *push, void *context,
				      coro_done_fn *on_done);

/* ---- for library functions that wait, called from Lua ---- */

/* The coroutine that runs on `L`; raises where waiting is not possible.  To be
 * called before anything is started. */
struct coro *coro_current(lua_State *L);

/*
 * Suspends `c`; `return coro_wait(…)` must be the caller's last statement.
 * `cancel(context)` will run if the coroutine is abandoned.  After coro_resume()
 * `k` runs with (lua_KContext)context and returns the results.  What `context`
 * points to must be anchored: a userdata on the stack.
 */
int coro_wait(lua_State *L, struct coro *c, coro_cancel_fn *cancel,
	      void *context, lua_KFunction k);

/* What it waited for is there.  From the loop, as the caller's last statement: it
 * may free the coroutine. */
void coro_resume(struct coro *c);

#endif
