/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_LUA_OPTIONS_H
#define QRELAY_LUA_OPTIONS_H

/* The table of options that may be a function's last argument. */

#include <lua.h>

/*
 * Raises unless the value at `index` is nil, absent, or a table whose keys are all
 * among `names` (ended by NULL).  `function` is for the message.
 */
void options_check(lua_State *L, int index, const char *function,
		   const char *const *names);

/* Pushes the option (nil where there is none, or no table) and returns its
 * type. */
int options_get(lua_State *L, int index, const char *name);

/* A duration in seconds, 0 < t <= `max`, or `none` if it is not given. */
double options_seconds(lua_State *L, int index, const char *function,
		       const char *name, double max, double none);

#endif
