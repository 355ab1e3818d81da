/* SPDX-License-Identifier: BSD-2-Clause */
#include "lua/pg_result_class.h"

#include <lauxlib.h>
#include <stdbool.h>

#include "db/pg_result.h"

#define CLASS "qrelay.pg.result"

/* Results below that size are not worth a step of the collector. */
#define WORTH_A_STEP 65536

struct lua_result {
	struct pg_result *rows; /* owned; NULL when closed */
	struct pg_result_cursor cursor;
};

void pg_result_class_push(lua_State *L, struct pg_result ***ret_slot)
{
	struct lua_result *r = lua_newuserdatauv(L, sizeof(*r), 0);

	*r = (struct lua_result){NULL, {0, 0}};
	luaL_setmetatable(L, CLASS);
	*ret_slot = &r->rows;
}

void pg_result_class_account(lua_State *L, size_t size)
{
	if (size >= WORTH_A_STEP)
		lua_gc(L, LUA_GCSTEP, (int)(size / 1024));
}

static struct lua_result *check(lua_State *L)
{
	struct lua_result *r = luaL_checkudata(L, 1, CLASS);

	if (r->rows == NULL)
		luaL_error(L, "the result is closed");
	return r;
}

static bool check_by_name(lua_State *L, int index)
{
	static const char *const modes[] = {"a", "n", NULL};

	return luaL_checkoption(L, index, "a", modes) == 0;
}

/* Fills the table on top of the stack with the next row; NULL removes what is
 * there. */
static void read_row(lua_State *L, struct lua_result *r, bool by_name)
{
	const char *name = NULL, *value;
	size_t size;

	for (size_t i = 0; i < r->rows->n_fields; i++) {
		name = pg_result_name(r->rows, name);
		if (by_name)
			lua_pushstring(L, name);
		else
			lua_pushinteger(L, (lua_Integer)i + 1);
		if (pg_result_read(r->rows, &r->cursor, &value, &size))
			lua_pushlstring(L, value, size);
		else
			lua_pushnil(L);
		lua_rawset(L, -3);
	}
	r->cursor.row++;
}

static int l_fetch(lua_State *L)
{
	struct lua_result *r = check(L);
	bool by_name = check_by_name(L, 3);

	if (r->cursor.row >= r->rows->n_rows) {
		pg_result_drop_rows(r->rows);
		lua_pushnil(L);
		return 1;
	}
	if (lua_isnoneornil(L, 2)) {
		lua_createtable(L, by_name ? 0 : (int)r->rows->n_fields,
				by_name ? (int)r->rows->n_fields : 0);
	} else {
		luaL_checktype(L, 2, LUA_TTABLE);
		lua_settop(L, 2);
	}
	read_row(L, r, by_name);
	return 1;
}

static int next_row(lua_State *L)
{
	lua_settop(L, 0);
	lua_pushvalue(L, lua_upvalueindex(1));
	lua_pushnil(L);
	lua_pushvalue(L, lua_upvalueindex(2));
	return l_fetch(L);
}

static int l_rows(lua_State *L)
{
	check(L);
	lua_settop(L, 2);
	check_by_name(L, 2);
	lua_pushcclosure(L, next_row, 2);
	return 1;
}

static int l_numrows(lua_State *L)
{
	lua_pushinteger(L, (lua_Integer)check(L)->rows->n_rows);
	return 1;
}

static int l_affected(lua_State *L)
{
	lua_pushinteger(L, (lua_Integer)check(L)->rows->affected);
	return 1;
}

static int l_getcolnames(lua_State *L)
{
	const struct pg_result *rows = check(L)->rows;
	const char *name = NULL;

	lua_createtable(L, (int)rows->n_fields, 0);
	for (size_t i = 1; i <= rows->n_fields; i++) {
		name = pg_result_name(rows, name);
		lua_pushstring(L, name);
		lua_rawseti(L, -2, (lua_Integer)i);
	}
	return 1;
}

/* True if it was open; also __gc and __close. */
static int l_close(lua_State *L)
{
	struct lua_result *r = luaL_checkudata(L, 1, CLASS);

	lua_pushboolean(L, r->rows != NULL);
	pg_result_free(r->rows);
	r->rows = NULL;
	return 1;
}

void pg_result_class_open(lua_State *L)
{
	static const luaL_Reg methods[] = {
		{"affected", l_affected},
		{"close", l_close},
		{"fetch", l_fetch},
		{"getcolnames", l_getcolnames},
		{"numrows", l_numrows},
		{"rows", l_rows},
		{NULL, NULL},
	};
	static const luaL_Reg metamethods[] = {
		{"__gc", l_close},
		{"__close", l_close},
		{NULL, NULL},
	};

	luaL_newmetatable(L, CLASS);
	luaL_setfuncs(L, metamethods, 0);
	luaL_newlib(L, methods);
	lua_setfield(L, -2, "__index");
	lua_pushliteral(L, "pg result");
	lua_setfield(L, -2, "__name");
	lua_pushboolean(L, 0);
	lua_setfield(L, -2, "__metatable");
	lua_pop(L, 1);
}
