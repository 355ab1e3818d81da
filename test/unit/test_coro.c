/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A script's functions as coroutines that wait, fail, yield where they should not
 * or are abandoned.  test_coro_close.c is about what they leave open.
 */
#include "scripting.h"

static void test_done(void **state)
{
	struct task t;

	(void)state;
	task_init(&t);
	assert_int_equal(task_start(&t, "return 'a', 2", 1.), CORO_DONE);
	assert_int_equal(lua_gettop(t.coro.thread), 2);
	assert_string_equal(task_result(&t), "a");
	/* started again it forgets what it was */
	assert_int_equal(task_start(&t, "x = 5", 1.), CORO_DONE);
	assert_int_equal(lua_gettop(t.coro.thread), 0);
	assert_string_equal(global("x"), "5");
	coro_deinit(&t.coro);
	coro_deinit(&t.coro);
	assert_int_equal(t.n_done, 0);
}

static void test_waits(void **state)
{
	struct task t;

	(void)state;
	task_init(&t);
	assert_int_equal(task_start(&t,
				    "local s = ''\n"
				    "for i = 1, 3 do s = s .. i .. wait() end\n"
				    "return s",
				    1.),
			 CORO_WAITING);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(t.n_done, 0);
		lua_gc(w.vm->L, LUA_GCCOLLECT); /* it is not garbage */
		wake();
	}
	assert_int_equal(t.n_done, 1);
	assert_int_equal(t.status, CORO_DONE);
	assert_string_equal(task_result(&t), "1waited2waited3waited");
	coro_deinit(&t.coro);
	assert_int_equal(w.n_cancels, 0);
}

/* Many at a time, that end in another order; each has its own locals. */
static void test_many(void **state)
{
	struct task t[50];
	struct coro *order[50];

	(void)state;
	define("function f() local x = {} wait() x[1] = wait() return x[1] "
	       "end");
	for (int i = 0; i < 50; i++) {
		task_init(&t[i]);
		assert_int_equal(task_start(&t[i], "return f()", 1.),
				 CORO_WAITING);
		order[i] = w.waiting;
		assert_ptr_equal(order[i], &t[i].coro);
	}
	for (int i = 0; i < 100; i++) {
		w.waiting = order[i * 7 % 50];
		wake();
	}
	for (int i = 0; i < 50; i++) {
		assert_int_equal(t[i].n_done, 1);
		assert_string_equal(task_result(&t[i]), "waited");
		coro_deinit(&t[i].coro);
	}
}

static void test_sleep(void **state)
{
	double begun = now();
	struct task t;

	(void)state;
	task_init(&t);
	assert_int_equal(
		task_start(&t, "sleep(.05) sleep(0) return 'awake'", 1.),
		CORO_WAITING);
	ev_run(w.loop, 0);
	assert_int_equal(t.n_done, 1);
	assert_string_equal(task_result(&t), "awake");
	assert_true(now() - begun >= .049);

	/* abandoned, it leaves no timer */
	assert_int_equal(task_start(&t, "sleep(3600)", 1.), CORO_WAITING);
	coro_deinit(&t.coro);
	ev_run(w.loop, 0);
	assert_int_equal(t.n_done, 0);
	run_code("for _, s in ipairs {-1, 3600.1, 0/0, 1/0} do\n"
		 "  local ok, e = pcall(sleep, s)\n"
		 "  assert(not ok and e == 'sleep: seconds must be from 0 to "
		 "3600', e)\n"
		 "end\n"
		 "assert(not pcall(sleep, {}))");
}

