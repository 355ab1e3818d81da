/* SPDX-License-Identifier: BSD-2-Clause */
/* The actions that a handler may return: what each says, and which mistakes are
 * named. */
#include "mailing.h"

#include "base/limits.h"
#include "lua/command.h"

static const struct action *act(const char *expression)
{
	char body[1000];

	handler_deinit(&p.handler);
	snprintf(body, sizeof(body), "return m:%s", expression);
	assert_handles(body);
	lua_gc(w.vm->L, LUA_GCCOLLECT);
	return p.handler.action;
}

static void assert_verdict(const char *expression, const char *verdict)
{
	const struct action *a = act(expression);

	assert_int_equal(a->type, ACTION_VERDICT);
	assert_int_equal(a->verdict.letter, verdict[0]);
	assert_int_equal(a->verdict.size, strlen(verdict + 1));
	assert_memory_equal(a->verdict.text, verdict + 1, a->verdict.size);
	assert_memory_equal(expression, a->name, strlen(a->name));
}

static void test_verdicts(void **state)
{
	(void)state;
	assert_verdict("discard()", "Kdiscarded");
	assert_verdict("reject()", "Drejected");
	assert_verdict("defer()", "Zdeferred");
	assert_verdict("discard(nil)", "Kdiscarded");
	assert_verdict("discard('')", "K");
	assert_verdict("reject('no such user')", "Dno such user");
	assert_verdict("defer(17)", "Z17");
	assert_verdict("reject('a\\r\\nK\\0\\127b\\xff')", "Da  K  b\xff");
	assert_int_equal(act("reject(('x'):rep(255))")->verdict.size, 255);
	assert_int_equal(act("reject(('x'):rep(256))")->verdict.size, 255);
	assert_fails("return m:reject({})", "bad argument");
	assert_fails("return m:reject('a', 'b')", "reject: one text at most");
	assert_fails("return m.reject('a')", "bad argument");
}

static void assert_connects(const char *expression, const char *to,
			    double timeout, double connect_timeout)
{
	const struct action *a = act(expression);
	char text[SOCKADDR_TEXT_MAX];

	assert_int_equal(a->type, ACTION_CONNECT);
	assert_string_equal(a->name, "connect");
	assert_int_equal(a->to->n, 1);
	assert_string_equal(
		sockaddr_print(&a->to->v[0].address, text, sizeof(text)), to);
	assert_true(a->timeout >= timeout && a->timeout <= timeout);
	assert_true(a->connect_timeout >= connect_timeout &&
		    a->connect_timeout <= connect_timeout);
}

static void test_connect(void **state)
{
	(void)state;
	assert_connects("connect('192.0.2.1')", "192.0.2.1:628", 0.,
			LIMIT_CONNECT_TIME);
	assert_connects("connect('[::1]:25', {timeout = 5})", "[::1]:25", 5.,
			LIMIT_CONNECT_TIME);
	assert_connects("connect('@name', {connect_timeout = .5, timeout = "
			"3600})",
			"@name", 3600., .5);
	/* the object lives as long as the action */
	assert_connects("connect(qmqp_resolve('/run/x'), nil)", "/run/x", 0.,
			LIMIT_CONNECT_TIME);
}

static void test_bad_connect(void **state)
{
	(void)state;
	assert_fails("return m:connect()", "connect: the address must be a "
					   "string or an address object, not a "
					   "nil");
	assert_fails("return m:connect(7)", "not a number");
	assert_fails("return m:connect({})", "not a table");
	assert_fails("return m:connect('host.example')",
		     "'host.example' is not a numeric address: give host "
		     "names to qmqp_resolve() when the script starts");
	assert_fails("return m:connect('')", "malformed address ''");
	assert_fails("return m:connect('1.2.3.4:0')",
		     "address '1.2.3.4:0': the port must be from 1 to 65535");
	assert_fails("return m:connect('/' .. ('x'):rep(108))",
		     "is too long for a socket (at most 107 bytes)");
	assert_fails("return m:connect('::1', {time = 5})",
		     "connect: unknown option 'time'");
	assert_fails("return m:connect('::1', {timeout = 3601})",
		     "connect: timeout must be more than 0 and at most 3600 "
		     "seconds");
	assert_fails("return m:connect('::1', {connect_timeout = 0})",
		     "connect: connect_timeout must be more than 0");
	assert_fails("return m:connect('::1', 5)",
		     "connect: the options must be a table, not a number");
}

