/* SPDX-License-Identifier: BSD-2-Clause */
#include "lua/xattr_class.h"

#include <errno.h>
#include <lauxlib.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/attr.h"
#include "base/limits.h"
#include "io/cgroup.h"
#include "lua/cgroup_class.h"

/* Upvalue 1 of every function here: the cgroup object. */
#define CGROUP lua_upvalueindex(1)

#define SHORT_PREFIX "user."

static bool has_prefix(const char *name)
{
	static const char *const prefixes[] = {"user.", "trusted.", "security.",
					       "system."};

	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++)
		if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0)
			return true;
	return false;
}

/* Pushes the value; returns false, with the reason, if it cannot be read, and
 * pushes nil if there is none. */
static bool push_value(lua_State *L, struct cgroup *c, const char *name,
		       const char **ret_reason)
{
	char small[512]; /* usual ones: without garbage for the collector */
	ssize_t n;
	luaL_Buffer b;

	n = cgroup_xattr_get(c, name, small, sizeof(small), ret_reason);
	if (n >= 0) {
		lua_pushlstring(L, small, (size_t)n);
		return true;
	}
	if (n == -ERANGE) {
		char *large = luaL_buffinitsize(L, &b, LIMIT_XATTR_VALUE);

		n = cgroup_xattr_get(c, name, large, LIMIT_XATTR_VALUE,
				     ret_reason);
		luaL_pushresultsize(&b, n > 0 ? (size_t)n : 0);
		if (n >= 0)
			return true;
		lua_pop(L, 1);
	}
	if (n != -ENODATA)
		return false;
	lua_pushnil(L);
	return true;
}

static int l_index(lua_State *L)
{
	struct cgroup *c = cgroup_class_check(L, CGROUP);
	char name[LIMIT_XATTR_NAME + 1];
	const char *key, *reason;
	size_t size;
	int n;

	if (lua_type(L, 2) != LUA_TSTRING)
		return 0;
	key = lua_tolstring(L, 2, &size);
	if (strlen(key) != size)
		return 0;
	n = snprintf(name, sizeof(name), "%s%s",
		     has_prefix(key) ? "" : SHORT_PREFIX, key);
	if (n < 0 || (size_t)n >= sizeof(name))
		return 0; /* no name is so long */
	if (!push_value(L, c, name, &reason))
		return cgroup_class_error(L, c, reason);
	return 1;
}

static int l_newindex(lua_State *L)
{
	return luaL_error(L, "extended attributes are read-only");
}

/* Upvalue 2: the list of names, 3: the next one's offset in it.  What went
 * meanwhile, and what may not be read, is passed over. */
static int l_next(lua_State *L)
{
	struct cgroup *c = cgroup_class_check(L, CGROUP);
	size_t size, at = (size_t)lua_tointeger(L, lua_upvalueindex(3));
	const char *list = lua_tolstring(L, lua_upvalueindex(2), &size);
	const char *reason;

	while (at < size) {
		const char *name = list + at;

		at += strlen(name) + 1;
		lua_pushinteger(L, (lua_Integer)at);
		lua_replace(L, lua_upvalueindex(3));
		lua_pushstring(L, name);
		if (push_value(L, c, name, &reason)) {
			if (!lua_isnil(L, -1))
				return 2;
			lua_pop(L, 1);
		}
		lua_pop(L, 1);
	}
	return 0;
}

static int l_pairs(lua_State *L)
{
	struct cgroup *c = cgroup_class_check(L, CGROUP);
	const char *reason;
	luaL_Buffer b;
	char *list;
	ssize_t n;

	lua_pushvalue(L, CGROUP);
	list = luaL_buffinitsize(L, &b, LIMIT_XATTR_LIST);
	n = cgroup_xattr_list(c, list, LIMIT_XATTR_LIST, &reason);
	if (n < 0)
		return cgroup_class_error(L, c, reason);
	luaL_pushresultsize(&b, (size_t)n);
	lua_pushinteger(L, 0);
	lua_pushcclosure(L, l_next, 3);
	return 1;
}

void xattr_class_push(lua_State *L, int cgroup)
{
	static const luaL_Reg metamethods[] = {
		{"__index", l_index},
		{"__newindex", l_newindex},
		{"__pairs", l_pairs},
		{NULL, NULL},
	};

	cgroup = lua_absindex(L, cgroup);
	lua_createtable(L, 0, 0);
	lua_createtable(L, 0, 4);
	lua_pushvalue(L, cgroup);
	luaL_setfuncs(L, metamethods, 1);
	lua_pushboolean(L, 0);
	lua_setfield(L, -2, "__metatable");
	lua_setmetatable(L, -2);
}
