/* SPDX-License-Identifier: BSD-2-Clause */
/* The script's own run, `reload`, and the config that it leaves: its globals and
 * its listeners. */
#include "scripting.h"

#include "lua/script.h"

static struct script script;
static char path[40];
static unsigned n_done;
static char error[2000];

static void on_done(struct script *s, const char *e)
{
	assert_ptr_equal(s, &script);
	n_done++;
	snprintf(error, sizeof(error), "%s", e ? e : "");
}

static int setup_script(void **state)
{
	int fd;

	setup(state);
	strcpy(path, "/tmp/test_script.XXXXXX");
	fd = mkstemp(path);
	close(fd);
	w.config.directory = strdup("/tmp/d");
	memset(&script, 0xa5, sizeof(script));
	script_init(&script, w.vm);
	n_done = 0;
	return 0;
}

static int teardown_script(void **state)
{
	script_deinit(&script);
	script_deinit(&script);
	unlink(path);
	return teardown(state);
}

static void run_file(const char *text)
{
	FILE *f = fopen(path, "w");

	fputs(text, f);
	fclose(f);
	script_run(&script, path, on_done);
}

/* Runs it anew from the beginning; nothing is sealed yet. */
static void assert_fails(const char *text, const char *part)
{
	w.config.sealed = false;
	n_done = 0;
	run_file(text);
	assert_int_equal(n_done, 1);
	if (strstr(error, part) == NULL)
		fail_msg("%s: %s, not %s", text, error, part);
	/* SPEC 1: a message names the file */
	assert_non_null(strstr(error, path));
	assert_int_equal(lua_gettop(w.vm->L), 0);
}

static void test_run(void **state)
{
	(void)state;
	run_file("max_size = 2000 x = 1 function reload() x = x + 1 end");
	assert_int_equal(n_done, 1);
	assert_string_equal(error, "");
	assert_true(w.config.sealed);
	assert_int_equal(w.config.max_size, 2000);
	for (unsigned i = 0; i < 2; i++)
		script_reload(&script, on_done);
	assert_int_equal(n_done, 3);
	assert_string_equal(global("x"), "3");
}

static void test_waits(void **state)
{
	(void)state;
	run_file("wait() max_size = 3000\n"
		 "qmqp_listen('/tmp/x', function() end)\n"
		 "function reload() wait() error('in reload') end");
	assert_int_equal(n_done, 0);
	assert_false(w.config.sealed);
	wake();
	assert_int_equal(n_done, 1);
	assert_string_equal(error, "");
	assert_int_equal(w.config.max_size, 3000);
	script_reload(&script, on_done);
	assert_int_equal(n_done, 1);
	wake();
	assert_int_equal(n_done, 2);
	assert_non_null(strstr(error, ":3: in reload\nstack traceback:"));

	/* abandoned */
	script_reload(&script, on_done);
	script_deinit(&script);
	assert_int_equal(n_done, 2);
	assert_int_equal(w.n_cancels, 1);
}

static void test_no_reload(void **state)
{
	(void)state;
	run_file("");
	script_reload(&script, on_done);
	assert_int_equal(n_done, 2);
	assert_string_equal(error, "");
	define("reload = 7");
	script_reload(&script, on_done);
	assert_int_equal(n_done, 3);
	assert_non_null(strstr(error, "attempt to call a number value"));
}

static void test_errors(void **state)
{
	(void)state;
	assert_fails("x x", ":1: syntax error");
	assert_fails("\nerror('mine')", ":2: mine");
	assert_fails("\n\ncoroutine.yield()", "yield outside");
	assert_fails("wait = wait\nnil_value()", ":2: attempt to call a nil");
	unlink(path);
	n_done = 0;
	script_run(&script, path, on_done);
	assert_int_equal(n_done, 1);
	assert_non_null(strstr(error, "No such file"));
	assert_non_null(strstr(error, path));
}

