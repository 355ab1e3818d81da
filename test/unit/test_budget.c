/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scripts that run away are stopped within their budget, whatever they catch, and
 * whoever comes next has a budget of its own.
 */
#include "scripting.h"

#define CPU .05
#define TOO_MUCH "too much CPU used (handler_timeout)"

static double cpu_time(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Under valgrind signals come late, and in bunches. */
static bool is_slow(void)
{
	return getenv("QRELAY_SLOW") != NULL;
}

static void burn(double seconds)
{
	double end = cpu_time() + seconds;

	while (cpu_time() < end)
		;
}

static int setup_budget(void **state)
{
	setup(state);
	assert_int_equal(vm_set_limits(w.vm, 1 << 26, CPU), LUA_OK);
	return 0;
}

/* The code is stopped after at least CPU, and not much more. */
static void assert_stopped(const char *code)
{
	double begun = cpu_time(), used;
	struct task t;

	task_init(&t);
	if (task_start(&t, code, CPU) != CORO_FAILED)
		fail_msg("not stopped: %s", code);
	used = cpu_time() - begun;
	assert_non_null(strstr(task_error(&t), TOO_MUCH));
	assert_true(used >= CPU || is_slow());
	assert_true(used < patience() / 10);
	assert_int_equal(t.n_done, 0);
	coro_deinit(&t.coro);
	assert_true(cpu_time() - begun < patience() / 10);
}

static void test_run_away(void **state)
{
	static const char *const codes[] = {
		"while true do end",
		"while true do pcall(function() while true do end end) end",
		"while true do pcall(error) end",
		"repeat pcall(pcall, load 'while true do end') until false",
		"local function f() return f() end f()",
		"while true do xpcall(load 'while true do end', function() "
		"while true do end end) end",
		"while true do local ok = pcall(string.gsub, ('x'):rep(1000), "
		"'.', function() while true do end end) end",
		"while true do pcall(table.sort, {3, 2, 1}, function() while "
		"true do end end) end",
		"while true do local co = coroutine.wrap(function() while true "
		"do end end) pcall(co) end",
		"while true do coroutine.wrap(function() pcall(load 'while "
		"true do end') end)() end",
		"local t = setmetatable({}, {__index = function() while true "
		"do end end}) while true do pcall(function() return t.x end) "
		"end",
		"local t <close> = setmetatable({}, {__close = function() "
		"while true do end end}) while true do end",
		"while true do ('x'):rep(100):find('x-x-x-y') end",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		assert_stopped(codes[i]);
		run_code("local s = 0 for i = 1, 1000 do s = s + i end "
			 "assert(s == 500500)");
	}
}

static void test_where(void **state)
{
	struct task t;
	int line = 0;

	(void)state;
	task_init(&t);
	assert_int_equal(task_start(&t,
				    "local x = 1\nx = x + x\n"
				    "while true do\n x = x + 1\n"
				    "x = x + 1\nend",
				    CPU),
			 CORO_FAILED);
	assert_int_equal(sscanf(task_error(&t), "code:%d: " TOO_MUCH, &line),
			 1);
	assert_true(line >= 3 && line <= 6);
	assert_int_equal(task_start(&t, "\n\nwhile true do end", CPU),
			 CORO_FAILED);
	assert_string_equal(task_error(&t), "code:3: " TOO_MUCH);
	coro_deinit(&t.coro);
}

/* SPEC 1: over all its resumes; what others use meanwhile is not charged. */
static void test_over_resumes(void **state)
{
	struct task t;
	int n = 0;

	(void)state;
	task_init(&t);
	define("function burn(n) local s = 0 for i = 1, n do s = s + i end "
	       "end");
	assert_int_equal(
		task_start(&t, "while true do burn(100000) wait() end", CPU),
		CORO_WAITING);
	for (; t.n_done == 0 && n < 1000000; n++) {
		if (n < 3)
			burn(CPU);
		wake();
	}
	assert_int_equal(t.status, CORO_FAILED);
	assert_true(n > 3 || is_slow());
	assert_non_null(strstr(task_error(&t), TOO_MUCH));
	assert_null(w.waiting);
	coro_deinit(&t.coro);
}

/* A C function cannot be interrupted; the wait that it asks for afterwards is
 * cancelled, nothing dangles. */
static void test_waits_over_budget(void **state)
{
	struct task t;
	enum coro_status r;

	(void)state;
	task_init(&t);
	r = task_start(&t, "(('x'):rep(8000)):find('x-y') wait() wait()", .001);
	if (r == CORO_WAITING) /* a very fast machine */
		coro_deinit(&t.coro);
	else
		assert_int_equal(r, CORO_FAILED);
	assert_null(w.waiting);
	coro_deinit(&t.coro);
}

/* A coroutine of the script that outlives its mail runs on within the next
 * one's budget. */
static void test_left_over_hook(void **state)
{
	(void)state;
	assert_stopped("co = coroutine.create(function()\n"
		       "  while true do coroutine.yield() end end)\n"
		       "while true do coroutine.resume(co) end");
	run_code("co2 = coroutine.wrap(function() while true do\n"
		 "  local s = 0 for i = 1, 1000 do s = s + i end\n"
		 "  coroutine.yield(s) end end) co2()");
	assert_stopped("while true do co2() end");
	run_code("co3 = coroutine.wrap(function() for i = 1, 9 do\n"
		 "  coroutine.yield(i) end end)\n"
		 "for i = 1, 9 do assert(co3() == i) end");
}

/* What the daemon calls itself (finalizers, a __tostring) is bounded too. */
static void test_outside_of_coroutines(void **state)
{
	double begun = cpu_time();
	struct task t;

	(void)state;
	task_init(&t);
	assert_int_equal(task_start(&t,
				    "error(setmetatable({}, {__tostring = "
				    "function() while true do end end}))",
				    CPU),
			 CORO_FAILED);
	assert_true(t.coro.error.size > 0);
	coro_deinit(&t.coro);
	run_code("garbage = setmetatable({}, {__gc = function() while true do "
		 "end end}) garbage = nil");
	vm_free(w.vm);
	assert_true(cpu_time() - begun < patience());
	w.vm = vm_new(w.loop, &w.log, w.resolver, &w.config);
}

/* The accounts by themselves: charged while they run, and only then. */
static void test_accounts(void **state)
{
	lua_State *L = luaL_newstate();
	struct budget_account a, b;
	struct budget budget;

	(void)state;
	vm_free(w.vm);
	w.vm = NULL;
	assert_int_equal(budget_init(&budget, .004), 0);
	budget_account_init(&budget, &a, .04);
	budget_account_init(&budget, &b, .04);
	burn(.02);
	assert_int_equal(a.used, 0);
	budget_enter(&budget, &a, L);
	burn(.03);
	assert_true(a.used > 0);
	assert_false(budget_is_over(&a));
	assert_ptr_equal(budget_switch(&budget, NULL), L);
	assert_null(budget_switch(&budget, L));
	budget_leave(&budget);
	burn(.02);
	assert_false(budget_is_over(&a));
	budget_enter(&budget, &b, L);
	burn(.01);
	budget_leave(&budget);
	budget_enter(&budget, &a, L);
	burn(.04);
	budget_leave(&budget);
	assert_true(budget_is_over(&a));
	assert_false(budget_is_over(&b));
	assert_int_equal(budget_set_tick(&budget, -1.), -EINVAL);
	budget_deinit(&budget);
	budget_deinit(&budget);
	lua_close(L);
}

#define BUDGET(f) cmocka_unit_test_setup_teardown(f, setup_budget, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BUDGET(test_run_away),       BUDGET(test_where),
		BUDGET(test_over_resumes),   BUDGET(test_waits_over_budget),
		BUDGET(test_left_over_hook), BUDGET(test_outside_of_coroutines),
		BUDGET(test_accounts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
