/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_LUA_COMMAND_H
#define QRELAY_LUA_COMMAND_H

/*
 * A program with its arguments and its environment, as execve(2) takes them, made
 * of a script's values.
 */

#include <lua.h>

/* Lives in Lua's memory, all of it in one piece. */
struct command {
	char **argv; /* argv[0] is the program's absolute path; ends with NULL */
	char **envp; /* ends with NULL */
};

/*
 * Pushes the command of PROGRAM and ARG…, which are the arguments from `first` up to
 * before `options`; the table at `options` (nil: none) may have a field `env`.  What
 * is not a string or a number raises and is named.  `function` is for the message.
 * The result is good while the value that was pushed is referenced.
 */
const struct command *command_push(lua_State *L, const char *function,
				   int first, int options);

#endif
