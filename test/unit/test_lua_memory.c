/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What scripts do when memory runs out: allocation number n fails, for n = 0, 1,
 * 2 … until none does.  No crash, no leak, an error.
 */
#include "mailing.h"

#include "lua/script.h"
#include "out_of_memory.h"

static bool make_vm(long n, long count)
{
	struct vm *vm;
	bool any;

	begin_failing(n, count);
	errno = 0;
	vm = vm_new(w.loop, &w.log, w.resolver, &w.config);
	any = stop_failing();
	if (vm == NULL)
		assert_int_equal(errno, ENOMEM);
	assert_true(vm != NULL || any);
	vm_free(vm);
	return any;
}

static void test_vm_new(void **state)
{
	(void)state;
	vm_free(w.vm); /* one at a time in a process */
	assert_true(each(make_vm) > 100);
	w.vm = vm_new(w.loop, &w.log, w.resolver, &w.config);
}

static const char *coro_code;

static bool run_coro(long n, long count)
{
	enum coro_status status;
	struct task t;
	bool any;

	task_init(&t);
	lua_gc(w.vm->L, LUA_GCCOLLECT);
	begin_failing(n, count);
	status = task_start(&t, coro_code, 60.);
	while (status == CORO_WAITING) {
		wake();
		if (t.n_done > 0)
			status = t.status;
	}
	coro_deinit(&t.coro);
	any = stop_failing();
	assert_true(status == CORO_DONE || any);
	assert_int_equal(lua_gettop(w.vm->L), 0);
	assert_null(w.vm->running);
	assert_null(w.waiting);
	/* the next one finds all in order */
	run_code("local t = {} for i = 1, 10 do t[i] = {i} end");
	return any;
}

static void test_coro(void **state)
{
	(void)state;
	coro_code = "local function f(...) return select('#', ...) end\n"
		    "local x <close> = setmetatable({}, {__close = function()\n"
		    "  closed = (closed or 0) + 1 end})\n"
		    "local s = wait() .. f(1, 2) .. tostring({})\n"
		    "local co = coroutine.wrap(function() coroutine.yield(s) "
		    "end) co() sleep = sleep\n"
		    "local ok = pcall(function() wait() error({}) end)\n"
		    "print(s) return s";
	assert_true(each(run_coro) > 10);
}

/* The script's error is told, or that there was no memory to. */
static bool fail_coro(long n, long count)
{
	enum coro_status status;
	struct task t;
	bool any;

	task_init(&t);
	begin_failing(n, count);
	status = task_start(&t,
			    "local function f() error('this ' .. 'message') "
			    "end f() return 1",
			    60.);
	any = stop_failing();
	assert_int_equal(status, CORO_FAILED);
	if (count == 2 || !any)
		assert_true(t.coro.error.size > 0);
	if (!any)
		assert_string_equal(task_error(&t), "code:1: this message");
	coro_deinit(&t.coro);
	assert_int_equal(lua_gettop(w.vm->L), 0);
	return any;
}

static void test_error(void **state)
{
	(void)state;
	assert_true(each(fail_coro) > 5);
}

static const char *handler_code;

static bool run_handler_code(long n, long count)
{
	enum handler_status status;
	int function;
	bool any;

	mail_teardown();
	receive_mail();
	post_init(NULL);
	if (vm_call(w.vm, make_function, (void *)handler_code, 1) != LUA_OK)
		fail_msg("%s", lua_tostring(w.vm->L, -1));
	function = (int)lua_tointeger(w.vm->L, -1);
	lua_settop(w.vm->L, 0);
	lua_gc(w.vm->L, LUA_GCCOLLECT);
	begin_failing(n, count);
	status = handler_start(&p.handler, function, 60., on_handled);
	any = stop_failing();
	assert_true(status == HANDLER_DONE || any);
	assert_true((status == HANDLER_DONE) == (p.handler.action != NULL));
	handler_deinit(&p.handler);
	luaL_unref(w.vm->L, LUA_REGISTRYINDEX, function);
	return any;
}

static void test_handler(void **state)
{
	(void)state;
	handler_code =
		"return function(m)\n"
		"  local s = m.sender .. #m.recipients .. m.size\n"
		"  m.sender = 'other' .. #s .. '@x.y'\n"
		"  m.account = 'acc' m.account = nil m.account = 'acc2'\n"
		"  m:insert_header('X-A', ('v'):rep(200))\n"
		"  m:insert_header('X-B', qmqp_resolve('::1'))\n"
		"  local a = m:exec('/bin/x', 'y', 7, {env = {A = 'b'}})\n"
		"  return m:connect('192.0.2.1', {timeout = 5})\n"
		"end";
	assert_true(each(run_handler_code) > 10);
	handler_code = "return function(m) return m:reject('a' .. m.size) end";
	assert_true(each(run_handler_code) > 2);
}

static struct {
	unsigned n_done;
	bool ok;
} scripted;

static void on_script_done(struct script *s, const char *error)
{
	(void)s;
	scripted.n_done++;
	scripted.ok = error == NULL;
	if (error != NULL)
		assert_true(strlen(error) > 0);
}

static char script_path[] = "/tmp/test_memory.XXXXXX";

/* A whole start of the daemon's Lua side; what was added is whole or not there. */
static bool run_script(long n, long count)
{
	struct script s;
	bool any;

	vm_free(w.vm);
	config_deinit(&w.config);
	w.vm = vm_new(w.loop, &w.log, w.resolver, &w.config);
	assert_non_null(w.vm);
	script_init(&s, w.vm);
	scripted.n_done = 0;
	begin_failing(n, count);
	script_run(&s, script_path, on_script_done);
	any = stop_failing();
	assert_int_equal(scripted.n_done, 1);
	assert_true(scripted.ok || any);
	if (scripted.ok)
		assert_true(w.config.n_listeners >= 1);
	for (size_t i = 0; i < w.config.n_listeners; i++) {
		const struct listener_config *l = &w.config.listeners[i];

		assert_non_null(l->where);
		assert_int_equal(l->systemd, l->name != NULL);
		assert_true(l->handler > 0);
	}
	script_deinit(&s);
	return any;
}

static void test_script(void **state)
{
	int fd = mkstemp(script_path);
	static const char text[] =
		"max_size = 100000\n"
		"local function f(m) return m:discard() end\n"
		"pcall(qmqp_listen, '/tmp/a', f)\n"
		"pcall(qmqp_listen, systemd, f, {name = 'x'})\n"
		"qmqp_listen('@b', f)\n";

	(void)state;
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	assert_true(each(run_script) > 10);
	assert_int_equal(w.config.n_listeners, 3);
	unlink(script_path);
}

/* The limit of the state itself, byte by byte. */
static void test_memory_limit(void **state)
{
	size_t used, n = 0;
	bool done = false;

	(void)state;
	define("function f() local t = {} for i = 1, 20 do t[i] = {i .. ''} "
	       "end local co = coroutine.wrap(function() coroutine.yield() end)"
	       "co() return pcall(error, 'x') end");
	for (size_t limit = 0; !done; limit += 16, n++) {
		struct task t;

		lua_gc(w.vm->L, LUA_GCCOLLECT);
		used = w.vm->memory;
		w.vm->memory_limit = used + limit;
		task_init(&t);
		done = task_start(&t, "return f()", 60.) == CORO_DONE;
		if (!done)
			assert_true(t.coro.error.size > 0);
		coro_deinit(&t.coro);
		assert_true(limit < 100000);
	}
	assert_true(n > 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_vm_new),  TEST(test_coro),   TEST(test_error),
		MAIL(test_handler), TEST(test_script), TEST(test_memory_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
