/* SPDX-License-Identifier: BSD-2-Clause */
#include "lua/coroutine_lib.h"

#include <lauxlib.h>
#include <stdbool.h>

#include "lua/vm.h"

/*
 * Resumes `co` with the `n` values on top of L's stack.  Returns how many results
 * were moved to L, or -1 with the error object there.
 */
static int resume(lua_State *L, lua_State *co, int n)
{
	struct budget *b = &vm_of(L)->budget;
	lua_State *before;
	int status, n_results;

	if (vm_is_ours(co)) {
		/* a handler that runs, waits, or has ended */
		lua_pushliteral(L, "cannot resume non-suspended coroutine");
		return -1;
	}
	if (!lua_checkstack(co, n)) {
		lua_pushliteral(L, "too many arguments to resume");
		return -1;
	}
	lua_xmove(L, co, n);
	before = budget_switch(b, co);
	status = lua_resume(co, L, n, &n_results);
	if (before != NULL)
		budget_switch(b, before);
	if (status != LUA_OK && status != LUA_YIELD) {
		lua_xmove(co, L, 1);
		return -1;
	}
	if (!lua_checkstack(L, n_results + 1)) {
		lua_pop(co, n_results);
		lua_pushliteral(L, "too many results to resume");
		return -1;
	}
	lua_xmove(co, L, n_results);
	return n_results;
}

static int l_resume(lua_State *L)
{
	lua_State *co = lua_tothread(L, 1);
	int n;

	luaL_argexpected(L, co != NULL, 1, "coroutine");
	n = resume(L, co, lua_gettop(L) - 1);
	lua_pushboolean(L, n >= 0);
	if (n < 0)
		n = 1;
	lua_insert(L, -(n + 1));
	return n + 1;
}

/* Closes `co` as lua_resetthread(); its closing functions run in `co`. */
static int close_thread(lua_State *L, lua_State *co)
{
	struct budget *b = &vm_of(L)->budget;
	lua_State *before = budget_switch(b, co);
	int status = lua_resetthread(co);

	if (before != NULL)
		budget_switch(b, before);
	return status;
}

static int l_close(lua_State *L)
{
	lua_State *co = lua_tothread(L, 1);
	lua_Debug ar;
	bool normal;

	luaL_argexpected(L, co != NULL, 1, "coroutine");
	normal = co != L && lua_status(co) == LUA_OK &&
		 lua_getstack(co, 0, &ar) != 0;
	if (co == L || normal || vm_is_ours(co))
		return luaL_error(L, "cannot close a %s coroutine",
				  normal ? "normal" : "running");
	if (close_thread(L, co) == LUA_OK) {
		lua_pushboolean(L, 1);
		return 1;
	}
	lua_pushboolean(L, 0);
	lua_xmove(co, L, 1);
	return 2;
}

/* Errors go through to the caller; a string gets the caller's position. */
static int l_wrapped(lua_State *L)
{
	lua_State *co = lua_tothread(L, lua_upvalueindex(1));
	int n = resume(L, co, lua_gettop(L));
	int status;

	if (n >= 0)
		return n;
	status = lua_status(co);
	if (status != LUA_OK && status != LUA_YIELD) {
		/* it failed: its variables are closed, which may fail anew */
		if (close_thread(L, co) != LUA_OK && lua_gettop(co) > 0) {
			lua_pop(L, 1);
			lua_xmove(co, L, 1);
		}
	}
	if (status != LUA_ERRMEM && lua_type(L, -1) == LUA_TSTRING) {
		luaL_where(L, 1);
		lua_insert(L, -2);
		lua_concat(L, 2);
	}
	return lua_error(L);
}

static int l_wrap(lua_State *L)
{
	lua_State *co;

	luaL_checktype(L, 1, LUA_TFUNCTION);
	co = lua_newthread(L);
	lua_pushvalue(L, 1);
	lua_xmove(L, co, 1);
	lua_pushcclosure(L, l_wrapped, 1);
	return 1;
}

void coroutine_lib_open(lua_State *L)
{
	static const luaL_Reg functions[] = {
		{"close", l_close},
		{"resume", l_resume},
		{"wrap", l_wrap},
		{NULL, NULL},
	};

	lua_getglobal(L, "coroutine");
	luaL_setfuncs(L, functions, 0);
	lua_pop(L, 1);
}
