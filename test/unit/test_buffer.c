/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/buffer.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_empty(void **state)
{
	struct buffer b = BUFFER_EMPTY;

	(void)state;
	buffer_deinit(&b);
	assert_int_equal(buffer_add(&b, NULL, 0), 0);
	assert_null(b.data);
	assert_int_equal(b.size, 0);
	assert_int_equal(buffer_reserve(&b, 0), 0);
	assert_null(b.data);
	buffer_deinit(&b);
}

static void test_add(void **state)
{
	struct buffer b = BUFFER_EMPTY;
	size_t total = 0;

	(void)state;
	for (size_t n = 0; n < 300; n++) {
		char piece[300];

		for (size_t i = 0; i < n; i++)
			piece[i] = (char)(total + i);
		assert_int_equal(buffer_add(&b, piece, n), 0);
		total += n;
		assert_int_equal(b.size, total);
		assert_true(b.capacity >= b.size);
	}
	for (size_t i = 0; i < total; i++)
		assert_int_equal(b.data[i], (char)i);
	buffer_deinit(&b);
	assert_null(b.data);
	assert_int_equal(b.size, 0);
	assert_int_equal(b.capacity, 0);
	buffer_deinit(&b);
}

static void test_reserve(void **state)
{
	struct buffer b = BUFFER_EMPTY;
	char *data;

	(void)state;
	assert_int_equal(buffer_add(&b, "abc", 3), 0);
	assert_int_equal(buffer_reserve(&b, 5000), 0);
	assert_int_equal(b.size, 3);
	assert_true(b.capacity >= 5003);
	assert_memory_equal(b.data, "abc", 3);

	/* What was reserved is there without moving. */
	data = b.data;
	memset(b.data + 3, 'x', 5000);
	b.size += 5000;
	assert_int_equal(buffer_reserve(&b, b.capacity - b.size), 0);
	assert_ptr_equal(b.data, data);
	assert_memory_equal(b.data, "abcx", 4);
	buffer_deinit(&b);
}

/* A size that no memory can hold changes nothing. */
static void test_overflow(void **state)
{
	static const size_t sizes[] = {SIZE_MAX, SIZE_MAX - 2, SIZE_MAX / 2,
				       SIZE_MAX / 2 + 2};
	struct buffer b = BUFFER_EMPTY;

	(void)state;
	assert_int_equal(buffer_add(&b, "abc", 3), 0);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct buffer before = b;

		assert_int_equal(buffer_reserve(&b, sizes[i]), -ENOMEM);
		assert_memory_equal(&b, &before, sizeof(b));
	}
	assert_memory_equal(b.data, "abc", 3);
	buffer_deinit(&b);
}

static void test_printf(void **state)
{
	struct buffer b = BUFFER_EMPTY;
	char filler[100];

	(void)state;
	assert_int_equal(buffer_printf(&b, "%s", ""), 0);
	assert_int_equal(b.size, 0);
	assert_int_equal(buffer_printf(&b, "%d-%s", 7, "x"), 0);
	assert_int_equal(buffer_printf(&b, "|%3d", 8), 0);
	assert_int_equal(b.size, 7);
	assert_memory_equal(b.data, "7-x|  8", 7);

	/* at every distance from the end of its memory */
	memset(filler, 'f', sizeof(filler));
	for (size_t n = 0; n < 70; n++) {
		struct buffer c = BUFFER_EMPTY;

		assert_int_equal(buffer_add(&c, filler, n), 0);
		assert_int_equal(buffer_printf(&c, "%s", "12345"), 0);
		assert_int_equal(c.size, n + 5);
		assert_memory_equal(c.data + n, "12345", 5);
		buffer_deinit(&c);
	}
	buffer_deinit(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty),   cmocka_unit_test(test_add),
		cmocka_unit_test(test_reserve), cmocka_unit_test(test_overflow),
		cmocka_unit_test(test_printf),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
