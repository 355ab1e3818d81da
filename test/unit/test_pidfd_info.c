/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/attr.h"
#include "io/pidfd_info.h"

static const struct {
	const char *text;
	int error;
	pid_t pid;
} cases[] = {
	{"pos:\t0\nflags:\t02\nPid:\t9809\nNSpid:\t9809\t1\n", 0, 9809},
	{"Pid:\t-1\nNSpid:\t-1\n", 0, -1},
	{"Pid:\t0\nNSpid:\t0\n", 0, 0},
	{"Pid:\t999999999\n", 0, 999999999},
	{"NSpid:\t12\nPid:\t34\n", 0, 34},
	{"", -EINVAL, 0},
	{"pos:\t0\n", -EINVAL, 0},
	{"NSpid:\t12\n", -EINVAL, 0},
	{"Pid:\t12", -EINVAL, 0},
	{"Pid:\t\n", -EINVAL, 0},
	{"Pid:\t-2\n", -EINVAL, 0},
	{"Pid:\t12x\n", -EINVAL, 0},
	{"Pid:\t1000000000\n", -EINVAL, 0},
	{"Pid:", -EINVAL, 0},
};

static void test_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		size_t size = strlen(cases[i].text);
		char *copy = malloc(size + 1); /* no NUL to rely on */
		pid_t pid = 77;

		memcpy(copy, cases[i].text, size);
		assert_int_equal(pidfd_info_parse(copy, size, &pid),
				 cases[i].error);
		assert_int_equal(pid, cases[i].error ? 77 : cases[i].pid);
		free(copy);
	}
}

static void test_process(void **state)
{
	struct pidfd_info info;
	pid_t child, pid = 77;
	int pidfd;

	(void)state;
	child = fork();
	if (child == 0)
		for (;;)
			pause();
	pidfd = (int)syscall(SYS_pidfd_open, child, 0);
	assert_true(pidfd >= 0);

	assert_int_equal(pidfd_info_pid(pidfd, &pid), 0);
	assert_int_equal(pid, child);
	info = pidfd_info_get(pidfd);
	assert_false(info.reaped);
	if (info.pid == 0)
		print_message("# not tested: PIDFD_GET_INFO (Linux 6.13)\n");
	else
		assert_int_equal(info.pid, child);

	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);
	pid = 77;
	assert_int_equal(pidfd_info_pid(pidfd, &pid), -ESRCH);
	assert_int_equal(pid, 77);
	info = pidfd_info_get(pidfd);
	assert_int_equal(info.pid, 0);
	if (!info.reaped)
		print_message("# not tested: PIDFD_INFO_EXIT (Linux 6.15)\n");
	close(pidfd);
}

static void test_no_pidfd(void **state)
{
	struct pidfd_info info;
	int fds[2];
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(fds), 0);
	info = pidfd_info_get(fds[0]);
	assert_false(info.reaped);
	assert_int_equal(info.pid, 0);
	assert_int_equal(info.cgroup_id, 0);
	assert_int_equal(pidfd_info_pid(fds[0], &pid), -EINVAL);
	close(fds[0]);
	close(fds[1]);
	assert_int_equal(pidfd_info_pid(fds[0], &pid), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_process),
		cmocka_unit_test(test_no_pidfd),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
