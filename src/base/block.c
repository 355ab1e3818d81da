/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/block.h"

#include <assert.h>
#include <sys/mman.h>

/*
 * A block that waits in the pool is poisoned, so that AddressSanitizer sees a
 * use after it was put back.
 */
#if defined(__SANITIZE_ADDRESS__)
#define HAVE_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAVE_ASAN 1
#endif
#endif

#ifdef HAVE_ASAN
#include <sanitizer/asan_interface.h>
#define POISON(p) __asan_poison_memory_region(p, BLOCK_SIZE)
#define UNPOISON(p) __asan_unpoison_memory_region(p, BLOCK_SIZE)
#else
#define POISON(p) ((void)(p))
#define UNPOISON(p) ((void)(p))
#endif

static void unmap(void *block)
{
	int r = munmap(block, BLOCK_SIZE);

	/* Splitting a mapping can fail with ENOMEM: then the pages go, the
	 * addresses stay. */
	if (r < 0)
		(void)madvise(block, BLOCK_SIZE, MADV_DONTNEED);
}

void block_pool_init(struct block_pool *p)
{
	p->n_free = p->n_used = 0;
}

void block_pool_deinit(struct block_pool *p)
{
	assert(p->n_used == 0);
	while (p->n_free > 0) {
		void *block = p->free[--p->n_free];

		UNPOISON(block);
		unmap(block);
	}
}

void *block_get(struct block_pool *p)
{
	void *block;

	if (p->n_free > 0) {
		block = p->free[--p->n_free];
		UNPOISON(block);
	} else {
		block = mmap(NULL, BLOCK_SIZE, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (block == MAP_FAILED)
			return NULL;
	}
	p->n_used++;
	return block;
}

void block_put(struct block_pool *p, void *block)
{
	assert(p->n_used > 0);
	p->n_used--;
	if (p->n_free < BLOCK_KEEP) {
		POISON(block);
		p->free[p->n_free++] = block;
	} else {
		unmap(block);
	}
}
