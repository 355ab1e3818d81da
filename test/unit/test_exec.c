/* SPDX-License-Identifier: BSD-2-Clause */
/* Programs that read and write in every order they like, and for how long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "exec_fixture.h"

static void test_raw_input(void **state)
{
	struct test *t = *state;

	RAW("cat", "KSubject: x  hello");
	receive(t, "a\r\n", 3);
	RAW("od -An -c", "Ka  \\r  \\n");
}

static void test_qmqp_input(void **state)
{
	struct test *t = *state;

	QMQP("x=$(cat); printf '%d:K%s,' $((${#x} + 1)) \"$x\"",
	     "K34:18:Subject: x\n\nhello\n,3:a@x,3:b@y,,");
	assert_int_equal(t->n_written, 1);
}

/* Both sides would wait for each other if we wrote before we read. */
static void test_writes_before_it_reads(void **state)
{
	struct test *t = *state;

	receive_large(t, MB);
	RAW("head -c 1000000 /dev/zero | tr '\\0' x; test $(wc -c) = 1000000"
	    " || exit 1",
	    "Kxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
	    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
	    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
	    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
	QMQP("head -c 1000000 /dev/zero >&2; x=$(wc -c);"
	     "test $x = 1000030 && printf 3:Kok, || echo $x",
	     "Kok");
}

static void test_never_reads(void **state)
{
	struct test *t = *state;

	receive_large(t, 10 * MB);
	start(t, true, "sleep .1; echo full");
	run_for(t->loop, .05);
	assert_int_equal(t->n_written, 0);
	assert_true(run_until(t->loop, &t->done));
	RAW("echo full", "Kfull");
	RAW("exit 65", "Dinternal server error");
	QMQP("printf 3:Kok,", "Kok");
	RAW("sleep .1; echo full", "Kfull");
	RAW("head -c 100000 >/dev/null; echo enough", "Kenough");
}

static void test_closes_stdin(void **state)
{
	struct test *t = *state;

	receive_large(t, 10 * MB);
	RAW("exec <&-; sleep .1; echo late", "Klate");
	assert_int_equal(t->n_written, 1);
	QMQP("exec <&-; sleep .1; printf 3:Kok,", "Kok");
}

/* Time that passes must not be spent by us. */
static void assert_idle(struct test *t, bool raw, const char *script,
			const char *verdict)
{
	struct timespec start_time, end;
	double spent;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &start_time);
	start(t, raw, script);
	run_for(t->loop, .5);
	assert_true(run_until(t->loop, &t->done));
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
	spent = (double)(end.tv_sec - start_time.tv_sec) +
		(double)(end.tv_nsec - start_time.tv_nsec) / 1e9;
	assert_string_equal(t->verdict, verdict);
	assert_true(spent < .25);
}

static void test_closes_and_runs_on(void **state)
{
	struct test *t = *state;

	receive_large(t, MB);
	assert_idle(t, true, "echo done; exec >&- 2>&-; sleep .5", "Kdone");
	assert_idle(t, false, "printf 3:Kok,; exec >&- <&-; sleep .5", "Kok");
	assert_idle(t, true, "exec <&-; sleep .5", "Kok");
	assert_idle(t, true, "sleep .5", "Kok");
	assert_idle(t, true, "exec >&- 2>&- <&-; sleep .5; exit 65",
		    "Dinternal server error");
}

/* What the program wrote is read, the end of the pipe is not waited for. */
static void test_grandchild_holds_pipes(void **state)
{
	struct test *t = *state;
	double start_time = now();

	RAW("sleep 2 & echo done", "Kdone");
	QMQP("sleep 2 & echo log >&2; printf 3:Kok,", "Kok");
	assert_string_equal(t->lines, "log\n");
	QMQP("sleep 2 & (sleep .05; printf 40001:K;"
	     "head -c 40000 /dev/zero; printf ,) ",
	     "K");
	RAW("yes & echo done; exit 65", t->verdict);
	assert_int_equal(t->verdict[0], 'D');
	assert_true(now() - start_time < 2.);
}

