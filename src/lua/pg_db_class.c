/* SPDX-License-Identifier: BSD-2-Clause */
#include "lua/pg_db_class.h"

#include <errno.h>
#include <lauxlib.h>
#include <string.h>

#include "base/limits.h"
#include "db/pg_pool.h"
#include "lua/coro.h"
#include "lua/options.h"
#include "lua/pg_listen_method.h"
#include "lua/pg_tx_class.h"
#include "lua/pg_wait.h"
#include "lua/vm.h"

#define CLASS "qrelay.pg.db"

struct pg_db *pg_db_class_check(lua_State *L, int index)
{
	return luaL_checkudata(L, index, CLASS);
}

/* A string without NUL, or NULL for nil. */
static const char *optional_text(lua_State *L, int index, const char *what)
{
	const char *s;

	if (lua_isnoneornil(L, index))
		return NULL;
	if (lua_type(L, index) != LUA_TSTRING)
		luaL_error(L, "pg:new: %s must be a string, not a %s", what,
			   luaL_typename(L, index));
	s = lua_tostring(L, index);
	if (strlen(s) != lua_rawlen(L, index))
		luaL_error(L, "pg:new: %s has a NUL byte", what);
	return s;
}

static unsigned read_connections(lua_State *L, int index)
{
	lua_Integer n = LIMIT_PG_SHARED_DEFAULT;
	int ok = 1;

	if (options_get(L, index, "connections") != LUA_TNIL)
		n = lua_tointegerx(L, -1, &ok);
	lua_pop(L, 1);
	if (!ok || n < 1 || n > LIMIT_PG_SHARED_MAX)
		luaL_error(L, "pg:new: connections must be from 1 to %d",
			   LIMIT_PG_SHARED_MAX);
	return (unsigned)n;
}

static bool read_prepare(lua_State *L, int index)
{
	int type = options_get(L, index, "prepare");
	bool prepare = type == LUA_TNIL || lua_toboolean(L, -1);

	if (type != LUA_TNIL && type != LUA_TBOOLEAN)
		luaL_error(L, "pg:new: prepare must be a boolean, not a %s",
			   luaL_typename(L, -1));
	lua_pop(L, 1);
	return prepare;
}

int pg_db_class_new(lua_State *L)
{
	static const char *const names[] = {"connections", "prepare", "init",
					    NULL};
	struct vm *vm = vm_of(L);
	struct pg_pool_options o = {0};
	struct pg_db *db;

	lua_settop(L, 4);
	luaL_checktype(L, 2, LUA_TSTRING);
	options_check(L, 4, "pg:new", names);
	o.conninfo = optional_text(L, 2, "the conninfo");
	o.schema = optional_text(L, 3, "the schema");
	if (o.schema != NULL &&
	    (*o.schema == '\0' || strlen(o.schema) > LIMIT_PG_NAME))
		return luaL_error(L,
				  "pg:new: the schema must have from 1 to %d "
				  "bytes",
				  LIMIT_PG_NAME);
	o.shared = read_connections(L, 4);
	o.prepare = read_prepare(L, 4);
	options_get(L, 4, "init");
	o.init = optional_text(L, -1, "init");

	db = lua_newuserdatauv(L, sizeof(*db), 0);
	*db = (struct pg_db){.vm = vm};
	luaL_setmetatable(L, CLASS);
	db->pool = pg_pool_new(vm->loop, vm->resolver, &o);
	if (db->pool == NULL)
		return luaL_error(
			L, errno == EINVAL ? "pg:new: malformed conninfo (not "
					     "shown: it may hold a password)"
					   : "not enough memory");
	return 1;
}

static int answered(lua_State *L, int status, lua_KContext context)
{
	(void)status;
	return pg_wait_push_answer(L, (struct pg_wait *)context);
}

/* db:execute(sql [, params [, {timeout=}]]) */
static int l_execute(lua_State *L)
{
	struct pg_db *db = pg_db_class_check(L, 1);
	struct pg_wait *w;
	struct coro *c;
	double timeout;

	lua_settop(L, 4);
	timeout = pg_wait_timeout(L, 4, "execute");
	c = coro_current(L);
	w = pg_wait_push(L, 2, 3);
	w->coro = c;
	w->query->context = w;
	w->submitted = true;
	pg_pool_submit(db->pool, w->query, timeout, pg_wait_on_done);
	return pg_wait(L, w, answered);
}

static int l_gc(lua_State *L)
{
	struct pg_db *db = pg_db_class_check(L, 1);

	pg_pool_free(db->pool);
	db->pool = NULL;
	return 0;
}

void pg_db_class_open(lua_State *L)
{
	static const luaL_Reg methods[] = {
		{"execute", l_execute},
		{"listen", pg_listen_method},
		{"transaction", pg_tx_class_run},
		{NULL, NULL},
	};

	luaL_newmetatable(L, CLASS);
	luaL_newlib(L, methods);
	lua_setfield(L, -2, "__index");
	lua_pushcfunction(L, l_gc);
	lua_setfield(L, -2, "__gc");
	lua_pushliteral(L, "pg database");
	lua_setfield(L, -2, "__name");
	lua_pushboolean(L, 0);
	lua_setfield(L, -2, "__metatable");
	lua_pop(L, 1);
}