static void test_globals(void **state)
{
	struct config *c = &w.config;

	(void)state;
	run_file("max_recipients = 7 max_connections = 100 max_memory = 1 << 30"
		 " receive_timeout = 1.5 handler_timeout = .25\n"
		 "lua_memory = 2e6 shutdown_timeout = 0.001 max_size = 1024");
	assert_string_equal(error, "");
	assert_int_equal(c->max_size, 1024);
	assert_int_equal(c->max_recipients, 7);
	assert_int_equal(c->max_connections, 100);
	assert_int_equal(c->max_connections_per_uid, 25);
	assert_int_equal(c->max_memory, 1 << 30);
	assert_true(c->receive_timeout > 1.49 && c->receive_timeout < 1.51);
	assert_true(c->handler_timeout > .24 && c->handler_timeout < .26);
	assert_int_equal(c->lua_memory, 2000000);
	assert_int_equal(w.vm->memory_limit, 2000000);
	assert_true(c->shutdown_timeout > 0.);
}

/* SPEC 1: the defaults, which the script can read. */
static void test_defaults(void **state)
{
	(void)state;
	run_file("assert(max_size == 16777216 and max_recipients == 1024)\n"
		 "assert(max_connections == 1024)\n"
		 "assert(max_connections_per_uid == nil)\n"
		 "assert(max_memory == 536870912 and receive_timeout == 60)\n"
		 "assert(handler_timeout == 1 and lua_memory == 268435456)\n"
		 "assert(shutdown_timeout == 5)\n"
		 "max_size = nil max_connections = 3");
	assert_string_equal(error, "");
	assert_int_equal(w.config.max_size, 16777216);
	assert_int_equal(w.config.max_connections_per_uid, 1);
}

static void test_bad_globals(void **state)
{
	(void)state;
	assert_fails("max_size = 1023", "max_size must be an integer from 1024 "
					"to 1073741824 bytes, not 1023");
	assert_fails("max_size = 1073741825", "not 1073741825");
	assert_fails("max_size = '2048'", "max_size must be");
	assert_fails("max_size = 2048.5", "not 2048.5");
	assert_fails("max_size = 0/0", "max_size must be");
	assert_fails("max_size = 1/0", "not inf");
	assert_fails("max_size = {}", "max_size must be");
	assert_fails("max_size = 2048 max_recipients = 0",
		     "max_recipients must be an integer from 1 to 1000000");
	assert_fails("max_recipients = 1 max_connections = 1000001",
		     "max_connections must be");
	assert_fails("max_connections = 5 max_connections_per_uid = 0",
		     "max_connections_per_uid must be");
	assert_fails("max_connections_per_uid = 1 max_memory = 65535",
		     "max_memory must be");
	assert_fails("max_memory = 65536 max_size = 65537",
		     "max_memory (65536 bytes) must not be below max_size "
		     "(65537 bytes)");
	assert_fails("max_size = 65536 receive_timeout = 0",
		     "receive_timeout must be a number from 0.001 to 86400 "
		     "seconds, not 0");
	assert_fails("receive_timeout = 86401", "receive_timeout must be");
	assert_fails("receive_timeout = 1 handler_timeout = 'x'",
		     "handler_timeout must be");
	assert_fails("handler_timeout = 1 lua_memory = 1048575",
		     "lua_memory must be");
	assert_fails("lua_memory = 1048576 big = ('x'):rep(2000000)",
		     "lua_memory (1048576 bytes) is less than the script holds "
		     "already");
	assert_fails("big = nil shutdown_timeout = -1",
		     "shutdown_timeout must be");
	assert_false(w.config.sealed);
}