/* Message, position and traceback; whatever was raised. */
static void test_errors(void **state)
{
	static const struct {
		const char *code, *error;
	} cases[] = {
		{"error('no')", "code:1: no"},
		{"\nerror('no', 0)", "no"},
		{"local x = nil + 1",
		 "code:1: attempt to perform arithmetic on a nil value"},
		{"error()", "nil"},
		{"error(7)", "7"},
		{"error(setmetatable({}, {__tostring = function() return 'T' "
		 "end}))",
		 "T"},
		{"error(setmetatable({}, {__tostring = function() error('E', "
		 "0) end}))",
		 "(error object is a table value)"},
		{"error(setmetatable({}, {__tostring = function() return {} "
		 "end}))",
		 "(error object is a table value)"},
		{"x x", "code:1: syntax error near 'x'"},
		{"local function f() return f() + 1 end f()", "stack overflow"},
		{"error(('x'):rep(100000))", "code:1: xxxxx"},
	};
	struct task t;

	(void)state;
	task_init(&t);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(task_start(&t, cases[i].code, 20.),
				 CORO_FAILED);
		if (strstr(task_error(&t), cases[i].error) == NULL)
			fail_msg("%s: %s", cases[i].code, task_error(&t));
		assert_int_equal(t.n_done, 0);
		assert_int_equal(lua_gettop(w.vm->L), 0);
	}
	assert_int_equal(task_start(&t,
				    "local function deep() error('no') end "
				    "wait() deep() return 1",
				    1.),
			 CORO_WAITING);
	wake();
	assert_int_equal(t.n_done, 1);
	assert_int_equal(t.status, CORO_FAILED);
	assert_string_equal(task_error(&t), "code:1: no");
	assert_int_equal(buffer_add(&t.coro.error, "", 1), 0);
	assert_non_null(strstr(t.coro.error.data, "stack traceback:"));
	assert_non_null(strstr(t.coro.error.data, "'deep'"));
	coro_deinit(&t.coro);
}

/* A yield that is not ours would never be resumed. */
static void test_foreign_yield(void **state)
{
	struct task t;

	(void)state;
	task_init(&t);
	assert_int_equal(task_start(&t, "x = 1\ncoroutine.yield(1)\nx = 2", 1.),
			 CORO_FAILED);
	assert_string_equal(
		task_error(&t),
		"code:2: yield outside of a coroutine of the script");
	assert_string_equal(global("x"), "1");
	assert_int_equal(task_start(&t, "wait() pcall(coroutine.yield)", 1.),
			 CORO_WAITING);
	wake();
	assert_int_equal(t.n_done, 1);
	assert_int_equal(t.status, CORO_FAILED);
	coro_deinit(&t.coro);
	run_code("local co = coroutine.wrap(function() coroutine.yield(1) end)"
		 "assert(co() == 1)");
}

/* Where waiting is not possible nothing is started, and an error says so. */
static void test_cannot_wait(void **state)
{
	static const char inside[] =
		"cannot wait inside a coroutine of the script";
	struct task t;

	(void)state;
	define("function fails(f, ...)\n"
	       "  local ok, e = pcall(f, ...)\n"
	       "  assert(not ok)\n"
	       "  return e:gsub('^.-:%d+: ', '')\n"
	       "end");
	task_init(&t);
	assert_int_equal(
		task_start(&t, "return (fails(coroutine.wrap(wait)))", 1.),
		CORO_DONE);
	assert_string_equal(task_result(&t), inside);
	assert_int_equal(
		task_start(&t, "return (fails(coroutine.wrap(sleep), 0))", 1.),
		CORO_DONE);
	assert_string_equal(task_result(&t), inside);
	assert_int_equal(
		task_start(&t,
			   "return (fails(table.sort, {1, 2}, function() "
			   "wait() end))",
			   1.),
		CORO_DONE);
	assert_string_equal(task_result(&t), "cannot wait here");
	define("local ok, e = pcall(wait) assert(not ok) e1 = e\n"
	       "local ok, e = pcall(sleep, 1) assert(not ok) e2 = e");
	assert_string_equal(global("e1"), "cannot wait here");
	assert_string_equal(global("e2"), "cannot wait here");
	assert_null(w.waiting);
	/* a suspended one of the script's, resumed by another mail's */
	assert_int_equal(task_start(&t,
				    "co = coroutine.create(function()\n"
				    "  coroutine.yield() wait() end)\n"
				    "coroutine.resume(co)",
				    1.),
			 CORO_DONE);
	assert_int_equal(
		task_start(&t, "return select(2, coroutine.resume(co))", 1.),
		CORO_DONE);
	assert_non_null(strstr(task_result(&t), inside));
	coro_deinit(&t.coro);
}

