/* SPDX-License-Identifier: BSD-2-Clause */
/* What a script sees of a mail, and may change. */
#include "mailing.h"

#define OK " return m:discard()"

static void test_attributes(void **state)
{
	(void)state;
	assert_handles("assert(m.sender == 's@a.de')\n"
		       "assert(#m.recipients == 2)\n"
		       "assert(m.recipients[1] == 'r@b.de')\n"
		       "assert(m.recipients[2] == 'x@y.host')\n"
		       "assert(m.pid == 4711 and m.uid == 1000 and m.gid == "
		       "100)\n"
		       "assert(math.type(m.size) == 'integer')\n"
		       "assert(m.size == 5)\n"
		       "assert(m.remote == nil and m.account == nil)\n"
		       "assert(tostring(m) == 'mail')" OK);
}

/* SPEC 3: a client outside our pid namespace, and one on TCP. */
static void test_who(void **state)
{
	struct socket_address tcp = {0};

	(void)state;
	p.peer = (struct peer){true, 0, 0, 0};
	assert_handles("assert(m.pid == nil and m.uid == 0 and m.gid == 0)" OK);
	handler_deinit(&p.handler);

	assert_int_equal(sockaddr_parse("[::1]:7", 7, &tcp), 0);
	p.peer = (struct peer){.known = false};
	post_init(&tcp);
	assert_handles("assert(m.pid == nil and m.uid == nil and m.gid == nil)"
		       "assert(m.remote == '[::1]:7')" OK);
}

/* A fresh table each time; what a script does to it is its own. */
static void test_recipients(void **state)
{
	(void)state;
	assert_handles("local r = m.recipients r[1] = 'changed' r[3] = 'new'\n"
		       "assert(m.recipients[1] == 'r@b.de')\n"
		       "assert(#m.recipients == 2)" OK);
}

static void test_sender(void **state)
{
	(void)state;
	assert_handles("m.sender = 'new@x.y' assert(m.sender == 'new@x.y')" OK);
	assert_int_equal(p.mail.sender.size, 7);
	handler_deinit(&p.handler);
	assert_handles("m.sender = '' assert(m.sender == '')" OK);
	handler_deinit(&p.handler);
	assert_handles("m.sender = 'back@x.y'" OK);
	handler_deinit(&p.handler);
	assert_fails("m.sender = 'a\\nb@c'", "bad sender address 'a");
	assert_fails("m.sender = ('x'):rep(1000) .. '@y'",
		     "bad sender address");
	assert_fails("m.sender = 7", "sender must be a string, not a number");
	assert_fails("m.sender = nil", "sender must be a string, not a nil");
	assert_memory_equal(p.mail.sender.data, "back@x.y", 8);
}

static void test_account(void **state)
{
	(void)state;
	assert_handles("m.account = 'web7' assert(m.account == 'web7')" OK);
	/* it stays for the log */
	assert_string_equal(p.handler.mail.account, "web7");
	handler_deinit(&p.handler);
	assert_null(p.handler.mail.account);
	assert_handles("m.account = 'x' m.account = nil\n"
		       "assert(m.account == nil) m.account = 17\n"
		       "assert(m.account == '17')\n"
		       "m.account = ('x'):rep(255)" OK);
	assert_int_equal(strlen(p.handler.mail.account), 255);
	handler_deinit(&p.handler);
	assert_fails("m.account = ('x'):rep(256)", "at most 255 bytes");
	assert_fails("m.account = 'a\\0b'", "none of them NUL");
	assert_fails("m.account = {}", "must be a string or nil, not a table");
	assert_handles("m.account = 'old' pcall(function() m.account = {} end)"
		       "assert(m.account == 'old')" OK);
}

/* SPEC 3: an unknown attribute is an error that names it. */
static void test_unknown(void **state)
{
	(void)state;
	assert_fails("return m.Sender", "a mail has no attribute 'Sender'");
	assert_fails("return m['sender\\0x']", "a mail has no attribute");
	assert_fails("return m[1]", "a mail has no attribute '1'");
	assert_fails("return m[nil]", "a mail has no attribute 'nil'");
	assert_fails("m.nonsense = 1", "a mail has no attribute 'nonsense'");
	assert_fails("m['account\\0x'] = 1", "a mail has no attribute");
	for (int i = 0; i < 7; i++) {
		static const char *const names[] = {
			"recipients", "pid",    "uid",   "gid",
			"size",       "remote", "cgroup"};
		char code[50], error[50];

		sprintf(code, "m.%s = nil", names[i]);
		sprintf(error, "attribute '%s' is read-only", names[i]);
		assert_fails(code, error);
	}
	assert_fails("m.reject = nil", "a mail has no attribute 'reject'");
	assert_handles("assert(getmetatable(m) == false)\n"
		       "assert(not pcall(setmetatable, m, {}))" OK);
}

