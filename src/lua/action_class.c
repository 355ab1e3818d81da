/* SPDX-License-Identifier: BSD-2-Clause */
#include "lua/action_class.h"

#include <lauxlib.h>
#include <stddef.h>
#include <string.h>

#include "base/limits.h"
#include "lua/class.h"
#include "lua/command.h"
#include "lua/options.h"

#define CLASS "qrelay.action"

/* The object ends before what only a verdict has. */
static struct action *push(lua_State *L, enum action_type type,
			   const char *name)
{
	size_t size = type == ACTION_VERDICT ? sizeof(struct action)
					     : offsetof(struct action, verdict);
	struct action *a = lua_newuserdatauv(L, size, 1);

	memset(a, 0, size);
	a->type = type;
	a->name = name;
	class_set(L, CLASS_ACTION);
	return a;
}

const struct action *action_class_test(lua_State *L, int index)
{
	return class_test(L, index, CLASS_ACTION);
}

/* Strings and numbers; anything else is a mistake, e.g. a table of options. */
static int push_verdict(lua_State *L, const char *name, char letter,
			const char *otherwise)
{
	size_t size;
	const char *text = luaL_optlstring(L, 2, otherwise, &size);
	struct action *a;

	if (lua_gettop(L) > 2)
		return luaL_error(L, "%s: one text at most", name);
	a = push(L, ACTION_VERDICT, name);
	verdict_set_clean(&a->verdict, letter, text, size);
	return 1;
}

int action_class_discard(lua_State *L)
{
	return push_verdict(L, "discard", 'K', "discarded");
}

int action_class_reject(lua_State *L)
{
	return push_verdict(L, "reject", 'D', "rejected");
}

int action_class_defer(lua_State *L)
{
	return push_verdict(L, "defer", 'Z', "deferred");
}

/* Makes the action of the address object on top, which it replaces. */
static void push_connect(lua_State *L, const struct address_list *to,
			 double timeout, double connect_timeout)
{
	struct action *a = push(L, ACTION_CONNECT, "connect");

	a->to = to;
	a->timeout = timeout;
	a->connect_timeout = connect_timeout;
	lua_insert(L, -2);
	lua_setiuservalue(L, -2, 1); /* the address lives as long */
}

/* Without options it is the same action each time: the address at 2 keeps it. */
static int push_usual_connect(lua_State *L, const struct address_list *to)
{
	if (lua_getiuservalue(L, 2, ADDRESS_CLASS_ACTION) != LUA_TNIL)
		return 1;
	lua_pushvalue(L, 2);
	push_connect(L, to, 0., LIMIT_CONNECT_TIME);
	lua_pushvalue(L, -1);
	lua_setiuservalue(L, 2, ADDRESS_CLASS_ACTION);
	return 1;
}

int action_class_connect(lua_State *L)
{
	static const char *const names[] = {"timeout", "connect_timeout", NULL};
	const struct address_list *to = address_class_test(L, 2);
	double timeout, connect_timeout;

	if (to != NULL && lua_isnoneornil(L, 3))
		return push_usual_connect(L, to);
	lua_settop(L, 3);
	options_check(L, 3, "connect", names);
	timeout = options_seconds(L, 3, "connect", "timeout",
				  LIMIT_ACTION_TIMEOUT, 0);
	connect_timeout =
		options_seconds(L, 3, "connect", "connect_timeout",
				LIMIT_ACTION_TIMEOUT, LIMIT_CONNECT_TIME);
	if (to != NULL)
		lua_pushvalue(L, 2);
	else if (lua_type(L, 2) == LUA_TSTRING)
		to = address_class_parse(L, 2);
	else
		return luaL_error(L,
				  "connect: the address must be a string or an "
				  "address object, not a %s",
				  luaL_typename(L, 2));
	push_connect(L, to, timeout, connect_timeout);
	return 1;
}

/* (mail, PROGRAM, ARG... [, OPTIONS]): a table is the options, and the last. */
static int push_exec(lua_State *L, const char *name, bool raw)
{
	static const char *const names[] = {"env", "timeout", NULL};
	const struct command *command;
	struct action *a;
	double timeout;
	int options;

	luaL_argcheck(L, lua_gettop(L) > 1, 2, "the program is missing");
	if (lua_gettop(L) < 3 || !lua_istable(L, -1))
		lua_pushnil(L);
	options = lua_gettop(L);
	options_check(L, options, name, names);
	timeout = options_seconds(L, options, name, "timeout",
				  LIMIT_ACTION_TIMEOUT, 0);
	command = command_push(L, name, 2, options);
	a = push(L, ACTION_EXEC, name);
	a->command = command;
	a->raw = raw;
	a->timeout = timeout;
	lua_insert(L, -2);
	lua_setiuservalue(L, -2, 1); /* the command lives as long */
	return 1;
}

int action_class_exec(lua_State *L)
{
	return push_exec(L, "exec", false);
}

int action_class_exec_raw(lua_State *L)
{
	return push_exec(L, "exec_raw", true);
}

static int l_tostring(lua_State *L)
{
	const struct action *a = class_check(L, 1, CLASS_ACTION);

	lua_pushfstring(L, "action: %s", a->name);
	return 1;
}

void action_class_open(lua_State *L)
{
	luaL_newmetatable(L, CLASS);
	lua_pushcfunction(L, l_tostring);
	lua_setfield(L, -2, "__tostring");
	lua_pushliteral(L, "action");
	lua_setfield(L, -2, "__name");
	lua_pushboolean(L, 0);
	lua_setfield(L, -2, "__metatable");
	class_register(L, CLASS_ACTION);
}
