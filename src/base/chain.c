/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/chain.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "base/block.h"

/* Pointers to blocks that an empty chain keeps room for. */
#define KEEP 16

void chain_init(struct chain *c, struct block_pool *pool)
{
	*c = (struct chain){.pool = pool};
}

static void keep(struct chain *c, size_t n_blocks)
{
	while (c->n_blocks > n_blocks)
		block_put(c->pool, c->blocks[--c->n_blocks]);
}

void chain_clear(struct chain *c)
{
	keep(c, 0);
	c->size = 0;
	if (c->capacity <= KEEP)
		return;
	free(c->blocks);
	c->blocks = NULL;
	c->capacity = 0;
}

void chain_deinit(struct chain *c)
{
	keep(c, 0);
	free(c->blocks);
	chain_init(c, c->pool);
}

static int add_block(struct chain *c)
{
	char *block;

	if (c->n_blocks == c->capacity) {
		size_t capacity = c->capacity ? 2 * c->capacity : 4;
		char **blocks =
			reallocarray(c->blocks, capacity, sizeof(*blocks));

		if (blocks == NULL)
			return -ENOMEM;
		c->blocks = blocks;
		c->capacity = capacity;
	}
	block = block_get(c->pool);
	if (block == NULL)
		return -ENOMEM;
	c->blocks[c->n_blocks++] = block;
	return 0;
}

int chain_space(struct chain *c, size_t want, struct iovec *iov, int max)
{
	size_t got = 0, at = c->size;
	int n = 0;

	assert(max > 0);
	do {
		size_t within = at % BLOCK_SIZE;

		if (at / BLOCK_SIZE == c->n_blocks) {
			int r = add_block(c);

			if (r < 0 && n == 0)
				return r;
			if (r < 0)
				break;
		}
		iov[n].iov_base = c->blocks[at / BLOCK_SIZE] + within;
		iov[n].iov_len = BLOCK_SIZE - within;
		got += iov[n].iov_len;
		at += iov[n].iov_len;
		n++;
	} while (n < max && got < want);
	return n;
}

void chain_commit(struct chain *c, size_t n)
{
	assert(n <= c->n_blocks * BLOCK_SIZE - c->size);
	c->size += n;
	keep(c, (c->size + BLOCK_SIZE - 1) / BLOCK_SIZE);
}

const char *chain_at(const struct chain *c, size_t offset, size_t size,
		     size_t *ret_size)
{
	size_t within = offset % BLOCK_SIZE;
	size_t left = BLOCK_SIZE - within;

	assert(size > 0 && offset <= c->size && size <= c->size - offset);
	*ret_size = left < size ? left : size;
	return c->blocks[offset / BLOCK_SIZE] + within;
}

int chain_iov(const struct chain *c, size_t offset, size_t size,
	      struct iovec *iov, int max)
{
	int n;

	for (n = 0; n < max && size > 0; n++) {
		size_t part;

		iov[n].iov_base = (char *)chain_at(c, offset, size, &part);
		iov[n].iov_len = part;
		offset += part;
		size -= part;
	}
	return n;
}
