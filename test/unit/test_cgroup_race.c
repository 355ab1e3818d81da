/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Clients that change at the worst moment: what the search asks of a pidfd goes
 * through functions of ours, which let things happen before or after an answer.
 */
#include "cgroup_finder.h"

static pid_t client;
static unsigned n_infos, n_pids;
static bool old; /* the kernel has no PIDFD_GET_INFO */

/* What happens after the nth question of that kind. */
static void (*after_info)(unsigned n);
static void (*after_pid)(unsigned n);

struct pidfd_info __real_pidfd_info_get(int pidfd);
struct pidfd_info __wrap_pidfd_info_get(int pidfd);
int __real_pidfd_info_pid(int pidfd, pid_t *ret_pid);
int __wrap_pidfd_info_pid(int pidfd, pid_t *ret_pid);

struct pidfd_info __wrap_pidfd_info_get(int pidfd)
{
	struct pidfd_info info = {0};

	if (!old)
		info = __real_pidfd_info_get(pidfd);
	n_infos++;
	if (after_info != NULL)
		after_info(n_infos);
	return info;
}

int __wrap_pidfd_info_pid(int pidfd, pid_t *ret_pid)
{
	int r = __real_pidfd_info_pid(pidfd, ret_pid);

	n_pids++;
	if (after_pid != NULL)
		after_pid(n_pids);
	return r;
}

static int setup_race(void **state)
{
	int r = setup(state);

	tree_make("/d");
	tree_set("/d", "user.x", "d");
	n_infos = n_pids = 0;
	old = false;
	after_info = after_pid = NULL;
	client = tree_spawn("/a/b/c");
	return r;
}

static int teardown_race(void **state)
{
	if (client > 0) {
		tree_kill(client);
		tree_reap(client);
	}
	tree_unmake("/d");
	return teardown(state);
}

static bool tells_ids(void)
{
	int fd = tree_pidfd(client);
	bool tells = __real_pidfd_info_get(fd).cgroup_id != 0;

	close(fd);
	if (!tells)
		print_message("# not tested: PIDFD_GET_INFO (Linux 6.13)\n");
	return tells;
}

/* ---- its id is asked, it moves, its path is read ---- */

static void move_after_first(unsigned n)
{
	if (n == 1)
		tree_move(client, "/d");
}

static void test_moves_once(void **state)
{
	int fd = tree_pidfd(client);

	(void)state;
	if (tells_ids()) {
		after_info = move_after_first;
		assert_true(is_found(fd, "/d"));
		after_info = NULL;
		assert_true(is_found(fd, "/d"));
	}
	close(fd);
}

/* ---- there and back, so that its id is the same before and after ---- */

static void leave_on_first(unsigned n)
{
	if (n == 1)
		tree_move(client, "/d");
}

static void there_and_back(unsigned n)
{
	if (n == 1)
		tree_move(client, "/a/b/c");
	if (n == 2)
		tree_move(client, "/d");
}

static void test_moves_there_and_back(void **state)
{
	int fd = tree_pidfd(client);

	(void)state;
	if (tells_ids()) {
		after_info = leave_on_first;
		after_pid = there_and_back;
		assert_true(is_found(fd, "/d"));
		assert_true(n_infos > 3); /* it took another try */
	}
	close(fd);
}

static void always_elsewhere(unsigned n)
{
	tree_move(client, n % 2 ? "/d" : "/a/b/c");
}

/* It is given up in the end. */
static void test_never_rests(void **state)
{
	int fd = tree_pidfd(client);
	struct cgroup c;

	(void)state;
	if (tells_ids()) {
		after_info = always_elsewhere;
		assert_int_equal(find(fd, &c), -EAGAIN);
		assert_non_null(strstr(reason, "moves"));
		assert_int_equal(dir.fd, -1);
	}
	close(fd);
}

/* ---- it exits after it was asked ---- */

static void exit_on_first(unsigned n)
{
	if (n == 1) {
		tree_kill(client);
		tree_reap(client);
		client = 0;
	}
}

static void test_exits(void **state)
{
	int fd = tree_pidfd(client);

	(void)state;
	if (keeps_reaped()) {
		n_infos = 0;
		after_info = exit_on_first;
		assert_true(is_found(fd, "/a/b/c"));
	}
	close(fd);
}

/* Its number is another's by the time that /proc is read. */
static void replace_on_first(unsigned n)
{
	pid_t pid = client;

	if (n != 1)
		return;
	tree_kill(pid);
	tree_reap(pid);
	client = tree_respawn(pid, "/d") ? pid : 0;
}

static void test_is_replaced(void **state)
{
	int fd = tree_pidfd(client);

	(void)state;
	if (keeps_reaped()) {
		n_infos = 0;
		after_info = replace_on_first;
		assert_true(is_found(fd, "/a/b/c"));
	}
	close(fd);
}

static void test_is_replaced_old(void **state)
{
	int fd = tree_pidfd(client);
	struct cgroup c;

	(void)state;
	old = true;
	after_pid = replace_on_first;
	assert_int_equal(find(fd, &c), -ESRCH);
	assert_non_null(strstr(reason, "exited"));
	close(fd);
}

#define RACE(test) \
	cmocka_unit_test_setup_teardown(test, setup_race, teardown_race)

static int run(void)
{
	const struct CMUnitTest tests[] = {
		RACE(test_moves_once),  RACE(test_moves_there_and_back),
		RACE(test_never_rests), RACE(test_exits),
		RACE(test_is_replaced), RACE(test_is_replaced_old),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
	return tree_main(run);
}
