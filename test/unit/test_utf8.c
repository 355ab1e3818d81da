/* SPDX-License-Identifier: BSD-2-Clause */
/* Which bytes are a character, against RFC 3629's grammar spelt out anew. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/utf8.h"

/* The bytes of `code` in `buf`, as if there were no forbidden ones. */
static size_t encode(uint32_t code, size_t n, char *buf)
{
	static const unsigned char first[] = {0, 0, 0xc0, 0xe0, 0xf0};

	for (size_t i = n - 1; i > 0; i--, code >>= 6)
		buf[i] = (char)(0x80 | (code & 0x3f));
	buf[0] = (char)(n == 1 ? code : first[n] | code);
	return n;
}

static size_t shortest(uint32_t code)
{
	return code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
}

/* Every code point in every length: only the shortest form of what is no
 * surrogate and at most U+10FFFF is a character. */
static void test_all_code_points(void **state)
{
	(void)state;
	for (size_t n = 1; n <= 4; n++) {
		static const uint32_t end[] = {0, 0x80, 0x800, 0x10000,
					       0x200000};

		for (uint32_t code = 0; code < end[n]; code++) {
			bool good = shortest(code) == n && code <= 0x10ffff &&
				    (code < 0xd800 || code > 0xdfff);
			char s[4];

			encode(code, n, s);
			if (utf8_character(s, n) != (good ? n : 0))
				fail_msg("U+%X in %zu bytes", code, n);
		}
	}
}

/* Cut short, it is none; the heap's end shows a read behind it. */
static void test_cut(void **state)
{
	static const char *const characters[] = {"\xc3\xa4", "\xe2\x82\xac",
						 "\xf0\x9f\x98\x80"};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		size_t whole = strlen(characters[i]);

		for (size_t n = 1; n <= whole; n++) {
			char *s = malloc(n);

			memcpy(s, characters[i], n);
			assert_int_equal(utf8_character(s, n),
					 n == whole ? whole : 0);
			free(s);
		}
		assert_int_equal(utf8_character(characters[i], 99), whole);
	}
}

/* A byte that does not continue, at each place. */
static void test_broken(void **state)
{
	char s[4];

	(void)state;
	for (unsigned c = 0; c < 256; c++) {
		size_t continues = (c & 0xc0) == 0x80;

		for (size_t at = 1; at < 4; at++) {
			memcpy(s, "\xf1\x80\x80\x80", 4);
			s[at] = (char)c;
			assert_int_equal(utf8_character(s, 4), 4 * continues);
		}
		for (size_t at = 1; at < 3; at++) {
			memcpy(s, "\xe1\x80\x80", 3);
			s[at] = (char)c;
			assert_int_equal(utf8_character(s, 3), 3 * continues);
		}
	}
}

/* Each byte that may not come first. */
static void test_first(void **state)
{
	(void)state;
	for (unsigned c = 0x80; c < 0x100; c++) {
		char s[4] = {(char)c, '\x90', '\x90', '\x90'};
		bool no = c < 0xc2 || c > 0xf4 || c == 0xe0 || c == 0xf4;

		assert_int_equal(utf8_character(s, 4) == 0, no);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_code_points),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_broken),
		cmocka_unit_test(test_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
