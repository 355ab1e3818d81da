/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_LUA_PG_ARRAY_LIB_H
#define QRELAY_LUA_PG_ARRAY_LIB_H

/* pg:encode_array(t) and pg:decode_array(s); see db/pg_array.h. */

#include <lua.h>

int pg_array_lib_encode(lua_State *L);
int pg_array_lib_decode(lua_State *L);

/*
 * How many members the array at `index` has: its field `n`, or its length.  Raises
 * for a bad `n`, more than `max`, or a table that is none.
 */
int pg_array_lib_length(lua_State *L, int index, int max, const char *what);

#endif
