/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/chain.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/block.h"
#include "support/mail_bytes.h"

#define MANY 200

static struct block_pool pool;

static char byte_at(size_t offset)
{
	return (char)(offset * 7 + offset / 251);
}

/* Fills a chain with `size` bytes, `step` at a time. */
static void fill(struct chain *c, size_t size, size_t step)
{
	while (c->size < size) {
		char data[3 * BLOCK_SIZE];
		size_t n = size - c->size < step ? size - c->size : step;

		for (size_t i = 0; i < n; i++)
			data[i] = byte_at(c->size + i);
		chain_put(c, data, n);
	}
}

static void check_bytes(const char *data, size_t size, size_t offset)
{
	for (size_t i = 0; i < size; i++)
		assert_int_equal(data[i], byte_at(offset + i));
}

static size_t total(const struct iovec *iov, int n)
{
	size_t size = 0;

	for (int i = 0; i < n; i++)
		size += iov[i].iov_len;
	return size;
}

static void test_empty(void **state)
{
	struct chain c;
	struct iovec iov;

	(void)state;
	chain_init(&c, &pool);
	assert_int_equal(chain_iov(&c, 0, 0, &iov, 1), 0);
	chain_commit(&c, 0);
	chain_deinit(&c);
	chain_deinit(&c);
	assert_int_equal(pool.n_used, 0);
}

/* At least one byte and one vector, at most about what is wanted, at most `max`
 * vectors, all of it writable. */
static void test_space(void **state)
{
	static const size_t wants[] = {
		0,
		1,
		BLOCK_SIZE - 1,
		BLOCK_SIZE,
		BLOCK_SIZE + 1,
		10 * BLOCK_SIZE,
		SIZE_MAX,
	};
	static const int maxima[] = {1, 2, 11};
	struct iovec iov[MANY];

	(void)state;
	for (size_t held = 0; held <= 2 * BLOCK_SIZE; held += BLOCK_SIZE / 4) {
		for (size_t i = 0; i < 7 * 3; i++) {
			size_t want = wants[i / 3];
			int max = maxima[i % 3], n;
			struct chain c;

			chain_init(&c, &pool);
			fill(&c, held, BLOCK_SIZE);
			n = chain_space(&c, want, iov, max);
			assert_true(n >= 1 && n <= max);
			for (int k = 0; k < n; k++) {
				assert_true(iov[k].iov_len > 0);
				memset(iov[k].iov_base, 'w', iov[k].iov_len);
			}
			assert_true(n == max || total(iov, n) >= want);
			assert_true(n == 1 || total(iov, n - 1) < want);
			assert_int_equal(c.size, held);

			/* nothing of it was used: nothing of it stays */
			chain_commit(&c, 0);
			assert_int_equal(c.size, held);
			assert_int_equal(pool.n_used,
					 (held + BLOCK_SIZE - 1) / BLOCK_SIZE);
			for (size_t at = 0; at < held;) {
				size_t part;
				const char *p =
					chain_at(&c, at, held - at, &part);

				check_bytes(p, part, at);
				at += part;
			}
			chain_deinit(&c);
			assert_int_equal(pool.n_used, 0);
		}
	}
}

/* Asking twice gives the same space again. */
static void test_space_twice(void **state)
{
	struct chain c;
	struct iovec a[8], b[8];

	(void)state;
	chain_init(&c, &pool);
	fill(&c, 100, 100);
	assert_int_equal(chain_space(&c, 5 * BLOCK_SIZE, a, 8), 6);
	assert_int_equal(chain_space(&c, 5 * BLOCK_SIZE, b, 8), 6);
	assert_memory_equal(a, b, 6 * sizeof(a[0]));
	assert_int_equal(pool.n_used, 6);
	assert_int_equal(chain_space(&c, 1, b, 8), 1);
	assert_ptr_equal(a[0].iov_base, b[0].iov_base);
	chain_deinit(&c);
	assert_int_equal(pool.n_used, 0);
}

