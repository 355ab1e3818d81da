/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_IO_CGROUP_WALK_H
#define QRELAY_IO_CGROUP_WALK_H

/*
 * A search through the directories of the cgroup2 file system, nearest to the
 * root first.  It blocks; its caller sees to it that it happens rarely.
 */

#include <stdint.h>

#include "base/attr.h"
#include "base/buffer.h"

struct cgroup_mount;

/*
 * Looks for the group with that id beneath the open mount, reading at most
 * LIMIT_CGROUP_WALK directories; those that may not be read, or have something
 * mounted over them, are passed over.
 * Appends its path and a NUL to `ret_path`.  -ENOENT, -E2BIG (not within the
 * bound), -ENOMEM, -EMFILE, -ENFILE.
 */
MUSTCHECK int cgroup_walk(const struct cgroup_mount *m, uint64_t id,
			  struct buffer *ret_path);

#endif
