/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_IO_PROC_CGROUP_H
#define QRELAY_IO_PROC_CGROUP_H

/*
 * The text of /proc/PID/cgroup (cgroups(7)): one line a hierarchy,
 *
 *   4:memory:/somewhere
 *   0::/user.slice/user-1000.slice/session-42.scope
 *
 * of which only that of cgroup2 counts, the one with the id 0 and without a
 * controller.  The path is taken as the kernel wrote it: nothing is escaped
 * there, and a control group's name cannot hold a line feed.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"

/*
 * Finds the path, which lies in `text` and is not terminated.  0; -ENODATA
 * without such a line; -EINVAL if the line has no end, is not absolute or holds
 * a NUL; -ENAMETOOLONG beyond LIMIT_CGROUP_PATH, where the kernel may have cut
 * it.
 */
MUSTCHECK int proc_cgroup_parse(const char *text, size_t size,
				const char **ret_path, size_t *ret_size);

/* Whether a component of the path is "..": the group lies outside the reader's
 * cgroup namespace (cgroup_namespaces(7)). */
bool proc_cgroup_is_foreign(const char *path);

/* Whether the path ends in " (deleted)": the group was removed, or it is really
 * called that, which only its directory can tell. */
bool proc_cgroup_looks_deleted(const char *path);

#endif
