/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_IO_CGROUP_MOUNT_H
#define QRELAY_IO_CGROUP_MOUNT_H

/*
 * The cgroup2 file system, wherever it is mounted: opens its directories by
 * path and finds them by id.  Only a mount that shows the whole tree (as far as
 * our cgroup namespace goes) is used: in any other one a path from /proc would
 * name another group or none.
 *
 * Failures come with a `reason`: static text for a script's author, of no
 * meaning after a success.
 */

#include <stdint.h>
#include <sys/types.h>

#include "base/attr.h"
#include "base/buffer.h"
#include "io/cgroup_cache.h"

struct cgroup_mount {
	struct cgroup_cache cache;

	/* private */
	int root;          /* owned directory; -1 until it is needed */
	char *mount_point; /* owned; NULL likewise */
	double rest_until; /* CLOCK_MONOTONIC: no search before that */
};

/* Acquires nothing: the mount is looked for on first use. */
void cgroup_mount_init(struct cgroup_mount *m);

/* Idempotent. */
void cgroup_mount_deinit(struct cgroup_mount *m);

/* Looks for the mount unless it is open already.  -ENODEV if there is none that
 * can be used, or another -errno. */
MUSTCHECK int cgroup_mount_open(struct cgroup_mount *m,
				const char **ret_reason);

/*
 * Opens the directory of the group with that absolute path: never one outside
 * the mount, nor through a symbolic link or another mount (io/beneath.h).
 * `flags` are O_RDONLY or O_PATH.  Returns a descriptor that is the caller's,
 * or -errno.  The mount must be open.
 */
MUSTCHECK int cgroup_mount_open_path(const struct cgroup_mount *m,
				     const char *path, int flags);

/*
 * Finds the group with that id and appends its path and a NUL to `path`: from
 * the cache, else from its file handle, which takes a privilege, else by a
 * search of the tree that is bounded in size and frequency.  -ENOENT: there is
 * none that can be seen; -E2BIG: not within the bound; -EAGAIN: too soon after
 * the last search; -ENODEV as above.
 */
MUSTCHECK int cgroup_mount_find(struct cgroup_mount *m, uint64_t id,
				struct buffer *path, const char **ret_reason);

#endif
