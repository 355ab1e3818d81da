/* SPDX-License-Identifier: BSD-2-Clause */
#include "lua/options.h"

#include <lauxlib.h>
#include <stdbool.h>
#include <string.h>

static bool is_known(lua_State *L, const char *const *names)
{
	const char *name;
	size_t size;

	if (lua_type(L, -1) != LUA_TSTRING)
		return false;
	name = lua_tolstring(L, -1, &size);
	for (; *names != NULL; names++)
		/* the name may hold a NUL byte: then it is another one */
		if (strcmp(name, *names) == 0 && strlen(name) == size)
			return true;
	return false;
}

void options_check(lua_State *L, int index, const char *function,
		   const char *const *names)
{
	if (lua_isnoneornil(L, index))
		return;
	if (!lua_istable(L, index))
		luaL_error(L, "%s: the options must be a table, not a %s",
			   function, luaL_typename(L, index));
	lua_pushnil(L);
	while (lua_next(L, index)) {
		lua_pop(L, 1);
		if (!is_known(L, names))
			luaL_error(L, "%s: unknown option '%s'", function,
				   luaL_tolstring(L, -1, NULL));
	}
}

int options_get(lua_State *L, int index, const char *name)
{
	if (lua_isnoneornil(L, index)) {
		lua_pushnil(L);
		return LUA_TNIL;
	}
	return lua_getfield(L, index, name);
}

double options_seconds(lua_State *L, int index, const char *function,
		       const char *name, double max, double none)
{
	double t = none;

	if (options_get(L, index, name) == LUA_TNUMBER) {
		t = lua_tonumber(L, -1);
		if (!(t > 0 && t <= max))
			luaL_error(L,
				   "%s: %s must be more than 0 and at most %d "
				   "seconds",
				   function, name, (int)max);
	} else if (!lua_isnil(L, -1)) {
		luaL_error(L, "%s: %s must be a number of seconds, not a %s",
			   function, name, luaL_typename(L, -1));
	}
	lua_pop(L, 1);
	return t;
}
