/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_TEST_EXEC_FIXTURE_H
#define QRELAY_TEST_EXEC_FIXTURE_H

/* Mails to real programs, mostly /bin/sh, in a real loop; each test must leave no
 * descriptor, no process and no zombie.  After cmocka.h. */

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
	unsigned n_written; /* calls of on_written */
};

static inline void on_line(struct exec *x, const char *line, size_t size)
{
	struct test *t = container_of(x, struct test, exec);
	size_t end = strlen(t->lines);

	assert_false(t->done);
	assert_true(size <= LIMIT_STDERR_LINE);
	t->n_lines++;
	memcpy(t->lines + end, line, size);
	strcpy(t->lines + end + size, "\n");
}

static void on_written(struct exec *x)
{
	struct test *t = container_of(x, struct test, exec);

	assert_false(t->done);
	t->n_written++;
}

static inline int setup(void **state)
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
	exec_init(&t.exec, &t.all, on_line, on_written);
	*state = &t;
	return 0;
}

static inline int teardown(void **state)
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
static inline void receive(struct test *t, const char *message, size_t size)
{
	struct qmqp_request request;
	char *inner = malloc(size + 100), *wire = malloc(size + 100);
	size_t n, used, done = 0;

	assert_non_null(inner);
	assert_non_null(wire);
	n = (size_t)snprintf(inner, 50, "%zu:", size);
	memcpy(inner + n, message, size);
	n += size;
	n += (size_t)snprintf(inner + n, 50, ",3:a@x,3:b@y,");
	used = (size_t)snprintf(wire, 50, "%zu:", n);
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

static inline void receive_large(struct test *t, size_t size)
{
	char *message = malloc(size);

	memset(message, 'm', size);
	receive(t, message, size);
	free(message);
}

static inline void on_done(struct exec *x, int err)
{
	struct test *t = container_of(x, struct test, exec);

	assert_false(t->done);
	t->done = true;
	t->err = err;
	t->verdict[0] = x->verdict.letter;
	memcpy(t->verdict + 1, x->verdict.text, x->verdict.size);
	t->verdict[1 + x->verdict.size] = '\0';
}

static inline int start_program(struct test *t, bool raw, char *const *argv)
{
	static char *const env[] = {"PATH=/usr/bin:/bin", NULL};
	const struct exec_spec spec = {argv[0], argv, env, raw, t->timeout};

	if (!t->mail.sealed)
		receive(t, "Subject: x\n\nhello\n", 18);
	t->done = false;
	t->n_lines = 0;
	t->n_written = 0;
	t->lines[0] = '\0';
	return exec_start(&t->exec, &spec, &t->mail, on_done);
}

static inline void start(struct test *t, bool raw, const char *script)
{
	char *argv[] = {"/bin/sh", "-c", (char *)script, NULL};

	assert_int_equal(start_program(t, raw, argv), 0);
	assert_false(t->done);
}

static inline void run(struct test *t, bool raw, const char *script)
{
	start(t, raw, script);
	assert_true(run_until(t->loop, &t->done));
}

static inline void assert_says(struct test *t, bool raw, const char *script,
			       const char *verdict)
{
	run(t, raw, script);
	assert_int_equal(t->err, 0);
	assert_string_equal(t->verdict, verdict);
}

#define RAW(script, verdict) assert_says(t, true, script, verdict)
#define QMQP(script, verdict) assert_says(t, false, script, verdict)

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif
