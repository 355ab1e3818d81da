/* SPDX-License-Identifier: BSD-2-Clause */
#include "proto/qmqp_reply.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/mail_bytes.h"

static enum qmqp_reply_result feed(struct qmqp_reply *r, const char *data,
				   size_t size)
{
	char *copy = exact(data, size);
	enum qmqp_reply_result result = qmqp_reply_feed(r, copy, size);

	free(copy);
	return result;
}

static void check_text(const struct qmqp_reply *r, const char *text,
		       size_t size)
{
	assert_int_equal(r->size, size);
	assert_memory_equal(r->text, text, size);
}

/* A whole reply: told with its last byte and not before; in one piece, in every
 * two, byte by byte, and with more behind it. */
static void check_done(const char *wire, size_t size, const char *text,
		       size_t text_size)
{
	struct qmqp_reply r;
	char *more = malloc(size + 3);

	assert_non_null(more);
	for (size_t cut = 0; cut <= size; cut++) {
		qmqp_reply_reset(&r);
		assert_int_equal(feed(&r, wire, cut),
				 cut < size ? QMQP_REPLY_MORE
					    : QMQP_REPLY_DONE);
		assert_int_equal(feed(&r, wire + cut, size - cut),
				 QMQP_REPLY_DONE);
		check_text(&r, text, text_size);
	}

	qmqp_reply_reset(&r);
	for (size_t i = 0; i < size; i++)
		assert_int_equal(feed(&r, wire + i, 1),
				 i + 1 < size ? QMQP_REPLY_MORE
					      : QMQP_REPLY_DONE);
	check_text(&r, text, text_size);

	memcpy(more, wire, size);
	memcpy(more + size, "3:D", 3);
	qmqp_reply_reset(&r);
	assert_int_equal(feed(&r, more, size + 3), QMQP_REPLY_DONE);
	assert_int_equal(feed(&r, "x", 1), QMQP_REPLY_DONE);
	check_text(&r, text, text_size);
	free(more);
}

/* A bad reply, told with its last byte and not before. */
static void check_bad(const char *wire, size_t size)
{
	struct qmqp_reply r;

	for (size_t cut = 0; cut < size; cut++) {
		qmqp_reply_reset(&r);
		assert_int_equal(feed(&r, wire, cut), QMQP_REPLY_MORE);
		assert_int_equal(feed(&r, wire + cut, size - cut),
				 QMQP_REPLY_BAD);
		assert_int_equal(feed(&r, "1:K,", 4), QMQP_REPLY_BAD);
	}
	qmqp_reply_reset(&r);
	for (size_t i = 0; i < size; i++)
		assert_int_equal(feed(&r, wire + i, 1),
				 i + 1 < size ? QMQP_REPLY_MORE
					      : QMQP_REPLY_BAD);
}

static void test_letters(void **state)
{
	(void)state;
	check_done("1:K,", 4, "K", 1);
	check_done("1:Z,", 4, "Z", 1);
	check_done("1:D,", 4, "D", 1);
	check_done("3:Kok,", 6, "Kok", 3);
	check_done("4:Da\0b,", 7, "Da\0b", 4);
	check_done("22:Kok 1700000000 qp 77,,,", 26, "Kok 1700000000 qp 77,,",
		   22);
}

static void test_faults(void **state)
{
	static const char *const bad[] = {
		":",   "0:",     "00",      "01",     "a",    " ",    "-",
		"K",   "1;",     "65537",   "70000",  "3:k",  "3:X",  "3: ",
		"1:,", "3:Kok;", "3:Kok\n", "3:Kokx", "1:KK", "1:K:", "1000000",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		/* 70000 shows at its fifth digit, 1000000 at its sixth */
		size_t size =
			strcmp(bad[i], "1000000") == 0 ? 6 : strlen(bad[i]);

		check_bad(bad[i], size);
	}
	for (int c = 0; c < 256; c++) {
		char wire[] = {'2', ':', (char)c};

		if (c != 'K' && c != 'Z' && c != 'D')
			check_bad(wire, sizeof(wire));
	}
}

/* A reply of `size` bytes, letter included. */
static char *make(size_t size, size_t *ret_size)
{
	char *wire = malloc(size + NETSTRING_LENGTH_MAX + 1);
	size_t n;

	assert_non_null(wire);
	n = netstring_print(wire, size);
	for (size_t i = 0; i < size; i++)
		wire[n + i] = (char)('a' + i % 26);
	wire[n] = 'K';
	wire[n + size] = ',';
	*ret_size = n + size + 1;
	return wire;
}

static void test_kept(void **state)
{
	static const size_t sizes[] = {LIMIT_REPLY - 1, LIMIT_REPLY,
				       LIMIT_REPLY + 1, 2000};

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		size_t size, keep = sizes[i];
		char *wire = make(sizes[i], &size);

		if (keep > LIMIT_REPLY)
			keep = LIMIT_REPLY;
		check_done(wire, size, strchr(wire, ':') + 1, keep);
		free(wire);
	}
}

static void test_longest(void **state)
{
	struct qmqp_reply r;
	size_t size;
	char *wire = make(LIMIT_REPLY_READ, &size);

	(void)state;
	qmqp_reply_reset(&r);
	assert_int_equal(feed(&r, wire, size - 1), QMQP_REPLY_MORE);
	assert_int_equal(feed(&r, wire + size - 1, 1), QMQP_REPLY_DONE);
	check_text(&r, strchr(wire, ':') + 1, LIMIT_REPLY);
	free(wire);

	/* One byte more is refused as soon as the length is known. */
	wire = make(LIMIT_REPLY_READ + 1, &size);
	check_bad(wire, (size_t)(strchr(wire, ':') - wire));
	free(wire);
}

static void test_print(void **state)
{
	char text[LIMIT_REPLY_TEXT + 1], buf[QMQP_REPLY_WIRE_MAX + 1];

	(void)state;
	memset(text, 't', sizeof(text));
	assert_int_equal(qmqp_reply_print(buf, 'Z', NULL, 0), 4);
	assert_memory_equal(buf, "1:Z,", 4);
	assert_int_equal(qmqp_reply_print(buf, 'K', "ok", 2), 6);
	assert_memory_equal(buf, "3:Kok,", 6);

	for (size_t size = 0; size <= sizeof(text); size++) {
		size_t keep = size < LIMIT_REPLY_TEXT ? size : LIMIT_REPLY_TEXT;
		struct qmqp_reply r;
		size_t n;

		memset(buf, '#', sizeof(buf));
		n = qmqp_reply_print(buf, 'D', text, size);
		assert_true(n <= QMQP_REPLY_WIRE_MAX);
		assert_int_equal(n, netstring_wire_size(1 + keep));
		assert_int_equal(buf[n], '#');
		qmqp_reply_reset(&r);
		assert_int_equal(feed(&r, buf, n), QMQP_REPLY_DONE);
		assert_int_equal(r.size, 1 + keep);
		assert_int_equal(r.text[0], 'D');
		assert_memory_equal(r.text + 1, text, keep);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_letters), cmocka_unit_test(test_faults),
		cmocka_unit_test(test_kept),    cmocka_unit_test(test_longest),
		cmocka_unit_test(test_print),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
