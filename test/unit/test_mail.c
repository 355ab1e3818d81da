/* SPDX-License-Identifier: BSD-2-Clause */
#include "proto/mail.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/block.h"
#include "base/limits.h"
#include "proto/qmqp_request.h"
#include "support/mail_bytes.h"

static struct block_pool pool;

/* A mail as it is after a request: `message` from "s@x" to "r@y" and "t". */
static void receive(struct mail *m, const char *message, size_t size)
{
	struct buffer wire = BUFFER_EMPTY;
	struct qmqp_request r;
	size_t used;

	assert_int_equal(buffer_printf(&wire, "%zu:%zu:",
				       netstring_wire_size(size) + 6 + 6 + 4,
				       size),
			 0);
	assert_int_equal(buffer_add(&wire, message, size), 0);
	assert_int_equal(buffer_printf(&wire, ",3:s@x,3:r@y,1:t,,"), 0);

	mail_init(m, &pool);
	chain_put(&m->chain, wire.data, wire.size);
	qmqp_request_init(&r, m, LIMIT_MAX_SIZE_MAX, 10);
	assert_int_equal(qmqp_request_feed(&r, wire.data, wire.size, &used),
			 QMQP_REQUEST_DONE);
	buffer_deinit(&wire);
}

static void insert(struct mail *m, const char *name, const char *value)
{
	assert_int_equal(
		mail_insert_header(m, name, strlen(name), value, strlen(value)),
		MAIL_HEADER_OK);
}

static void check_form(const struct mail *m, enum mail_form form,
		       const char *expected, size_t size)
{
	static const size_t bites[] = {1, 3, SIZE_MAX};

	assert_int_equal(mail_wire_size(m, form), size);
	for (size_t offset = 0; offset <= size + 3; offset++) {
		for (int max = 1; max <= 6; max++) {
			size_t got, bite = bites[(offset + (size_t)max) % 3];
			char *out =
				mail_bytes(m, form, offset, max, bite, &got);

			assert_int_equal(got,
					 offset < size ? size - offset : 0);
			if (got > 0)
				assert_memory_equal(out, expected + offset,
						    got);
			free(out);
		}
	}
}

/* The headers and the message, in both forms. */
static void check_sent(const struct mail *m, const char *raw,
		       const char *sender)
{
	size_t size = strlen(raw);
	size_t outer = netstring_wire_size(size) +
		       netstring_wire_size(strlen(sender)) + 6 + 4;
	char *expected;
	int n = asprintf(&expected, "%zu:%zu:%s,%zu:%s,3:r@y,1:t,,", outer,
			 size, raw, strlen(sender), sender);

	assert_true(n > 0);
	check_form(m, MAIL_RAW, raw, size);
	check_form(m, MAIL_QMQP, expected, (size_t)n);
	free(expected);
}

static void check_sealed(const char *message, const char *received,
			 const char *raw)
{
	struct mail m;

	receive(&m, message, strlen(message));
	assert_int_equal(mail_seal(&m, received), 0);
	check_sent(&m, raw, "s@x");
	mail_deinit(&m);
}

static void test_plain(void **state)
{
	(void)state;
	check_sealed("A: b\n\nbody\n", NULL, "A: b\n\nbody\n");
	check_sealed("A: b\r\n\r\nbody\r\n", NULL, "A: b\r\n\r\nbody\r\n");
	check_sealed("", NULL, "");
	check_sealed(" ", NULL, " ");
}

static void test_received(void **state)
{
	(void)state;
	check_sealed("A: b\n", "here", "Received: here\nA: b\n");
	check_sealed("A: b\r\nC: d\n", "here",
		     "Received: here\r\nA: b\r\nC: d\n");
	check_sealed("A: b\nC: d\r\n", "here",
		     "Received: here\nA: b\nC: d\r\n");
	check_sealed("", "here", "Received: here\n");
	check_sealed("no line", "", "Received: \nno line");
	check_sealed(" x\n", "here", "Received: here\n\n x\n");
	check_sealed("\tx\r\n", "here", "Received: here\r\n\r\n\tx\r\n");
}

