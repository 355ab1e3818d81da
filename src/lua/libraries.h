/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_LUA_LIBRARIES_H
#define QRELAY_LUA_LIBRARIES_H

/* All that a script finds beside Lua's own libraries. */

#include <lua.h>

/* Defines the globals and metatables in `L`; may raise. */
void libraries_open(lua_State *L);

#endif
