/* SPDX-License-Identifier: BSD-2-Clause */
#include "lua/script.h"

#include <lauxlib.h>

#include "base/limits.h"
#include "lua/config.h"
#include "lua/vm.h"

void script_init(struct script *s, struct vm *vm)
{
	s->vm = vm;
	s->path = NULL;
	s->on_done = NULL;
	coro_init(&s->coro, vm);
}

void script_deinit(struct script *s)
{
	coro_deinit(&s->coro);
	s->on_done = NULL;
}

static void finish(struct script *s, enum coro_status status)
{
	script_done_fn *on_done = s->on_done;
	const char *error = NULL;

	if (status == CORO_FAILED) {
		/* the message ends with a NUL for whom we call */
		if (buffer_add(&s->coro.error, "", 1) < 0)
			error = "not enough memory";
		else
			error = s->coro.error.data;
	} else if (s->path != NULL) {
		if (config_read_globals(s->vm, s->path) != LUA_OK)
			error = lua_tostring(s->vm->L, -1);
	}
	on_done(s, error);
	lua_settop(s->vm->L, 0);
	/* what one that failed has left open is not open until the next one */
	coro_deinit(&s->coro);
}

static void on_coro_done(struct coro *c, enum coro_status status)
{
	finish(container_of(c, struct script, coro), status);
}

static int push_file(lua_State *L, void *context)
{
	const struct script *s = context;

	if (luaL_loadfile(L, s->path) != LUA_OK)
		lua_error(L);
	return 0;
}

static int nothing(lua_State *L)
{
	(void)L;
	return 0;
}

static int push_reload(lua_State *L, void *context)
{
	(void)context;
	if (lua_getglobal(L, "reload") == LUA_TNIL)
		lua_pushcfunction(L, nothing);
	return 0;
}

static void start(struct script *s, coro_push_fn *push, script_done_fn *on_done)
{
	enum coro_status status;

	s->on_done = on_done;
	status = coro_start(&s->coro, LIMIT_SCRIPT_TIMEOUT, push, s,
			    on_coro_done);
	if (status != CORO_WAITING)
		finish(s, status);
}

void script_run(struct script *s, const char *path, script_done_fn *on_done)
{
	s->path = path;
	start(s, push_file, on_done);
}

void script_reload(struct script *s, script_done_fn *on_done)
{
	s->path = NULL;
	start(s, push_reload, on_done);
}
