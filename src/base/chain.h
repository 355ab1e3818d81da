/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_BASE_CHAIN_H
#define QRELAY_BASE_CHAIN_H

/*
 * A stream of bytes in blocks: read into from a socket, sent from to another,
 * never copied.  The blocks in use are blocks[0 … n_blocks):
 *
 *      |<------------- size ------------->|<- space ->|
 *      [ block 0 ][ block 1 ] … [ block n_blocks - 1  ]
 */

#include <stddef.h>
#include <sys/uio.h>

#include "base/attr.h"

struct block_pool;

struct chain {
	struct block_pool *pool; /* borrowed until deinit */
	char **blocks;           /* owned, and each block */
	size_t n_blocks;
	size_t capacity; /* of `blocks` */
	size_t size;     /* bytes held */
};

/* Acquires nothing. */
void chain_init(struct chain *c, struct block_pool *pool);

/* Gives its blocks back.  Idempotent. */
void chain_deinit(struct chain *c);

/* The same, and the chain keeps what is left for the next bytes. */
void chain_clear(struct chain *c);

/*
 * Writable space behind the bytes held: at least one byte, at most about `want`
 * bytes, in at most `max` vectors.  Returns how many vectors were set, or
 * -ENOMEM.  The space is good until the next call.
 */
MUSTCHECK int chain_space(struct chain *c, size_t want, struct iovec *iov,
			  int max);

/* The first `n` bytes of that space hold data now; blocks that hold none go
 * back to the pool. */
void chain_commit(struct chain *c, size_t n);

/* The bytes from `offset` on that lie in one piece: at least one and at most
 * `size`, which must be held. */
const char *chain_at(const struct chain *c, size_t offset, size_t size,
		     size_t *ret_size);

/* Fills at most `max` vectors with `size` bytes from `offset` on; returns how
 * many (the last ones may lack room). */
int chain_iov(const struct chain *c, size_t offset, size_t size,
	      struct iovec *iov, int max);

#endif
