/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_LUA_SLEEP_LIB_H
#define QRELAY_LUA_SLEEP_LIB_H

/* sleep(SECONDS): suspends the coroutine, 0 … LIMIT_SLEEP. */

#include <lua.h>

void sleep_lib_open(lua_State *L);

#endif