/* The last one inserted stands first, Received stands below them. */
static void test_headers(void **state)
{
	static const struct {
		const char *message, *received, *raw;
	} cases[] = {
		{"A: b\n", "x",
		 "Three: 3\nTwo: \nOne:  1\nReceived: x\nA: b\n"},
		{"A: b\n", NULL, "Three: 3\nTwo: \nOne:  1\nA: b\n"},
		{"A: b\r\n", "x",
		 "Three: 3\r\nTwo: \r\nOne:  1\r\nReceived: x\r\nA: b\r\n"},
		{" c", "x", "Three: 3\nTwo: \nOne:  1\nReceived: x\n\n c"},
		{"\tc\r\n", NULL,
		 "Three: 3\r\nTwo: \r\nOne:  1\r\n\r\n\tc\r\n"},
		{"", NULL, "Three: 3\nTwo: \nOne:  1\n"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct mail m;

		receive(&m, cases[i].message, strlen(cases[i].message));
		insert(&m, "One", " 1");
		insert(&m, "Two", "");
		insert(&m, "Three", "3");
		assert_int_equal(mail_seal(&m, cases[i].received), 0);
		check_sent(&m, cases[i].raw, "s@x");
		mail_deinit(&m);
	}
}

static void test_sender(void **state)
{
	char longest[LIMIT_ADDRESS + 1];
	const char *const senders[] = {"", "x", "other@example.org", longest};

	(void)state;
	memset(longest, 'a', LIMIT_ADDRESS);
	longest[LIMIT_ADDRESS] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(senders); i++) {
		struct mail m;

		receive(&m, "A: b\n", 5);
		assert_int_equal(mail_set_sender(&m, "between", 7), 0);
		assert_int_equal(
			mail_set_sender(&m, senders[i], strlen(senders[i])), 0);
		/* to what it is already */
		assert_int_equal(
			mail_set_sender(&m, m.sender.data, m.sender.size), 0);
		assert_int_equal(mail_seal(&m, NULL), 0);
		check_sent(&m, "A: b\n", senders[i]);
		mail_deinit(&m);
	}
}

static void test_recipients(void **state)
{
	struct mail m;
	size_t at = 0, size;
	const char *s;

	(void)state;
	mail_init(&m, &pool);
	assert_null(mail_recipient(&m, &at, &size));
	mail_deinit(&m);

	receive(&m, "", 0);
	s = mail_recipient(&m, &at, &size);
	assert_int_equal(size, 3);
	assert_memory_equal(s, "r@y", 3);
	s = mail_recipient(&m, &at, &size);
	assert_int_equal(size, 1);
	assert_memory_equal(s, "t", 1);
	assert_null(mail_recipient(&m, &at, &size));
	assert_null(mail_recipient(&m, &at, &size));
	mail_deinit(&m);
}

/* A message in many blocks goes out as it came in. */
static void test_blocks(void **state)
{
	const size_t size = 5 * BLOCK_SIZE + 100;
	char *message = malloc(size);

	(void)state;
	assert_non_null(message);
	for (size_t i = 0; i < size; i++)
		message[i] = (char)(i * 31 + i / 4096);
	for (size_t cut = 0; cut < 3; cut++) {
		static const size_t bites[] = {777, BLOCK_SIZE, SIZE_MAX};
		struct mail m;
		size_t got;
		char *out;

		receive(&m, message, size - cut);
		insert(&m, "A", "b");
		assert_int_equal(mail_seal(&m, NULL), 0);
		for (int max = 1; max <= 10; max += 3) {
			out = mail_bytes(&m, MAIL_RAW, 0, max, bites[cut],
					 &got);
			assert_int_equal(got, 5 + size - cut);
			assert_memory_equal(out, "A: b\n", 5);
			assert_memory_equal(out + 5, message, size - cut);
			free(out);
		}
		mail_deinit(&m);
	}
	free(message);
}

static enum mail_header_error try_header(const char *name, size_t name_size,
					 const char *value, size_t value_size)
{
	char *n = exact(name, name_size), *v = exact(value, value_size);
	enum mail_header_error e;
	struct mail m;

	receive(&m, "", 0);
	e = mail_insert_header(&m, n, name_size, v, value_size);
	assert_int_equal(mail_seal(&m, NULL), 0);
	/* a refused one leaves no trace */
	assert_int_equal(mail_wire_size(&m, MAIL_RAW),
			 e == MAIL_HEADER_OK ? name_size + 2 + value_size + 1
					     : 0);
	mail_deinit(&m);
	free(n);
	free(v);
	return e;
}

static void test_header_bytes(void **state)
{
	(void)state;
	assert_int_equal(try_header("", 0, "v", 1), MAIL_HEADER_NAME);
	for (int c = 0; c < 256; c++) {
		char s[] = {'a', (char)c, 'b'};
		bool name = c >= 33 && c <= 126 && c != ':';
		bool value = c != 0 && c != '\r' && c != '\n' && c < 128;

		assert_int_equal(try_header(s, 3, "v", 1),
				 name ? MAIL_HEADER_OK : MAIL_HEADER_NAME);
		assert_int_equal(try_header(s + 1, 1, "", 0),
				 name ? MAIL_HEADER_OK : MAIL_HEADER_NAME);
		assert_int_equal(try_header("N", 1, s, 3),
				 value ? MAIL_HEADER_OK : MAIL_HEADER_VALUE);
		assert_int_equal(try_header("N", 1, s + 1, 1),
				 value ? MAIL_HEADER_OK : MAIL_HEADER_VALUE);
	}
}