static void test_listeners(void **state)
{
	const struct listener_config *l;
	char text[SOCKADDR_TEXT_MAX], where[60];
	unsigned i = 0;

	(void)state;
	run_file("local function f() end\n"
		 "qmqp_listen('/tmp/a', f)\n"
		 "qmqp_listen('rel/b', f, {mode = 0600, backlog = 5})\n"
		 "qmqp_listen('@c', f)\n"
		 "qmqp_listen('127.0.0.1:7', f)\n"
		 "qmqp_listen(qmqp_resolve('::1'), f)\n"
		 "qmqp_listen(systemd, f)\n"
		 "qmqp_listen(systemd, f, {name = 'n'})\n"
		 "qmqp_listen('sd', f)");
	assert_string_equal(error, "");
	assert_int_equal(w.config.n_listeners, 8);
	for (l = w.config.listeners; i < 8; l++, i++) {
		static const char *const printed_as[] = {
			"/tmp/a",    "/tmp/d/rel/b", "@c",        "127.0.0.1:7",
			"[::1]:628", "systemd",      "systemd:n", "/tmp/d/sd"};

		assert_string_equal(
			listener_config_print(l, text, sizeof(text)),
			printed_as[i]);
		assert_int_equal(l->mode, i == 1 ? 0600 : 0666);
		assert_int_equal(l->backlog, i == 1 ? 5 : 1024);
		snprintf(where, sizeof(where), "%s:%u", path, i + 2);
		assert_string_equal(l->where, where);
		lua_rawgeti(w.vm->L, LUA_REGISTRYINDEX, l->handler);
		assert_true(lua_isfunction(w.vm->L, -1));
		lua_pop(w.vm->L, 1);
	}
	/* SPEC 1: not after the start */
	define("local ok, e = pcall(qmqp_listen, '/x', print) assert(not ok)"
	       "why = e");
	assert_string_equal(global("why"),
			    "qmqp_listen works only while the script starts");
	config_deinit(&w.config);
	config_deinit(&w.config);
	assert_int_equal(w.config.n_listeners, 0);
}

static void test_bad_listeners(void **state)
{
	static const struct {
		const char *arguments, *why;
	} cases[] = {
		{"'/a'", "the handler must be a function, not a nil"},
		{"7, print", "expected a path, an address or the variable"},
		{"'', print", "malformed path"},
		{"'a\\0b', print", "malformed path"},
		{"'1.2.3.4:0', print", "the port must be from 1 to 65535"},
		{"('x'):rep(110), print", "too long for a socket"},
		{"'/' .. ('x'):rep(110), print", "too long for a socket"},
		{"'/a', print, 7", "the options must be a table"},
		{"'/a', print, {mod = 1}", "unknown option 'mod'"},
		{"'/a', print, {mode = 0888}", "mode must be octal digits"},
		{"'/a', print, {mode = 01000}", "mode must be octal digits"},
		{"'/a', print, {mode = ''}", "mode must be octal digits"},
		{"'/a', print, {mode = 6.5}", "mode must be octal digits"},
		{"'@a', print, {mode = 0600}", "mode is for socket files"},
		{"'::1', print, {mode = 0600}", "mode is for socket files"},
		{"'/a', print, {backlog = 0}", "backlog must be an integer"},
		{"'/a', print, {backlog = 65536}", "backlog must be"},
		{"'/a', print, {name = 'x'}", "name is for sockets of systemd"},
		{"systemd, print, {name = 7}", "name must be a string"},
		{"'/twice', print", "/twice is listened on already"},
		{"systemd, print", "systemd is listened on already"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char code[300];

		config_deinit(&w.config);
		w.config.directory = strdup("/tmp/d");
		snprintf(code, sizeof(code),
			 "qmqp_listen('/twice', print)\n"
			 "qmqp_listen(systemd, print)\n"
			 "qmqp_listen(%s)",
			 cases[i].arguments);
		assert_fails(code, cases[i].why);
		assert_non_null(strstr(error, ":3: "));
		assert_int_equal(w.config.n_listeners, 2);
	}
}

#define SCRIPT(f) \
	cmocka_unit_test_setup_teardown(f, setup_script, teardown_script)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCRIPT(test_run),           SCRIPT(test_waits),
		SCRIPT(test_no_reload),     SCRIPT(test_errors),
		SCRIPT(test_globals),       SCRIPT(test_defaults),
		SCRIPT(test_bad_globals),   SCRIPT(test_listeners),
		SCRIPT(test_bad_listeners),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
