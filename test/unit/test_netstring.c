/* SPDX-License-Identifier: BSD-2-Clause */
#include "proto/netstring.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"

/* Feeds all of `s`: only its last byte may tell more than MORE. */
static enum netstring_result feed(const char *s, size_t *ret_value)
{
	struct netstring_length l = {0};
	enum netstring_result r = NETSTRING_MORE;

	for (size_t i = 0; s[i] != '\0'; i++) {
		assert_int_equal(r, NETSTRING_MORE);
		r = netstring_length_feed(&l, s[i]);
	}
	*ret_value = l.value;
	return r;
}

static void test_lengths(void **state)
{
	static const struct {
		const char *s;
		size_t value;
	} good[] = {
		{"0:", 0},
		{"1:", 1},
		{"9:", 9},
		{"10:", 10},
		{"1234567890:", 1234567890},
		{"999999999999999999:", 999999999999999999},
		{"100000000000000000:", 100000000000000000},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		size_t value;

		assert_int_equal(feed(good[i].s, &value), NETSTRING_DONE);
		assert_int_equal(value, good[i].value);
	}
}

static void test_faults(void **state)
{
	/* The last byte shows it. */
	static const char *const bad[] = {
		":",  "00", "01",  "+",   "-",  " ", "a", ",",
		"1 ", "1,", "12a", "1\n", "0x", "/", ";", "1234567890123456789",
	};
	size_t value;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(feed(bad[i], &value), NETSTRING_BAD);
}

/* Every byte, as the first and as the second one. */
static void test_bytes(void **state)
{
	(void)state;
	for (int c = 0; c < 256; c++) {
		struct netstring_length first = {0}, second = {7, 1};
		bool digit = c >= '0' && c <= '9';

		assert_int_equal(netstring_length_feed(&first, (char)c),
				 digit ? NETSTRING_MORE : NETSTRING_BAD);
		assert_int_equal(netstring_length_feed(&second, (char)c),
				 digit      ? NETSTRING_MORE
				 : c == ':' ? NETSTRING_DONE
					    : NETSTRING_BAD);
	}
}

static void test_digits_limit(void **state)
{
	char s[LIMIT_NETSTRING_DIGITS + 3];
	size_t value;

	(void)state;
	memset(s, '9', sizeof(s));
	s[LIMIT_NETSTRING_DIGITS] = ':';
	s[LIMIT_NETSTRING_DIGITS + 1] = '\0';
	assert_int_equal(feed(s, &value), NETSTRING_DONE);

	s[LIMIT_NETSTRING_DIGITS] = '9';
	assert_int_equal(feed(s, &value), NETSTRING_BAD);
}

static void test_print(void **state)
{
	static const size_t sizes[] = {
		0, 1, 9, 10, 11, 99, 100, 999, 1000, 16777216, SIZE_MAX,
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		char buf[NETSTRING_LENGTH_MAX + 1], expected[64];
		int n = snprintf(expected, sizeof(expected), "%zu:", sizes[i]);

		memset(buf, 'x', sizeof(buf));
		assert_int_equal(netstring_print(buf, sizes[i]), n);
		assert_string_equal(buf, expected);
		assert_int_equal(buf[NETSTRING_LENGTH_MAX], 'x');
	}
}

static void test_wire_size(void **state)
{
	(void)state;
	for (size_t size = 0; size < 20000; size++) {
		char buf[NETSTRING_LENGTH_MAX];

		assert_int_equal(netstring_wire_size(size),
				 netstring_print(buf, size) + size + 1);
	}
	assert_int_equal(netstring_wire_size(LIMIT_ADDRESS),
			 LIMIT_ADDRESS_NETSTRING);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_digits_limit),
		cmocka_unit_test(test_print),
		cmocka_unit_test(test_wire_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
