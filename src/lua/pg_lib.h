/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_LUA_PG_LIB_H
#define QRELAY_LUA_PG_LIB_H

/*
 * The `pg` table of the script: new, encode_array, decode_array, null.  Its
 * functions are called with a colon.
 */

#include <lua.h>

void pg_lib_open(lua_State *L);

#endif
