/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
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
#include <unistd.h>
/* needs those before it */
#include <cmocka.h>

#include "base/attr.h"
#include "io/beneath.h"

/*
 * Each question is asked twice: of openat2(2), and in a child to which a filter
 * denies it as systemd's does.
 */

static char top[] = "/tmp/beneath-XXXXXX";
static int dir = -1;

static void deny_openat2(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {.len = ARRAY_SIZE(code), .filter = code};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
		_exit(254);
}

/* 0 if that directory of `top` is what was opened, an errno, 255 if another. */
static int ask(const char *path, int flags, const char *expected)
{
	struct stat a, b;
	int fd = beneath_open(dir, path, flags);
	int r = 255;

	if (fd < 0)
		return -fd;
	if (fstat(fd, &a) == 0 && fstatat(dir, expected, &b, 0) == 0 &&
	    a.st_dev == b.st_dev && a.st_ino == b.st_ino &&
	    (fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0 &&
	    (fcntl(fd, F_GETFL) & O_PATH) == (flags & O_PATH))
		r = 0;
	close(fd);
	return r;
}

static int ask_denied(const char *path, int flags, const char *expected)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		deny_openat2();
		_exit(ask(path, flags, expected));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void assert_opens(const char *path, const char *expected)
{
	static const int flags[] = {O_RDONLY, O_PATH};

	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		assert_int_equal(ask(path, flags[i], expected), 0);
		assert_int_equal(ask_denied(path, flags[i], expected), 0);
	}
}

static void assert_fails(const char *path, int error, int error_denied)
{
	assert_int_equal(ask(path, O_RDONLY, "."), error);
	assert_int_equal(ask_denied(path, O_RDONLY, "."), error_denied);
}

static void test_beneath(void **state)
{
	(void)state;
	assert_opens("", ".");
	assert_opens(".", ".");
	assert_opens("a", "a");
	assert_opens("a/b", "a/b");
	assert_opens("a//b/", "a/b");
}

static void test_errors(void **state)
{
	char long_name[NAME_MAX + 2];

	(void)state;
	memset(long_name, 'x', sizeof(long_name) - 1);
	long_name[sizeof(long_name) - 1] = '\0';
	assert_fails("c", ENOENT, ENOENT);
	assert_fails("a/c", ENOENT, ENOENT);
	assert_fails("file", ENOTDIR, ENOTDIR);
	assert_fails("file/b", ENOTDIR, ENOTDIR);
	assert_fails(long_name, ENAMETOOLONG, ENAMETOOLONG);
}

static void test_leads_out(void **state)
{
	(void)state;
	assert_fails("..", EXDEV, EXDEV);
	assert_fails("../a", EXDEV, EXDEV);
	assert_fails("a/../..", EXDEV, EXDEV);
	/* as link/b: to a directory that is beneath */
	assert_fails("link", ELOOP, ENOTDIR);
	assert_fails("link/b", ELOOP, ENOTDIR);
}

/* As root, who may mount; there is nothing to ask otherwise. */
static void test_other_mount(void **state)
{
	(void)state;
	if (unshare(CLONE_NEWNS) < 0)
		return;
	assert_int_equal(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	/* `dir` is in the namespace that was left */
	close(dir);
	dir = open(top, O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(fchdir(dir), 0);
	/* the same file system, even the same directory */
	assert_int_equal(mount("a", "mnt", NULL, MS_BIND, NULL), 0);
	assert_fails("mnt", EXDEV, EXDEV);
	assert_fails("mnt/b", EXDEV, EXDEV);
	assert_opens("a/b", "a/b");
	assert_int_equal(umount("mnt"), 0);
	assert_int_equal(chdir("/"), 0);
}

static int setup(void **state)
{
	(void)state;
	if (mkdtemp(top) == NULL)
		return -1;
	dir = open(top, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (mkdirat(dir, "a", 0755) < 0 || mkdirat(dir, "a/b", 0755) < 0 ||
	    mkdirat(dir, "mnt", 0755) < 0 || symlinkat("a", dir, "link") < 0)
		return -1;
	return close(openat(dir, "file", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
}

static int teardown(void **state)
{
	(void)state;
	unlinkat(dir, "file", 0);
	unlinkat(dir, "link", 0);
	unlinkat(dir, "mnt", AT_REMOVEDIR);
	unlinkat(dir, "a/b", AT_REMOVEDIR);
	unlinkat(dir, "a", AT_REMOVEDIR);
	close(dir);
	return rmdir(top);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_beneath),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_leads_out),
		cmocka_unit_test(test_other_mount),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
