/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/block.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/asan.h"

#define POISON(p) ASAN_POISON(p, BLOCK_SIZE)
#define UNPOISON(p) ASAN_UNPOISON(p, BLOCK_SIZE)

void block_pool_init(struct block_pool *p)
{
	*p = (struct block_pool){.n_used = 0};
}

void block_pool_deinit(struct block_pool *p)
{
	assert(p->n_used == 0);
	for (size_t i = 0; i < p->n_slabs; i++) {
		for (size_t n = 0; n < BLOCK_SLAB; n++)
			UNPOISON((char *)p->slabs[i] + n * BLOCK_SIZE);
		munmap(p->slabs[i], BLOCK_SLAB * BLOCK_SIZE);
	}
	free(p->slabs);
	free(p->hot);
	free(p->cold);
	block_pool_init(p);
}

/* Room for one slab more in each array, so that putting back cannot fail. */
static bool reserve(struct block_pool *p)
{
	size_t capacity = p->capacity + BLOCK_SLAB;
	void **v;

	v = reallocarray(p->slabs, p->n_slabs + 1, sizeof(*v));
	if (v == NULL)
		return false;
	p->slabs = v;
	v = reallocarray(p->hot, capacity, sizeof(*v));
	if (v == NULL)
		return false;
	p->hot = v;
	v = reallocarray(p->cold, capacity, sizeof(*v));
	if (v == NULL)
		return false;
	p->cold = v;
	return true;
}

static bool add_slab(struct block_pool *p)
{
	char *slab;

	if (!reserve(p))
		return false;
	slab = mmap(NULL, BLOCK_SLAB * BLOCK_SIZE, PROT_READ | PROT_WRITE,
		    /* cppcheck-suppress invalidFunctionArg ; a wrong idea */
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (slab == MAP_FAILED)
		return false;
	p->slabs[p->n_slabs++] = slab;
	p->capacity += BLOCK_SLAB;
	for (size_t n = BLOCK_SLAB; n-- > 0;) {
		POISON(slab + n * BLOCK_SIZE);
		p->cold[p->n_cold++] = slab + n * BLOCK_SIZE;
	}
	return true;
}

void *block_get(struct block_pool *p)
{
	void *block;

	if (p->n_hot > 0) {
		block = p->hot[--p->n_hot];
		if (p->n_hot < p->least)
			p->least = p->n_hot;
	} else {
		if (p->n_cold == 0 && !add_slab(p))
			return NULL;
		block = p->cold[--p->n_cold];
	}
	UNPOISON(block);
	p->n_used++;
	return block;
}

void block_put(struct block_pool *p, void *block)
{
	assert(p->n_used > 0);
	p->n_used--;
	POISON(block);
	p->hot[p->n_hot++] = block;
}

/*
 * What lies at the bottom of the hot ones has not been used since the last call.
 * The addresses stay ours: unmapping single blocks would cut the slabs into more
 * mappings than the kernel allows.
 */
void block_pool_trim(struct block_pool *p)
{
	size_t spare = p->least > BLOCK_KEEP ? p->least - BLOCK_KEEP : 0;

	if (spare > BLOCK_TRIM)
		spare = BLOCK_TRIM;
	for (size_t i = 0; i < spare; i++) {
		(void)madvise(p->hot[i], BLOCK_SIZE, MADV_DONTNEED);
		p->cold[p->n_cold++] = p->hot[i];
	}
	p->n_hot -= spare;
	memmove(p->hot, p->hot + spare, p->n_hot * sizeof(*p->hot));
	p->least = p->n_hot;
}
