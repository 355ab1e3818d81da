/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_TEST_UNIT_CGROUP_TREE_H
#define QRELAY_TEST_UNIT_CGROUP_TREE_H

/*
 * Real control groups for a test, and processes in them.  All that it sees is a
 * group made for it, as the root of a cgroup namespace with a mount of its own,
 * so that no other test or program is in the way.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <linux/sched.h>
#include <mntent.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cmocka.h>

static char tree_mount[PATH_MAX]; /* where cgroup2 is mounted */
static char
	tree_top[64]; /* our group's path beneath it; "" once we are inside */

/* For code that runs in a child, which cmocka's assertions must not leave. */
#define CHECK(x)                                                             \
	do {                                                                 \
		if (!(x)) {                                                  \
			fprintf(stderr, "# %s:%d: %s\n", __FILE__, __LINE__, \
				#x);                                         \
			_exit(1);                                            \
		}                                                            \
	} while (0)

/* The file name of a group beneath ours; good for two calls. */
static const char *tree_dir(const char *name)
{
	static char buf[2][2 * PATH_MAX];
	static unsigned n;

	n++;
	snprintf(buf[n % 2], sizeof(buf[0]), "%s%s%s", tree_mount, tree_top,
		 name);
	return buf[n % 2];
}

/* The path that /proc shows of it; good for two calls. */
static const char *tree_path(const char *name)
{
	return tree_dir(name) + strlen(tree_mount);
}

static void tree_make(const char *name)
{
	assert_int_equal(mkdir(tree_dir(name), 0755), 0);
}

/* The last process may take a moment to be gone from it. */
static void tree_unmake(const char *name)
{
	int i;

	for (i = 0; i < 1000 && rmdir(tree_dir(name)) < 0; i++) {
		assert_int_equal(errno, EBUSY);
		usleep(1000);
	}
	assert_true(i < 1000);
}

static inline uint64_t tree_id(const char *name)
{
	struct stat st;

	assert_int_equal(stat(tree_dir(name), &st), 0);
	return st.st_ino;
}

static inline void tree_set(const char *name, const char *xattr,
			    const char *value)
{
	assert_int_equal(
		setxattr(tree_dir(name), xattr, value, strlen(value), 0), 0);
}

/* Group by group, for their paths may be too long.
 * NOLINTNEXTLINE(misc-no-recursion): as deep as a test made them */
static void tree_remove_at(int parent, const char *name)
{
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	while (d != NULL && (e = readdir(d)) != NULL)
		if (e->d_type == DT_DIR && e->d_name[0] != '.')
			tree_remove_at(fd, e->d_name);
	if (d != NULL)
		closedir(d);
	unlinkat(parent, name, AT_REMOVEDIR);
}

static void tree_remove(void)
{
	/* after a failure there may be processes that are just going */
	for (int i = 0; i < 1000 && access(tree_dir(""), F_OK) == 0; i++) {
		tree_remove_at(AT_FDCWD, tree_dir(""));
		usleep(1000);
	}
}

/* Why there can be no groups here, or NULL: then there is an empty one. */
static const char *tree_create(void)
{
	FILE *f = setmntent("/proc/self/mounts", "r");
	struct mntent *m;

	while (f != NULL && (m = getmntent(f)) != NULL)
		if (strcmp(m->mnt_type, "cgroup2") == 0) {
			snprintf(tree_mount, sizeof(tree_mount), "%s",
				 m->mnt_dir);
			break;
		}
	if (f != NULL)
		endmntent(f);
	if (*tree_mount == '\0')
		return "no cgroup2 mount";
	snprintf(tree_top, sizeof(tree_top), "/qrelay-test-%d", (int)getpid());
	if (mkdir(tree_dir(""), 0755) < 0)
		return "control groups cannot be made (needs root)";
	if (setxattr(tree_dir(""), "user.test", "", 0, 0) < 0 ||
	    removexattr(tree_dir(""), "user.test") < 0) {
		rmdir(tree_dir(""));
		return "control groups take no user.* attributes (Linux 5.7)";
	}
	return NULL;
}

static void tree_enter(const char *name)
{
	char file[2 * PATH_MAX + 16];
	int fd;

	snprintf(file, sizeof(file), "%s/cgroup.procs", tree_dir(name));
	fd = open(file, O_WRONLY | O_CLOEXEC);
	CHECK(fd >= 0 && write(fd, "0", 1) == 1);
	close(fd);
}

/* Moves another process. */
static inline void tree_move(pid_t pid, const char *name)
{
	char file[2 * PATH_MAX + 16], text[16];
	int fd, n;

	snprintf(file, sizeof(file), "%s/cgroup.procs", tree_dir(name));
	fd = open(file, O_WRONLY | O_CLOEXEC);
	n = snprintf(text, sizeof(text), "%d", (int)pid);
	CHECK(fd >= 0 && write(fd, text, (size_t)n) == n);
	close(fd);
}

static inline int tree_pidfd(pid_t pid)
{
	return (int)syscall(SYS_pidfd_open, pid, 0);
}

/* A process that sits in that group until it is killed; it is there already. */
static inline pid_t tree_spawn(const char *name)
{
	int fds[2];
	pid_t pid;
	char c;

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		tree_enter(name);
		CHECK(write(fds[1], "", 1) == 1);
		for (;;)
			pause();
	}
	assert_int_equal(read(fds[0], &c, 1), 1);
	close(fds[0]);
	close(fds[1]);
	return pid;
}

/* The same with the number of a process that is no more; false if that cannot
 * be had. */
static inline bool tree_respawn(pid_t pid, const char *name)
{
	struct clone_args args = {.exit_signal = SIGCHLD,
				  .set_tid = (uintptr_t)&pid,
				  .set_tid_size = 1};
	int fds[2];
	long other;
	char c;

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	other = syscall(SYS_clone3, &args, sizeof(args));
	if (other == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		tree_enter(name);
		CHECK(write(fds[1], "", 1) == 1);
		for (;;)
			pause();
	}
	if (other > 0)
		assert_int_equal(read(fds[0], &c, 1), 1);
	close(fds[0]);
	close(fds[1]);
	if (other < 0)
		print_message("# not tested: clone3(2) with set_tid\n");
	return other == pid;
}

static inline void tree_kill(pid_t pid)
{
	assert_int_equal(kill(pid, SIGKILL), 0);
}

static inline void tree_reap(pid_t pid)
{
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* Runs `f`, which uses CHECK(), in a child. */
static inline void tree_in_child(void (*f)(void *), void *arg)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		f(arg);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* The root of the tree, and of the mount, is from now on our group. */
static void tree_inside(void)
{
	tree_enter("");
	CHECK(unshare(CLONE_NEWCGROUP | CLONE_NEWNS) == 0);
	CHECK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	CHECK(umount2(tree_mount, MNT_DETACH) == 0);
	CHECK(mount("cgroup2", tree_mount, "cgroup2", 0, NULL) == 0);
	tree_top[0] = '\0';
}

/* The body of main(): `run` runs the tests in there.  Without the means it says
 * which and skips. */
static int tree_main(int (*run)(void))
{
	const char *missing = tree_create();
	int status;
	pid_t pid;

	if (missing != NULL) {
		printf("1..0 # SKIP %s\n", missing);
		return 0;
	}
	pid = fork();
	if (pid == 0) {
		tree_inside();
		exit(run());
	}
	waitpid(pid, &status, 0);
	tree_remove();
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

#endif
