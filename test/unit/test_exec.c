/* SPDX-License-Identifier: BSD-2-Clause */
/* Mails to real programs, mostly /bin/sh, in a real loop; each test must leave no
 * descriptor, no process and no zombie. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>

#include "base/block.h"
#include "io/child.h"
#include "processes.h"
#include "proto/mail.h"
#include "proto/qmqp_request.h"
#include "relay/exec.h"

#define MB 1000000

struct test {
	struct ev_loop *loop;
	struct block_pool pool;
	struct children all;
	struct mail mail;
	struct exec exec;
	double timeout;
	int n_fds;

	bool done;
	int err;
	char verdict[LIMIT_REPLY + 1]; /* letter and text */
	char lines[65536];             /* of stderr, each with its LF */
	unsigned n_lines;
};

static void on_line(struct exec *x, const char *line, size_t size)
{
	struct test *t = container_of(x, struct test, exec);
	size_t end = strlen(t->lines);

	assert_false(t->done);
	assert_true(size <= LIMIT_STDERR_LINE);
	t->n_lines++;
	memcpy(t->lines + end, line, size);
	strcpy(t->lines + end + size, "\n");
}

static int setup(void **state)
{
	static struct test t;

	signal(SIGPIPE, SIG_IGN);
	t = (struct test){.n_fds = count_fds(), .timeout = 60.};
	t.loop = ev_loop_new(EVFLAG_NOENV);
	block_pool_init(&t.pool);
	mail_init(&t.mail, &t.pool);
	children_init(&t.all, t.loop, RLIM_INFINITY);
	t.all.grace = .2;
	memset(&t.exec, 0xa5, sizeof(t.exec));
	exec_init(&t.exec, &t.all, on_line);
	*state = &t;
	return 0;
}

static int teardown(void **state)
{
	struct test *t = *state;
	double end = now() + patience();

	exec_deinit(&t->exec);
	exec_deinit(&t->exec);
	while (!list_empty(&t->all.dying) && now() < end)
		run_for(t->loop, .002);
	assert_true(list_empty(&t->all.dying));
	children_deinit(&t->all);
	mail_deinit(&t->mail);
	block_pool_deinit(&t->pool);
	ev_loop_destroy(t->loop);
	assert_int_equal(count_fds(), t->n_fds);
	assert_true(no_children());
	return 0;
}

/* A mail from a@x to b@y as it is received. */
static void receive(struct test *t, const char *message, size_t size)
{
	struct qmqp_request request;
	char *inner = malloc(size + 100), *wire = malloc(size + 100);
	size_t n = (size_t)sprintf(inner, "%zu:", size), used, done = 0;

	memcpy(inner + n, message, size);
	n += size;
	n += (size_t)sprintf(inner + n, ",3:a@x,3:b@y,");
	used = (size_t)sprintf(wire, "%zu:", n);
	memcpy(wire + used, inner, n);
	wire[used + n] = ',';
	n += used + 1;

	mail_deinit(&t->mail);
	mail_init(&t->mail, &t->pool);
	qmqp_request_init(&request, &t->mail, MB * 64, 10);
	while (done < n) {
		struct iovec iov;
		size_t part = n - done;

		assert_int_equal(chain_space(&t->mail.chain, 1, &iov, 1), 1);
		part = part < iov.iov_len ? part : iov.iov_len;
		memcpy(iov.iov_base, wire + done, part);
		chain_commit(&t->mail.chain, part);
		assert_int_equal(
			qmqp_request_feed(&request, wire + done, part, &used),
			done + part == n ? QMQP_REQUEST_DONE
					 : QMQP_REQUEST_MORE);
		done += part;
	}
	assert_int_equal(mail_seal(&t->mail, NULL), 0);
	free(inner);
	free(wire);
}

static void receive_large(struct test *t, size_t size)
{
	char *message = malloc(size);

	memset(message, 'm', size);
	receive(t, message, size);
	free(message);
}

static void on_done(struct exec *x, int err)
{
	struct test *t = container_of(x, struct test, exec);

	assert_false(t->done);
	t->done = true;
	t->err = err;
	t->verdict[0] = x->verdict.letter;
	memcpy(t->verdict + 1, x->verdict.text, x->verdict.size);
	t->verdict[1 + x->verdict.size] = '\0';
}

static int start_program(struct test *t, bool raw, char *const *argv)
{
	static char *const env[] = {"PATH=/usr/bin:/bin", NULL};
	const struct exec_spec spec = {argv[0], argv, env, raw, t->timeout};

	if (!t->mail.sealed)
		receive(t, "Subject: x\n\nhello\n", 18);
	t->done = false;
	t->n_lines = 0;
	t->lines[0] = '\0';
	return exec_start(&t->exec, &spec, &t->mail, on_done);
}

static void start(struct test *t, bool raw, const char *script)
{
	char *argv[] = {"/bin/sh", "-c", (char *)script, NULL};

	assert_int_equal(start_program(t, raw, argv), 0);
	assert_false(t->done);
}

static void run(struct test *t, bool raw, const char *script)
{
	start(t, raw, script);
	assert_true(run_until(t->loop, &t->done));
}

static void assert_says(struct test *t, bool raw, const char *script,
			const char *verdict)
{
	run(t, raw, script);
	assert_int_equal(t->err, 0);
	assert_string_equal(t->verdict, verdict);
}

#define RAW(script, verdict) assert_says(t, true, script, verdict)
#define QMQP(script, verdict) assert_says(t, false, script, verdict)

