/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_LUA_ACTION_CLASS_H
#define QRELAY_LUA_ACTION_CLASS_H

/*
 * What a handler returns: an inert description of what to do with a mail.  It
 * belongs to no mail and may be returned again and again.
 */

#include <lua.h>
#include <stdbool.h>

#include "lua/address_class.h"
#include "relay/verdict.h"

struct command;

enum action_type {
	ACTION_VERDICT, /* discard, reject, defer */
	ACTION_CONNECT,
	ACTION_EXEC, /* exec, exec_raw */
};

struct action {
	enum action_type type;
	const char *name; /* static, for the log */
	double timeout;   /* seconds; 0 for the default */

	/* ACTION_CONNECT */
	const struct address_list *to; /* the object's user value */
	double connect_timeout;        /* seconds, each address */

	/* ACTION_EXEC */
	const struct command *command; /* the object's user value */
	bool raw;

	/* ACTION_VERDICT; the last, since others do without its memory */
	struct verdict verdict;
};

void action_class_open(lua_State *L);

/* The object at `index`, or NULL if it is none; good while it is referenced. */
const struct action *action_class_test(lua_State *L, int index);

/*
 * Methods of the mail object; the mail is argument 1 and not looked at.
 * l_connect(mail, ADDRESS [, {timeout=, connect_timeout=}]),
 * exec(mail, PROGRAM, ARG... [, {env=, timeout=}]), exec_raw the same, the others
 * (mail [, TEXT]).
 */
int action_class_connect(lua_State *L);
int action_class_discard(lua_State *L);
int action_class_exec(lua_State *L);
int action_class_exec_raw(lua_State *L);
int action_class_reject(lua_State *L);
int action_class_defer(lua_State *L);

#endif
