/* SPDX-License-Identifier: BSD-2-Clause */
/* A handler's way from the mail to an action, or to an error that says where. */
#include "mailing.h"

static void test_done(void **state)
{
	(void)state;
	assert_int_equal(handle("return m:reject('no')", 1.), HANDLER_DONE);
	assert_int_equal(p.n_done, 0);
	assert_int_equal(p.handler.action->type, ACTION_VERDICT);
	assert_int_equal(p.handler.action->verdict.letter, 'D');
	lua_gc(w.vm->L, LUA_GCCOLLECT);
	assert_int_equal(p.handler.action->verdict.size, 2);
	assert_memory_equal(p.handler.action->verdict.text, "no", 2);
	handler_deinit(&p.handler);
	assert_null(p.handler.action);
}

static void test_waits(void **state)
{
	(void)state;
	assert_int_equal(handle("wait() local s = m.sender wait()\n"
				"return m:discard(s), 'ignored'",
				1.),
			 HANDLER_WAITING);
	wake();
	assert_int_equal(p.n_done, 0);
	wake();
	assert_int_equal(p.n_done, 1);
	assert_int_equal(p.status, HANDLER_DONE);
	assert_memory_equal(p.handler.action->verdict.text, "s@a.de", 6);
}

/* What is no action, with the place of the handler. */
static void test_no_action(void **state)
{
	static const struct {
		const char *code, *is;
	} cases[] = {
		{"", "nothing"},
		{"return nil", "nil"},
		{"return 'K'", "string"},
		{"return m", "userdata"},
		{"return {m:discard()}", "table"},
		{"return nil, m:discard()", "nil"},
		{"return qmqp_resolve('::1')", "userdata"},
		{"wait() return 7", "number"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char wanted[200];
		enum handler_status status;

		post_init(NULL);
		status = handle(cases[i].code, 1.);
		if (status == HANDLER_WAITING) {
			wake();
			assert_int_equal(p.n_done, 1);
			status = p.status;
		}
		assert_int_equal(status, HANDLER_FAILED);
		assert_null(p.handler.action);
		snprintf(wanted, sizeof(wanted),
			 "code:1: the handler must return an action such as "
			 "m:connect(ADDRESS), not %s",
			 cases[i].is);
		assert_string_equal(handler_error(), wanted);
		handler_deinit(&p.handler);
	}
}

static void test_errors(void **state)
{
	(void)state;
	assert_fails("error('no')", "code:1: no");
	assert_fails("return m.nonsense", "a mail has no attribute 'nonsense'");
	assert_fails("coroutine.yield() return m:discard()",
		     "yield outside of a coroutine of the script");
	assert_fails("coroutine.wrap(wait)()",
		     "cannot wait inside a coroutine of the script");
	post_init(NULL);
	assert_int_equal(handle("wait() error('late')", 1.), HANDLER_WAITING);
	wake();
	assert_int_equal(p.n_done, 1);
	assert_int_equal(p.status, HANDLER_FAILED);
	assert_string_equal(handler_error(), "code:1: late");
	handler_deinit(&p.handler);
	post_init(NULL);
	assert_int_equal(handle("while true do end", .05), HANDLER_FAILED);
	assert_non_null(strstr(handler_error(), "too much CPU used"));
}

/* SPEC 3: after its mail is done an object is stale, whatever became of it. */
static void test_stale(void **state)
{
	static const char *const uses[] = {
		"return kept.sender",         "kept.sender = 'a@b'",
		"return kept.recipients",     "kept:insert_header('a', 'b')",
		"return kept:discard()",      "return tostring(kept)",
		"return kept.nonsense",       "return kept.connect",
		"return kept:connect('::1')", "kept.account = 'x'",
	};

	(void)state;
	for (int how = 0; how < 4; how++) {
		post_init(NULL);
		handle(how == 0   ? "kept = m return m:discard()"
		       : how == 1 ? "kept = m error('no')"
		       : how == 2 ? "kept = m wait()"
				  : "kept = m while true do end",
		       .05);
		if (how == 2)
			handler_deinit(&p.handler);
		for (size_t i = 0; i < sizeof(uses) / sizeof(uses[0]); i++) {
			struct task t;

			task_init(&t);
			assert_int_equal(task_start(&t, uses[i], 1.),
					 CORO_FAILED);
			assert_non_null(strstr(task_error(&t), "stale object"));
			coro_deinit(&t.coro);
		}
		handler_deinit(&p.handler);
	}
	/* a method that was taken while it was fresh */
	assert_handles("f, kept = m.discard, m return m:discard()");
	handler_deinit(&p.handler);
	assert_fails("return f(kept)", "stale object");
	assert_fails("return f({})", "bad argument");
}

/* Abandoned while it waits: its closing functions find it stale. */
static void test_abandoned(void **state)
{
	(void)state;
	assert_int_equal(
		handle("local x <close> = setmetatable({}, {__close = "
		       "function() local ok, e = pcall(function() return "
		       "m.sender end) why = e end})\n"
		       "m.account = 'a' wait()",
		       1.),
		HANDLER_WAITING);
	handler_deinit(&p.handler);
	assert_int_equal(p.n_done, 0);
	assert_int_equal(w.n_cancels, 1);
	assert_non_null(strstr(global("why"), "stale object"));
	assert_null(p.handler.mail.account);
	handler_deinit(&p.handler);
}

/* An action belongs to no mail: it may be returned again and again. */
static void test_kept_action(void **state)
{
	(void)state;
	assert_handles("a = m:connect('192.0.2.1', {timeout=7}) return a");
	handler_deinit(&p.handler);
	lua_gc(w.vm->L, LUA_GCCOLLECT);
	for (int i = 0; i < 2; i++) {
		assert_handles("return a");
		assert_int_equal(p.handler.action->to->n, 1);
		assert_true(p.handler.action->timeout > 6.9 &&
			    p.handler.action->timeout < 7.1);
		handler_deinit(&p.handler);
	}
}

struct closer {
	struct mail_closer closer;
	int *order, number;
};

static void close_one(struct mail_closer *c)
{
	struct closer *x = container_of(c, struct closer, closer);

	*x->order = *x->order * 10 + x->number;
}

/* What libraries made for the mail is let go of with it, once, last first. */
static void test_closers(void **state)
{
	struct closer c[3];
	int order = 0;

	(void)state;
	for (int i = 0; i < 3; i++) {
		c[i] = (struct closer){{.close = close_one}, &order, i + 1};
		list_append(&p.handler.mail.closers, &c[i].closer.node);
	}
	assert_int_equal(handle("return m:discard()", 1.), HANDLER_DONE);
	assert_int_equal(order, 321);
	handler_deinit(&p.handler);
	assert_int_equal(order, 321);
}

/* A mail object may be collected before its mail is done. */
static void test_collected(void **state)
{
	(void)state;
	assert_int_equal(handle("m = nil collectgarbage() collectgarbage() "
				"wait() return 1",
				1.),
			 HANDLER_WAITING);
	assert_null(p.handler.mail.object);
	wake();
	assert_int_equal(p.status, HANDLER_FAILED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		MAIL(test_done),        MAIL(test_waits),
		MAIL(test_no_action),   MAIL(test_errors),
		MAIL(test_stale),       MAIL(test_abandoned),
		MAIL(test_kept_action), MAIL(test_closers),
		MAIL(test_collected),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
