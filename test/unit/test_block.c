/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/block.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define N (BLOCK_KEEP + 2 * BLOCK_SLAB)

static bool is_mapped(void *block)
{
	unsigned char present[BLOCK_SIZE / 4096 + 1];
	int r = mincore(block, BLOCK_SIZE, present);

	if (r < 0)
		assert_int_equal(errno, ENOMEM);
	return r == 0;
}

/* Whether the kernel has a page there. */
static bool is_resident(void *block)
{
	unsigned char present[BLOCK_SIZE / 4096 + 1] = {0};

	assert_int_equal(mincore(block, BLOCK_SIZE, present), 0);
	return present[0] & 1;
}

static void test_get(void **state)
{
	struct block_pool p;
	char *a, *b;

	(void)state;
	block_pool_init(&p);
	a = block_get(&p);
	b = block_get(&p);
	assert_non_null(a);
	assert_non_null(b);
	assert_int_equal((uintptr_t)a % (uintptr_t)sysconf(_SC_PAGESIZE), 0);
	assert_true(a + BLOCK_SIZE <= b || b + BLOCK_SIZE <= a);
	assert_int_equal(p.n_used, 2);

	memset(a, 'a', BLOCK_SIZE);
	memset(b, 'b', BLOCK_SIZE);
	assert_int_equal(a[BLOCK_SIZE - 1], 'a');
	assert_int_equal(b[0], 'b');
	block_put(&p, a);
	block_put(&p, b);
	assert_int_equal(p.n_used, 0);
	block_pool_deinit(&p);
	assert_false(is_mapped(a));
	assert_false(is_mapped(b));
}

/* The one put back last is the next one handed out, and can be written. */
static void test_again(void **state)
{
	struct block_pool p;
	char *a, *b;

	(void)state;
	block_pool_init(&p);
	a = block_get(&p);
	b = block_get(&p);
	assert_non_null(a);
	assert_non_null(b);
	block_put(&p, b);
	block_put(&p, a);
	assert_int_equal(p.n_hot, 2);
	assert_ptr_equal(block_get(&p), a);
	memset(a, 1, BLOCK_SIZE);
	assert_ptr_equal(block_get(&p), b);
	memset(b, 2, BLOCK_SIZE);
	assert_int_equal(p.n_hot, 0);
	block_put(&p, a);
	block_put(&p, b);
	block_pool_deinit(&p);
}

/* What was not needed between two trims goes back to the kernel, but for
 * BLOCK_KEEP of them; what was needed stays. */
static void test_trim(void **state)
{
	struct block_pool p;
	char *blocks[N];
	size_t resident = 0;

	(void)state;
	block_pool_init(&p);
	for (size_t i = 0; i < N; i++) {
		blocks[i] = block_get(&p);
		assert_non_null(blocks[i]);
		assert_false(is_resident(blocks[i]));
		blocks[i][0] = (char)i;
	}
	assert_int_equal(p.n_used, N);
	for (size_t i = 0; i < N; i++) {
		assert_int_equal(blocks[i][0], (char)i);
		block_put(&p, blocks[i]);
	}
	assert_int_equal(p.n_used, 0);
	assert_int_equal(p.n_hot, N);
	assert_true(block_pool_has_spare(&p));

	block_pool_trim(&p); /* all were needed since the start */
	assert_int_equal(p.n_hot, N);

	/* one is needed: the others may go */
	assert_ptr_equal(block_get(&p), blocks[N - 1]);
	block_put(&p, blocks[N - 1]);
	block_pool_trim(&p);
	assert_int_equal(p.n_hot, BLOCK_KEEP + 1);
	for (size_t i = 0; i < N; i++)
		resident += is_resident(blocks[i]);
	assert_int_equal(resident, BLOCK_KEEP + 1);
	assert_false(is_resident(blocks[0]));
	assert_true(is_resident(blocks[N - 1]));

	block_pool_trim(&p);
	assert_int_equal(p.n_hot, BLOCK_KEEP);
	assert_false(block_pool_has_spare(&p));
	block_pool_deinit(&p);
	for (size_t i = 0; i < N; i++)
		assert_false(is_mapped(blocks[i]));
}

/* A block without pages is handed out again, before anything is mapped anew. */
static void test_cold(void **state)
{
	struct block_pool p;
	char *blocks[N];

	(void)state;
	block_pool_init(&p);
	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < N; i++) {
			blocks[i] = block_get(&p);
			assert_non_null(blocks[i]);
			memset(blocks[i], (int)i, BLOCK_SIZE);
		}
		assert_int_equal(p.n_hot + p.n_cold + p.n_used, N);
		for (size_t i = 0; i < N; i++) {
			assert_int_equal(blocks[i][BLOCK_SIZE - 1], (char)i);
			block_put(&p, blocks[i]);
		}
		block_pool_trim(&p);
		block_pool_trim(&p);
		assert_int_equal(p.n_hot, BLOCK_KEEP);
	}
	block_pool_deinit(&p);
}

/* One trim gives BLOCK_TRIM of them back and no more, however many are spare. */
static void test_trim_bounded(void **state)
{
	const size_t n = BLOCK_KEEP + BLOCK_TRIM + 10;
	struct block_pool p;
	void **blocks = calloc(n, sizeof(*blocks));

	(void)state;
	assert_non_null(blocks);
	block_pool_init(&p);
	for (size_t i = 0; i < n; i++) {
		blocks[i] = block_get(&p);
		assert_non_null(blocks[i]);
	}
	for (size_t i = 0; i < n; i++)
		block_put(&p, blocks[i]);
	block_pool_trim(&p); /* all were needed since the start */
	block_pool_trim(&p);
	assert_int_equal(p.n_hot, BLOCK_KEEP + 10);
	block_pool_trim(&p);
	assert_int_equal(p.n_hot, BLOCK_KEEP);
	block_pool_deinit(&p);
	free(blocks);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_get),
		cmocka_unit_test(test_again),
		cmocka_unit_test(test_trim),
		cmocka_unit_test(test_cold),
		cmocka_unit_test(test_trim_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
