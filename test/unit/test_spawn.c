/* SPDX-License-Identifier: BSD-2-Clause */
/* What a program gets, and what happens if it cannot. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>

#include "child_fixture.h"

static void test_pipes(void **state)
{
	struct test *t = *state;
	char buf[64];

	start(t, "read x; echo out $x; echo err $x >&2");
	assert_int_equal(write(t->fds[0], "abc\n", 4), 4);
	assert_string_equal(read_text(t->fds[1], buf, 64), "out abc\n");
	assert_string_equal(read_text(t->fds[2], buf, 64), "err abc\n");
	finish(t);
}

static void test_merged(void **state)
{
	struct test *t = *state;
	char *argv[] = {"/bin/sh", "-c", "echo out; echo err >&2; echo x",
			NULL};
	const struct spawn what = {argv[0], argv, env, .merge = true};
	char buf[64];

	assert_int_equal(child_start(&t->all, &what, on_exit_status, t,
				     &t->child, t->fds),
			 0);
	assert_int_equal(t->fds[2], -1);
	assert_string_equal(read_text(t->fds[1], buf, 64), "out\nerr\nx\n");
	finish(t);
}

static void test_own_group(void **state)
{
	struct test *t = *state;
	int pid, group;
	char buf[64];

	start(t, "read p c s pp g rest </proc/$$/stat; echo $p $g");
	(void)read_text(t->fds[1], buf, sizeof(buf));
	assert_int_equal(sscanf(buf, "%d %d", &pid, &group), 2);
	assert_int_equal(pid, group);
	assert_int_not_equal(group, getpgrp());
	finish(t);
}

/* Also what a script may have opened, and in the mode that programs expect. */
static void test_descriptors(void **state)
{
	struct test *t = *state;
	int fd = open("/dev/null", O_RDONLY);

	assert_int_equal(dup2(fd, 57), 57);
	assert_prints(t,
		      "for i in 0 1 2 3 4 5 6 7 8 9 57; do"
		      " test -e /proc/$$/fd/$i && echo $i; done",
		      "0\n1\n2\n");
	/* O_NONBLOCK would be 04000 */
	assert_prints(t, "cd /proc/$$/fdinfo; sed -n 's/^flags:.//p' 0 1 2",
		      "00\n01\n01\n");
	close(fd);
	close(57);
}

static void test_signals(void **state)
{
	char *argv[] = {"/bin/grep", "-E",
			"^Sig(Blk|Ign):", "/proc/self/status", NULL};
	struct test *t = *state;
	sigset_t set, old;
	char buf[256];

	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, &old);
	assert_int_equal(start_program(t, argv, env), 0);
	assert_string_equal(read_text(t->fds[1], buf, sizeof(buf)),
			    "SigBlk:\t0000000000000000\n"
			    "SigIgn:\t0000000000000000\n");
	finish(t);
	sigprocmask(SIG_SETMASK, &old, NULL);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGHUP, SIG_DFL);
}

static void test_environment(void **state)
{
	char *argv[] = {"/usr/bin/env", NULL};
	char *some[] = {"A=1", "B=x y", "C=", NULL}, *none[] = {NULL};
	struct test *t = *state;
	char buf[256];

	setenv("QRELAY_TEST_SECRET", "1", 1);
	assert_int_equal(start_program(t, argv, some), 0);
	assert_string_equal(read_text(t->fds[1], buf, sizeof(buf)),
			    "A=1\nB=x y\nC=\n");
	finish(t);
	assert_int_equal(start_program(t, argv, none), 0);
	assert_string_equal(read_text(t->fds[1], buf, sizeof(buf)), "");
	finish(t);
	unsetenv("QRELAY_TEST_SECRET");
}

/* The children get what we had, not what we have; descriptors above their limit
 * are no hindrance. */
static void test_nofile(void **state)
{
	struct test *t = *state;
	struct rlimit before, after;
	int high[80];

	getrlimit(RLIMIT_NOFILE, &before);
	for (size_t i = 0; i < 80; i++)
		high[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	t->all.nofile = 64;
	assert_prints(t, "ulimit -Sn", "64\n");
	getrlimit(RLIMIT_NOFILE, &after);
	assert_int_equal(after.rlim_cur, before.rlim_cur);
	assert_int_equal(after.rlim_max, before.rlim_max);
	for (size_t i = 0; i < 80; i++)
		close(high[i]);
}

static void test_cannot_start(void **state)
{
	struct test *t = *state;
	char *big = malloc(200001);
	char *none[] = {"/nonexistent", NULL};
	char *plain[] = {"/etc/passwd", NULL};
	char *large[] = {"/bin/true", big, NULL};

	memset(big, 'x', 200000);
	big[200000] = '\0';
	assert_int_equal(start_program(t, none, env), -ENOENT);
	assert_int_equal(start_program(t, plain, env), -EACCES);
	assert_int_equal(start_program(t, large, env), -E2BIG);
	assert_null(t->child);
	for (int i = 0; i < 3; i++)
		assert_int_equal(t->fds[i], -1);
	free(big);
}

/* Whichever descriptor is the one too many. */
static void test_no_descriptors(void **state)
{
	char *argv[] = {"/bin/sleep", "100", NULL};
	struct test *t = *state;
	int started = 0, failed = 0, lowest = open("/dev/null", O_RDONLY);
	struct rlimit old, few;

	close(lowest);
	getrlimit(RLIMIT_NOFILE, &old);
	for (int more = 0; more < 8; more++) {
		int r;

		few = (struct rlimit){(rlim_t)(lowest + more), old.rlim_max};
		setrlimit(RLIMIT_NOFILE, &few);
		r = start_program(t, argv, env);
		setrlimit(RLIMIT_NOFILE, &old);
		if (r == 0) {
			started++;
			abandon(t);
			close_fds(t);
		} else {
			failed++;
			assert_int_equal(r, -EMFILE);
		}
		await_gone(t);
		assert_true(no_children());
	}
	assert_int_equal(failed, 6);
	assert_int_equal(started, 2);
}

/* A daemon that was started without (some of) stdio gets its pipes there. */
static void test_closed_stdio(void **state)
{
	struct test *t = *state;
	char *argv[] = {"/bin/sh", "-c", "read x; echo $x; echo e >&2", NULL};

	for (int closed = 1; closed < 8; closed++) {
		char out[16] = "", err[16] = "";
		int saved[3], r;

		for (int i = 0; i < 3; i++) {
			saved[i] = fcntl(i, F_DUPFD_CLOEXEC, 100);
			if (closed & 1 << i)
				close(i);
		}
		r = start_program(t, argv, env);
		if (r == 0 && write(t->fds[0], "abc\n", 4) == 4) {
			(void)read_text(t->fds[1], out, sizeof(out));
			(void)read_text(t->fds[2], err, sizeof(err));
			run_until(t->loop, &t->exited);
		}
		close_fds(t);
		for (int i = 0; i < 3; i++) {
			dup2(saved[i], i);
			close(saved[i]);
		}
		assert_int_equal(r, 0);
		assert_string_equal(out, "abc\n");
		assert_string_equal(err, "e\n");
		assert_true(t->exited);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_pipes),          TEST(test_merged),
		TEST(test_own_group),      TEST(test_descriptors),
		TEST(test_signals),        TEST(test_environment),
		TEST(test_nofile),         TEST(test_cannot_start),
		TEST(test_no_descriptors), TEST(test_closed_stdio),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
