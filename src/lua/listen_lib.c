/* SPDX-License-Identifier: BSD-2-Clause */
#include "lua/listen_lib.h"

#include <errno.h>
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "lua/address_class.h"
#include "lua/config.h"
#include "lua/options.h"
#include "lua/vm.h"

#define SYSTEMD "qrelay.systemd"

#define DEFAULT_MODE 0666
#define DEFAULT_BACKLOG 1024

/*
 * The mode as chmod(1) takes it.  Lua has no octal numbers: in `mode=0660` the
 * digits mean what they look like, so they are read as octal here.
 */
static mode_t get_mode(lua_State *L, int index)
{
	const char *s;
	char *end;
	unsigned long mode;

	if (options_get(L, index, "mode") == LUA_TNIL) {
		lua_pop(L, 1);
		return DEFAULT_MODE;
	}
	s = lua_isinteger(L, -1) || lua_type(L, -1) == LUA_TSTRING
		    ? lua_tostring(L, -1)
		    : "";
	mode = strtoul(s, &end, 8);
	if (*s < '0' || *s > '7' || *end != '\0' || mode > 0777)
		luaL_error(L, "qmqp_listen: mode must be octal digits from 0 "
			      "to 0777, as for chmod");
	lua_pop(L, 1);
	return (mode_t)mode;
}

static int get_backlog(lua_State *L, int index)
{
	lua_Integer backlog = DEFAULT_BACKLOG;

	if (options_get(L, index, "backlog") != LUA_TNIL) {
		backlog = lua_isinteger(L, -1) ? lua_tointeger(L, -1) : 0;
		if (backlog < 1 || backlog > 65535)
			luaL_error(L, "qmqp_listen: backlog must be an integer "
				      "from 1 to 65535");
	}
	lua_pop(L, 1);
	return (int)backlog;
}

/* Returns whether the option is there; the string (or nil) stays on the stack. */
static bool push_name(lua_State *L, int index)
{
	int type = options_get(L, index, "name");

	if (type != LUA_TNIL && type != LUA_TSTRING)
		luaL_error(L, "qmqp_listen: name must be a string, not a %s",
			   luaL_typename(L, -1));
	return type == LUA_TSTRING;
}

/* What is neither numeric nor absolute is a path beside the script. */
static void parse_where(lua_State *L, const char *directory,
			struct socket_address *ret_address)
{
	size_t size;
	const char *s = lua_tolstring(L, 1, &size);
	int r = sockaddr_parse(s, size, ret_address);

	if (r == 0)
		return;
	if (size == 0 || strlen(s) != size)
		luaL_error(L, "qmqp_listen: malformed path");
	if (r != -EINVAL || s[0] == '/' || s[0] == '@') {
		address_class_parse(L, 1); /* raises what is wrong */
		return;
	}
	lua_pushfstring(L, "%s/%s", directory, s);
	s = lua_tolstring(L, -1, &size);
	if (sockaddr_parse(s, size, ret_address) < 0)
		luaL_error(L,
			   "qmqp_listen: the path '%s' is too long for a "
			   "socket (at most %d bytes)",
			   s,
			   (int)sizeof(((struct sockaddr_un *)0)->sun_path) -
				   1);
	lua_pop(L, 1);
}

static bool is_same(const struct listener_config *a,
		    const struct listener_config *b)
{
	if (a->systemd != b->systemd)
		return false;
	if (!a->systemd)
		return sockaddr_equal(&a->address, &b->address);
	if (a->name == NULL || b->name == NULL)
		return a->name == b->name;
	return strcmp(a->name, b->name) == 0;
}

static void refuse_twice(lua_State *L, const struct config *c,
			 const struct listener_config *l)
{
	for (size_t i = 0; i < c->n_listeners; i++) {
		char text[SOCKADDR_TEXT_MAX];

		if (is_same(&c->listeners[i], l))
			luaL_error(
				L,
				"qmqp_listen: %s is listened on already (%s)",
				listener_config_print(l, text, sizeof(text)),
				c->listeners[i].where);
	}
}

/* Arguments 1 … 3 are checked.  Adds a whole listener, or none: the script may
 * catch the error. */
static void add(lua_State *L, struct config *c, const struct listener_config *l)
{
	struct listener_config *added = NULL;
	char *name, *where_copy;
	size_t size;
	const char *where;
	int handler;

	luaL_where(L, 1);
	where = lua_tolstring(L, -1, &size);
	lua_pushvalue(L, 2);
	handler = luaL_ref(L, LUA_REGISTRYINDEX);
	/* from here on nothing raises */
	where_copy = strndup(where, size > 2 ? size - 2 : 0);
	name = l->name != NULL ? strdup(l->name) : NULL;
	if (where_copy != NULL && (name != NULL || l->name == NULL))
		added = config_add_listener(c);
	if (added == NULL) {
		free(where_copy);
		free(name);
		luaL_unref(L, LUA_REGISTRYINDEX, handler);
		luaL_error(L, "not enough memory");
		return;
	}
	*added = *l;
	added->handler = handler;
	added->where = where_copy;
	added->name = name;
}

static int l_listen(lua_State *L)
{
	static const char *const names[] = {"mode", "backlog", "name", NULL};
	struct config *c = vm_of(L)->config;
	const struct address_list *address;
	struct listener_config l = {.systemd = false};
	bool has_name, has_mode;

	lua_settop(L, 3);
	if (c->sealed)
		return luaL_error(L, "qmqp_listen works only while the script "
				     "starts");
	if (!lua_isfunction(L, 2))
		return luaL_error(L,
				  "qmqp_listen: the handler must be a "
				  "function, not a %s",
				  luaL_typename(L, 2));
	options_check(L, 3, "qmqp_listen", names);
	l.mode = get_mode(L, 3);
	l.backlog = get_backlog(L, 3);
	has_mode = options_get(L, 3, "mode") != LUA_TNIL;
	lua_pop(L, 1);
	has_name = push_name(L, 3);
	l.name = (char *)lua_tostring(L, -1);

	address = address_class_test(L, 1);
	if (luaL_testudata(L, 1, SYSTEMD) != NULL)
		l.systemd = true;
	else if (address != NULL && address->n > 0)
		l.address = address->v[0].address;
	else if (lua_type(L, 1) == LUA_TSTRING)
		parse_where(L, c->directory, &l.address);
	else
		return luaL_error(L,
				  "qmqp_listen: expected a path, an address or "
				  "the variable systemd, not a %s",
				  luaL_typename(L, 1));
	if (has_name && !l.systemd)
		return luaL_error(L, "qmqp_listen: name is for sockets of "
				     "systemd");
	if (has_mode && (l.systemd || !sockaddr_is_unix(&l.address) ||
			 l.address.un.sun_path[0] == '\0'))
		return luaL_error(L, "qmqp_listen: mode is for socket files");
	refuse_twice(L, c, &l);
	add(L, c, &l);
	return 0;
}

static int l_tostring(lua_State *L)
{
	lua_pushliteral(L, "systemd");
	return 1;
}

void listen_lib_open(lua_State *L)
{
	lua_register(L, "qmqp_listen", l_listen);

	lua_newuserdatauv(L, 0, 0);
	luaL_newmetatable(L, SYSTEMD);
	lua_pushcfunction(L, l_tostring);
	lua_setfield(L, -2, "__tostring");
	lua_pushboolean(L, 0);
	lua_setfield(L, -2, "__metatable");
	lua_setmetatable(L, -2);
	lua_setglobal(L, "systemd");

	config_push_globals(L);
}
