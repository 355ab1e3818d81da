/* SPDX-License-Identifier: BSD-2-Clause */
#include "lua/pg_lib.h"

#include <lauxlib.h>

#include "lua/pg_array_lib.h"
#include "lua/pg_db_class.h"
#include "lua/pg_result_class.h"
#include "lua/pg_tx_class.h"
#include "lua/pg_value.h"
#include "lua/pg_wait.h"

static void check_colon(lua_State *L, const char *name)
{
	if (!lua_rawequal(L, 1, lua_upvalueindex(1)))
		luaL_error(L, "call pg:%s(...) with a colon", name);
}

static int l_new(lua_State *L)
{
	check_colon(L, "new");
	return pg_db_class_new(L);
}

static int l_encode_array(lua_State *L)
{
	check_colon(L, "encode_array");
	return pg_array_lib_encode(L);
}

static int l_decode_array(lua_State *L)
{
	check_colon(L, "decode_array");
	return pg_array_lib_decode(L);
}

void pg_lib_open(lua_State *L)
{
	static const luaL_Reg functions[] = {
		{"decode_array", l_decode_array},
		{"encode_array", l_encode_array},
		{"new", l_new},
		{NULL, NULL},
	};

	pg_value_open(L);
	pg_wait_open(L);
	pg_result_class_open(L);
	pg_tx_class_open(L);
	pg_db_class_open(L);

	luaL_newlibtable(L, functions);
	lua_pushvalue(L, -1); /* the table itself is what comes first */
	luaL_setfuncs(L, functions, 1);
	pg_value_push_null(L);
	lua_setfield(L, -2, "null");
	lua_setglobal(L, "pg");
}
