/* SPDX-License-Identifier: BSD-2-Clause */
#include "lua/pg_tx_class.h"

#include <lauxlib.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/attr.h"
#include "base/limits.h"
#include "db/pg_lease.h"
#include "db/pg_pool.h"
#include "lua/coro.h"
#include "lua/pg_db_class.h"
#include "lua/pg_wait.h"
#include "lua/vm.h"

#define CLASS "qrelay.pg.tx"
#define TOO_LONG "timeout: the transaction took too long"

/* The stack of db:transaction: db, fn, options, tx, then what fn returned. */
enum { AT_FUNCTION = 2, AT_TX = 4, AT_RESULTS = 5 };

struct tx {
	struct pg_lease *lease; /* owned; NULL when it is over */
	struct ev_loop *loop;
	ev_timer deadline;
	ev_tstamp due;
	/* of the first query that failed, which dooms the transaction */
	char message[LIMIT_PG_MESSAGE];
	char sqlstate[6];
};

/* Whatever has not been committed is rolled back.  Idempotent. */
static void end(struct tx *tx)
{
	ev_timer_stop(tx->loop, &tx->deadline);
	pg_lease_rollback(tx->lease);
	tx->lease = NULL;
}

static void on_deadline(EV_P_ ev_timer *w, int revents)
{
	struct tx *tx = container_of(w, struct tx, deadline);

	(void)loop, (void)revents;
	snprintf(tx->message, sizeof(tx->message), TOO_LONG);
	pg_lease_break(tx->lease, TOO_LONG); /* its query fails by that */
}

static int submit(lua_State *L, struct tx *tx, struct pg_wait *w,
		  double timeout, lua_KFunction k)
{
	w->query->context = w;
	w->submitted = true;
	pg_lease_submit(tx->lease, w->query, timeout, pg_wait_on_done);
	return pg_wait(L, w, k);
}

static double time_left(const struct tx *tx)
{
	double left = tx->due - ev_now(tx->loop);

	return left > 0.001 ? left : 0.001;
}

static void remember(struct tx *tx, const struct pg_query *q)
{
	if (q->error == NULL || tx->message[0] != '\0')
		return;
	snprintf(tx->message, sizeof(tx->message), "%s", q->error);
	snprintf(tx->sqlstate, sizeof(tx->sqlstate), "%s", q->sqlstate);
}

static int push_failure(lua_State *L, const struct tx *tx)
{
	lua_pushnil(L);
	lua_pushstring(L, tx->message);
	if (tx->sqlstate[0] != '\0')
		lua_pushstring(L, tx->sqlstate);
	else
		lua_pushnil(L);
	return 3;
}

/* ---- tx:execute ---- */

static int executed(lua_State *L, int status, lua_KContext context)
{
	struct pg_wait *w = (struct pg_wait *)context;
	struct tx *tx = lua_touserdata(L, 1);
	struct pg_query *q = w->query;

	(void)status;
	if (tx->lease == NULL) /* this coroutine is being closed */
		return pg_wait_push_answer(L, w);
	if (q->error == NULL && !pg_lease_in_transaction(tx->lease))
		pg_query_fail(q, NULL,
			      "transaction control needs db:transaction");
	remember(tx, q);
	/* no answer, or the transaction is over: nothing more on there */
	if (q->error != NULL && q->sqlstate[0] == '\0')
		pg_lease_break(tx->lease, q->error);
	return pg_wait_push_answer(L, w);
}

static int l_execute(lua_State *L)
{
	struct tx *tx = luaL_checkudata(L, 1, CLASS);
	struct pg_wait *w;
	struct coro *c;
	double timeout;

	lua_settop(L, 4);
	if (tx->lease == NULL)
		return luaL_error(L, "the transaction is over");
	timeout = pg_wait_timeout(L, 4, "execute");
	c = coro_current(L);
	w = pg_wait_push(L, 2, 3);
	w->coro = c;
	return submit(L, tx, w,
		      timeout < time_left(tx) ? timeout : time_left(tx) + 1,
		      executed);
}

/* ---- db:transaction ---- */