static void test_header_length(void **state)
{
	char s[LIMIT_HEADER_LINE + 1];

	(void)state;
	memset(s, 'x', sizeof(s));
	/* "N: " and the value */
	assert_int_equal(try_header("N", 1, s, LIMIT_HEADER_LINE - 3),
			 MAIL_HEADER_OK);
	assert_int_equal(try_header("N", 1, s, LIMIT_HEADER_LINE - 2),
			 MAIL_HEADER_LONG);
	assert_int_equal(try_header(s, LIMIT_HEADER_LINE - 2, "", 0),
			 MAIL_HEADER_OK);
	assert_int_equal(try_header(s, LIMIT_HEADER_LINE - 2, "v", 1),
			 MAIL_HEADER_LONG);
	assert_int_equal(try_header(s, LIMIT_HEADER_LINE - 1, "", 0),
			 MAIL_HEADER_LONG);
	assert_int_equal(try_header(s, LIMIT_HEADER_LINE, s, sizeof(s)),
			 MAIL_HEADER_LONG);
}

/* As many as LIMIT_ADDED_HEADERS bytes hold, in time that does not grow with the
 * square of their number. */
static void test_header_many(void **state)
{
	const size_t n = LIMIT_ADDED_HEADERS / 8;
	clock_t begin = clock();
	struct mail m;
	size_t got;
	char *out;

	(void)state;
	receive(&m, "x\r\n", 3);
	for (size_t i = 0; i < n; i++) {
		char name[2] = {(char)('A' + i % 26), 'x'};
		char value[3] = {(char)('a' + i / 26 % 26), 'v', 'w'};

		assert_int_equal(mail_insert_header(&m, name, 2, value, 3),
				 MAIL_HEADER_OK);
	}
	assert_int_equal(mail_insert_header(&m, "N", 1, "", 0),
			 MAIL_HEADER_MANY);
	assert_int_equal(mail_seal(&m, NULL), 0);
	assert_int_equal(mail_wire_size(&m, MAIL_RAW), n * 9 + 3);

	out = mail_bytes(&m, MAIL_RAW, 0, 16, SIZE_MAX, &got);
	assert_int_equal(got, n * 9 + 3);
	for (size_t i = 0; i < n; i++) {
		char line[9] = "Ax: avw\r\n";
		size_t k = n - 1 - i;

		line[0] = (char)('A' + k % 26);
		line[4] = (char)('a' + k / 26 % 26);
		assert_memory_equal(out + i * 9, line, 9);
	}
	assert_memory_equal(out + n * 9, "x\r\n", 3);
	free(out);
	mail_deinit(&m);
	assert_true(clock() - begin < 10 * CLOCKS_PER_SEC);
}

static void test_strerror(void **state)
{
	(void)state;
	assert_null(mail_header_strerror(MAIL_HEADER_OK));
	for (int e = MAIL_HEADER_NAME; e <= MAIL_HEADER_MEMORY; e++)
		assert_non_null(
			mail_header_strerror((enum mail_header_error)e));
}

static void test_deinit(void **state)
{
	struct mail m;

	(void)state;
	mail_init(&m, &pool);
	mail_deinit(&m);
	mail_deinit(&m);
	receive(&m, "x", 1);
	insert(&m, "A", "b");
	assert_int_equal(mail_seal(&m, "y"), 0);
	mail_deinit(&m);
	assert_int_equal(pool.n_used, 0);
	assert_false(m.sealed);
	assert_null(m.sender.data);
	mail_deinit(&m);
}

/* Whether changing a sealed mail ends the program, as our own faults do. */
static bool aborts(void (*change)(struct mail *m))
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		struct rlimit no_core = {0, 0};
		struct mail m;

		setrlimit(RLIMIT_CORE, &no_core);
		if (freopen("/dev/null", "w", stderr) == NULL)
			_exit(1);
		signal(SIGABRT, SIG_DFL);
		receive(&m, "x", 1);
		if (mail_seal(&m, NULL) == 0)
			change(&m);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void change_nothing(struct mail *m)
{
	(void)m;
}

static void change_sender(struct mail *m)
{
	(void)!mail_set_sender(m, "a", 1);
}

static void change_headers(struct mail *m)
{
	(void)!mail_insert_header(m, "A", 1, "b", 1);
}

static void seal(struct mail *m)
{
	(void)!mail_seal(m, NULL);
}

static void test_sealed(void **state)
{
	(void)state;
	assert_false(aborts(change_nothing));
	assert_true(aborts(change_sender));
	assert_true(aborts(change_headers));
	assert_true(aborts(seal));
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
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_received),
		cmocka_unit_test(test_headers),
		cmocka_unit_test(test_sender),
		cmocka_unit_test(test_recipients),
		cmocka_unit_test(test_blocks),
		cmocka_unit_test(test_header_bytes),
		cmocka_unit_test(test_header_length),
		cmocka_unit_test(test_header_many),
		cmocka_unit_test(test_strerror),
		cmocka_unit_test(test_deinit),
		cmocka_unit_test(test_sealed),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
