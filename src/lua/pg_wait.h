/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_LUA_PG_WAIT_H
#define QRELAY_LUA_PG_WAIT_H

/*
 * A coroutine that waits for a query: what db:execute, tx:execute and
 * db:transaction have in common.
 */

#include <lua.h>
#include <stdbool.h>

#include "db/pg_query.h"

struct coro;

/* A userdata, which must stay on the stack of the coroutine. */
struct pg_wait {
	struct pg_query *query; /* owned unless submitted */
	bool submitted;         /* the pool has it */
	struct coro *coro;
};

/* Pushes one with a query of the text at `index`, and the parameters of the table
 * at `params` (0: none).  Raises for what is not fit for a query. */
struct pg_wait *pg_wait_push(lua_State *L, int index, int params);

/* The same for a text of ours. */
struct pg_wait *pg_wait_push_text(lua_State *L, const char *text);

/* For submit. */
void pg_wait_on_done(struct pg_query *q);

/* Suspends the caller: its last statement.  `k` gets `w` as its context. */
int pg_wait(lua_State *L, struct pg_wait *w, lua_KFunction k);

/* In `k`: pushes the result, or nil, message and SQLSTATE (or nil); returns how
 * many. */
int pg_wait_push_answer(lua_State *L, struct pg_wait *w);

/* The option `timeout` of the table at `index`, in seconds. */
double pg_wait_timeout(lua_State *L, int index, const char *function);

void pg_wait_open(lua_State *L);

#endif
