/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_IO_CGROUP_H
#define QRELAY_IO_CGROUP_H

/*
 * A control group of cgroup2: its path, its owner, its extended attributes, its
 * parent.  Its directory is opened when it is needed; where the group's id is
 * known, a directory that has another one is not taken for it.
 *
 * What is read here is worth as much as the group's owner: who owns a delegated
 * group may set user.* attributes on it and on those that he makes beneath it.
 * Judging that is the caller's business.
 *
 * Failures come with a `reason`: static text for a script's author, of no
 * meaning after a success.
 */

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/attr.h"

struct cgroup;
struct cgroup_mount;

/*
 * The one directory that a mail holds open, that of the group used last: so a
 * mail needs one descriptor, however deep its client has nested itself.
 */
struct cgroup_dir {
	int fd;                  /* owned; -1 when empty */
	uid_t uid;               /* of the directory's owner */
	const struct cgroup *of; /* borrowed: compared, never followed */
};

#define CGROUP_DIR_EMPTY ((struct cgroup_dir){.fd = -1})

/* Idempotent. */
void cgroup_dir_close(struct cgroup_dir *d);

struct cgroup {
	char *path;  /* owned; as in /proc/PID/cgroup, absolute */
	uint64_t id; /* 0: not known */

	/* private */
	struct cgroup_mount *mount; /* borrowed until deinit */
	struct cgroup_dir *dir;     /* likewise; shared by a mail's groups */
};

#define CGROUP_EMPTY ((struct cgroup){.path = NULL})

/*
 * `path` is the text behind "0::", `id` the group's id or 0.  Looks at nothing.
 * `mount` and `dir` must outlive the group.  -ENOMEM.
 */
MUSTCHECK int cgroup_init(struct cgroup *c, struct cgroup_mount *mount,
			  struct cgroup_dir *dir, const char *path, size_t size,
			  uint64_t id);

/* Idempotent on an initialised or empty group.  An initialised one must not be
 * moved to another address. */
void cgroup_deinit(struct cgroup *c);

/*
 * Makes `c->dir` the group's directory.  0, or one of
 *
 *   -EXDEV    the group lies outside our cgroup namespace
 *   -ENODEV   there is no cgroup2 mount to see it in, or something is mounted
 *             over it
 *   -ENOENT   it was removed
 *   -EACCES   its directory may not be entered
 *
 * or another -errno.
 */
MUSTCHECK int cgroup_open(struct cgroup *c, const char **ret_reason);

/* Whether cgroup_open() failed because there is no group to be seen from here,
 * whoever looks. */
static inline bool cgroup_unseen(int r)
{
	return r == -EXDEV || r == -ENODEV || r == -ENOENT;
}

/* The owner of the group's directory.  Errors of cgroup_open(). */
MUSTCHECK int cgroup_uid(struct cgroup *c, uid_t *ret_uid,
			 const char **ret_reason);

/*
 * Reads the attribute with that full name ("user.x") into `buf`; returns its
 * size.  -ENODATA: there is none of that name; -ERANGE: it needs more than
 * `size`, never more than LIMIT_XATTR_VALUE (no reason is set for those two);
 * errors of cgroup_open(); -EACCES, -EPERM.
 */
MUSTCHECK ssize_t cgroup_xattr_get(struct cgroup *c, const char *name,
				   void *buf, size_t size,
				   const char **ret_reason);

/*
 * Lists the names, each with a NUL behind it; returns the bytes written.
 * LIMIT_XATTR_LIST is always enough.  Errors as above but -ENODATA.
 */
MUSTCHECK ssize_t cgroup_xattr_list(struct cgroup *c, char *buf, size_t size,
				    const char **ret_reason);

/*
 * Initialises `ret` with the parent and returns 1; 0 for the root and for a
 * group that is not to be seen.  Where the group can be opened, its parent is
 * the directory that holds it now, not one that gets its name later.
 */
MUSTCHECK int cgroup_parent(struct cgroup *c, struct cgroup *ret,
			    const char **ret_reason);

#endif
