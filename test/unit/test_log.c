/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a line of the log looks like, whatever is put into it: one line, with the
 * keys that we wrote and no others.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"

#define BIG 40000

/* A log whose lines go to a file, and what was read of it. */
struct test {
	struct log log;
	struct log_line line;
	FILE *file;
	char text[2 * BIG];
};

static int setup(void **state)
{
	struct test *t = malloc(sizeof(*t));

	memset(t, 0xa5, sizeof(*t));
	t->file = tmpfile();
	log_init(&t->log, fileno(t->file));
	log_line_init(&t->line);
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	struct test *t = *state;

	log_deinit(&t->log);
	log_deinit(&t->log);
	fclose(t->file);
	free(t);
	return 0;
}

/* All that was logged since the last call. */
static const char *read_log(struct test *t)
{
	ssize_t n;

	assert_true(log_flush(&t->log));
	assert_true(log_is_empty(&t->log));
	n = pread(fileno(t->file), t->text, sizeof(t->text) - 1, 0);
	assert_true(n >= 0);
	t->text[n] = '\0';
	assert_int_equal(ftruncate(fileno(t->file), 0), 0);
	assert_int_equal(lseek(fileno(t->file), 0, SEEK_SET), 0);
	return t->text;
}

static const char *end_line(struct test *t)
{
	log_line_end(&t->log, &t->line);
	log_line_init(&t->line);
	return read_log(t);
}

/* What the bytes `value` become, as the value of k. */
static void assert_value(struct test *t, const char *value, size_t size,
			 const char *wanted)
{
	char line[BIG];

	log_line_value(&t->line, "k", value, size);
	snprintf(line, sizeof(line), "k=%s\n", wanted);
	assert_string_equal(end_line(t), line);
}

#define VALUE(literal, wanted) \
	assert_value(t, literal, sizeof(literal) - 1, wanted)

