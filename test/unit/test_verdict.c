/* SPDX-License-Identifier: BSD-2-Clause */
/* A verdict's text: verbatim, cleaned, and never over its limit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "relay/verdict.h"

static char all[256];

static int setup(void **state)
{
	(void)state;
	for (unsigned c = 0; c < 256; c++)
		all[c] = (char)c;
	return 0;
}

static void test_verbatim(void **state)
{
	struct verdict v;

	(void)state;
	verdict_set(&v, 'Z', all, 200);
	assert_int_equal(v.letter, 'Z');
	assert_int_equal(v.size, 200);
	assert_memory_equal(v.text, all, 200);
	verdict_set(&v, 'K', NULL, 0);
	assert_int_equal(v.letter, 'K');
	assert_int_equal(v.size, 0);
	verdict_set_string(&v, 'D', "no such user");
	assert_int_equal(v.letter, 'D');
	assert_int_equal(v.size, 12);
	assert_memory_equal(v.text, "no such user", 12);
}

/* SPEC 4: control characters become spaces; UTF-8 stays. */
static void test_clean(void **state)
{
	struct verdict v;

	(void)state;
	verdict_set_clean(&v, 'K', all, 255);
	assert_int_equal(v.letter, 'K');
	assert_int_equal(v.size, 255);
	for (int c = 0; c < 255; c++)
		assert_int_equal((unsigned char)v.text[c],
				 c < 32 || c == 127 ? ' ' : c);
}

static void test_limit(void **state)
{
	struct {
		struct verdict v;
		char behind;
	} x = {.behind = 7};
	char text[300];

	(void)state;
	memset(text, '\n', sizeof(text));
	for (size_t n = 254; n <= sizeof(text); n++) {
		verdict_set(&x.v, 'K', text, n);
		assert_int_equal(x.v.size, n < 255 ? n : 255);
		verdict_set_clean(&x.v, 'K', text, n);
		assert_int_equal(x.v.size, n < 255 ? n : 255);
		assert_int_equal(x.v.text[x.v.size - 1], ' ');
		assert_int_equal(x.behind, 7);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_verbatim),
		cmocka_unit_test(test_clean),
		cmocka_unit_test(test_limit),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
