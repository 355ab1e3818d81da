/* SPDX-License-Identifier: BSD-2-Clause */
#include "lua/pg_wait.h"

#include <errno.h>
#include <lauxlib.h>
#include <string.h>

#include "base/limits.h"
#include "lua/coro.h"
#include "lua/options.h"
#include "lua/pg_array_lib.h"
#include "lua/pg_result_class.h"
#include "lua/pg_value.h"

#define CLASS "qrelay.pg.wait"

static struct pg_wait *push(lua_State *L)
{
	struct pg_wait *w = lua_newuserdatauv(L, sizeof(*w), 0);

	*w = (struct pg_wait){NULL, false, NULL};
	luaL_setmetatable(L, CLASS);
	return w;
}

static void add_parameter(lua_State *L, struct pg_query *q, int i)
{
	char number[PG_VALUE_NUMBER];
	const char *s = NULL;
	size_t size = 0;
	int r;

	switch (pg_value_text(L, -1, number, &s, &size)) {
	case PG_VALUE_TEXT:
	case PG_VALUE_NULL:
		break;
	case PG_VALUE_HAS_NUL:
		luaL_error(L,
			   "execute: parameter %d has a NUL byte, which "
			   "PostgreSQL cannot hold (encode it: bytea takes "
			   "'\\x' and hex digits)",
			   i);
		break;
	case PG_VALUE_UNFIT:
		luaL_error(L, "execute: parameter %d is a %s%s", i,
			   luaL_typename(L, -1),
			   lua_istable(L, -1) ? ": see pg:encode_array()" : "");
	}
	r = pg_query_add(q, s, size);
	if (r == -E2BIG)
		luaL_error(L, "execute: the query is larger than %d MiB",
			   LIMIT_PG_QUERY >> 20);
	if (r < 0)
		luaL_error(L, "not enough memory");
}

struct pg_wait *pg_wait_push_text(lua_State *L, const char *text)
{
	struct pg_wait *w = push(L);

	w->query = pg_query_new(text, strlen(text));
	if (w->query == NULL)
		luaL_error(L, "not enough memory");
	return w;
}

struct pg_wait *pg_wait_push(lua_State *L, int index, int params)
{
	size_t size;
	const char *text = luaL_checklstring(L, index, &size);
	struct pg_wait *w;
	int n = 0;

	if (memchr(text, '\0', size) != NULL)
		luaL_error(L, "execute: the SQL text has a NUL byte");
	if (size > LIMIT_PG_QUERY)
		luaL_error(L, "execute: the query is larger than %d MiB",
			   LIMIT_PG_QUERY >> 20);
	if (!lua_isnoneornil(L, params)) {
		luaL_checktype(L, params, LUA_TTABLE);
		n = pg_array_lib_length(L, params, LIMIT_PG_PARAMETERS,
					"execute: parameters");
	}
	w = pg_wait_push_text(L, text);
	for (int i = 1; i <= n; i++) {
		lua_rawgeti(L, params, i);
		add_parameter(L, w->query, i);
		lua_pop(L, 1);
	}
	return w;
}

void pg_wait_on_done(struct pg_query *q)
{
	struct pg_wait *w = q->context;

	w->submitted = false; /* ours again */
	coro_resume(w->coro);
}

static void cancel(void *context)
{
	struct pg_wait *w = context;

	if (w->submitted)
		pg_query_abandon(w->query);
	else
		pg_query_free(w->query);
	w->query = NULL;
	w->submitted = false;
}

int pg_wait(lua_State *L, struct pg_wait *w, lua_KFunction k)
{
	return coro_wait(L, w->coro, cancel, w, k);
}

static void push_or_nil(lua_State *L, const char *s)
{
	if (s != NULL && *s != '\0')
		lua_pushstring(L, s);
	else
		lua_pushnil(L);
}

int pg_wait_push_answer(lua_State *L, struct pg_wait *w)
{
	struct pg_result **slot = NULL;
	struct pg_query *q = w->query;

	if (q->result == NULL) {
		lua_pushnil(L);
		lua_pushstring(L, q->error != NULL ? q->error
						   : "not enough memory");
		push_or_nil(L, q->sqlstate);
	} else {
		pg_result_class_push(L, &slot);
		*slot = q->result;
		q->result = NULL;
	}
	w->query = NULL;
	pg_query_free(q);
	if (slot == NULL)
		return 3;
	pg_result_class_account(L, pg_result_size(*slot));
	return 1;
}

double pg_wait_timeout(lua_State *L, int index, const char *function)
{
	static const char *const names[] = {"timeout", NULL};

	options_check(L, index, function, names);
	return options_seconds(L, index, function, "timeout",
			       LIMIT_PG_TIMEOUT_MAX, LIMIT_PG_TIMEOUT_DEFAULT);
}

static int l_gc(lua_State *L)
{
	cancel(luaL_checkudata(L, 1, CLASS));
	return 0;
}

void pg_wait_open(lua_State *L)
{
	luaL_newmetatable(L, CLASS);
	lua_pushcfunction(L, l_gc);
	lua_setfield(L, -2, "__gc");
	lua_pushboolean(L, 0);
	lua_setfield(L, -2, "__metatable");
	lua_pop(L, 1);
}
