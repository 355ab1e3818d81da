/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_LUA_GUARD_LIB_H
#define QRELAY_LUA_GUARD_LIB_H

/*
 * xpcall and setmetatable as in the Lua manual (6.1), but a message handler and a
 * finalizer are within the CPU budget: Lua itself runs no hooks in a finalizer,
 * nor in the handler of an error that a hook raised.
 */

#include <lua.h>

void guard_lib_open(lua_State *L);

#endif
