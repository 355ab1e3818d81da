/* SPDX-License-Identifier: BSD-2-Clause */

/* PostgreSQL's text format of arrays: what each text means, and back. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "db/pg_array.h"

/* Tokens of `in` as text: ( and ) for arrays, 'x' for elements, N for NULL, ! for
 * malformed. */
static char *tokens(const char *in, size_t size)
{
	static char out[4096];
	/* exactly as long as promised, so that a sanitizer sees more */
	char *copy = malloc(size ? size : 1),
	     *scratch = malloc(size ? size : 1);
	struct pg_array_reader r;
	size_t n, at = 0;
	const char *s;

	memcpy(copy, in, size);
	pg_array_reader_init(&r, copy, size, scratch);
	for (;;) {
		enum pg_array_token t = pg_array_next(&r, &s, &n);

		if (t == PG_ARRAY_END || t == PG_ARRAY_MALFORMED) {
			assert_int_equal(pg_array_next(&r, &s, &n), t);
			if (t == PG_ARRAY_MALFORMED)
				strcpy(out, "!");
			else
				out[at] = '\0';
			break;
		}
		if (t == PG_ARRAY_TEXT) {
			out[at++] = '\'';
			memcpy(out + at, s, n);
			at += n;
			out[at++] = '\'';
		} else {
			out[at++] = "()xN"[t];
		}
	}
	free(copy);
	free(scratch);
	return out;
}

static void check(const char *in, const char *want)
{
	assert_string_equal(tokens(in, strlen(in)), want);
}

static void test_elements(void **state)
{
	check("{}", "()");
	check("{1}", "('1')");
	check("{1,2,-3.5e7}", "('1''2''-3.5e7')");
	check("{\"\"}", "('')");
	check("{NULL,null,\"NULL\",\\NULL}", "(NN'NULL''NULL')");
	check("{NULLx}", "('NULLx')");
	check("{\"a,b\",\"{}\"}", "('a,b''{}')");
	check("{\"q\\\"q\",\"b\\\\b\",\"\\x\"}", "('q\"q''b\\b''x')");
	check("{a\\,b}", "('a,b')");
	check("{\xc3\xa9}", "('\xc3\xa9')");
}

static void test_spaces(void **state)
{
	check(" { a b ,\tc\n, \" d \" } ", "('a b''c'' d ')");
	check("{a\\ }", "('a ')");
	check("{\\  }", "(' ')");
	check("{ }", "()");
	check("{ NULL }", "(N)");
}

static void test_nested(void **state)
{
	check("{{1,2},{3,4}}", "(('1''2')('3''4'))");
	check("{{{{{{1}}}}}}", "(((((('1'))))))");
	check("{{},{}}", "(()())");
	check("[0:1][-1:0]={{a,b},{c,d}}", "(('a''b')('c''d'))");
	check("[5]={a}", "('a')");
	check(" [1:1] = {a}", "('a')");
}

static void test_malformed(void **state)
{
	static const char *const bad[] = {
		"",         " ",           "1",
		"{",        "}",           "{{",
		"{}}",      "{1",          "{1,",
		"{1,}",     "{,1}",        "{,}",
		"{1,,2}",   "{1}x",        "{1}{2}",
		"x{1}",     "{\"a}",       "{\"a\"b}",
		"{a\"b\"}", "{a{}}",       "{{1}2}",
		"{1,{2}}",  "{{1},2}",     "{{1},{2,3}}",
		"{{1},{}}", "{{1},{{2}}}", "{{{{{{{1}}}}}}}",
		"{\\",      "{a\\}",       "{\"\\",
		"[1:2]{a}", "[={a}",       "[1:]={a}",
		"[]={a}",   "[1={a}",      "{\"a\" \"b\"}",
		"{{1}{2}}", "{{1},}",      "{{1}",
		"(1)",
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		check(bad[i], "!");
	assert_string_equal(tokens("{a\0b}", 5), "!");
	assert_string_equal(tokens("{\"a\0b\"}", 7), "!");
	assert_string_equal(tokens("{\\\0}", 4), "!");
}

/* Cut anywhere, it is malformed, and nothing is read behind the end. */
static void test_cut(void **state)
{
	static const char whole[] = "[0:1]={\"a\\\"b\",NULL}";

	for (size_t n = 0; n < sizeof(whole) - 1; n++)
		assert_string_equal(tokens(whole, n), "!");
	check(whole, "('a\"b'N)");
}

static void check_quote(const char *in, size_t size, const char *want)
{
	char *out = malloc(PG_ARRAY_QUOTED_MAX(size));
	size_t n = pg_array_quote(in, size, out);

	assert_int_equal(n, strlen(want));
	assert_memory_equal(out, want, n);
	free(out);
}

static void test_quote(void **state)
{
	check_quote("abc", 3, "abc");
	check_quote("", 0, "\"\"");
	check_quote("NULL", 4, "\"NULL\"");
	check_quote("nUll", 4, "\"nUll\"");
	check_quote("NULLs", 5, "NULLs");
	check_quote("a b", 3, "\"a b\"");
	check_quote("\v", 1, "\"\v\"");
	check_quote("a,b", 3, "\"a,b\"");
	check_quote("{", 1, "\"{\"");
	check_quote("}", 1, "\"}\"");
	check_quote("\"\"", 2, "\"\\\"\\\"\"");
	check_quote("\\", 1, "\"\\\\\"");
	check_quote("\xc2\xa0", 2, "\xc2\xa0");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_elements),
		cmocka_unit_test(test_spaces),
		cmocka_unit_test(test_nested),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_quote),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
