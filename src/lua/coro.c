/* SPDX-License-Identifier: BSD-2-Clause */
#include "lua/coro.h"

#include <assert.h>
#include <lauxlib.h>
#include <string.h>

#include "base/limits.h"
#include "lua/vm.h"

struct start {
	struct coro *coro;
	coro_push_fn *push;
	void *context;
	int n_arguments;
};

void coro_init(struct coro *c, struct vm *vm)
{
	*c = (struct coro){.vm = vm, .anchor = LUA_NOREF};
}

static int prepare(lua_State *L)
{
	struct start *s = lua_touserdata(L, 1);
	struct coro *c = s->coro;
	struct vm *vm = c->vm;

	lua_settop(L, 0);
	s->n_arguments = s->push(L, s->context);
	if (vm->n_idle > 0) {
		vm->n_idle--;
		c->thread = vm->idle[vm->n_idle].thread;
		c->anchor = vm->idle[vm->n_idle].anchor;
	} else {
		lua_State *thread = lua_newthread(L);

		c->anchor = luaL_ref(L, LUA_REGISTRYINDEX);
		c->thread = thread;
		*vm_mark(thread) |= 1;
	}
	lua_xmove(L, c->thread, s->n_arguments + 1);
	return 0;
}

struct description {
	struct coro *coro;
	const char *message; /* NULL: the error object on the thread's stack */
	int line;            /* of the message; 0: where the thread is */
};

static int to_string(lua_State *L)
{
	luaL_tolstring(L, 1, NULL);
	return 1;
}

/* What the error object on top of `L` says of itself, which may take a function
 * of the script's: within the script's limits. */
static void push_description(lua_State *L, struct coro *c)
{
	struct vm *vm = c->vm;
	int status;

	lua_pushcfunction(L, to_string);
	lua_pushvalue(L, -2);
	vm->running = c;
	vm->limited = true;
	budget_enter(&vm->budget, &c->account, L);
	status = lua_pcall(L, 1, 1, 0);
	budget_enter(&vm->budget, &vm->own, L);
	vm->limited = false;
	vm->running = NULL;
	if (status != LUA_OK)
		lua_pushfstring(L, "(error object is a %s value)",
				luaL_typename(L, -2));
}

/* No more than can be logged. */
static void push_message(lua_State *L, struct coro *c)
{
	/* a coroutine that failed has room only for what is taken from it */
	lua_xmove(c->thread, L, 1);
	lua_pushvalue(L, -1);
	lua_xmove(L, c->thread, 1);
	if (lua_type(L, -1) != LUA_TSTRING)
		push_description(L, c);
	if (lua_rawlen(L, -1) > LIMIT_LOG_LINE)
		lua_pushlstring(L, lua_tostring(L, -1), LIMIT_LOG_LINE);
}

/* Where a coroutine was stopped that raised nothing itself; `line` is 0 unless it
 * is known better. */
static void push_where(lua_State *L, lua_State *thread, int line)
{
	lua_Debug ar;

	for (int level = 0; lua_getstack(thread, level, &ar); level++) {
		lua_getinfo(thread, "Sl", &ar);
		if (ar.currentline > 0) {
			lua_pushfstring(L, "%s:%d: ", ar.short_src,
					line > 0 ? line : ar.currentline);
			return;
		}
	}
	lua_pushliteral(L, "");
}

/* Makes the message and traceback of c->error. */
static int describe(lua_State *L)
{
	struct description *d = lua_touserdata(L, 1);
	lua_State *thread = d->coro->thread;
	const char *text;
	size_t size;

	if (d->message != NULL) {
		push_where(L, thread, d->line);
		lua_pushstring(L, d->message);
		lua_concat(L, 2);
	} else {
		push_message(L, d->coro);
	}
	luaL_traceback(L, thread, lua_tostring(L, -1), 0);
	text = lua_tolstring(L, -1, &size);
	d->coro->error.size = 0;
	if (buffer_add(&d->coro->error, text, size) < 0)
		return luaL_error(L, "not enough memory");
	return 0;
}

static void set_error(struct coro *c, const char *message, int line)
{
	struct description d = {c, message, line};
	const char *text = "not enough memory";

	if (vm_call(c->vm, describe, &d, 0) == LUA_OK)
		return;
	c->error.size = 0;
	if (lua_type(c->vm->L, -1) == LUA_TSTRING)
		text = lua_tostring(c->vm->L, -1);
	/* without memory the message stays empty */
	(void)!buffer_add(&c->error, text, strlen(text));
	lua_settop(c->vm->L, 0);
}

