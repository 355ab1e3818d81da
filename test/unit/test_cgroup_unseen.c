/* SPDX-License-Identifier: BSD-2-Clause */
/* Clients whose control group cannot be seen from where we are. */
#include "cgroup_finder.h"
#include "old_kernel.h"

static void check_hidepid(void *pidfd)
{
	struct cgroup c;

	CHECK(unshare(CLONE_NEWNS) == 0);
	CHECK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	CHECK(mount("proc", "/proc", "proc", 0, "hidepid=2") == 0);
	CHECK(setgid(65534) == 0 && setuid(65534) == 0);
	CHECK(find(*(int *)pidfd, &c) == -ENOENT);
	CHECK(strstr(reason, "hidepid"));
}

static void check_hidepid_1(void *pidfd)
{
	struct cgroup c;

	CHECK(unshare(CLONE_NEWNS) == 0);
	CHECK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	CHECK(mount("proc", "/proc", "proc", 0, "hidepid=1") == 0);
	CHECK(setgid(65534) == 0 && setuid(65534) == 0);
	CHECK(find(*(int *)pidfd, &c) == -EPERM);
	CHECK(strstr(reason, "hidepid"));
}

/* Only a part of the tree is mounted: the path is told, no more. */
static void check_part_mounted(void *pidfd)
{
	struct cgroup c, parent;
	uid_t uid;

	CHECK(unshare(CLONE_NEWNS) == 0);
	CHECK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	CHECK(mount(tree_dir("/a"), tree_mount, NULL, MS_BIND, NULL) == 0);
	CHECK(find(*(int *)pidfd, &c) == 1);
	CHECK(strcmp(c.path, tree_path("/a/b/c")) == 0);
	CHECK(cgroup_uid(&c, &uid, &reason) == -ENODEV);
	CHECK(strstr(reason, "part of the tree"));
	CHECK(cgroup_parent(&c, &parent, &reason) == 0);
	cgroup_deinit(&c);
}

static void check_not_mounted(void *pidfd)
{
	struct cgroup c;
	uid_t uid;

	CHECK(unshare(CLONE_NEWNS) == 0);
	CHECK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	CHECK(umount2(tree_mount, MNT_DETACH) == 0);
	CHECK(find(*(int *)pidfd, &c) == 1);
	CHECK(strcmp(c.path, tree_path("/a/b/c")) == 0);
	CHECK(cgroup_uid(&c, &uid, &reason) == -ENODEV);
	CHECK(strstr(reason, "not mounted"));
	cgroup_deinit(&c);
}

/* Mounted somewhere else, at a path with a space. */
static void check_mounted_elsewhere(void *pidfd)
{
	CHECK(unshare(CLONE_NEWNS) == 0);
	CHECK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	CHECK(umount2(tree_mount, MNT_DETACH) == 0);
	CHECK(mount("tmpfs", "/mnt", "tmpfs", 0, NULL) == 0);
	CHECK(mkdir("/mnt/a b\\c", 0755) == 0);
	CHECK(mount("cgroup2", "/mnt/a b\\c", "cgroup2", 0, NULL) == 0);
	CHECK(is_found(*(int *)pidfd, "/a/b/c"));
}

/* What is mounted over a group is none, whatever attributes it has. */
static void check_mounted_over(void *pidfd)
{
	struct cgroup c, parent;
	uid_t uid;

	CHECK(unshare(CLONE_NEWNS) == 0);
	CHECK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	CHECK(mount("tmpfs", tree_dir("/a/b"), "tmpfs", 0, NULL) == 0);
	CHECK(mkdir(tree_dir("/a/b/c"), 0755) == 0);
	for (int old = 0; old < 2; old++) {
		if (old)
			old_kernel();
		CHECK(find(*(int *)pidfd, &c) == 1);
		CHECK(strcmp(c.path, tree_path("/a/b/c")) == 0);
		CHECK(cgroup_uid(&c, &uid, &reason) == -ENODEV);
		CHECK(strstr(reason, "hidden"));
		CHECK(cgroup_parent(&c, &parent, &reason) == 0);
		cgroup_deinit(&c);
	}
}

/* Nor is it found by its id: that path would lead elsewhere. */
static void check_mounted_over_reaped(void *pidfd)
{
	struct cgroup c;

	CHECK(unshare(CLONE_NEWNS) == 0);
	CHECK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	CHECK(mount("tmpfs", tree_dir("/a/b"), "tmpfs", 0, NULL) == 0);
	CHECK(mkdir(tree_dir("/a/b/c"), 0755) == 0);
	CHECK(find(*(int *)pidfd, &c) == -ENOENT);
	CHECK(strstr(reason, "cannot be seen"));
}

/* Our cgroup namespace begins beside the client's group. */
static void check_foreign(void *pidfd)
{
	struct cgroup c, parent;
	uid_t uid;

	tree_enter("/d");
	CHECK(unshare(CLONE_NEWCGROUP | CLONE_NEWNS) == 0);
	CHECK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	CHECK(umount2(tree_mount, MNT_DETACH) == 0);
	CHECK(mount("cgroup2", tree_mount, "cgroup2", 0, NULL) == 0);
	CHECK(find(*(int *)pidfd, &c) == 1);
	CHECK(strcmp(c.path, "/../a/b/c") == 0);
	CHECK(cgroup_uid(&c, &uid, &reason) == -EXDEV);
	CHECK(strstr(reason, "cgroup namespace"));
	CHECK(cgroup_parent(&c, &parent, &reason) == 0);
	cgroup_deinit(&c);
}

