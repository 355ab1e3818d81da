/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_LUA_COROUTINE_LIB_H
#define QRELAY_LUA_COROUTINE_LIB_H

/*
 * coroutine.resume, wrap and close as in the Lua manual (6.2), which also tell
 * the CPU budget which coroutine runs, so that one of the script's own is stopped
 * as well.  Of our own coroutines the script may have a reference, but only coro
 * resumes and closes them: what they wait for, and the action they return, lies in
 * their stacks.
 */

#include <lua.h>

void coroutine_lib_open(lua_State *L);

#endif
