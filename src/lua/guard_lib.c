/* SPDX-License-Identifier: BSD-2-Clause */
#include "lua/guard_lib.h"

#include <lauxlib.h>
#include <stdbool.h>

#include "lua/vm.h"

static bool is_over(lua_State *L)
{
	const struct budget_account *a = vm_of(L)->budget.account;

	return a != NULL && budget_is_over(a);
}

/* Upvalue 1: the script's message handler. */
static int l_message(lua_State *L)
{
	if (is_over(L))
		return 1; /* the error object itself */
	lua_pushvalue(L, lua_upvalueindex(1));
	lua_insert(L, 1);
	lua_call(L, lua_gettop(L) - 1, 1);
	return 1;
}

/* The stack: handler, true, results or error object. */
static int finish_xpcall(lua_State *L, int status, lua_KContext context)
{
	(void)context;
	if (status != LUA_OK && status != LUA_YIELD) {
		lua_pushboolean(L, 0);
		lua_pushvalue(L, -2);
		return 2;
	}
	return lua_gettop(L) - 1;
}

static int l_xpcall(lua_State *L)
{
	int n = lua_gettop(L) - 2, status;

	luaL_checktype(L, 2, LUA_TFUNCTION);
	/* handler, true, function, arguments */
	lua_pushvalue(L, 2);
	lua_pushcclosure(L, l_message, 1);
	lua_pushboolean(L, 1);
	lua_pushvalue(L, 1);
	lua_rotate(L, 3, 3);
	lua_remove(L, 1);
	lua_remove(L, 1);
	status = lua_pcallk(L, n, LUA_MULTRET, 1, 0, finish_xpcall);
	return finish_xpcall(L, status, 0);
}

/*
 * Upvalue 1: the script's finalizer.  Hooks are off in this thread until the
 * finalizer returns, but not in another one.  An error is a warning, as always.
 */
static int l_finalize(lua_State *L)
{
	struct vm *vm = vm_of(L);
	struct budget *b = &vm->budget;
	lua_State *thread = lua_newthread(L), *before;
	bool limited = vm->limited;
	int status, n;

	lua_pushvalue(L, lua_upvalueindex(1));
	lua_pushvalue(L, 1);
	lua_xmove(L, thread, 2);
	before = budget_switch(b, thread);
	vm->limited = true;
	status = lua_resume(thread, L, 1, &n);
	vm->limited = limited;
	if (before != NULL)
		budget_switch(b, before);
	if (status == LUA_OK)
		return 0;
	if (status == LUA_YIELD)
		return luaL_error(L, "finalizer used too much CPU, or yielded");
	lua_xmove(thread, L, 1);
	return lua_error(L);
}

/* Whether the value on top is a function of the script's, or is called like
 * one. */
static bool runs_script(lua_State *L)
{
	if (lua_isfunction(L, -1))
		return !lua_iscfunction(L, -1);
	if (luaL_getmetafield(L, -1, "__call") == LUA_TNIL)
		return false;
	lua_pop(L, 1);
	return true;
}

/* Upvalue 1: the standard setmetatable. */
static int l_setmetatable(lua_State *L)
{
	if (lua_istable(L, 2)) {
		lua_pushliteral(L, "__gc");
		lua_rawget(L, 2);
		if (runs_script(L)) {
			lua_pushliteral(L, "__gc");
			lua_insert(L, -2);
			lua_pushcclosure(L, l_finalize, 1);
			lua_rawset(L, 2);
		} else {
			lua_pop(L, 1);
		}
	}
	lua_pushvalue(L, lua_upvalueindex(1));
	lua_insert(L, 1);
	lua_call(L, lua_gettop(L) - 1, 1);
	return 1;
}

void guard_lib_open(lua_State *L)
{
	lua_register(L, "xpcall", l_xpcall);
	lua_getglobal(L, "setmetatable");
	lua_pushcclosure(L, l_setmetatable, 1);
	lua_setglobal(L, "setmetatable");
}
