/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_IO_CGROUP_PEER_H
#define QRELAY_IO_CGROUP_PEER_H

/*
 * Which control group a client lives in, or lived in last if it has exited.
 *
 * The number of a process proves nothing: another one may have it by the time
 * /proc is read.  So a path counts only if its directory has the id that the
 * pidfd tells, or, where that cannot be seen, if the process had that number
 * before and after.  Needs no capability.
 *
 * Both return 1 with `ret` initialised; 0 if the system has no cgroup2 ("0::"
 * missing); or -errno with `ret_reason`, static text for a script's author.
 * `mount` and `dir` must outlive the group.
 */

#include "base/attr.h"
#include "io/cgroup.h"

struct cgroup_mount;

/* Of the process at the other end of a connected Unix socket. */
MUSTCHECK int cgroup_peer_find(int socket, struct cgroup_mount *mount,
			       struct cgroup_dir *dir, struct cgroup *ret,
			       const char **ret_reason);

/* Of the process behind a pidfd. */
MUSTCHECK int cgroup_peer_find_pidfd(int pidfd, struct cgroup_mount *mount,
				     struct cgroup_dir *dir, struct cgroup *ret,
				     const char **ret_reason);

#endif
