/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_TEST_CHILD_FIXTURE_H
#define QRELAY_TEST_CHILD_FIXTURE_H

/* A child of /bin/sh in a real loop; each test must leave no descriptor, no
 * process and no zombie.  After cmocka.h. */

#include <fcntl.h>

#include "base/fd.h"
#include "io/child.h"
#include "processes.h"

struct test {
	struct ev_loop *loop;
	struct children all;
	struct child *child;
	int fds[3];
	bool exited;
	int status;
	int n_fds;
};

static char *const env[] = {"PATH=/usr/bin:/bin", NULL};

static inline int setup(void **state)
{
	static struct test t;

	t = (struct test){.n_fds = count_fds(), .fds = {-1, -1, -1}};
	t.loop = ev_loop_new(EVFLAG_NOENV);
	children_init(&t.all, t.loop, RLIM_INFINITY);
	t.all.grace = .3;
	*state = &t;
	return 0;
}

static inline void close_fds(struct test *t)
{
	for (int i = 0; i < 3; i++)
		fd_close(&t->fds[i]);
}

static inline void abandon(struct test *t)
{
	child_abandon(t->child);
	t->child = NULL;
}

static inline int teardown(void **state)
{
	struct test *t = *state;

	close_fds(t);
	abandon(t); /* after a failure */
	children_deinit(&t->all);
	ev_loop_destroy(t->loop);
	assert_int_equal(count_fds(), t->n_fds);
	assert_true(no_children());
	return 0;
}

static inline void on_exit_status(void *owner, int status)
{
	struct test *t = owner;

	assert_false(t->exited);
	t->exited = true;
	t->child = NULL;
	t->status = status;
}

static inline int start_program(struct test *t, char *const *argv,
				char *const *envp)
{
	const struct spawn what = {argv[0], argv, envp, .merge = false};

	t->exited = false;
	return child_start(&t->all, &what, on_exit_status, t, &t->child,
			   t->fds);
}

static inline void start(struct test *t, const char *script)
{
	char *argv[] = {"/bin/sh", "-c", (char *)script, NULL};

	assert_int_equal(start_program(t, argv, env), 0);
	for (int i = 0; i < 3; i++) {
		assert_true(fcntl(t->fds[i], F_GETFD) & FD_CLOEXEC);
		assert_true(fcntl(t->fds[i], F_GETFL) & O_NONBLOCK);
	}
}

static inline void finish(struct test *t)
{
	assert_true(run_until(t->loop, &t->exited));
	close_fds(t);
}

static inline void assert_prints(struct test *t, const char *script,
				 const char *text)
{
	char buf[4096];

	start(t, script);
	assert_string_equal(read_text(t->fds[1], buf, sizeof(buf)), text);
	finish(t);
}

static inline void await_line(struct test *t, const char *line)
{
	char buf[64];

	assert_true(strlen(line) < sizeof(buf));
	assert_int_equal(read_all(t->fds[1], buf, strlen(line)), strlen(line));
	assert_memory_equal(buf, line, strlen(line));
}

static inline void await_gone(struct test *t)
{
	double end = now() + patience();

	while (!list_empty(&t->all.dying) && now() < end)
		run_for(t->loop, .002);
	assert_true(list_empty(&t->all.dying));
}

/* Nobody holds the child's stdout: all of its group are gone. */
static inline void assert_group_gone(struct test *t)
{
	char c;

	assert_int_equal(read_all(t->fds[1], &c, 1), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif
