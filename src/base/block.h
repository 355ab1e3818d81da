/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_BASE_BLOCK_H
#define QRELAY_BASE_BLOCK_H

/*
 * Memory for messages: blocks of one size, taken from the kernel page by page
 * and given back to it.  A few that were used last are kept, because a page that
 * is in the cache already costs nothing, while a fresh one must be zeroed.
 */

#include <stddef.h>

#include "base/attr.h"

#define BLOCK_SIZE 8192

/* Kept for the next mail: 2 MiB. */
#define BLOCK_KEEP 256

struct block_pool {
	void *free[BLOCK_KEEP]; /* owned */
	size_t n_free;
	size_t n_used; /* blocks out there */
};

void block_pool_init(struct block_pool *p);

/* Every block must have been put back. */
void block_pool_deinit(struct block_pool *p);

/* A block of BLOCK_SIZE bytes of any content, page-aligned; NULL without
 * memory.  The caller owns it until block_put(). */
MUSTCHECK void *block_get(struct block_pool *p);

void block_put(struct block_pool *p, void *block);

#endif
