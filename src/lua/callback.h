/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_LUA_CALLBACK_H
#define QRELAY_LUA_CALLBACK_H

/*
 * Calls a function of the script because something happened outside of any mail:
 * a coroutine of its own, which may wait, with the CPU budget of a handler.  Its
 * error is logged, its results are ignored.
 */

#include "lua/coro.h"

struct vm;

/* Runs exactly once when the function has ended, perhaps from inside
 * callback_run(), but not if callback_stop_all() ended it. */
typedef void callback_done_fn(void *context);

/*
 * Must not be called while a coroutine runs.  `push` as for coro_start(); `what` is
 * for the log, borrowed until the end.
 */
void callback_run(struct vm *vm, const char *what, coro_push_fn *push,
		  void *push_context, callback_done_fn *on_done, void *context);

/* Abandons those that wait: before vm->L is closed. */
void callback_stop_all(struct vm *vm);

#endif
