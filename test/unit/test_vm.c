/* SPDX-License-Identifier: BSD-2-Clause */
/* One Lua state: its memory limit, its module path, and calls of the daemon's own
 * that fail. */
#include "scripting.h"

#include <lualib.h>

#define MIB (1 << 20)

static int raise_it(lua_State *L)
{
	return luaL_error(L, "%s", (const char *)lua_touserdata(L, 1));
}

static int return_two(lua_State *L)
{
	lua_pushinteger(L, 1);
	lua_pushinteger(L, 2);
	return 2;
}

static void test_call(void **state)
{
	char text[] = "what went wrong";

	(void)state;
	assert_ptr_equal(vm_of(w.vm->L), w.vm);
	assert_int_equal(vm_call(w.vm, raise_it, text, 5), LUA_ERRRUN);
	assert_int_equal(lua_gettop(w.vm->L), 1);
	assert_string_equal(lua_tostring(w.vm->L, 1), text);
	lua_settop(w.vm->L, 0);
	assert_int_equal(vm_call(w.vm, return_two, NULL, 2), LUA_OK);
	assert_int_equal(lua_gettop(w.vm->L), 2);
	lua_settop(w.vm->L, 0);
}

/* SPEC 1: LuaJIT's names are there, debug.sethook is not. */
static void test_libraries(void **state)
{
	(void)state;
	run_code("assert(unpack({1, 2}) == 1 and loadstring('return 7')() == 7)"
		 "assert(table.getn({1, 2}) == 2 and table.maxn({[9] = 1}) == "
		 "9)\n"
		 "assert(debug.sethook == nil and debug.traceback)\n"
		 "assert(io and os and string and utf8 and math and package)\n"
		 "assert(max_size == 16777216 and systemd and sodium)\n"
		 "assert(qmqp_listen and qmqp_resolve and sleep)");
}

static void test_print(void **state)
{
	(void)state;
	run_code("print('a', 1, nil, {} ~= nil) print('two\\nlines\\n')\n"
		 "print() print('x\\r\\27[1m')");
	assert_string_equal(printed(), "script: a\t1\tnil\ttrue\n"
				       "script: two\n"
				       "script: lines\n"
				       "script: \n"
				       "script: \n"
				       "script: x\\x0D\\x1B[1m\n");
}

/* Beyond the limit the handler that runs gets an error, which it may catch; the
 * others go on. */
static void test_memory_limit(void **state)
{
	static const char *const hogs[] = {
		"local t = {} for i = 1, 1e9 do t[i] = i end",
		"local s = ('x'):rep(1 << 30)",
		"local s = 'x' while true do s = s .. s end",
		"local t = {} while true do t = {t, ('x'):rep(1000)} end",
		"local t = {} while true do t = {t, coroutine.wrap(print)} end",
	};
	struct task waiting, t;

	(void)state;
	task_init(&waiting);
	assert_int_equal(task_start(&waiting, "wait() return 'fine'", 1.),
			 CORO_WAITING);
	w.vm->memory_limit = 8 * MIB;
	for (size_t i = 0; i < sizeof(hogs) / sizeof(hogs[0]); i++) {
		char code[800];

		task_init(&t);
		assert_int_equal(task_start(&t, hogs[i], 60.), CORO_FAILED);
		assert_non_null(strstr(task_error(&t), "not enough memory"));
		assert_true(w.vm->memory < 10 * MIB);
		coro_deinit(&t.coro);
		snprintf(code, sizeof(code),
			 "local ok, e = pcall(load [[%s]])\n"
			 "assert(not ok and e == 'not enough memory', e)\n"
			 "collectgarbage() collectgarbage() collectgarbage()\n"
			 "local s = ('x'):rep(1 << 20)",
			 hogs[i]);
		run_code(code);
	}
	wake();
	assert_string_equal(task_result(&waiting), "fine");
	coro_deinit(&waiting.coro);
}

/* Nor has what the script does in the daemon's own calls more than a little
 * beyond the limit: the __tostring of an error, a finalizer. */
