/* SPDX-License-Identifier: BSD-2-Clause */
/* qmqp_resolve() and the objects it makes.  The answers of the resolver are the
 * test's own. */
#include <netdb.h>

#include "scripting.h"

#include "lua/address_class.h"

int __wrap_getaddrinfo(const char *node, const char *service,
		       const struct addrinfo *hints, struct addrinfo **res);
void __wrap_freeaddrinfo(struct addrinfo *res);

/* two.example has two addresses, slow.example one after a while; no other name
 * has any. */
int __wrap_getaddrinfo(const char *node, const char *service,
		       const struct addrinfo *hints, struct addrinfo **res)
{
	int n = strcmp(node, "two.example") == 0 ? 2 : 1;
	struct {
		struct addrinfo info;
		struct sockaddr_in in;
	} * x;

	(void)service, (void)hints;
	if (strcmp(node, "slow.example") == 0)
		usleep(100000);
	else if (n == 1)
		return EAI_NONAME;
	x = calloc((size_t)n, sizeof(*x));
	for (int i = 0; i < n; i++) {
		x[i].in.sin_family = AF_INET;
		x[i].in.sin_addr.s_addr = htonl(0xc0000201 + (uint32_t)i);
		x[i].info = (struct addrinfo){
			.ai_family = AF_INET,
			.ai_socktype = SOCK_STREAM,
			.ai_addrlen = sizeof(x[i].in),
			.ai_addr = (struct sockaddr *)&x[i].in,
			.ai_next = i + 1 < n ? &x[i + 1].info : NULL};
	}
	*res = &x[0].info;
	return 0;
}

void __wrap_freeaddrinfo(struct addrinfo *res)
{
	free(res);
}

/* SPEC 5: immediate, and printed as connect would take it. */
static void test_immediate(void **state)
{
	(void)state;
	run_code("local t = {['192.0.2.1'] = '192.0.2.1:628',\n"
		 "  ['192.0.2.1:7'] = '192.0.2.1:7', ['::1'] = '[::1]:628',\n"
		 "  ['[::1]'] = '[::1]:628', ['[::1]:4321'] = '[::1]:4321',\n"
		 "  ['fe80::1%lo'] = '[fe80::1%lo]:628',\n"
		 "  ['/run/x.sock'] = '/run/x.sock', ['@name'] = '@name'}\n"
		 "for s, printed in pairs(t) do\n"
		 "  local a = tostring(qmqp_resolve(s))\n"
		 "  assert(a == printed, a)\n"
		 "  assert(qmqp_resolve(a) == qmqp_resolve(s))\n"
		 "end");
	/* even where nothing can wait */
	define("a = qmqp_resolve('::1')");
}

static void test_equal(void **state)
{
	(void)state;
	run_code("local r = qmqp_resolve\n"
		 "assert(r '1.2.3.4' == r '1.2.3.4:628')\n"
		 "assert(r '1.2.3.4' ~= r '1.2.3.5')\n"
		 "assert(r '1.2.3.4:1' ~= r '1.2.3.4:2')\n"
		 "assert(r '@a' ~= r '/a' and r '@a' ~= r '@ab')\n"
		 "assert(r '::1' ~= '::1' and r '::1' ~= {})\n"
		 "assert(getmetatable(r '::1') == false)\n"
		 "assert(not pcall(function() return r('::1').x end))");
}

/* Errors raise and name the string. */
static void test_errors(void **state)
{
	(void)state;
	run_code("local function fails(s, part)\n"
		 "  local ok, e = pcall(qmqp_resolve, s)\n"
		 "  assert(not ok and e:find(part, 1, true), e)\n"
		 "end\n"
		 "fails('', \"malformed address ''\")\n"
		 "fails('a b', \"malformed address 'a b'\")\n"
		 "fails('[::1', \"malformed address '[::1'\")\n"
		 "fails('host:0', \"address 'host:0': the port must be\")\n"
		 "fails('host:65536', \"the port must be from 1 to 65535\")\n"
		 "fails('1.2.3.4:99999', \"address '1.2.3.4:99999'\")\n"
		 "fails('fe80::1%nope', 'no such network interface')\n"
		 "fails('/' .. ('x'):rep(108), 'at most 107 bytes')\n"
		 "fails('1.2.3.4\\0', 'malformed address')\n"
		 "fails(nil, 'bad argument #1') fails({}, 'bad argument #1')");
}

static void test_host(void **state)
{
	const struct address_list *a;
	struct task t;

	(void)state;
	task_init(&t);
	assert_int_equal(
		task_start(&t, "return qmqp_resolve('two.example:99')", 1.),
		CORO_WAITING);
	for (double end = now() + patience(); t.n_done == 0 && now() < end;)
		run_for(w.loop, .005);
	assert_int_equal(t.n_done, 1);
	assert_int_equal(t.status, CORO_DONE);
	a = address_class_test(t.coro.thread, 1);
	assert_non_null(a);
	assert_int_equal(a->n, 2);
	assert_string_equal(task_result(&t), "192.0.2.1:99");
	assert_int_equal(ntohs(a->v[1].address.in.sin_port), 99);
	assert_int_equal(ntohl(a->v[1].address.in.sin_addr.s_addr), 0xc0000202);
	coro_deinit(&t.coro);
}

static void test_no_host(void **state)
{
	struct task t;

	(void)state;
	task_init(&t);
	assert_int_equal(task_start(&t,
				    "local ok, e = pcall(qmqp_resolve, "
				    "'no.example') assert(not ok) return e",
				    1.),
			 CORO_WAITING);
	for (double end = now() + patience(); t.n_done == 0 && now() < end;)
		run_for(w.loop, .005);
	assert_string_equal(task_result(&t),
			    "cannot resolve 'no.example': Name or service not "
			    "known");
	coro_deinit(&t.coro);
}

/* Abandoned while the thread is at it, and while the answer is on its way. */
static void test_abandoned(void **state)
{
	struct task t;

	(void)state;
	task_init(&t);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(
			task_start(&t, "qmqp_resolve('slow.example')", 1.),
			CORO_WAITING);
		usleep(i == 0 ? 0 : i == 1 ? 20000 : 150000);
		coro_deinit(&t.coro);
		lua_gc(w.vm->L, LUA_GCCOLLECT);
		run_for(w.loop, .15);
		assert_int_equal(t.n_done, 0);
	}
}

/* A host name is looked up only where one can wait. */
static void test_cannot_wait(void **state)
{
	(void)state;
	define("local ok, e = pcall(qmqp_resolve, 'two.example')\n"
	       "assert(not ok) why = e");
	assert_string_equal(global("why"), "cannot wait here");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_immediate),   TEST(test_equal),
		TEST(test_errors),      TEST(test_host),
		TEST(test_no_host),     TEST(test_abandoned),
		TEST(test_cannot_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
