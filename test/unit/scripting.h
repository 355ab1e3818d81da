/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_TEST_SCRIPTING_H
#define QRELAY_TEST_SCRIPTING_H

/*
 * What the tests of the Lua side share: a VM in a loop, a log that can be read, a
 * coroutine that can be looked at, and a library function wait() whose end the
 * test decides.
 */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <lauxlib.h>
#include <lua.h>

#include "base/log.h"
#include "io/resolver.h"
#include "lua/config.h"
#include "lua/coro.h"
#include "lua/vm.h"
#include "processes.h"

struct world {
	struct ev_loop *loop;
	struct log log;
	FILE *log_file;
	struct resolver *resolver;
	struct config config;
	struct vm *vm;
	int n_fds;

	/* of wait() */
	struct coro *waiting; /* NULL: nobody */
	unsigned n_cancels;
};

static struct world w;

static void cancel_wait(void *context)
{
	struct coro **c = context;

	assert_ptr_equal(*c, w.waiting);
	w.waiting = NULL;
	w.n_cancels++;
}

static int waited(lua_State *L, int status, lua_KContext context)
{
	(void)status, (void)context;
	lua_pushliteral(L, "waited");
	return 1;
}

/* wait(): until wake(); returns "waited". */
static int l_wait(lua_State *L)
{
	struct coro *c = coro_current(L), **context;

	/* NOLINTNEXTLINE(bugprone-sizeof-expression): it holds a pointer */
	context = lua_newuserdatauv(L, sizeof(*context), 0);
	*context = w.waiting = c;
	return coro_wait(L, c, cancel_wait, context, waited);
}

static inline void wake(void)
{
	struct coro *c = w.waiting;

	assert_non_null(c);
	w.waiting = NULL;
	coro_resume(c);
}

static int do_string(lua_State *L)
{
	lua_register(L, "wait", l_wait);
	if (luaL_dostring(L, lua_touserdata(L, 1)) != LUA_OK)
		lua_error(L);
	return 0;
}

/* Runs a piece of Lua outside of any coroutine, e.g. to define functions. */
static inline void define(const char *code)
{
	if (vm_call(w.vm, do_string, (void *)code, 0) != LUA_OK)
		fail_msg("%s", lua_tostring(w.vm->L, -1));
	assert_int_equal(lua_gettop(w.vm->L), 0);
}

static inline int setup(void **state)
{
	(void)state;
	w = (struct world){.n_fds = count_fds()};
	w.loop = ev_loop_new(EVFLAG_NOENV);
	w.log_file = tmpfile();
	log_init(&w.log, fileno(w.log_file));
	w.resolver = resolver_new(w.loop);
	config_init(&w.config);
	w.vm = vm_new(w.loop, &w.log, w.resolver, &w.config);
	assert_non_null(w.vm);
	define("");
	return 0;
}

static inline int teardown(void **state)
{
	(void)state;
	vm_free(w.vm);
	config_deinit(&w.config);
	resolver_free(w.resolver);
	log_deinit(&w.log);
	fclose(w.log_file);
	/* nothing is left in the loop */
	ev_run(w.loop, 0);
	ev_loop_destroy(w.loop);
	assert_int_equal(count_fds(), w.n_fds);
	return 0;
}

/* The global string `name`, good until it is set anew; "nil" if there is none. */
static inline const char *global(const char *name)
{
	const char *text;

	lua_getglobal(w.vm->L, name);
	text = lua_isnil(w.vm->L, -1) ? "nil" : lua_tostring(w.vm->L, -1);
	lua_pop(w.vm->L, 1);
	return text;
}

/* What print() wrote. */
static inline const char *printed(void)
{
	static char text[10000];
	ssize_t n;

	assert_true(log_flush(&w.log));
	n = pread(fileno(w.log_file), text, sizeof(text) - 1, 0);
	text[n < 0 ? 0 : n] = '\0';
	return text;
}

/* A coroutine, and what became of it. */
struct task {
	struct coro coro;
	unsigned n_done;
	enum coro_status status;
};

static inline void on_task_done(struct coro *c, enum coro_status status)
{
	struct task *t = container_of(c, struct task, coro);

	t->n_done++;
	t->status = status;
}

static inline int push_code(lua_State *L, void *context)
{
	if (luaL_loadbuffer(L, context, strlen(context), "=code") != LUA_OK)
		lua_error(L);
	return 0;
}

static inline void task_init(struct task *t)
{
	memset(t, 0xa5, sizeof(*t));
	t->n_done = 0;
	coro_init(&t->coro, w.vm);
}

/* Starts a piece of Lua that may use so many seconds of CPU. */
static inline enum coro_status task_start(struct task *t, const char *code,
					  double cpu)
{
	t->n_done = 0;
	return coro_start(&t->coro, cpu, push_code, (void *)code, on_task_done);
}

/* The message without its traceback. */
static inline const char *task_error(struct task *t)
{
	static char text[1000];
	size_t n = t->coro.error.size;

	n = n < sizeof(text) ? n : sizeof(text) - 1;
	memcpy(text, t->coro.error.data ? t->coro.error.data : "", n);
	text[n] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return text;
}

/* The first result as a string. */
static inline const char *task_result(struct task *t)
{
	return lua_gettop(t->coro.thread) > 0
		       ? luaL_tolstring(t->coro.thread, 1, NULL)
		       : "nothing";
}

/* Runs Lua code in a coroutine that must end, and must not fail. */
static inline void run_code(const char *code)
{
	struct task t;
	enum coro_status status;

	task_init(&t);
	status = task_start(&t, code, 60.);
	if (status == CORO_FAILED)
		fail_msg("%s", task_error(&t));
	assert_int_equal(status, CORO_DONE);
	coro_deinit(&t.coro);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif
