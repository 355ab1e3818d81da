/* SPDX-License-Identifier: BSD-2-Clause */
/* To-be-closed variables of coroutines that failed or were abandoned: closed once,
 * in reverse order, whatever their closing functions do. */
#include "scripting.h"

static const char prelude[] =
	"order = ''\n"
	"function open(name, f)\n"
	"  return setmetatable({}, {__close = function(_, e)\n"
	"    order = order .. name\n"
	"    if f then f(e) end\n"
	"  end})\n"
	"end\n";

static int setup_close(void **state)
{
	setup(state);
	define(prelude);
	return 0;
}

/* Abandons a coroutine that waits in `code`; what was closed then. */
static void assert_closes(const char *code, const char *order)
{
	struct task t;

	define("order = ''");
	task_init(&t);
	if (task_start(&t, code, .1) != CORO_WAITING)
		fail_msg("%s: %s", code, task_error(&t));
	assert_string_equal(global("order"), "");
	w.n_cancels = 0;
	coro_deinit(&t.coro);
	assert_int_equal(w.n_cancels, 1);
	assert_int_equal(t.n_done, 0);
	assert_string_equal(global("order"), order);
	coro_deinit(&t.coro);
	assert_string_equal(global("order"), order);
	assert_null(w.vm->running);
}

static void test_abandoned(void **state)
{
	(void)state;
	assert_closes("local a <close>, b = open 'a', 1\n"
		      "local b <close> = open 'b'\n"
		      "wait()\n"
		      "local c <close> = open 'c'",
		      "ba");
	assert_closes("local a <close> = open 'a'\n"
		      "local function f() local b <close> = open 'b' wait() "
		      "return 1 end\n"
		      "return f() + 1",
		      "ba");
	assert_closes("local a <close> = open 'a'\n"
		      "pcall(function() local b <close> = open 'b' wait() end)"
		      "order = order .. 'no'",
		      "ba");
}

/* A closing function that fails does not keep the others from running. */
static void test_failing(void **state)
{
	(void)state;
	assert_closes("local a <close> = open 'a'\n"
		      "local b <close> = open('b', error)\n"
		      "local c <close> = open('c', function() error 'c' end)\n"
		      "wait()",
		      "cba");
}

/* Nor one that waits or yields: nobody would resume it. */
static void test_waiting(void **state)
{
	(void)state;
	assert_closes("local a <close> = open 'a'\n"
		      "local b <close> = open('b', function()\n"
		      "  local ok, e = pcall(wait) why = e\n"
		      "  pcall(sleep, 1) wait() order = order .. 'no' end)\n"
		      "wait()",
		      "ba");
	assert_non_null(strstr(global("why"), "cannot wait"));
	assert_closes("local a <close> = open 'a'\n"
		      "local b <close> = open('b', function()\n"
		      "  coroutine.yield() order = order .. 'no' end)\n"
		      "wait()",
		      "ba");
	assert_null(w.waiting);
}

/* Nor one that runs away: what is left of the budget is all it gets. */
static void test_running_away(void **state)
{
	double begun = now();

	(void)state;
	assert_closes("local a <close> = open 'a'\n"
		      "local b <close> = open('b', function()\n"
		      "  while true do end end)\n"
		      "wait()",
		      "b");
	assert_closes("local b <close> = open('b', function()\n"
		      "  while true do pcall(function() while true do end end) "
		      "end end)\n"
		      "wait()",
		      "b");
	assert_true(now() - begun < patience() / 2);
	run_code("x = 1"); /* the VM is as good as before */
}

/* After an error, or too much CPU, all are closed as well. */
static void test_failed(void **state)
{
	struct task t;

	(void)state;
	task_init(&t);
	assert_int_equal(task_start(&t,
				    "local a <close> = open('a', function(e)\n"
				    "  seen = e end)\n"
				    "error('no', 0)",
				    1.),
			 CORO_FAILED);
	assert_string_equal(task_error(&t), "no");
	coro_deinit(&t.coro);
	assert_string_equal(global("order"), "a");
	assert_string_equal(global("seen"), "no");

	assert_int_equal(task_start(&t,
				    "local a <close> = open 'b'\n"
				    "coroutine.yield()",
				    1.),
			 CORO_FAILED);
	coro_deinit(&t.coro);
	assert_string_equal(global("order"), "ab");

	/* over its budget nothing of the script runs any more */
	assert_int_equal(task_start(&t,
				    "local a <close> = open 'c'\n"
				    "while true do end",
				    .05),
			 CORO_FAILED);
	coro_deinit(&t.coro);
	assert_string_equal(global("order"), "ab");
	run_code("local a <close> = open 'd'");
	assert_string_equal(global("order"), "abd");
}

/* A closing function that takes too much memory gets the error. */
static void test_memory(void **state)
{
	(void)state;
	w.vm->memory_limit = w.vm->memory + 1000000;
	assert_closes("local a <close> = open 'a'\n"
		      "local b <close> = open('b', function()\n"
		      "  local t = {} while true do t[#t + 1] = ('x'):rep(9999)"
		      "  .. #t end end)\n"
		      "wait()",
		      "ba");
}

#define CLOSE(f) cmocka_unit_test_setup_teardown(f, setup_close, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CLOSE(test_abandoned), CLOSE(test_failing),
		CLOSE(test_waiting),   CLOSE(test_running_away),
		CLOSE(test_failed),    CLOSE(test_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