static void test_memory_limit_of_own_calls(void **state)
{
	static const char hog[] =
		"local function hog()\n"
		"  local t = {}\n"
		"  for i = 1, 100 do t[i] = ('x'):rep(1 << 20) .. i end\n"
		"end\n";
	char code[800];
	struct task t;

	(void)state;
	w.vm->memory_limit = 8 * MIB;
	task_init(&t);
	snprintf(code, sizeof(code),
		 "%s local function tell() hog() tostringed = 'yes' end\n"
		 "error(setmetatable({}, {__tostring = tell}))",
		 hog);
	assert_int_equal(task_start(&t, code, 60.), CORO_FAILED);
	assert_string_equal(global("tostringed"), "nil");
	assert_true(t.coro.error.size > 0);
	coro_deinit(&t.coro);

	snprintf(code, sizeof(code),
		 "%s setmetatable({}, {__gc = function() hog() finalized = "
		 "'yes' end})",
		 hog);
	run_code(code);
	define("collectgarbage() collectgarbage()");
	assert_string_equal(global("finalized"), "nil");
	run_code("x = 1");
}

/* What the daemon needs for itself is there when the script has used up all. */
static void test_memory_of_our_own(void **state)
{
	struct task t;

	(void)state;
	w.vm->memory_limit = w.vm->memory + 200000;
	task_init(&t);
	assert_int_equal(task_start(&t,
				    "all = {} for i = 1, 1e9 do all[i] = i "
				    "end",
				    60.),
			 CORO_FAILED);
	assert_non_null(strstr(task_error(&t), "not enough memory"));
	for (int i = 0; i < 100; i++)
		assert_int_equal(task_start(&t, "return 1", 1.), CORO_DONE);
	coro_deinit(&t.coro);
}

/* What is freed is counted, to the byte. */
static void test_memory_counted(void **state)
{
	size_t before;

	(void)state;
	for (int i = 0; i < 3; i++) {
		lua_gc(w.vm->L, LUA_GCCOLLECT);
		lua_gc(w.vm->L, LUA_GCCOLLECT);
		before = w.vm->memory;
		assert_int_equal(before,
				 (size_t)lua_gc(w.vm->L, LUA_GCCOUNT) * 1024 +
					 (size_t)lua_gc(w.vm->L, LUA_GCCOUNTB));
		run_code("local t = {} for i = 1, 1000 do t[i] = {} end");
	}
}

static void test_directory(void **state)
{
	char path[] = "/tmp/test_vm.XXXXXX", file[60], code[200];
	FILE *f;

	(void)state;
	assert_non_null(mkdtemp(path));
	snprintf(file, sizeof(file), "%s/beside.lua", path);
	f = fopen(file, "w");
	fputs("return {answer = 42}", f);
	fclose(f);
	assert_int_equal(vm_set_directory(w.vm, path), LUA_OK);
	run_code("assert(require('beside').answer == 42)");
	snprintf(code, sizeof(code),
		 "assert(package.path:sub(1, %d) == '%s/?.lua;')\n"
		 "assert(package.path:find('%s/?/init.lua', 1, true))\n"
		 "assert(package.path:find('/usr/', 1, true))",
		 (int)strlen(path) + 7, path, path);
	run_code(code);
	unlink(file);
	rmdir(path);
}

static void test_free_nothing(void **state)
{
	(void)state;
	vm_free(NULL);
	/* finalizers run, and find what they need */
	run_code("x = setmetatable({}, {__gc = function() print('bye') end})");
	vm_free(w.vm);
	assert_string_equal(printed(), "script: bye\n");
	w.vm = vm_new(w.loop, &w.log, w.resolver, &w.config);
	assert_non_null(w.vm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_call),
		TEST(test_libraries),
		TEST(test_print),
		TEST(test_memory_limit),
		TEST(test_memory_limit_of_own_calls),
		TEST(test_memory_of_our_own),
		TEST(test_memory_counted),
		TEST(test_directory),
		TEST(test_free_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
