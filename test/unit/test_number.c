/* SPDX-License-Identifier: BSD-2-Clause */
/* Numbers as printf(3) would print them, and not a byte more. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/number.h"

static void check(uint64_t value)
{
	char wanted[32], got[NUMBER_MAX + 1];

	for (int hex = 0; hex <= 1; hex++) {
		size_t n;

		snprintf(wanted, sizeof(wanted), hex ? "%" PRIx64 : "%" PRIu64,
			 value);
		memset(got, '!', sizeof(got));
		n = hex ? number_print_hex(got, value)
			: number_print(got, value);
		assert_int_equal(n, strlen(wanted));
		assert_memory_equal(got, wanted, n);
		for (; n < sizeof(got); n++)
			assert_int_equal(got[n], '!');
	}
}

static void test_like_printf(void **state)
{
	(void)state;
	for (uint64_t v = 0; v < 1000; v++)
		check(v);
	for (uint64_t power = 1; power < UINT64_MAX / 10; power *= 10) {
		check(power * 10 - 1);
		check(power * 10);
	}
	for (unsigned bit = 0; bit < 64; bit++) {
		check((uint64_t)1 << bit);
		check(((uint64_t)1 << bit) - 1);
	}
	check(UINT64_MAX);
}

/* The longest number fills what the header promises. */
static void test_longest(void **state)
{
	char text[NUMBER_MAX];

	(void)state;
	assert_int_equal(number_print(text, UINT64_MAX), NUMBER_MAX);
	assert_memory_equal(text, "18446744073709551615", NUMBER_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_like_printf),
		cmocka_unit_test(test_longest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
