/* SPDX-License-Identifier: BSD-2-Clause */
/* Real children of /bin/sh in a real loop; each test must leave no descriptor, no
 * process and no zombie. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/pidfd.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "base/fd.h"
#include "io/child.h"
#include "processes.h"

/* In place of the C library's, so that it can fail. */
static int pidfd_errno;

int pidfd_open(pid_t pid, unsigned flags)
{
	errno = pidfd_errno;
	return errno != 0 ? -1 : (int)syscall(SYS_pidfd_open, pid, flags);
}

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

static int setup(void **state)
{
	static struct test t;

	t = (struct test){.n_fds = count_fds(), .fds = {-1, -1, -1}};
	t.loop = ev_loop_new(EVFLAG_NOENV);
	children_init(&t.all, t.loop, RLIM_INFINITY);
	t.all.grace = .3;
	*state = &t;
	return 0;
}

static void close_fds(struct test *t)
{
	for (int i = 0; i < 3; i++)
		fd_close(&t->fds[i]);
}

static void abandon(struct test *t)
{
	child_abandon(t->child);
	t->child = NULL;
}

static int teardown(void **state)
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

static void on_exit_status(void *owner, int status)
{
	struct test *t = owner;

	assert_false(t->exited);
	t->exited = true;
	t->child = NULL;
	t->status = status;
}

static int start_program(struct test *t, char *const *argv, char *const *envp)
{
	const struct spawn what = {argv[0], argv, envp, .merge = false};

	t->exited = false;
	return child_start(&t->all, &what, on_exit_status, t, &t->child,
			   t->fds);
}

static void start(struct test *t, const char *script)
{
	char *argv[] = {"/bin/sh", "-c", (char *)script, NULL};

	assert_int_equal(start_program(t, argv, env), 0);
	for (int i = 0; i < 3; i++) {
		assert_true(fcntl(t->fds[i], F_GETFD) & FD_CLOEXEC);
		assert_true(fcntl(t->fds[i], F_GETFL) & O_NONBLOCK);
	}
}

static void finish(struct test *t)
{
	assert_true(run_until(t->loop, &t->exited));
	close_fds(t);
}

static void assert_prints(struct test *t, const char *script, const char *text)
{
	char buf[4096];

	start(t, script);
	assert_string_equal(read_text(t->fds[1], buf, sizeof(buf)), text);
	finish(t);
}

static void await_line(struct test *t, const char *line)
{
	char buf[64];

	assert_true(strlen(line) < sizeof(buf));
	assert_int_equal(read_all(t->fds[1], buf, strlen(line)), strlen(line));
	assert_memory_equal(buf, line, strlen(line));
}

static void await_gone(struct test *t)
{
	double end = now() + patience();

	while (!list_empty(&t->all.dying) && now() < end)
		run_for(t->loop, .002);
	assert_true(list_empty(&t->all.dying));
}

/* Nobody holds the child's stdout: all of its group are gone. */
static void assert_group_gone(struct test *t)
{
	char c;

	assert_int_equal(read_all(t->fds[1], &c, 1), 0);
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

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_status),
		TEST(test_pipes),
		TEST(test_merged),
		TEST(test_own_group),
		TEST(test_descriptors),
		TEST(test_signals),
		TEST(test_environment),
		TEST(test_nofile),
		TEST(test_cannot_start),
		TEST(test_no_descriptors),
		TEST(test_no_pidfd),
		TEST(test_closed_stdio),
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
