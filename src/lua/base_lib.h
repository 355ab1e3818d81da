/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_LUA_BASE_LIB_H
#define QRELAY_LUA_BASE_LIB_H

/*
 * What differs from the standard libraries: `print` goes to the log, names of
 * Lua 5.1 that scripts for LuaJIT use exist, debug.sethook does not.
 */

#include <lua.h>

void base_lib_open(lua_State *L);

#endif
