/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_BASE_BLOCK_H
#define QRELAY_BASE_BLOCK_H

/*
 * Memory for messages: blocks of one size.  A block that was used lately still has
 * its pages, and they cost nothing; those that nobody has needed for a while are
 * given back to the kernel, and only their addresses are kept.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"

#define BLOCK_SIZE 8192

/* Free blocks that keep their pages for good: 2 MiB. */
#define BLOCK_KEEP 256

/* Blocks mapped at a time. */
#define BLOCK_SLAB 64

/* Blocks that one trim gives back at most: a millisecond's work or two. */
#define BLOCK_TRIM 4096

struct block_pool {
	size_t n_used; /* blocks out there */
	size_t n_hot;  /* free ones that have pages */
	size_t n_cold; /* free ones that have none */

	/* private */
	void **hot;      /* owned; the one used last on top */
	void **cold;     /* owned */
	size_t capacity; /* of both: every block fits in each */
	void **slabs;    /* owned, and each slab */
	size_t n_slabs;
	size_t least; /* the fewest hot ones since the last trim */
};

void block_pool_init(struct block_pool *p);

/* Every block must have been put back.  Idempotent. */
void block_pool_deinit(struct block_pool *p);

/* A block of BLOCK_SIZE bytes of any content, page-aligned; NULL without
 * memory.  The caller owns it until block_put(). */
MUSTCHECK void *block_get(struct block_pool *p);

void block_put(struct block_pool *p, void *block);

/* Whether block_pool_trim() may find something to give back. */
static inline bool block_pool_has_spare(const struct block_pool *p)
{
	return p->n_hot > BLOCK_KEEP;
}

/* Gives back the pages of free blocks that were not needed since the last call.
 * To be called every few seconds while block_pool_has_spare(). */
void block_pool_trim(struct block_pool *p);

#endif
