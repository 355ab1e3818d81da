/* SPDX-License-Identifier: BSD-2-Clause */
/* The table of options at the end of a call: what it may hold, and how mistakes
 * are named. */
#include "scripting.h"

#include "lua/options.h"

/* opts([TABLE]): how `a` is typed, and the seconds of `t` or -1. */
static int l_opts(lua_State *L)
{
	static const char *const names[] = {"a", "t", NULL};
	double t;

	lua_settop(L, 1);
	options_check(L, 1, "opts", names);
	t = options_seconds(L, 1, "opts", "t", 60, -1);
	assert_int_equal(lua_gettop(L), 1);
	lua_pushstring(L, lua_typename(L, options_get(L, 1, "a")));
	assert_int_equal(lua_gettop(L), 3);
	lua_pushnumber(L, t);
	return 2;
}

static int setup_options(void **state)
{
	setup(state);
	lua_register(w.vm->L, "opts", l_opts);
	define("function gives(o, a, t)\n"
	       "  local ra, rt = opts(o)\n"
	       "  assert(ra == a and rt == t, ra .. ' ' .. rt)\n"
	       "end\n"
	       "function fails(o, error)\n"
	       "  local ok, e = pcall(opts, o)\n"
	       "  assert(not ok and e == error, e)\n"
	       "end\n");
	return 0;
}

static void test_given(void **state)
{
	(void)state;
	run_code("gives(nil, 'nil', -1) gives({}, 'nil', -1)\n"
		 "gives({a = 1}, 'number', -1) gives({a = false}, 'boolean', "
		 "-1)\n"
		 "gives({a = 'x', t = 1}, 'string', 1)\n"
		 "gives({t = 60}, 'nil', 60) gives({t = 0.001}, 'nil', 0.001)\n"
		 "opts()");
}

static void test_unknown(void **state)
{
	(void)state;
	run_code("fails({b = 1}, \"opts: unknown option 'b'\")\n"
		 "fails({T = 1}, \"opts: unknown option 'T'\")\n"
		 "fails({7}, \"opts: unknown option '1'\")\n"
		 "fails({[true] = 7}, \"opts: unknown option 'true'\")\n"
		 "fails({a = 1, t = 2, tt = 3}, \"opts: unknown option "
		 "'tt'\")\n"
		 "fails({[''] = 1}, \"opts: unknown option ''\")\n"
		 "assert(not pcall(opts, {['a\\0b'] = 1}))");
}

static void test_no_table(void **state)
{
	(void)state;
	run_code("fails(7, 'opts: the options must be a table, not a number')\n"
		 "fails('t', 'opts: the options must be a table, not a "
		 "string')\n"
		 "fails(false, 'opts: the options must be a table, not a "
		 "boolean')");
}

static void test_seconds(void **state)
{
	(void)state;
	run_code(
		"local range = 'opts: t must be more than 0 and at most 60 "
		"seconds'\n"
		"for _, t in ipairs {0, -1, 60.001, 1/0, -1/0, 0/0, 1e300} do\n"
		"  fails({t = t}, range) end\n"
		"fails({t = '5'}, 'opts: t must be a number of seconds, not a "
		"string')\n"
		"fails({t = true}, 'opts: t must be a number of seconds, not a "
		"boolean')\n"
		"fails({t = {}}, 'opts: t must be a number of seconds, not a "
		"table')");
}

#define OPTIONS(f) cmocka_unit_test_setup_teardown(f, setup_options, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		OPTIONS(test_given),
		OPTIONS(test_unknown),
		OPTIONS(test_no_table),
		OPTIONS(test_seconds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
