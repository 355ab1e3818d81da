/* SPDX-License-Identifier: BSD-2-Clause */
#include "lua/handler.h"

#include <lauxlib.h>
#include <string.h>

#include "lua/vm.h"

void handler_init(struct handler *h, struct vm *vm)
{
	h->action = NULL;
	h->on_done = NULL;
	coro_init(&h->coro, vm);
}

void handler_deinit(struct handler *h)
{
	mail_context_close(&h->mail);
	coro_deinit(&h->coro);
	mail_context_deinit(&h->mail);
	h->action = NULL;
}

static int push_call(lua_State *L, void *context)
{
	struct handler *h = context;

	lua_rawgeti(L, LUA_REGISTRYINDEX, h->function);
	mail_class_push(L, &h->mail);
	return 1;
}

/* Says where the handler is that returned something else. */
static int describe_result(lua_State *L)
{
	struct handler *h = lua_touserdata(L, 1);
	lua_State *thread = h->coro.thread;
	lua_Debug ar;

	lua_rawgeti(L, LUA_REGISTRYINDEX, h->function);
	lua_getinfo(L, ">S", &ar);
	lua_pushfstring(L,
			"%s:%d: the handler must return an action such as "
			"m:connect(ADDRESS), not %s",
			ar.short_src, ar.linedefined,
			lua_gettop(thread) == 0 ? "nothing"
						: luaL_typename(thread, 1));
	return 1;
}

static enum handler_status conclude(struct handler *h, enum coro_status status)
{
	lua_State *L = h->coro.vm->L;
	const char *text;

	if (status == CORO_WAITING)
		return HANDLER_WAITING;
	mail_context_close(&h->mail);
	if (status == CORO_FAILED)
		return HANDLER_FAILED;
	if (lua_gettop(h->coro.thread) > 0)
		h->action = action_class_test(h->coro.thread, 1);
	if (h->action != NULL)
		return HANDLER_DONE;
	text = vm_call(h->coro.vm, describe_result, h, 1) == LUA_OK
		       ? lua_tostring(L, -1)
		       : "the handler must return an action";
	(void)!buffer_add(&h->coro.error, text, strlen(text));
	lua_settop(L, 0);
	return HANDLER_FAILED;
}

static void on_coro_done(struct coro *c, enum coro_status status)
{
	struct handler *h = container_of(c, struct handler, coro);

	h->on_done(h, conclude(h, status)); /* may free h */
}

enum handler_status handler_start(struct handler *h, int function, double cpu,
				  handler_done_fn *on_done)
{
	h->function = function;
	h->on_done = on_done;
	return conclude(h,
			coro_start(&h->coro, cpu, push_call, h, on_coro_done));
}
