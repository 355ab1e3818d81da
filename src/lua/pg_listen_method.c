/* SPDX-License-Identifier: BSD-2-Clause */
#include "lua/pg_listen_method.h"

#include <lauxlib.h>
#include <stdbool.h>
#include <string.h>

#include "base/limits.h"
#include "base/log.h"
#include "db/pg_listen.h"
#include "lua/callback.h"
#include "lua/coro.h"
#include "lua/options.h"
#include "lua/pg_db_class.h"
#include "lua/vm.h"

/* A userdata that is kept in the registry: it goes with the Lua state. */
struct listener {
	struct pg_db *db;
	int function; /* in the registry */
	bool on_reconnect;
	struct coro *waiting;           /* the caller of listen; or NULL */
	char message[LIMIT_PG_MESSAGE]; /* why it failed; or "" */
	char name[LIMIT_PG_NAME + 1];
};

struct notification {
	struct listener *listener;
	const char *payload; /* NULL: some may have been missed */
	int pid;
};

static int push_call(lua_State *L, void *context)
{
	const struct notification *n = context;

	lua_rawgeti(L, LUA_REGISTRYINDEX, n->listener->function);
	if (n->payload != NULL)
		lua_pushstring(L, n->payload);
	else
		lua_pushnil(L);
	lua_pushstring(L, n->listener->name);
	if (n->payload == NULL)
		return 2;
	lua_pushinteger(L, n->pid);
	return 3;
}

static void on_callback_done(void *context)
{
	struct listener *l = context;

	if (l->db->callbacks-- == LIMIT_PG_CALLBACKS)
		pg_listen_resume(l->db->pool);
}

static void call(struct listener *l, const char *payload, int pid)
{
	struct notification n = {l, payload, pid};

	if (++l->db->callbacks == LIMIT_PG_CALLBACKS)
		pg_listen_pause(l->db->pool);
	callback_run(l->db->vm, "callback of db:listen", push_call, &n,
		     on_callback_done, l);
}

static void complain(struct listener *l, const char *why)
{
	struct ev_loop *loop = l->db->vm->loop;

	if (ev_now(loop) < l->db->complain_at)
		return;
	l->db->complain_at = ev_now(loop) + LIMIT_PG_COMPLAINT_INTERVAL;
	log_printf(l->db->vm->log,
		   "db:listen: not listening to '%s', will try again: %s",
		   l->name, why);
}

/* Wakes the caller of listen: the last statement. */
static void wake(struct listener *l, const char *message)
{
	struct coro *c = l->waiting;

	l->waiting = NULL;
	strncpy(l->message, message, sizeof(l->message) - 1);
	if (c != NULL)
		coro_resume(c);
}

static void on_event(void *context, enum pg_channel_event event,
		     const char *text, int pid)
{
	struct listener *l = context;

	switch (event) {
	case PG_CHANNEL_ACTIVE:
		if (text != NULL && l->on_reconnect)
			call(l, NULL, 0);
		wake(l, "");
		break;
	case PG_CHANNEL_TROUBLE:
		complain(l, text);
		wake(l, text);
		break;
	case PG_CHANNEL_NOTIFY:
		call(l, text, pid);
		break;
	}
}

static void cancel(void *context)
{
	((struct listener *)context)->waiting = NULL;
}

static int listening(lua_State *L, int status, lua_KContext context)
{
	const struct listener *l = (struct listener *)context;

	(void)status;
	if (l->message[0] != '\0') {
		lua_pushnil(L);
		lua_pushstring(L, l->message);
		return 2;
	}
	lua_pushboolean(L, 1);
	return 1;
}

static bool read_on_reconnect(lua_State *L, int index)
{
	static const char *const names[] = {"on_reconnect", NULL};
	bool value;

	options_check(L, index, "listen", names);
	if (options_get(L, index, "on_reconnect") != LUA_TNIL)
		luaL_checktype(L, -1, LUA_TBOOLEAN);
	value = lua_toboolean(L, -1);
	lua_pop(L, 1);
	return value;
}

int pg_listen_method(lua_State *L)
{
	struct pg_db *db = pg_db_class_check(L, 1);
	size_t size;
	const char *name = luaL_checklstring(L, 2, &size);
	struct listener *l;
	struct coro *c;
	bool on_reconnect;

	luaL_checktype(L, 3, LUA_TFUNCTION);
	lua_settop(L, 4);
	on_reconnect = read_on_reconnect(L, 4);
	if (size == 0 || size > LIMIT_PG_NAME || strlen(name) != size)
		return luaL_error(L,
				  "listen: the name must have from 1 to %d "
				  "bytes, none of them NUL",
				  LIMIT_PG_NAME);
	c = coro_current(L);
	l = lua_newuserdatauv(L, sizeof(*l), 0);
	memset(l, 0, sizeof(*l));
	l->db = db;
	l->on_reconnect = on_reconnect;
	memcpy(l->name, name, size);
	lua_pushvalue(L, 3);
	l->function = luaL_ref(L, LUA_REGISTRYINDEX);
	lua_pushvalue(L, -1);
	luaL_ref(L, LUA_REGISTRYINDEX);
	if (!db->anchored) {
		/* it calls back for as long as the script lives */
		lua_pushvalue(L, 1);
		luaL_ref(L, LUA_REGISTRYINDEX);
		db->anchored = true;
	}
	if (pg_listen(db->pool, l->name, on_event, l) < 0)
		return luaL_error(L, "not enough memory");
	l->waiting = c;
	return coro_wait(L, c, cancel, l, listening);
}
