/* SPDX-License-Identifier: BSD-2-Clause */
#include "lua/command.h"

#include <assert.h>
#include <lauxlib.h>
#include <string.h>

#include "lua/options.h"

/* What a command needs: strings of argv and envp, bytes with their NULs. */
struct needs {
	size_t n_args;
	size_t n_env;
	size_t bytes;
};

/* Turns a number into a string, in place.  Returns why it cannot be one of the
 * program's strings, or NULL. */
static const char *to_string(lua_State *L, int index, size_t *ret_size)
{
	const char *s;

	if (lua_type(L, index) != LUA_TSTRING &&
	    lua_type(L, index) != LUA_TNUMBER)
		return lua_pushfstring(L,
				       "must be a string or a number, not a %s",
				       luaL_typename(L, index));
	s = lua_tolstring(L, index, ret_size);
	if (strlen(s) != *ret_size)
		return "must not contain a NUL byte";
	return NULL;
}

static void check_args(lua_State *L, int first, int end, struct needs *n)
{
	for (int i = first; i < end; i++) {
		size_t size = 0;
		const char *why = to_string(L, i, &size);

		if (why == NULL && i == first && *lua_tostring(L, i) != '/')
			why = lua_pushfstring(L,
					      "must be an absolute path, there "
					      "is no search for '%s'",
					      lua_tostring(L, i));
		if (why != NULL)
			luaL_argerror(L, i, why);
		n->bytes += size + 1;
	}
	n->n_args = (size_t)(end - first);
}

/* The table at `env` is walked twice, and does not change between. */
static void check_env(lua_State *L, const char *function, int env,
		      struct needs *n)
{
	lua_pushnil(L);
	while (lua_next(L, env)) {
		size_t name_size, size = 0;
		const char *name, *why;

		if (lua_type(L, -2) != LUA_TSTRING)
			luaL_error(L,
				   "%s: env: a name must be a string, not a "
				   "%s",
				   function, luaL_typename(L, -2));
		name = lua_tolstring(L, -2, &name_size);
		if (name_size == 0 || strcspn(name, "=") != name_size)
			luaL_error(L,
				   "%s: env: '%s': a name must not be empty, "
				   "nor contain '=' or a NUL byte",
				   function, name);
		why = to_string(L, lua_gettop(L), &size);
		if (why != NULL)
			luaL_error(L, "%s: env: '%s' %s", function, name, why);
		n->bytes += name_size + 1 + size + 1;
		n->n_env++;
		lua_pop(L, 1);
	}
}

static char *put(char *at, const char *s, size_t size)
{
	memcpy(at, s, size);
	return at + size;
}

static char *put_args(lua_State *L, int first, const struct needs *n,
		      char **argv, char *at)
{
	size_t i;

	for (i = 0; i < n->n_args; i++) {
		size_t size;
		const char *s = lua_tolstring(L, first + (int)i, &size);

		argv[i] = at;
		at = put(at, s, size + 1);
	}
	argv[i] = NULL;
	return at;
}

/* `env` may be nil. */
static void put_env(lua_State *L, int env, char **envp, char *at)
{
	size_t i = 0;

	if (lua_istable(L, env))
		lua_pushnil(L);
	while (lua_istable(L, env) && lua_next(L, env)) {
		size_t name_size, size;
		const char *name = lua_tolstring(L, -2, &name_size);
		const char *value = lua_tolstring(L, -1, &size);

		envp[i++] = at;
		at = put(at, name, name_size);
		*at++ = '=';
		at = put(at, value, size + 1);
		lua_pop(L, 1);
	}
	envp[i] = NULL;
}

const struct command *command_push(lua_State *L, const char *function,
				   int first, int options)
{
	struct needs n = {0, 0, 0};
	struct command *c;
	char **vectors;
	int env;

	luaL_checkstack(L, 10, "too many arguments");
	options_get(L, options, "env");
	env = lua_gettop(L);
	check_args(L, first, options, &n);
	if (lua_istable(L, env))
		check_env(L, function, env, &n);
	else if (!lua_isnil(L, env))
		luaL_error(L, "%s: env must be a table, not a %s", function,
			   luaL_typename(L, env));

	c = lua_newuserdatauv(
		L,
		sizeof(*c) + (n.n_args + n.n_env + 2) * sizeof(char *) +
			n.bytes,
		0);
	vectors = (char **)(c + 1);
	c->argv = vectors;
	c->envp = vectors + n.n_args + 1;
	put_env(L, env, c->envp,
		put_args(L, first, &n, c->argv,
			 (char *)(c->envp + n.n_env + 1)));
	lua_replace(L, env);
	assert(lua_gettop(L) == env && lua_touserdata(L, env) == c);
	return c;
}