/* SPEC 4: 0 is K, some of sysexits.h and qmail's 100 are D, all else is Z. */
static void test_raw_status(void **state)
{
	static const int hard[] = {64, 65, 67, 68, 72, 77, 78, 100};
	struct test *t = *state;

	RAW("exit 0", "Kok");
	for (int status = 1, i = 0; status < 256; status++) {
		char script[32];

		sprintf(script, "exit %d", status);
		if (status == hard[i]) {
			RAW(script, "Dinternal server error");
			i += i < 7;
		} else {
			RAW(script, "Zinternal server error");
		}
	}
}

static void test_raw_signals(void **state)
{
	struct test *t = *state;

	RAW("kill -KILL $$", "Zinternal server error");
	RAW("echo text; kill -TERM $$", "Ztext");
	RAW("kill -ABRT $$", "Zinternal server error");
}

static void test_raw_text(void **state)
{
	struct test *t = *state;

	RAW("echo queued as 17", "Kqueued as 17");
	RAW("echo out; echo err >&2; echo out", "Kout err out");
	RAW("echo no such user >&2; exit 67", "Dno such user");
	RAW("echo; echo ' \t ' >&2", "Kok");
	RAW("printf '\\n\\000 a\\000b\\033[1m\\177c\\r\\n\\n'", "Ka b [1m c");
	RAW("printf '\\303\\244\\377'", "K\xc3\xa4\xff");
	assert_int_equal(t->n_lines, 0);
}

static void test_raw_text_sizes(void **state)
{
	static const struct {
		int printed, kept;
	} cases[] = {{1, 1}, {254, 254}, {255, 255}, {256, 255}, {MB, 255}};
	struct test *t = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char script[100], wanted[LIMIT_REPLY + 1];

		sprintf(script, "head -c %d /dev/zero | tr '\\0' x",
			cases[i].printed);
		memset(wanted, 'x', sizeof(wanted));
		wanted[0] = 'K';
		wanted[1 + cases[i].kept] = '\0';
		RAW(script, wanted);
	}
	/* what is trimmed is what was kept */
	RAW("printf '%300s' x; exit 1", "Zinternal server error");
}

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
}

/* A printed Z or D counts whatever the status, a K only with 0. */
static void test_qmqp_status(void **state)
{
	struct test *t = *state;

	QMQP("printf 3:Kok,", "Kok");
	QMQP("printf 3:Kok,; exit 1", "Zinternal server error");
	QMQP("printf 3:Kok,; exit 100", "Dinternal server error");
	QMQP("printf 3:Kok,; kill -KILL $$", "Zinternal server error");
	QMQP("printf 4:Zbad,", "Zbad");
	QMQP("printf 4:Zbad,; exit 100", "Zbad");
	QMQP("printf 4:Dbad,", "Dbad");
	QMQP("printf 4:Dbad,; exit 75", "Dbad");
	QMQP("printf 4:Dbad,; kill -KILL $$", "Dbad");
	QMQP("printf 2:; sleep .02; printf 'K'; sleep .02; printf x,", "Kx");
	QMQP("printf 1:K,", "K");
}

static void test_qmqp_bad_reply(void **state)
{
	static const char *const bad[] = {
		":",
		"printf K",
		"printf 3:Ko",
		"printf 3:Xok,",
		"printf 0:,",
		"printf 03:Kok,",
		"printf 3:Kok.",
		"echo hello",
		"head -c 70000 /dev/zero",
	};
	struct test *t = *state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char script[100];

		QMQP(bad[i], "Zinternal server error");
		sprintf(script, "%s; exit 77", bad[i]);
		QMQP(script, "Dinternal server error");
		sprintf(script, "%s; exit 1", bad[i]);
		QMQP(script, "Zinternal server error");
	}
}

static void test_qmqp_long_reply(void **state)
{
	struct test *t = *state;
	char wanted[LIMIT_REPLY + 1];

	memset(wanted, 'x', sizeof(wanted));
	wanted[0] = 'K';
	wanted[LIMIT_REPLY] = '\0';
	QMQP("printf 60001:K; head -c 60000 /dev/zero | tr '\\0' x; printf ,",
	     wanted);
	QMQP("printf 3:Kok,; head -c 1000000 /dev/zero", "Kok");
}

static void test_stderr_lines(void **state)
{
	struct test *t = *state;

	QMQP("printf 'one\\n\\ntw' >&2; sleep .02; printf 'o\\nthree' >&2;"
	     "printf 3:Kok,",
	     "Kok");
	assert_string_equal(t->lines, "one\n\ntwo\nthree\n");
	assert_int_equal(t->n_lines, 4);
	QMQP("exit 1", "Zinternal server error");
	assert_int_equal(t->n_lines, 0);
}

static void test_stderr_limits(void **state)
{
	struct test *t = *state;

	QMQP("head -c 513 /dev/zero | tr '\\0' x >&2; echo >&2; echo b >&2;"
	     "printf 3:Kok,",
	     "Kok");
	assert_int_equal(t->n_lines, 2);
	assert_int_equal(strlen(t->lines), 512 + 1 + 2);
	QMQP("seq 1 65 >&2; printf tail >&2; printf 3:Kok,", "Kok");
	assert_int_equal(t->n_lines, 64);
	assert_non_null(strstr(t->lines, "\n64\n"));
	QMQP("head -c 1000000 /dev/zero >&2; printf 3:Kok,", "Kok");
	assert_int_equal(t->n_lines, 1);
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

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_raw_status),
		TEST(test_raw_signals),
		TEST(test_raw_text),
		TEST(test_raw_text_sizes),
		TEST(test_raw_input),
		TEST(test_qmqp_input),
		TEST(test_qmqp_status),
		TEST(test_qmqp_bad_reply),
		TEST(test_qmqp_long_reply),
		TEST(test_stderr_lines),
		TEST(test_stderr_limits),
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