static int committed(lua_State *L, int status, lua_KContext context)
{
	struct pg_wait *w = (struct pg_wait *)context;
	struct tx *tx = lua_touserdata(L, AT_TX);

	(void)status;
	remember(tx, w->query);
	end(tx);
	lua_pop(L, 1); /* the wait */
	if (tx->message[0] != '\0')
		return push_failure(L, tx);
	if (lua_gettop(L) < AT_RESULTS)
		lua_pushboolean(L, 1);
	return lua_gettop(L) - AT_RESULTS + 1;
}

/* `fn` has returned, or raised what is on top of the stack. */
static int returned(lua_State *L, int status, lua_KContext context)
{
	struct tx *tx = lua_touserdata(L, AT_TX);
	struct pg_wait *w;

	(void)context;
	if (status != LUA_OK && status != LUA_YIELD) {
		end(tx);
		return lua_error(L);
	}
	if (tx->message[0] != '\0') {
		end(tx);
		return push_failure(L, tx);
	}
	luaL_checkstack(L, LUA_MINSTACK, "transaction");
	w = pg_wait_push_text(L, "COMMIT");
	w->coro = coro_current(L);
	return submit(L, tx, w, time_left(tx) + 1, committed);
}

static int begun(lua_State *L, int status, lua_KContext context)
{
	struct pg_wait *w = (struct pg_wait *)context;
	struct tx *tx = lua_touserdata(L, AT_TX);

	(void)status;
	if (w->query->error != NULL) {
		remember(tx, w->query);
		end(tx);
		return push_failure(L, tx);
	}
	lua_settop(L, AT_TX);
	lua_pushvalue(L, AT_FUNCTION);
	lua_pushvalue(L, AT_TX);
	status = lua_pcallk(L, 1, LUA_MULTRET, 0, 0, returned);
	return returned(L, status, 0);
}

int pg_tx_class_run(lua_State *L)
{
	struct pg_db *db = pg_db_class_check(L, 1);
	struct pg_wait *w;
	struct coro *c;
	double timeout;
	struct tx *tx;

	luaL_checktype(L, AT_FUNCTION, LUA_TFUNCTION);
	lua_settop(L, 3);
	timeout = pg_wait_timeout(L, 3, "transaction");
	c = coro_current(L);
	tx = lua_newuserdatauv(L, sizeof(*tx), 1);
	memset(tx, 0, sizeof(*tx));
	tx->loop = db->vm->loop;
	ev_init(&tx->deadline, on_deadline);
	luaL_setmetatable(L, CLASS);
	lua_pushvalue(L, 1); /* the db must outlive the lease */
	lua_setiuservalue(L, AT_TX, 1);
	/* ends it when the client goes, wherever the function waits then */
	lua_toclose(L, AT_TX);
	tx->lease = pg_lease_new(db->pool);
	if (tx->lease == NULL)
		return luaL_error(L, "not enough memory");
	w = pg_wait_push_text(L, "BEGIN");
	w->coro = c;
	ev_now_update(tx->loop);
	tx->due = ev_now(tx->loop) + timeout;
	ev_timer_set(&tx->deadline, timeout, 0.);
	ev_timer_start(tx->loop, &tx->deadline);
	return submit(L, tx, w, timeout, begun);
}

static int l_close(lua_State *L)
{
	end(luaL_checkudata(L, 1, CLASS));
	return 0;
}

void pg_tx_class_open(lua_State *L)
{
	static const luaL_Reg methods[] = {
		{"execute", l_execute},
		{NULL, NULL},
	};

	luaL_newmetatable(L, CLASS);
	luaL_newlib(L, methods);
	lua_setfield(L, -2, "__index");
	lua_pushcfunction(L, l_close);
	lua_setfield(L, -2, "__close");
	lua_pushcfunction(L, l_close);
	lua_setfield(L, -2, "__gc");
	lua_pushliteral(L, "pg transaction");
	lua_setfield(L, -2, "__name");
	lua_pushboolean(L, 0);
	lua_setfield(L, -2, "__metatable");
	lua_pop(L, 1);
}
