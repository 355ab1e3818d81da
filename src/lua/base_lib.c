/* SPDX-License-Identifier: BSD-2-Clause */
#include "lua/base_lib.h"

#include <lauxlib.h>
#include <string.h>

#include "base/log.h"
#include "lua/vm.h"

/* One line of the log a line; the prefix keeps it from looking like one of ours. */
static int l_print(lua_State *L)
{
	int n = lua_gettop(L);
	const char *text, *end;
	luaL_Buffer b;
	size_t size;

	luaL_buffinit(L, &b);
	for (int i = 1; i <= n; i++) {
		if (i > 1)
			luaL_addchar(&b, '\t');
		luaL_tolstring(L, i, NULL);
		luaL_addvalue(&b);
	}
	luaL_pushresult(&b);
	text = lua_tolstring(L, -1, &size);
	while ((end = memchr(text, '\n', size)) != NULL) {
		log_text(vm_of(L)->log, "script: ", text, (size_t)(end - text));
		size -= (size_t)(end + 1 - text);
		text = end + 1;
	}
	log_text(vm_of(L)->log, "script: ", text, size);
	return 0;
}

/* table.getn(t): #t. */
static int l_getn(lua_State *L)
{
	luaL_checktype(L, 1, LUA_TTABLE);
	lua_pushinteger(L, luaL_len(L, 1));
	return 1;
}

/* table.maxn(t): the greatest positive number among the keys, or 0. */
static int l_maxn(lua_State *L)
{
	lua_Number max = 0;

	luaL_checktype(L, 1, LUA_TTABLE);
	lua_settop(L, 1);
	lua_pushnil(L);
	while (lua_next(L, 1)) {
		lua_pop(L, 1);
		if (lua_type(L, -1) == LUA_TNUMBER && lua_tonumber(L, -1) > max)
			max = lua_tonumber(L, -1);
	}
	lua_Integer i;
	if (lua_numbertointeger(max, &i))
		lua_pushinteger(L, i);
	else
		lua_pushnumber(L, max);
	return 1;
}

void base_lib_open(lua_State *L)
{
	lua_pushcfunction(L, l_print);
	lua_setglobal(L, "print");

	lua_getglobal(L, "table");
	lua_getfield(L, -1, "unpack");
	lua_setglobal(L, "unpack");
	lua_pushcfunction(L, l_getn);
	lua_setfield(L, -2, "getn");
	lua_pushcfunction(L, l_maxn);
	lua_setfield(L, -2, "maxn");
	lua_pop(L, 1);

	lua_getglobal(L, "load");
	lua_setglobal(L, "loadstring");

	/* a hook of the script's would replace the one that stops it */
	lua_getglobal(L, "debug");
	lua_pushnil(L);
	lua_setfield(L, -2, "sethook");
	lua_pop(L, 1);
}
