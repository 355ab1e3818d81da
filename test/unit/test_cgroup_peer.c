/* SPDX-License-Identifier: BSD-2-Clause */
#include <sys/socket.h>

#include "cgroup_finder.h"
#include "old_kernel.h"

/* ---- a process that lives ---- */

static void check_living(void *pidfd)
{
	struct cgroup c;

	/* first from /proc, then from the cache */
	for (int i = 0; i < 3; i++)
		CHECK(is_found(*(int *)pidfd, "/a/b/c"));
	CHECK(find(*(int *)pidfd, &c) == 1);
	CHECK(dir.of != &c || dir.fd >= 0);
	cgroup_deinit(&c);
	CHECK(dir.fd == -1);
}

static void check_living_nobody(void *pidfd)
{
	CHECK(setgid(65534) == 0 && setuid(65534) == 0);
	check_living(pidfd);
}

static void check_living_old(void *pidfd)
{
	old_kernel();
	CHECK(pidfd_info_get(*(int *)pidfd).pid == 0);
	check_living(pidfd);
}

static void test_living(void **state)
{
	pid_t pid = tree_spawn("/a/b/c");
	int fd = tree_pidfd(pid);

	(void)state;
	tree_in_child(check_living, &fd);
	tree_in_child(check_living_nobody, &fd);
	tree_in_child(check_living_old, &fd);
	tree_kill(pid);
	tree_reap(pid);
	close(fd);
}

/* Of a connected socket, whatever the client does then. */
static void test_socket(void **state)
{
	int listener, fd, status;
	struct sockaddr_storage name = {.ss_family = AF_UNIX};
	socklen_t size = sizeof(sa_family_t);
	struct cgroup c;
	pid_t pid;

	(void)state;
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(listener, (void *)&name, size), 0);
	assert_int_equal(listen(listener, 1), 0);
	size = sizeof(name);
	assert_int_equal(getsockname(listener, (void *)&name, &size), 0);
	pid = fork();
	if (pid == 0) {
		fd = socket(AF_UNIX, SOCK_STREAM, 0);
		tree_enter("/a/b/c");
		CHECK(connect(fd, (void *)&name, size) == 0);
		_exit(0);
	}
	fd = accept(listener, NULL, NULL);
	assert_true(fd >= 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	if (keeps_reaped()) {
		assert_int_equal(
			cgroup_peer_find(fd, &cgroup2, &dir, &c, &reason), 1);
		assert_string_equal(c.path, tree_path("/a/b/c"));
		cgroup_deinit(&c);
	} else {
		assert_true(cgroup_peer_find(fd, &cgroup2, &dir, &c, &reason) <
			    0);
		assert_non_null(strstr(reason, "exited"));
	}
	close(fd);
	close(listener);
}

/* ---- a process that has exited ---- */

static void check_reaped(void *pidfd)
{
	CHECK(is_found(*(int *)pidfd, "/a/b/c"));
}

/* Nothing is cached, and there is no privilege for the handle: a walk. */
static void check_reaped_nobody(void *pidfd)
{
	CHECK(setgid(65534) == 0 && setuid(65534) == 0);
	CHECK(is_found(*(int *)pidfd, "/a/b/c"));
	CHECK(cgroup2.rest_until > 0);
	/* the next one is in the cache, and needs no walk */
	cgroup2.rest_until = 1e18;
	CHECK(is_found(*(int *)pidfd, "/a/b/c"));
	cgroup_cache_deinit(&cgroup2.cache);
	CHECK(!is_found(*(int *)pidfd, "/a/b/c"));
	CHECK(strstr(reason, "too many clients"));
}

static void check_reaped_old(void *pidfd)
{
	struct cgroup c;

	old_kernel();
	CHECK(find(*(int *)pidfd, &c) == -ESRCH);
	CHECK(strstr(reason, "exited"));
}

static void test_exited(void **state)
{
	pid_t pid = tree_spawn("/a/b/c");
	int fd = tree_pidfd(pid);

	(void)state;
	tree_kill(pid);
	siginfo_t info;
	assert_int_equal(waitid(P_PIDFD, (id_t)fd, &info, WEXITED | WNOWAIT),
			 0);
	tree_in_child(check_living, &fd); /* not yet reaped */
	tree_in_child(check_living_old, &fd);
	tree_reap(pid);
	tree_in_child(check_reaped_old, &fd);
	if (keeps_reaped()) {
		tree_in_child(check_reaped, &fd);
		tree_in_child(check_reaped_nobody, &fd);
	}
	close(fd);
}

/* Another process gets its number, in another group. */
static void check_recycled_old(void *pidfd)
{
	struct cgroup c;

	old_kernel();
	CHECK(find(*(int *)pidfd, &c) == -ESRCH);
}