/* The added headers as they will be sent. */
static void assert_headers(const char *code, const char *headers)
{
	struct iovec iov[8];
	size_t n = strlen(headers);

	assert_handles(code);
	handler_deinit(&p.handler);
	assert_int_equal(mail_seal(&p.mail, NULL), 0);
	assert_true(mail_iov(&p.mail, MAIL_RAW, 0, iov, 8) > 0);
	assert_int_equal(mail_wire_size(&p.mail, MAIL_RAW), n + 5);
	assert_memory_equal(iov[0].iov_base, headers, n);
	mail_deinit(&p.mail);
	block_pool_deinit(&p.pool);
	receive_mail();
}

static void test_insert_header(void **state)
{
	(void)state;
	assert_headers("m:insert_header('X-A', 'one')\n"
		       "m:insert_header('X-B', '\\ttwo')" OK,
		       "X-B: \ttwo\nX-A: one\n");
	assert_headers("m:insert_header('A', '')" OK, "A: \n");
	assert_headers("m:insert_header('A', 7) m:insert_header('B', 1.5)" OK,
		       "B: 1.5\nA: 7\n");
	assert_headers("m:insert_header('A', setmetatable({}, {__tostring = "
		       "function() return 'object' end}))" OK,
		       "A: object\n");
	assert_headers("m:insert_header('A', qmqp_resolve('192.0.2.1'))" OK,
		       "A: 192.0.2.1:628\n");
	/* 998 bytes are a line */
	assert_handles("m:insert_header(('n'):rep(995), 'v')\n"
		       "assert(not pcall(m.insert_header, m, ('n'):rep(996), "
		       "'v'))" OK);
	assert_int_equal(p.mail.added.size, 999);
}

static void test_bad_headers(void **state)
{
	(void)state;
	assert_fails("m:insert_header('', 'v')", "insert_header: '': ");
	assert_fails("m:insert_header('a b', 'v')", "insert_header: 'a b': ");
	assert_fails("m:insert_header('a:', 'v')", "insert_header: 'a:': ");
	assert_fails("m:insert_header('a\\0', 'v')", "insert_header: 'a': ");
	assert_fails("m:insert_header('a', 'v\\n')", "insert_header: 'a': ");
	assert_fails("m:insert_header('a', 'v\\r')", "insert_header: 'a': ");
	assert_fails("m:insert_header('a', '\\0')", "insert_header: 'a': ");
	assert_fails("m:insert_header('a', '\\xc3\\xa4')",
		     "insert_header: 'a': ");
	assert_fails("m:insert_header('a', ('v'):rep(996))",
		     "insert_header: 'a': ");
	assert_fails("m:insert_header(7, 'v')",
		     "insert_header: the name must be a string, not a number");
	assert_fails("m:insert_header('a')", "must be a string, not a");
	assert_fails("m:insert_header('a', nil)",
		     "the value of 'a' must be a string, not a nil");
	assert_fails("m:insert_header('a', {})",
		     "the value of 'a' must be a string, not a table");
	assert_fails("m:insert_header('a', setmetatable({}, {__tostring = "
		     "function() error('mine', 0) end}))",
		     "mine");
	assert_int_equal(p.mail.added.size, 0);
}

/* The limit of all headers together is an error, too, not a crash. */
static void test_many_headers(void **state)
{
	(void)state;
	assert_handles("local n, ok, e = 0\n"
		       "repeat ok, e = pcall(m.insert_header, m, 'X', "
		       "('v'):rep(900)) n = n + 1 until not ok\n"
		       "assert(n > 1000 and n < 1300)\n"
		       "assert(e:find(\"insert_header: 'X': \", 1, true))" OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		MAIL(test_attributes),    MAIL(test_who),
		MAIL(test_recipients),    MAIL(test_sender),
		MAIL(test_account),       MAIL(test_unknown),
		MAIL(test_insert_header), MAIL(test_bad_headers),
		MAIL(test_many_headers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
