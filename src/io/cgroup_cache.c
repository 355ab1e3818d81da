/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/cgroup_cache.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

_Static_assert((LIMIT_CGROUP_CACHE & (LIMIT_CGROUP_CACHE - 1)) == 0,
	       "the low bits of an id choose its slot");

/* The kernel counts ids up, so their low bits spread best as they are. */
static size_t slot(uint64_t id)
{
	return id & (LIMIT_CGROUP_CACHE - 1);
}

void cgroup_cache_init(struct cgroup_cache *c)
{
	memset(c, 0, sizeof(*c));
}

void cgroup_cache_deinit(struct cgroup_cache *c)
{
	size_t i;

	for (i = 0; i < LIMIT_CGROUP_CACHE; i++)
		free(c->slots[i].path);
	cgroup_cache_init(c);
}

const char *cgroup_cache_get(const struct cgroup_cache *c, uint64_t id)
{
	size_t i = slot(id);

	return c->slots[i].id == id ? c->slots[i].path : NULL;
}

void cgroup_cache_put(struct cgroup_cache *c, uint64_t id, const char *path)
{
	size_t i = slot(id);
	char *copy = strdup(path);

	if (copy == NULL)
		return;
	free(c->slots[i].path);
	c->slots[i].id = id;
	c->slots[i].path = copy;
}
