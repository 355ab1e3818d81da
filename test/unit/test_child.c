/* SPDX-License-Identifier: BSD-2-Clause */
/* How children end, by themselves and otherwise. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/syscall.h>

#include "child_fixture.h"

/* In place of the C library's, so that it can fail. */
static int pidfd_errno;

int pidfd_open(pid_t pid, unsigned flags)
{
	errno = pidfd_errno;
	return errno != 0 ? -1 : (int)syscall(SYS_pidfd_open, pid, flags);
}

static void test_status(void **state)
{
	static const struct {
		const char *script;
		int status;
	} cases[] = {
		{"exit 0", 0},
		{"exit 1", 1},
		{"exit 255", 255},
		{"kill -KILL $$", -SIGKILL},
		{"kill -TERM $$", -SIGTERM},
		{"kill -SEGV $$", -SIGSEGV},
	};
	struct test *t = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		start(t, cases[i].script);
		assert_false(t->exited);
		finish(t);
		assert_int_equal(t->status, cases[i].status);
	}
}

/* The program runs already. */
static void test_no_pidfd(void **state)
{
	struct test *t = *state;
	char *argv[] = {"/bin/sleep", "100", NULL};

	pidfd_errno = ENFILE;
	assert_int_equal(start_program(t, argv, env), -ENFILE);
	pidfd_errno = 0;
	assert_int_equal(t->fds[0], -1);
	await_gone(t);
	assert_true(no_children());
}

static void test_sigchld_ignored(void **state)
{
	struct test *t = *state;

	signal(SIGCHLD, SIG_IGN);
	children_init(&t->all, t->loop, RLIM_INFINITY);
	start(t, "exit 7");
	finish(t);
	assert_int_equal(t->status, 7);
}

/* All are gone as soon as they have died, not when the grace is over. */
static void test_abandon(void **state)
{
	struct test *t = *state;

	t->all.grace = 1000.;
	start(t, "sleep 100 & echo ready; wait");
	await_line(t, "ready\n");
	abandon(t);
	assert_false(list_empty(&t->all.dying));
	assert_group_gone(t);
	await_gone(t);
	assert_false(t->exited);
	assert_true(no_children());
}

static void test_abandon_ignoring(void **state)
{
	struct test *t = *state;
	double start_time;

	start(t, "trap '' TERM; echo ready; sleep 100; sleep 100");
	await_line(t, "ready\n");
	start_time = now();
	abandon(t);
	await_gone(t);
	assert_true(now() - start_time >= .29);
	assert_group_gone(t);
	assert_false(t->exited);
}

/* It dies of SIGTERM, another of its group does not. */
static void abandon_orphan(struct test *t, bool zombie)
{
	double start_time;

	start(t, "(trap '' TERM; echo ready; sleep 100; sleep 100) & wait");
	await_line(t, "ready\n");
	start_time = now();
	abandon(t);
	await_zombie();
	run_for(t->loop, .05);
	assert_false(readable(t->fds[1]));
	assert_int_equal(no_children(), !zombie);
	await_gone(t);
	assert_true(now() - start_time >= .29);
	assert_group_gone(t);
	assert_true(no_children());
}

static void test_orphan(void **state)
{
	struct test *t = *state;

	/* Linux 6.9 */
	if (t->all.pidfd_groups)
		abandon_orphan(t, false);
}

static void test_orphan_without_pidfd(void **state)
{
	struct test *t = *state;

	t->all.pidfd_groups = false;
	abandon_orphan(t, true);
}

/* The leader has exited by itself, we have not looked yet. */
static void test_exited_group_is_left_alone(void **state)
{
	struct test *t = *state;
	char buf[64];

	start(t, "exec 3<&0; (trap 'echo TERM' TERM; read x; echo alive $x)"
		 " <&3 & exit 0");
	await_zombie();
	abandon(t);
	assert_true(list_empty(&t->all.dying));
	assert_true(no_children());
	assert_int_equal(write(t->fds[0], "abc\n", 4), 4);
	assert_string_equal(read_text(t->fds[1], buf, sizeof(buf)),
			    "alive abc\n");
}

static void test_left_its_group(void **state)
{
	char *argv[] = {"/usr/bin/perl", "-e",
			"$| = 1; setpgrp(0, getpgrp(getppid)) or die;"
			"print \"ready\\n\"; sleep 100",
			NULL};
	struct test *t = *state;

	assert_int_equal(start_program(t, argv, env), 0);
	await_line(t, "ready\n");
	abandon(t);
	assert_group_gone(t);
	await_gone(t);
}

static void test_deinit_kills(void **state)
{
	struct test *t = *state;
	struct test other = {.fds = {-1, -1, -1}};
	double start_time;

	t->all.grace = 1000.;
	start(t, "trap '' TERM; echo ready; sleep 100; sleep 100");
	await_line(t, "ready\n");
	abandon(t);
	memcpy(other.fds, t->fds, sizeof(t->fds));
	start(t, "(trap '' TERM; echo ready; sleep 100; sleep 100) & wait");
	await_line(t, "ready\n");
	abandon(t);
	await_zombie();
	run_for(t->loop, .02);
	start_time = now();
	children_deinit(&t->all);
	assert_true(now() - start_time < .4);
	assert_group_gone(t);
	assert_group_gone(&other);
	assert_true(no_children());
	close_fds(&other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_status),
		TEST(test_no_pidfd),
		TEST(test_sigchld_ignored),
		TEST(test_abandon),
		TEST(test_abandon_ignoring),
		TEST(test_orphan),
		TEST(test_orphan_without_pidfd),
		TEST(test_exited_group_is_left_alone),
		TEST(test_left_its_group),
		TEST(test_deinit_kills),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
