/* SPDX-License-Identifier: BSD-2-Clause */
#include "lua/pg_array_lib.h"

#include <assert.h>
#include <lauxlib.h>
#include <limits.h>

#include "db/pg_array.h"
#include "lua/pg_value.h"

int pg_array_lib_length(lua_State *L, int index, int max, const char *what)
{
	lua_Integer n = (lua_Integer)lua_rawlen(L, index);
	int is_integer = 1;

	lua_pushliteral(L, "n");
	if (lua_rawget(L, index) != LUA_TNIL) {
		n = lua_tointegerx(L, -1, &is_integer);
	} else if (n == 0) {
		lua_pushnil(L);
		if (lua_next(L, index))
			luaL_error(L, "%s: the table must be an array", what);
	}
	lua_settop(L, -2);
	if (!is_integer || n < 0 || n > max)
		luaL_error(L, "%s: n must be from 0 to %d", what, max);
	return (int)n;
}

static void add_value(lua_State *L, luaL_Buffer *b, int value)
{
	char number[PG_VALUE_NUMBER];
	const char *s;
	size_t size;

	switch (pg_value_text(L, value, number, &s, &size)) {
	case PG_VALUE_TEXT:
		luaL_addsize(b, pg_array_quote(
					s, size,
					luaL_prepbuffsize(
						b, PG_ARRAY_QUOTED_MAX(size))));
		break;
	case PG_VALUE_NULL:
		luaL_addlstring(b, "NULL", 4);
		break;
	case PG_VALUE_HAS_NUL:
		luaL_error(L, "encode_array: a string with a NUL byte");
		break;
	case PG_VALUE_UNFIT:
		luaL_error(L, "encode_array: a %s cannot be an element",
			   luaL_typename(L, value));
	}
}

/*
 * Encodes the array in the slot `table` = depth + 1 of the stack.  The slots up to
 * LIMIT_PG_ARRAY_DEPTH + 1 hold the arrays, one more the element: the buffer's own
 * value may come above them only.
 */
/* NOLINTNEXTLINE(misc-no-recursion): LIMIT_PG_ARRAY_DEPTH bounds it */
static void encode(lua_State *L, luaL_Buffer *b, int table)
{
	int value = LIMIT_PG_ARRAY_DEPTH + 2;
	int n = pg_array_lib_length(L, table, INT_MAX, "encode_array");

	luaL_addchar(b, '{');
	for (int i = 1; i <= n; i++) {
		if (i > 1)
			luaL_addchar(b, ',');
		lua_rawgeti(L, table, i);
		if (lua_istable(L, -1)) {
			if (table > LIMIT_PG_ARRAY_DEPTH)
				luaL_error(L,
					   "encode_array: more than %d levels",
					   LIMIT_PG_ARRAY_DEPTH);
			lua_replace(L, table + 1);
			encode(L, b, table + 1);
		} else {
			lua_replace(L, value);
			add_value(L, b, value);
		}
	}
	luaL_addchar(b, '}');
}

int pg_array_lib_encode(lua_State *L)
{
	luaL_Buffer b;

	luaL_checktype(L, 2, LUA_TTABLE);
	lua_settop(L, 2);
	/* slot 1 was pg itself */
	luaL_checkstack(L, 2 * LUA_MINSTACK, "encode_array");
	lua_settop(L, LIMIT_PG_ARRAY_DEPTH + 2);
	luaL_buffinit(L, &b);
	encode(L, &b, 2);
	luaL_pushresult(&b);
	return 1;
}

int pg_array_lib_decode(lua_State *L)
{
	lua_Integer counts[LIMIT_PG_ARRAY_DEPTH + 1];
	enum pg_array_token token;
	struct pg_array_reader r;
	const char *s, *text;
	size_t size, n;
	int depth = 0;

	s = luaL_checklstring(L, 2, &size);
	luaL_checkstack(L, LIMIT_PG_ARRAY_DEPTH + 4, "decode_array");
	pg_array_reader_init(&r, s, size,
			     lua_newuserdatauv(L, size > 0 ? size : 1, 0));
	while ((token = pg_array_next(&r, &text, &n)) != PG_ARRAY_END) {
		switch (token) {
		case PG_ARRAY_OPEN:
			lua_newtable(L);
			counts[depth++] = 0;
			continue;
		case PG_ARRAY_CLOSE:
			if (--depth == 0)
				continue; /* the result stays */
			break;
		case PG_ARRAY_TEXT:
			lua_pushlstring(L, text, n);
			break;
		case PG_ARRAY_NULL:
			pg_value_push_null(L);
			break;
		default:
			return luaL_error(L, "decode_array: malformed array");
		}
		assert(depth > 0); /* the reader sees to it */
		lua_rawseti(L, -2, ++counts[depth - 1]);
	}
	return 1;
}
