/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_IO_CGROUP_CACHE_H
#define QRELAY_IO_CGROUP_CACHE_H

/*
 * Remembers the paths of control groups by their ids.  That cannot go stale: in
 * cgroup2 no group can be renamed or moved, and no id is given twice, for it
 * has a generation in it.  So a path stays that of its group even after the
 * group was removed, when another one may have got the path.
 *
 * One entry a slot: a new group displaces the one that shares its slot.
 */

#include <stdint.h>

#include "base/limits.h"

struct cgroup_cache {
	struct {
		uint64_t id;
		char *path; /* owned; NULL: an empty slot */
	} slots[LIMIT_CGROUP_CACHE];
};

/* Acquires nothing. */
void cgroup_cache_init(struct cgroup_cache *c);

/* Forgets everything.  Idempotent. */
void cgroup_cache_deinit(struct cgroup_cache *c);

/* NULL if the id is not known; good until the next put. */
const char *cgroup_cache_get(const struct cgroup_cache *c, uint64_t id);

/* Without memory it remembers nothing. */
void cgroup_cache_put(struct cgroup_cache *c, uint64_t id, const char *path);

#endif