/* SPEC 2: every byte, alone. */
static void test_each_byte(void **state)
{
	static const char bare[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZ"
		"abcdefghijklmnopqrstuvwxyz0123456789._:/@+-";
	struct test *t = *state;

	for (int c = 0; c < 256; c++) {
		char byte = (char)c, wanted[16], text[32], quoted[24];

		if (c == '"' || c == '\\')
			sprintf(wanted, "\\%c", c);
		else if (c < 0x20 || c >= 0x7f)
			sprintf(wanted, "\\x%02X", c);
		else
			sprintf(wanted, "%c", c);

		sprintf(quoted, "\"%s\"", wanted);
		if (c != 0 && strchr(bare, c))
			assert_value(t, &byte, 1, wanted);
		else
			assert_value(t, &byte, 1, quoted);

		log_line_quoted(&t->line, "k", &byte, 1);
		sprintf(text, "k=%s\n", quoted);
		assert_string_equal(end_line(t), text);

		/* free text has no quotes to end, and keeps its TABs */
		if (c == '"' || c == '\\' || c == '\t')
			sprintf(wanted, "%c", c);
		sprintf(text, "%s\n", wanted);
		log_text(&t->log, "", &byte, 1);
		assert_string_equal(read_log(t), text);
	}
}

static void test_values(void **state)
{
	struct test *t = *state;

	VALUE("", "\"\"");
	VALUE("192.0.2.7:628", "192.0.2.7:628");
	VALUE("[::1]:628", "\"[::1]:628\"");
	VALUE("ok 1700000000 qp 77", "\"ok 1700000000 qp 77\"");
	VALUE("a\"b\\c", "\"a\\\"b\\\\c\"");
	VALUE("ab\0cd", "\"ab\\x00cd\"");
	VALUE("a ", "\"a \"");
	VALUE("=", "\"=\"");
}

/* Whole characters pass, the bytes of broken ones do not. */
static void test_utf8(void **state)
{
	struct test *t = *state;

	VALUE("\xc3\xa4", "\"\xc3\xa4\"");
	VALUE("\xf0\x9f\x98\x80!", "\"\xf0\x9f\x98\x80!\"");
	VALUE("a\xc3", "\"a\\xC3\"");
	VALUE("\xc3\"", "\"\\xC3\\\"\"");
	VALUE("\xc3\\", "\"\\xC3\\\\\"");
	VALUE("\xe2\x82", "\"\\xE2\\x82\"");
	VALUE("\xe2\x82z", "\"\\xE2\\x82z\"");
	VALUE("\xc0\xaf", "\"\\xC0\\xAF\"");
	VALUE("\xc1\x8a", "\"\\xC1\\x8A\""); /* an overlong LF */
	VALUE("\xed\xa0\x80", "\"\\xED\\xA0\\x80\"");
	VALUE("\xf4\x90\x80\x80", "\"\\xF4\\x90\\x80\\x80\"");
	/* U+0080 to U+009F control terminals, U+00A0 does not */
	VALUE("\xc2\x80\xc2\x9b\xc2\x9f\xc2\xa0",
	      "\"\\xC2\\x80\\xC2\\x9B\\xC2\\x9F\xc2\xa0\"");
}

/* Nothing from outside makes a line or a key. */
static void test_forging(void **state)
{
	static const char *const attempts[] = {
		"x\nid=1 verdict=K",  "x\r\nid=1",   "x\" verdict=K text=\"",
		"x\\\" verdict=K",    "x\\",         "\\\" k2=v",
		"\xc3\" k2=v",        "\xc3\n k2=v", "\xc2\x85k2=v",
		"\xe2\x80\" k2=v \"", "a k2=v",      "\x1b[2K\x1b[1Gid=1",
	};
	struct test *t = *state;

	for (size_t i = 0; i < sizeof(attempts) / sizeof(attempts[0]); i++) {
		const char *p;
		size_t quotes = 0;

		log_line_value(&t->line, "a", attempts[i], strlen(attempts[i]));
		log_line_number(&t->line, "z", 1);
		p = end_line(t);
		assert_memory_equal(p, "a=\"", 3);
		assert_ptr_equal(strchr(p, '\n'), p + strlen(p) - 1);
		for (p += 3; *p != '"'; p++) {
			assert_true((unsigned char)*p >= 0x20 && *p != 0x7f);
			p += *p == '\\';
			quotes += *p == '"';
		}
		assert_string_equal(p, "\" z=1\n");
		assert_true(quotes <= 2);
	}
}

static void test_keys(void **state)
{
	struct test *t = *state;

	log_line_value(&t->line, "id", "1-2", 3);
	log_line_quoted(&t->line, "to", "a@b", 3);
	log_line_number(&t->line, "n", UINT64_MAX);
	log_line_number(&t->line, "zero", 0);
	log_line_tenths(&t->line, "ms", 124);
	log_line_tenths(&t->line, "s", 5);
	log_line_tenths(&t->line, "max", UINT64_MAX);
	assert_string_equal(end_line(t),
			    "id=1-2 to=\"a@b\" n=18446744073709551615 zero=0 "
			    "ms=12.4 s=0.5 max=1844674407370955161.5\n");
}

static void test_text(void **state)
{
	struct test *t = *state;

	log_text(&t->log, "script: ", "a\tb\nc\x7f", 6);
	assert_string_equal(read_log(t), "script: a\tb\\x0Ac\\x7F\n");
	log_text(&t->log, "", "", 0);
	assert_string_equal(read_log(t), "\n");
	log_printf(&t->log, "%s: %d\n%%", "x\r", 7);
	assert_string_equal(read_log(t), "x\\x0D: 7\\x0A%\n");
}

/* A line of LIMIT_LOG_LINE - 1 bytes and LF is the longest one. */
static void test_longest_value(void **state)
{
	struct test *t = *state;
	char *value = malloc(BIG);

	memset(value, 'v', BIG);
	for (size_t n = LIMIT_LOG_LINE - 20; n < LIMIT_LOG_LINE + 20; n++) {
		const char *line;
		size_t size;

		log_line_quoted(&t->line, "k", value, n);
		line = end_line(t);
		size = strlen(line);
		/* k="" and LF beside it */
		assert_int_equal(size, n + 5 < LIMIT_LOG_LINE + 1
					       ? n + 5
					       : LIMIT_LOG_LINE + 1);
		assert_string_equal(line + size - 3, "v\"\n");
	}
	free(value);
}

/* However a value is cut, its quotes are closed and no escape or character is
 * halved. */
static void test_cut_values(void **state)
{
	static const char *const pieces[] = {
		"\n", "\"", "\xc3\xa4", "\xff", "\xf0\x9f\x98\x80", "\\"};
	struct test *t = *state;
	char *value = malloc(BIG);

	for (size_t i = 0; i < 6; i++) {
		for (size_t shift = 0; shift < 5; shift++) {
			size_t piece = strlen(pieces[i]), n = shift, printed;
			const char *line;

			memset(value, 'x', shift);
			while (n + piece <= BIG) {
				memcpy(value + n, pieces[i], piece);
				n += piece;
			}
			log_line_quoted(&t->line, "k", value, n);
			log_line_number(&t->line, "ms", 1);
			line = end_line(t);
			printed = i == 0 || i == 3 ? 4 : i & 1 ? 2 : piece;
			printed = i == 5 ? 2 : printed;
			n = strlen(line);
			assert_true(n <= LIMIT_LOG_LINE + 1);
			assert_true(n > LIMIT_LOG_LINE - 5);
			assert_string_equal(line + n - 2, "\"\n");
			assert_int_equal((n - 5 - shift) % printed, 0);
		}
	}
	free(value);
}

/* The key that finds no room is left out, alone; nothing is written behind the
 * line (ASan, and the canary that setup left). */
static void test_full_line(void **state)
{
	struct test *t = *state;
	char *value = malloc(BIG);

	memset(value, 'v', BIG);
	for (size_t n = LIMIT_LOG_LINE - 60; n < LIMIT_LOG_LINE; n++) {
		char *keys;
		size_t size;

		log_line_value(&t->line, "k", value, n);
		log_line_number(&t->line, "number", UINT64_MAX);
		log_line_tenths(&t->line, "ms", 1234567);
		log_line_value(&t->line, "bare", "bare-value", 10);
		log_line_quoted(&t->line, "text", "\"\"\"", 3);
		size = t->line.size;
		assert_true(size <= LIMIT_LOG_LINE);
		end_line(t);
		assert_int_equal(strlen(t->text), size + 1);
		keys = strchr(t->text, ' ');
		/* a number is never half of one */
		if (keys != NULL && strncmp(keys, " number=", 8) == 0 &&
		    keys[8] >= '0' && keys[8] <= '9')
			assert_memory_equal(keys + 8, "18446744073709551615",
					    20);
	}
	free(value);
}

/* A key with quotes alone needs all of its bytes. */
static void test_last_key(void **state)
{
	struct test *t = *state;
	char *value = malloc(BIG);

	memset(value, 'v', BIG);
	for (size_t n = LIMIT_LOG_LINE - 30; n < LIMIT_LOG_LINE; n++) {
		log_line_value(&t->line, "k", value, n);
		log_line_quoted(&t->line, "text", "", 0);
		assert_true(t->line.size <= LIMIT_LOG_LINE);
		end_line(t);
		if (strchr(t->text, ' ') != NULL)
			assert_string_equal(strchr(t->text, ' '),
					    " text=\"\"\n");
	}
	free(value);
}

static void test_long_text(void **state)
{
	struct test *t = *state;
	char *text = malloc(BIG);

	memset(text, 't', BIG - 1);
	text[BIG - 1] = '\0';
	log_text(&t->log, "prefix: ", text, BIG - 1);
	read_log(t);
	assert_memory_equal(t->text, "prefix: ttt", 11);
	assert_int_equal(strlen(t->text), LIMIT_LOG_LINE);
	log_printf(&t->log, "%s", text);
	assert_int_equal(strlen(read_log(t)), LIMIT_LOG_LINE);
	assert_ptr_equal(strchr(t->text, '\n'), t->text + LIMIT_LOG_LINE - 1);
	free(text);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_each_byte),     TEST(test_values),
		TEST(test_utf8),          TEST(test_forging),
		TEST(test_keys),          TEST(test_text),
		TEST(test_longest_value), TEST(test_cut_values),
		TEST(test_full_line),     TEST(test_last_key),
		TEST(test_long_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