static void test_recycled_pid(void **state)
{
	pid_t pid = tree_spawn("/a/b/c");
	int fd = tree_pidfd(pid);

	(void)state;
	tree_kill(pid);
	tree_reap(pid);
	tree_make("/other");
	if (tree_respawn(pid, "/other")) {
		tree_in_child(check_recycled_old, &fd);
		if (keeps_reaped())
			tree_in_child(check_reaped, &fd);
		tree_kill(pid);
		tree_reap(pid);
	}
	tree_unmake("/other");
	close(fd);
}

/* ---- moving, removing ---- */

static void test_moves(void **state)
{
	pid_t pid = tree_spawn("/a/b/c");
	int fd = tree_pidfd(pid);

	(void)state;
	tree_make("/d");
	tree_set("/d", "user.x", "d");
	assert_true(is_found(fd, "/a/b/c"));
	tree_move(pid, "/d");
	assert_true(is_found(fd, "/d"));
	tree_move(pid, "/a/b/c");
	assert_true(is_found(fd, "/a/b/c"));
	tree_kill(pid);
	tree_reap(pid);
	close(fd);
	tree_unmake("/d");
}

static void look_while_moving(int fd)
{
	for (int i = 0; i < 2000; i++) {
		struct cgroup c;
		char buf[8];
		int r = find(fd, &c);

		CHECK(r == 1 || r == -EAGAIN);
		if (r != 1)
			continue;
		CHECK(cgroup_xattr_get(&c, "user.x", buf, sizeof(buf),
				       &reason) == 1);
		CHECK(strcmp(c.path,
			     tree_path(buf[0] == 'd' ? "/d" : "/a/b/c")) == 0);
		cgroup_deinit(&c);
		cgroup_cache_deinit(&cgroup2.cache);
	}
}

static void check_moving(void *pidfd)
{
	look_while_moving(*(int *)pidfd);
}

static void check_moving_old(void *pidfd)
{
	old_kernel();
	look_while_moving(*(int *)pidfd);
}

/* Whatever is seen, path and attributes are of one group. */
static void test_keeps_moving(void **state)
{
	pid_t pid = tree_spawn("/a/b/c"), mover;
	int fd = tree_pidfd(pid);

	(void)state;
	tree_make("/d");
	tree_set("/d", "user.x", "d");
	mover = fork();
	if (mover == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;) {
			tree_move(pid, "/d");
			tree_move(pid, "/a/b/c");
		}
	}
	tree_in_child(check_moving, &fd);
	tree_in_child(check_moving_old, &fd);
	tree_kill(mover);
	tree_reap(mover);
	tree_kill(pid);
	tree_reap(pid);
	close(fd);
	tree_unmake("/d");
}

static void check_removed(void *pidfd)
{
	struct cgroup c, parent;
	uid_t uid;

	CHECK(find(*(int *)pidfd, &c) == 1);
	CHECK(strcmp(c.path, tree_path("/d (deleted)")) == 0);
	CHECK(cgroup_uid(&c, &uid, &reason) == -ENOENT);
	CHECK(strstr(reason, "removed"));
	CHECK(cgroup_parent(&c, &parent, &reason) == 0);
	cgroup_deinit(&c);
}

static void check_removed_old(void *pidfd)
{
	old_kernel();
	check_removed(pidfd);
}

static void check_removed_reaped(void *pidfd)
{
	struct cgroup c;

	CHECK(find(*(int *)pidfd, &c) == -ENOENT);
	CHECK(strstr(reason, "removed"));
}

static void check_removed_reaped_nobody(void *pidfd)
{
	CHECK(setgid(65534) == 0 && setuid(65534) == 0);
	check_removed_reaped(pidfd);
}

/* Not yet reaped, in a group that is no more; another one has got its name, and
 * one is called what /proc says now. */
static void test_removed(void **state)
{
	pid_t pid;
	int fd;

	(void)state;
	tree_make("/d");
	pid = tree_spawn("/d");
	fd = tree_pidfd(pid);
	tree_kill(pid);
	siginfo_t info;
	assert_int_equal(waitid(P_PIDFD, (id_t)fd, &info, WEXITED | WNOWAIT),
			 0);
	tree_unmake("/d");
	tree_in_child(check_removed, &fd);
	tree_in_child(check_removed_old, &fd);
	tree_make("/d");
	tree_make("/d (deleted)");
	tree_in_child(check_removed, &fd);
	tree_in_child(check_removed_old, &fd);
	tree_reap(pid);
	if (keeps_reaped()) {
		tree_in_child(check_removed_reaped, &fd);
		tree_in_child(check_removed_reaped_nobody, &fd);
	}
	close(fd);
	tree_unmake("/d");
	tree_unmake("/d (deleted)");
}

static int run(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_living, setup, teardown),
		cmocka_unit_test_setup_teardown(test_socket, setup, teardown),
		cmocka_unit_test_setup_teardown(test_exited, setup, teardown),
		cmocka_unit_test_setup_teardown(test_recycled_pid, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_moves, setup, teardown),
		cmocka_unit_test_setup_teardown(test_keeps_moving, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_removed, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
	return tree_main(run);
}
