/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_TEST_UNIT_CGROUP_FINDER_H
#define QRELAY_TEST_UNIT_CGROUP_FINDER_H

/* For tests that look for the control group of a process: /a/b/c, with the
 * attribute user.x, and the state of a search. */

#include "cgroup_tree.h"
#include "io/cgroup.h"
#include "io/cgroup_mount.h"
#include "io/cgroup_peer.h"
#include "io/pidfd_info.h"

static struct cgroup_mount cgroup2;
static struct cgroup_dir dir = {.fd = -1};
static const char *reason;

static int setup(void **state)
{
	(void)state;
	cgroup_mount_init(&cgroup2);
	reason = "";
	tree_make("/a");
	tree_make("/a/b");
	tree_make("/a/b/c");
	tree_set("/a/b/c", "user.x", "c");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	cgroup_dir_close(&dir);
	cgroup_mount_deinit(&cgroup2);
	tree_unmake("/a/b/c");
	tree_unmake("/a/b");
	tree_unmake("/a");
	return 0;
}

static int find(int pidfd, struct cgroup *c)
{
	return cgroup_peer_find_pidfd(pidfd, &cgroup2, &dir, c, &reason);
}

/* Whether the process is found in that group, and its attributes too. */
static inline bool is_found(int pidfd, const char *name)
{
	struct cgroup c;
	char buf[8];
	bool ok;

	if (find(pidfd, &c) != 1) {
		fprintf(stderr, "# %s\n", reason);
		return false;
	}
	ok = strcmp(c.path, tree_path(name)) == 0 &&
	     cgroup_xattr_get(&c, "user.x", buf, sizeof(buf), &reason) == 1 &&
	     buf[0] == name[strlen(name) - 1];
	if (!ok)
		fprintf(stderr, "# %s instead of %s, %s\n", c.path,
			tree_path(name), reason);
	cgroup_deinit(&c);
	return ok;
}

static inline bool keeps_reaped(void)
{
	pid_t pid = fork();
	bool keeps;
	int fd;

	if (pid == 0)
		_exit(0);
	fd = tree_pidfd(pid);
	tree_reap(pid);
	keeps = pidfd_info_get(fd).cgroup_id != 0;
	close(fd);
	if (!keeps)
		print_message("# not tested: PIDFD_INFO_EXIT (Linux 6.15)\n");
	return keeps;
}

#endif