/* In all these places it is. */
static void test_waits_within(void **state)
{
	static const char *const places[] = {
		"return select(2, pcall(wait))",
		"return select(2, xpcall(wait, print))",
		"return setmetatable({}, {__index = function() return wait() "
		"end}).x",
		"for x in wait do return x end",
		"return require and (function() return (wait()) end)()",
		"do local x <close> = setmetatable({}, {__close = wait}) end "
		"return 'waited'",
		"return assert(load('return wait()'))()",
		"return select(2, pcall(pcall, wait)) and 'waited'",
	};
	struct task t;

	(void)state;
	task_init(&t);
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		if (task_start(&t, places[i], 1.) != CORO_WAITING)
			fail_msg("%s: %s", places[i], task_error(&t));
		wake();
		assert_int_equal(t.n_done, 1);
		assert_int_equal(t.status, CORO_DONE);
		assert_string_equal(task_result(&t), "waited");
	}
	coro_deinit(&t.coro);
}

/* Abandoned while it waits: the wait is cancelled, nobody is called. */
static void test_abandoned(void **state)
{
	struct task t;

	(void)state;
	task_init(&t);
	coro_deinit(&t.coro);
	assert_int_equal(task_start(&t, "wait() x = 1", 1.), CORO_WAITING);
	coro_deinit(&t.coro);
	assert_int_equal(w.n_cancels, 1);
	assert_null(w.waiting);
	coro_deinit(&t.coro);
	assert_int_equal(w.n_cancels, 1);

	/* by being started again */
	assert_int_equal(task_start(&t, "wait() wait() x = 1", 1.),
			 CORO_WAITING);
	wake();
	assert_int_equal(task_start(&t, "wait() x = 2", 1.), CORO_WAITING);
	assert_int_equal(w.n_cancels, 2);
	wake();
	assert_int_equal(t.n_done, 1);
	assert_string_equal(global("x"), "2");
	coro_deinit(&t.coro);

	/* in pcall, which must not go on */
	assert_int_equal(task_start(&t, "pcall(wait) x = 3", 1.), CORO_WAITING);
	coro_deinit(&t.coro);
	assert_string_equal(global("x"), "2");
	assert_int_equal(w.n_cancels, 3);
}

struct owner {
	struct coro coro;
	bool *done;
};

static void on_owner_done(struct coro *c, enum coro_status status)
{
	struct owner *o = container_of(c, struct owner, coro);

	(void)status;
	*o->done = true;
	coro_deinit(c);
	free(o);
}

/* The callback may free it, and start another one. */
static void test_freed_in_callback(void **state)
{
	static const char *const codes[] = {"wait()", "wait() error('no')",
					    "wait() coroutine.yield()",
					    "wait() while true do end"};

	(void)state;
	for (int i = 0; i < 4; i++) {
		struct owner *o = malloc(sizeof(*o));
		bool done = false;

		o->done = &done;
		coro_init(&o->coro, w.vm);
		assert_int_equal(coro_start(&o->coro, .05, push_code,
					    (void *)codes[i], on_owner_done),
				 CORO_WAITING);
		wake();
		assert_true(done);
	}
}

/* What is let go of is collected: no reference to it is left. */
static void test_collected(void **state)
{
	struct task t;
	size_t before = 0;

	(void)state;
	task_init(&t);
	for (int i = 0; i < 200; i++) {
		if (i == 100) {
			lua_gc(w.vm->L, LUA_GCCOLLECT);
			before = w.vm->memory;
		}
		assert_int_equal(
			task_start(&t, "local x = ('x'):rep(1000) wait()", 1.),
			CORO_WAITING);
		if (i % 2)
			wake();
		coro_deinit(&t.coro);
	}
	lua_gc(w.vm->L, LUA_GCCOLLECT);
	assert_true(w.vm->memory <= before + 2000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_done),        TEST(test_waits),
		TEST(test_many),        TEST(test_sleep),
		TEST(test_errors),      TEST(test_foreign_yield),
		TEST(test_cannot_wait), TEST(test_waits_within),
		TEST(test_abandoned),   TEST(test_freed_in_callback),
		TEST(test_collected),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