/* It is ended by SIGPIPE, not read for ever. */
static void test_writes_without_end(void **state)
{
	struct test *t = *state;

	run(t, true, "exec yes");
	assert_int_equal(t->err, 0);
	assert_memory_equal(t->verdict, "Zy y y y ", 9);
	run(t, false, "exec yes >&2");
	assert_string_equal(t->verdict, "Zinternal server error");
	assert_int_equal(t->n_lines, 64);
}

static void test_timeout(void **state)
{
	struct test *t = *state;
	double start_time = now();

	t->timeout = .1;
	run(t, true, "echo text; sleep 100");
	assert_int_equal(t->err, -ETIMEDOUT);
	assert_true(now() - start_time >= .1);
	run(t, false, "trap '' TERM; printf 'a\\nb' >&2; while :; do :; done");
	assert_int_equal(t->err, -ETIMEDOUT);
	assert_string_equal(t->lines, "a\nb\n");
	receive_large(t, 10 * MB);
	run(t, true, "sleep 100");
	assert_int_equal(t->err, -ETIMEDOUT);
	t->timeout = 60.;
	RAW("echo again", "Kagain");
}

static void test_abandoned(void **state)
{
	struct test *t = *state;

	receive_large(t, MB);
	start(t, true, "trap '' TERM; echo x; sleep 100; sleep 100");
	run_for(t->loop, .05);
	exec_deinit(&t->exec);
	run_for(t->loop, .05);
	assert_false(t->done);
	start(t, false, "exit 0");
	exec_deinit(&t->exec);
	assert_false(t->done);
	RAW("echo again", "Kagain");
}

static void test_cannot_start(void **state)
{
	struct test *t = *state;
	char *none[] = {"/nonexistent", NULL};
	char *plain[] = {"/etc/passwd", NULL};

	assert_int_equal(start_program(t, true, none), -ENOENT);
	assert_int_equal(start_program(t, false, plain), -EACCES);
	run_for(t->loop, .01);
	assert_false(t->done);
	RAW("echo again", "Kagain");
}

static void test_many_arguments(void **state)
{
	static char *argv[5005];
	struct test *t = *state;

	argv[0] = "/bin/sh";
	argv[1] = "-c";
	argv[2] = "echo $# ${5000}";
	argv[3] = "sh";
	for (int i = 0; i < 5000; i++)
		argv[4 + i] = "a-recipient-of-some-length@example.org";
	assert_int_equal(start_program(t, true, argv), 0);
	assert_true(run_until(t->loop, &t->done));
	assert_string_equal(t->verdict,
			    "K5000 a-recipient-of-some-length@example.org");
}

static void test_empty_message(void **state)
{
	struct test *t = *state;

	receive(t, "", 0);
	RAW("wc -c", "K0");
	QMQP("test $(wc -c) = 19 && printf 3:Kok,", "Kok");
}

static void on_next(struct exec *x, int err)
{
	struct test *t = container_of(x, struct test, exec);
	static char *const argv[] = {"/bin/true", NULL}, *const env[] = {NULL};
	static const struct exec_spec spec = {"/bin/true", argv, env, true, 9.};

	assert_int_equal(err, 0);
	assert_int_equal(x->verdict.letter, 'K');
	if (--t->err > 0)
		assert_int_equal(exec_start(x, &spec, &t->mail, on_next), 0);
	else
		t->done = true;
}

/* The callee may start it again at once. */
static void test_started_by_done(void **state)
{
	struct test *t = *state;

	receive(t, "x\n", 2);
	t->err = 50;
	t->exec.verdict.letter = 'K';
	on_next(&t->exec, 0);
	assert_true(run_until(t->loop, &t->done));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_raw_input),
		TEST(test_qmqp_input),
		TEST(test_writes_before_it_reads),
		TEST(test_never_reads),
		TEST(test_closes_stdin),
		TEST(test_closes_and_runs_on),
		TEST(test_grandchild_holds_pipes),
		TEST(test_writes_without_end),
		TEST(test_timeout),
		TEST(test_abandoned),
		TEST(test_cannot_start),
		TEST(test_many_arguments),
		TEST(test_empty_message),
		TEST(test_started_by_done),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