static void test_exec(void **state)
{
	const struct action *a;

	(void)state;
	a = act("exec('/bin/x', 'a b', 7, '', 1.5)");
	assert_int_equal(a->type, ACTION_EXEC);
	assert_string_equal(a->name, "exec");
	assert_false(a->raw);
	assert_string_equal(a->command->argv[0], "/bin/x");
	assert_string_equal(a->command->argv[1], "a b");
	assert_string_equal(a->command->argv[2], "7");
	assert_string_equal(a->command->argv[3], "");
	assert_string_equal(a->command->argv[4], "1.5");
	assert_null(a->command->argv[5]);
	assert_null(a->command->envp[0]);

	a = act("exec_raw('/x', {env = {A = 1, B = 'x=y'}, timeout = 9})");
	assert_true(a->raw);
	assert_string_equal(a->name, "exec_raw");
	assert_null(a->command->argv[1]);
	assert_true(a->timeout > 8.9 && a->timeout < 9.1);
	if (a->command->envp[0][0] == 'A') {
		assert_string_equal(a->command->envp[0], "A=1");
		assert_string_equal(a->command->envp[1], "B=x=y");
	} else {
		assert_string_equal(a->command->envp[0], "B=x=y");
		assert_string_equal(a->command->envp[1], "A=1");
	}
	assert_null(a->command->envp[2]);
	a = act("exec('/x', table.unpack(m.recipients))");
	assert_string_equal(a->command->argv[2], "x@y.host");
}

static void test_bad_exec(void **state)
{
	(void)state;
	assert_fails("return m:exec()", "the program is missing");
	assert_fails("return m:exec('x')", "must be an absolute path");
	assert_fails("return m:exec({})", "must be a string or a number");
	assert_fails("return m:exec('/x', nil)",
		     "must be a string or a number");
	assert_fails("return m:exec('/x', {}, 'y')",
		     "must be a string or a number, not a table");
	assert_fails("return m:exec('/x', 'a\\0b')",
		     "must not contain a NUL byte");
	assert_fails("return m:exec('/x', {env = 7})",
		     "exec: env must be a table, not a number");
	assert_fails("return m:exec_raw('/x', {env = {['A=B'] = 'x'}})",
		     "exec_raw: env: 'A=B': a name must not be empty");
	assert_fails("return m:exec('/x', {env = {[''] = 'x'}})",
		     "a name must not be empty");
	assert_fails("return m:exec('/x', {env = {'x'}})",
		     "exec: env: a name must be a string, not a number");
	assert_fails("return m:exec('/x', {env = {A = {}}})",
		     "exec: env: 'A' must be a string or a number");
	assert_fails("return m:exec('/x', {user = 0})",
		     "exec: unknown option 'user'");
}

/* A script can neither look into an action nor change it. */
static void test_opaque(void **state)
{
	(void)state;
	assert_handles("local a = m:discard()\n"
		       "assert(tostring(a) == 'action: discard')\n"
		       "assert(not pcall(function() return a.x end))\n"
		       "assert(not pcall(function() a.x = 1 end))\n"
		       "assert(getmetatable(a) == false) return a");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		MAIL(test_verdicts),    MAIL(test_connect),
		MAIL(test_bad_connect), MAIL(test_exec),
		MAIL(test_bad_exec),    MAIL(test_opaque),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