static void cancel_wait(struct coro *c)
{
	coro_cancel_fn *cancel = c->cancel;

	c->cancel = NULL;
	if (cancel != NULL)
		cancel(c->wait_context);
}

static enum coro_status run(struct coro *c, int n_arguments)
{
	struct vm *vm = c->vm;
	int status, n_results;

	assert(vm->running == NULL);
	vm->running = c;
	vm->limited = true;
	budget_enter(&vm->budget, &c->account, c->thread);
	status = lua_resume(c->thread, vm->L, n_arguments, &n_results);
	budget_leave(&vm->budget);
	vm->limited = false;
	vm->running = NULL;

	c->unfinished = status != LUA_OK;
	if (status == LUA_OK)
		return CORO_DONE;
	if (status != LUA_YIELD) {
		set_error(c, NULL, 0);
	} else if (budget_is_over(&c->account)) {
		cancel_wait(c);
		set_error(c, "too much CPU used (handler_timeout)",
			  vm->budget.line);
	} else if (c->cancel != NULL) {
		return CORO_WAITING;
	} else {
		set_error(c, "yield outside of a coroutine of the script", 0);
	}
	return CORO_FAILED;
}

enum coro_status coro_start(struct coro *c, double cpu, coro_push_fn *push,
			    void *context, coro_done_fn *on_done)
{
	struct start s = {c, push, context, 0};

	coro_deinit(c);
	budget_account_init(&c->vm->budget, &c->account, cpu);
	c->on_done = on_done;
	if (vm_call(c->vm, prepare, &s, 0) != LUA_OK) {
		const char *text = lua_tostring(c->vm->L, -1);

		if (text == NULL)
			text = "not enough memory";
		(void)!buffer_add(&c->error, text, strlen(text));
		lua_settop(c->vm->L, 0);
		return CORO_FAILED;
	}
	return run(c, s.n_arguments);
}

/* Closes what the coroutine has open.  Its closing functions run within what is
 * left of the budget, and cannot wait. */
static void close_thread(struct coro *c)
{
	struct vm *vm = c->vm;

	vm->running = c;
	vm->limited = true;
	c->closing = true;
	budget_enter(&vm->budget, &c->account, c->thread);
	lua_resetthread(c->thread);
	budget_leave(&vm->budget);
	c->closing = false;
	vm->limited = false;
	vm->running = NULL;
}

/* A thread whose coroutine has returned is as good as new. */
static void let_go(struct coro *c)
{
	struct vm *vm = c->vm;

	if (c->unfinished || lua_status(c->thread) != LUA_OK ||
	    vm->n_idle == VM_IDLE_THREADS) {
		luaL_unref(vm->L, LUA_REGISTRYINDEX, c->anchor);
		return;
	}
	lua_settop(c->thread, 0);
	vm->idle[vm->n_idle].thread = c->thread;
	vm->idle[vm->n_idle].anchor = c->anchor;
	vm->n_idle++;
}

void coro_deinit(struct coro *c)
{
	cancel_wait(c);
	if (c->thread != NULL) {
		if (c->unfinished)
			close_thread(c);
		let_go(c);
	}
	c->unfinished = false;
	c->thread = NULL;
	c->anchor = LUA_NOREF;
	c->on_done = NULL;
	buffer_deinit(&c->error);
}

struct coro *coro_current(lua_State *L)
{
	struct coro *c = vm_of(L)->running;

	if (c != NULL && c->thread != L)
		luaL_error(L, "cannot wait inside a coroutine of the script");
	if (c == NULL || c->closing || !lua_isyieldable(L))
		luaL_error(L, "cannot wait here");
	return c;
}

int coro_wait(lua_State *L, struct coro *c, coro_cancel_fn *cancel,
	      void *context, lua_KFunction k)
{
	assert(c->thread == L && c->cancel == NULL);
	c->cancel = cancel;
	c->wait_context = context;
	return lua_yieldk(L, 0, (lua_KContext)context, k);
}

void coro_resume(struct coro *c)
{
	enum coro_status status;

	assert(c->cancel != NULL);
	c->cancel = NULL;
	ev_now_update(c->vm->loop);
	status = run(c, 0);
	if (status != CORO_WAITING)
		c->on_done(c, status); /* may free c */
}
