/* SPDX-License-Identifier: BSD-2-Clause */
#include "lua/pg_value.h"

#include <lauxlib.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NULL_CLASS "qrelay.pg.null"

/* Above it not every integer is a float. */
#define EXACT 9007199254740992. /* 2^53 */

/* The script may have set another locale's decimal point. */
static void set_point(char *s)
{
	for (; *s != '\0'; s++)
		if (strchr("0123456789+-e", *s) == NULL)
			*s = '.';
}

static void print_float(lua_Number x, char *buf)
{
	if (isnan(x)) {
		snprintf(buf, PG_VALUE_NUMBER, "NaN");
	} else if (isinf(x)) {
		snprintf(buf, PG_VALUE_NUMBER, "%sInfinity", x > 0 ? "" : "-");
	} else if (fabs(x) < EXACT && floor(x) == x) {
		snprintf(buf, PG_VALUE_NUMBER, "%.0f", x);
	} else {
		for (int digits = 15; digits <= 17; digits++) {
			snprintf(buf, PG_VALUE_NUMBER, "%.*g", digits, x);
			if (strtod(buf, NULL) == x)
				break;
		}
		set_point(buf);
	}
}

enum pg_value_kind pg_value_text(lua_State *L, int index,
				 char buf[PG_VALUE_NUMBER],
				 const char **ret_text, size_t *ret_size)
{
	const char *s = buf;
	size_t size;

	switch (lua_type(L, index)) {
	case LUA_TNIL:
		return PG_VALUE_NULL;
	case LUA_TBOOLEAN:
		s = lua_toboolean(L, index) ? "true" : "false";
		break;
	case LUA_TNUMBER:
		if (lua_isinteger(L, index))
			snprintf(buf, PG_VALUE_NUMBER, "%lld",
				 (long long)lua_tointeger(L, index));
		else
			print_float(lua_tonumber(L, index), buf);
		break;
	case LUA_TSTRING:
		s = lua_tolstring(L, index, &size);
		if (memchr(s, '\0', size) != NULL)
			return PG_VALUE_HAS_NUL;
		*ret_text = s;
		*ret_size = size;
		return PG_VALUE_TEXT;
	case LUA_TUSERDATA:
		return luaL_testudata(L, index, NULL_CLASS) != NULL
			       ? PG_VALUE_NULL
			       : PG_VALUE_UNFIT;
	default:
		return PG_VALUE_UNFIT;
	}
	*ret_text = s;
	*ret_size = strlen(s);
	return PG_VALUE_TEXT;
}

void pg_value_push_null(lua_State *L)
{
	lua_getfield(L, LUA_REGISTRYINDEX, NULL_CLASS ".value");
}

static int l_tostring(lua_State *L)
{
	lua_pushliteral(L, "pg.null");
	return 1;
}

void pg_value_open(lua_State *L)
{
	lua_newuserdatauv(L, 0, 0);
	luaL_newmetatable(L, NULL_CLASS);
	lua_pushcfunction(L, l_tostring);
	lua_setfield(L, -2, "__tostring");
	lua_pushboolean(L, 0);
	lua_setfield(L, -2, "__metatable");
	lua_setmetatable(L, -2);
	lua_setfield(L, LUA_REGISTRYINDEX, NULL_CLASS ".value");
}