/* An exited client beside our cgroup namespace is not to be found, even with the
 * privilege to open its directory. */
static void check_foreign_reaped(void *pidfd)
{
	struct cgroup c;

	tree_enter("/d");
	CHECK(unshare(CLONE_NEWCGROUP | CLONE_NEWNS) == 0);
	CHECK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	CHECK(umount2(tree_mount, MNT_DETACH) == 0);
	CHECK(mount("cgroup2", tree_mount, "cgroup2", 0, NULL) == 0);
	CHECK(find(*(int *)pidfd, &c) == -ENOENT);
	CHECK(strstr(reason, "cannot be seen"));
}

/* It begins above it. */
static void check_inside(void *pidfd)
{
	struct cgroup c, parent, root, none;
	char buf[8];

	tree_enter("/a");
	CHECK(unshare(CLONE_NEWCGROUP | CLONE_NEWNS) == 0);
	CHECK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	CHECK(umount2(tree_mount, MNT_DETACH) == 0);
	CHECK(mount("cgroup2", tree_mount, "cgroup2", 0, NULL) == 0);
	CHECK(find(*(int *)pidfd, &c) == 1);
	CHECK(strcmp(c.path, "/b/c") == 0);
	CHECK(cgroup_xattr_get(&c, "user.x", buf, sizeof(buf), &reason) == 1);
	CHECK(cgroup_parent(&c, &parent, &reason) == 1);
	CHECK(cgroup_parent(&parent, &root, &reason) == 1);
	CHECK(strcmp(root.path, "/") == 0);
	CHECK(cgroup_parent(&root, &none, &reason) == 0);
	cgroup_deinit(&root);
	cgroup_deinit(&parent);
	cgroup_deinit(&c);
}

/*
 * We are in a pid namespace, but /proc is that of its parent, where the number
 * that the client has here is another process's.
 */
static void check_other_proc(void *pidfd)
{
	int status, fds[2];
	pid_t pid;

	CHECK(unshare(CLONE_NEWPID) == 0 && pipe(fds) == 0);
	pid = fork();
	if (pid == 0) {
		pid_t client = fork();
		char c;
		int fd;

		if (client == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			tree_enter("/a/b/c");
			CHECK(write(fds[1], "", 1) == 1);
			for (;;)
				pause();
		}
		CHECK(read(fds[0], &c, 1) == 1);
		fd = tree_pidfd(client);
		CHECK(client == 2 && fd >= 0);
		CHECK(is_found(fd, "/a/b/c"));
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

/* A pid namespace that does not hold the client. */
static void check_outside_pidns(void *pidfd)
{
	int status;
	pid_t pid;

	CHECK(unshare(CLONE_NEWPID | CLONE_NEWNS) == 0);
	pid = fork();
	if (pid == 0) {
		struct cgroup c;

		CHECK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
		CHECK(mount("proc", "/proc", "proc", 0, NULL) == 0);
		CHECK(find(*(int *)pidfd, &c) == -ESRCH);
		CHECK(strstr(reason, "pid namespace"));
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

static void test_unseen(void **state)
{
	pid_t pid = tree_spawn("/a/b/c");
	int fd = tree_pidfd(pid);

	(void)state;
	tree_make("/d");
	tree_in_child(check_hidepid, &fd);
	tree_in_child(check_hidepid_1, &fd);
	tree_in_child(check_part_mounted, &fd);
	tree_in_child(check_not_mounted, &fd);
	tree_in_child(check_mounted_elsewhere, &fd);
	tree_in_child(check_mounted_over, &fd);
	tree_in_child(check_foreign, &fd);
	tree_in_child(check_inside, &fd);
	tree_in_child(check_outside_pidns, &fd);
	tree_in_child(check_other_proc, &fd);
	tree_kill(pid);
	tree_reap(pid);
	if (keeps_reaped()) {
		tree_in_child(check_foreign_reaped, &fd);
		tree_in_child(check_mounted_over_reaped, &fd);
	}
	close(fd);
	tree_unmake("/d");
}

/* A path that the kernel does not print any more: no answer but a reason. */
static void test_too_deep(void **state)
{
	enum { LEVELS = 18 };
	char name[241];
	struct cgroup c;
	int dirs[LEVELS + 1], procs, fd;
	pid_t pid = tree_spawn("/a/b/c");

	(void)state;
	fd = tree_pidfd(pid);
	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	dirs[0] = open(tree_dir(""), O_PATH | O_CLOEXEC);
	for (int i = 0; i < LEVELS; i++) {
		assert_int_equal(mkdirat(dirs[i], name, 0755), 0);
		dirs[i + 1] = openat(dirs[i], name, O_PATH | O_CLOEXEC);
	}
	procs = openat(dirs[LEVELS], "cgroup.procs", O_WRONLY | O_CLOEXEC);
	assert_true(dprintf(procs, "%d", (int)pid) > 0);

	assert_int_equal(find(fd, &c), -ENAMETOOLONG);
	assert_non_null(strstr(reason, "too long"));
	tree_kill(pid);
	tree_reap(pid);
	if (keeps_reaped())
		assert_int_equal(find(fd, &c), -ENOENT);

	close(procs);
	for (int i = LEVELS; i > 0; i--) {
		close(dirs[i]);
		while (unlinkat(dirs[i - 1], name, AT_REMOVEDIR) < 0)
			assert_int_equal(errno, EBUSY);
	}
	close(dirs[0]);
	close(fd);
}

static int run(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_unseen, setup, teardown),
		cmocka_unit_test_setup_teardown(test_too_deep, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
	return tree_main(run);
}