/* Blocks that hold no byte go back, also when the last one is just full. */
static void test_commit(void **state)
{
	static const size_t sizes[] = {
		1, BLOCK_SIZE - 1, BLOCK_SIZE, BLOCK_SIZE + 1, 3 * BLOCK_SIZE,
	};
	struct iovec iov[8];

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct chain c;

		chain_init(&c, &pool);
		assert_int_equal(chain_space(&c, 4 * BLOCK_SIZE, iov, 8), 4);
		assert_int_equal(pool.n_used, 4);
		chain_commit(&c, sizes[i]);
		assert_int_equal(c.size, sizes[i]);
		assert_int_equal(pool.n_used,
				 (sizes[i] + BLOCK_SIZE - 1) / BLOCK_SIZE);
		chain_deinit(&c);
		assert_int_equal(c.size, 0);
	}
	assert_int_equal(pool.n_used, 0);
}

static void test_bytes(void **state)
{
	static const size_t steps[] = {1, 1000, BLOCK_SIZE, 3 * BLOCK_SIZE};
	const size_t size = 20 * BLOCK_SIZE + 17;

	(void)state;
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		struct chain c;

		chain_init(&c, &pool);
		fill(&c, size, steps[i]);
		assert_int_equal(c.size, size);
		for (size_t at = 0; at < size; at += 61) {
			size_t part;
			const char *p = chain_at(&c, at, size - at, &part);

			assert_true(part > 0 && part <= size - at);
			assert_int_equal(p[0], byte_at(at));
			assert_int_equal(p[part - 1], byte_at(at + part - 1));
			assert_ptr_equal(chain_at(&c, at, 1, &part), p);
			assert_int_equal(part, 1);
		}
		chain_deinit(&c);
	}
	assert_int_equal(pool.n_used, 0);
}

static void test_iov(void **state)
{
	static const size_t offsets[] = {
		0,
		1,
		BLOCK_SIZE - 1,
		BLOCK_SIZE,
		BLOCK_SIZE + 1,
		2 * BLOCK_SIZE + 5,
	};
	const size_t size = 4 * BLOCK_SIZE + 17;
	struct chain c;

	(void)state;
	chain_init(&c, &pool);
	fill(&c, size, BLOCK_SIZE);
	for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
		for (size_t end = offsets[i]; end <= size; end += 13) {
			struct iovec iov[8];
			size_t at = offsets[i];
			int n = chain_iov(&c, at, end - at, iov, 8);

			assert_int_equal(total(iov, n), end - at);
			assert_true(n <= 5);
			for (int k = 0; k < n; k++) {
				assert_true(iov[k].iov_len > 0);
				check_bytes(iov[k].iov_base, 1, at);
				at += iov[k].iov_len;
				check_bytes((char *)iov[k].iov_base +
						    iov[k].iov_len - 1,
					    1, at - 1);
			}
		}
	}
	chain_deinit(&c);
	assert_int_equal(pool.n_used, 0);
}

/* With too few vectors the first bytes are given. */
static void test_iov_few(void **state)
{
	struct chain c;
	struct iovec iov[2] = {{0}};

	(void)state;
	chain_init(&c, &pool);
	fill(&c, 5 * BLOCK_SIZE, BLOCK_SIZE);
	assert_int_equal(chain_iov(&c, 10, 5 * BLOCK_SIZE - 10, iov, 1), 1);
	assert_int_equal(iov[0].iov_len, BLOCK_SIZE - 10);
	assert_null(iov[1].iov_base);
	assert_int_equal(chain_iov(&c, 10, 5 * BLOCK_SIZE - 10, iov, 2), 2);
	assert_int_equal(iov[1].iov_len, BLOCK_SIZE);
	check_bytes(iov[1].iov_base, BLOCK_SIZE, BLOCK_SIZE);
	assert_int_equal(chain_iov(&c, 10, 100, iov, 0), 0);
	chain_deinit(&c);
	assert_int_equal(pool.n_used, 0);
}

static int setup(void **state)
{
	(void)state;
	block_pool_init(&pool);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	block_pool_deinit(&pool);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_space),
		cmocka_unit_test(test_space_twice),
		cmocka_unit_test(test_commit),
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_iov),
		cmocka_unit_test(test_iov_few),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
