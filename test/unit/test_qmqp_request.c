/* SPDX-License-Identifier: BSD-2-Clause */
#include "proto/qmqp_request.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "base/block.h"
#include "base/limits.h"
#include "proto/mail.h"
#include "support/mail_bytes.h"

#define MAX_SIZE 1024
#define MAX_RECIPIENTS 3

static struct block_pool pool;

static void add(struct buffer *b, const char *data, size_t size)
{
	assert_int_equal(buffer_add(b, data, size), 0);
}

static void add_netstring(struct buffer *b, const char *data, size_t size)
{
	char length[NETSTRING_LENGTH_MAX];

	add(b, length, netstring_print(length, size));
	add(b, data, size);
	add(b, ",", 1);
}

/* The inner netstrings in an outer one; empties `content`. */
static struct buffer wrap(struct buffer *content)
{
	struct buffer b = BUFFER_EMPTY;

	add_netstring(&b, content->data, content->size);
	buffer_deinit(content);
	return b;
}

static struct buffer request(const char *message, size_t message_size,
			     const char *sender, const char *const *recipients)
{
	struct buffer b = BUFFER_EMPTY;

	add_netstring(&b, message, message_size);
	add_netstring(&b, sender, strlen(sender));
	for (; *recipients != NULL; recipients++)
		add_netstring(&b, *recipients, strlen(*recipients));
	return wrap(&b);
}

/* Feeds one span, from memory that ends with it, into the chain too. */
static enum qmqp_request_result feed(struct qmqp_request *r, const char *data,
				     size_t size, size_t *used)
{
	char *copy = exact(data, size);
	enum qmqp_request_result result;

	chain_put(&r->mail->chain, data, size);
	result = qmqp_request_feed(r, copy, size, used);
	free(copy);
	return result;
}

static void begin(struct qmqp_request *r, struct mail *m)
{
	mail_init(m, &pool);
	qmqp_request_init(r, m, MAX_SIZE, MAX_RECIPIENTS);
}

/* A request that shows its fault with its last byte, and nothing before. */
static void check_fault(const char *wire, size_t size,
			enum qmqp_request_result fault)
{
	struct qmqp_request r;
	struct mail m;
	size_t used;

	begin(&r, &m);
	for (size_t i = 0; i < size; i++) {
		enum qmqp_request_result result;

		used = 77;
		result = feed(&r, wire + i, 1, &used);
		if (i + 1 == size && result == fault)
			break;
		if (i + 1 == size || result != QMQP_REQUEST_MORE)
			fail_msg("%.*s: %d at byte %zu, not %d at %zu",
				 (int)size, wire, result, i + 1, fault, size);
		assert_int_equal(used, 1);
	}
	assert_int_equal(used, 77);
	mail_deinit(&m);

	for (size_t cut = 0; cut < size; cut++) {
		begin(&r, &m);
		assert_int_equal(feed(&r, wire, cut, &used), QMQP_REQUEST_MORE);
		assert_int_equal(used, cut);
		assert_int_equal(feed(&r, wire + cut, size - cut, &used),
				 fault);
		mail_deinit(&m);
	}
}

static void check_fault_string(const char *wire, enum qmqp_request_result fault)
{
	check_fault(wire, strlen(wire), fault);
}

/* What a whole request must have become. */
struct expected {
	const char *message;
	size_t message_size;
	const char *sender;
	const char *const *recipients;
	bool crlf, continues;
};

static void check_mail(const struct mail *m, const struct expected *e)
{
	size_t at = 0, n = 0, size;
	const char *s;

	assert_int_equal(m->message_size, e->message_size);
	for (size_t i = 0; i < e->message_size; i++) {
		size_t one;

		s = chain_at(&m->chain, m->message_offset + i, 1, &one);
		assert_int_equal(*s, e->message[i]);
	}
	assert_int_equal(m->sender.size, strlen(e->sender));
	if (m->sender.size > 0)
		assert_memory_equal(m->sender.data, e->sender, m->sender.size);
	while ((s = mail_recipient(m, &at, &size)) != NULL) {
		assert_non_null(e->recipients[n]);
		assert_int_equal(size, strlen(e->recipients[n]));
		assert_memory_equal(s, e->recipients[n], size);
		n++;
	}
	assert_null(e->recipients[n]);
	assert_int_equal(m->n_recipients, n);
	assert_int_equal(m->crlf, e->crlf);
	assert_int_equal(m->continues, e->continues);
}

/* In one piece with more behind it, in every two pieces, byte by byte. */
static void check_done(const char *wire, size_t size, const struct expected *e)
{
	struct buffer more = BUFFER_EMPTY;
	struct qmqp_request r;
	struct mail m;
	size_t used;

	add(&more, wire, size);
	add(&more, "3:x", 3);
	begin(&r, &m);
	assert_int_equal(feed(&r, more.data, more.size, &used),
			 QMQP_REQUEST_DONE);
	assert_int_equal(used, size);
	check_mail(&m, e);
	assert_int_equal(feed(&r, "x", 1, &used), QMQP_REQUEST_DONE);
	assert_int_equal(used, 0);
	mail_deinit(&m);
	buffer_deinit(&more);

	for (size_t cut = 0; cut < size; cut++) {
		begin(&r, &m);
		assert_int_equal(feed(&r, wire, cut, &used), QMQP_REQUEST_MORE);
		assert_int_equal(used, cut);
		assert_int_equal(feed(&r, wire + cut, size - cut, &used),
				 QMQP_REQUEST_DONE);
		assert_int_equal(used, size - cut);
		check_mail(&m, e);
		mail_deinit(&m);
	}

	begin(&r, &m);
	for (size_t i = 0; i < size; i++) {
		assert_int_equal(feed(&r, wire + i, 1, &used),
				 i + 1 < size ? QMQP_REQUEST_MORE
					      : QMQP_REQUEST_DONE);
		assert_int_equal(used, 1);
	}
	check_mail(&m, e);
	mail_deinit(&m);
}

static void check_request(const char *message, size_t message_size,
			  const char *sender, const char *const *recipients,
			  bool crlf, bool continues)
{
	struct buffer b = request(message, message_size, sender, recipients);
	struct expected e = {message,    message_size, sender,
			     recipients, crlf,         continues};

	check_done(b.data, b.size, &e);
	buffer_deinit(&b);
}

static void test_whole(void **state)
{
	static const char *const one[] = {"r@x", NULL};
	static const char *const three[] = {"root", "\"a b\"@c", "#@[]", NULL};
	static const char *const same[] = {"r", "r", NULL};

	(void)state;
	check_request("A: b\n\nbody\n", 11, "s@x", one, false, false);
	check_request("A: b\r\n\r\nbody\r\n", 14, "", three, true, false);
	check_request("", 0, "", same, false, false);
	check_request("0:,\0\xff,9:", 8, "#@[]", one, false, false);
}

/* The first line decides how lines end, wherever the cuts are. */
static void test_first_line(void **state)
{
	static const struct {
		const char *message;
		bool crlf, continues;
	} cases[] = {
		{"\n", false, false},       {"\r\n", true, false},
		{"\r", false, false},       {"\rx\n", false, false},
		{"a\r\r\n", true, false},   {"a\rb\n", false, false},
		{"a\n\r\n", false, false},  {"a\r\nb\n", true, false},
		{"a\r", false, false},      {"a", false, false},
		{" ", false, true},         {"\t", false, true},
		{" a\r\n b\n", true, true}, {"\ta\n", false, true},
		{"a \n", false, false},     {"\n b\n", false, false},
		{"\v\n", false, false},
	};
	static const char *const one[] = {"r", NULL};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		check_request(cases[i].message, strlen(cases[i].message), "s",
			      one, cases[i].crlf, cases[i].continues);
}

static void test_malformed(void **state)
{
	static const char *const bad[] = {
		/* lengths that are none */
		":",
		",",
		"a",
		"-",
		"+",
		" ",
		"00",
		"01",
		"1 ",
		"1000000000000000000",
		"50:a",
		"50:-",
		"50:00",
		"50:05",
		"50::",
		"50:3:abc,:",
		"50:3:abc,x",
		"50:3:abc,00",
		"50:3:abc,0:,x",
		"50:3:abc,0:,01",
		"50:3:abc,0:,1:x,,",
		/* too short for any request */
		"0:",
		"9:",
		/* too short for the message and the least envelope */
		"10:1:",
		"10:123456789:",
		"50:41:",
		"50:2000:",
		"50:999999999999999999:",
		"10:1234567890:",
		/* … for the sender and the least recipient */
		"12:0:,3:",
		"50:0:,999:",
		"50:0:,2000:",
		/* … for the recipient */
		"10:0:,0:,2:",
		"12:0:,0:,4:",
		"50:0:,0:,99:",
		"14:0:,0:,6:",
		"12:0:,0:,1:x,",
		"13:0:,0:,1:x,",
		/* no recipient, an empty one */
		"6:",
		"50:0:,0:,0:",
		"14:0:,0:,1:x,0:",
		"10:0:,0:,0:",
		/* a comma missing */
		"50:3:abc:",
		"50:3:abcd",
		"50:0:0",
		"50:3:abc,1:s:",
		"50:3:abc,0:1",
		"50:3:abc,0:,1:r:",
		"50:3:abc,0:,1:rr",
		"10:0:,0:,1:r,:",
		"10:0:,0:,1:r,1",
		"10:0:,0:,1:r,\n",
		/* more in the outer one than it says */
		"10:0:,0:,1:r,4",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		check_fault_string(bad[i], QMQP_REQUEST_MALFORMED);
}

static void test_bad_address(void **state)
{
	static const char *const bad[] = {
		/* shown by the address's last byte */
		"50:0:,3:@ab",
		"50:0:,3:ab@",
		"50:0:,3:a b",
		"50:0:,3:a\nb",
		"50:0:,0:,3:@ab",
		"50:0:,0:,1:a,3:a\tb",
		"50:0:,0:,2:a>",
		/* by the length */
		"2000:0:,1000:",
		"2000:0:,0:,1000:",
		"2000:0:,0:,1:x,1500:",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		check_fault_string(bad[i], QMQP_REQUEST_BAD_ADDRESS);
	check_fault("50:0:,3:a\0b", 11, QMQP_REQUEST_BAD_ADDRESS);
	check_fault("50:0:,0:,3:a\0b", 14, QMQP_REQUEST_BAD_ADDRESS);
}

/* The message: exactly the limit, one byte more. */
static void test_large(void **state)
{
	static const char *const one[] = {"r", NULL};
	char message[MAX_SIZE];

	(void)state;
	memset(message, 'm', sizeof(message));
	check_request(message, MAX_SIZE, "", one, false, false);
	check_fault_string("1100:1025:", QMQP_REQUEST_LARGE);
	check_fault_string("1038:1025:", QMQP_REQUEST_LARGE);
	/* one byte less cannot hold it */
	check_fault_string("1037:1025:", QMQP_REQUEST_MALFORMED);
	check_fault_string("999999999999999999:1025:", QMQP_REQUEST_LARGE);
	check_fault_string("999999999999999999:99999999999999999:",
			   QMQP_REQUEST_LARGE);
}

static void test_many(void **state)
{
	static const char *const three[] = {"r", "s", "t", NULL};
	char address[LIMIT_ADDRESS + 1];
	const char *const longest[] = {address, address, address, NULL};

	(void)state;
	memset(address, 'a', LIMIT_ADDRESS);
	address[LIMIT_ADDRESS] = '\0';

	/* the number */
	check_request("", 0, "", three, false, false);
	check_fault_string("22:0:,0:,1:r,1:s,1:t,1:", QMQP_REQUEST_MANY);
	check_fault_string("2000:0:,0:,1:r,1:s,1:t,1000:", QMQP_REQUEST_MANY);
	check_fault_string("22:0:,0:,1:r,1:s,1:t,2:", QMQP_REQUEST_MALFORMED);
	check_fault_string("22:0:,0:,1:r,1:s,1:t,0:", QMQP_REQUEST_MALFORMED);

	/* the bytes: (MAX_RECIPIENTS + 1) * 1004 behind the message */
	check_request("m", 1, address, longest, false, false);
	check_fault_string("4021:1:", QMQP_REQUEST_MANY);
	check_fault_string("999999999999999999:1:", QMQP_REQUEST_MANY);
	check_fault_string("4020:1:m,0:,0:", QMQP_REQUEST_MALFORMED);
}

/* Of a message nothing is read behind its first line: what is passed here as the
 * rest of it is not there. */
static void test_untouched(void **state)
{
	static const char start[] = "1000000019:1000000000:a\r\n";
	struct qmqp_request r;
	struct mail m;
	size_t used;
	void *nowhere =
		mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)state;
	assert_ptr_not_equal(nowhere, MAP_FAILED);
	mail_init(&m, &pool);
	qmqp_request_init(&r, &m, 1000000000, 1);
	assert_int_equal(qmqp_request_feed(&r, start, strlen(start), &used),
			 QMQP_REQUEST_MORE);
	assert_true(m.crlf);
	assert_int_equal(qmqp_request_feed(&r, nowhere, 999999997, &used),
			 QMQP_REQUEST_MORE);
	assert_int_equal(used, 999999997);
	assert_int_equal(qmqp_request_feed(&r, ",0:,1:r,,", 9, &used),
			 QMQP_REQUEST_DONE);
	mail_deinit(&m);
	munmap(nowhere, 4096);
}

static void test_strerror(void **state)
{
	(void)state;
	assert_null(qmqp_request_strerror(QMQP_REQUEST_MORE));
	assert_null(qmqp_request_strerror(QMQP_REQUEST_DONE));
	assert_string_equal(qmqp_request_strerror(QMQP_REQUEST_MALFORMED),
			    "malformed input");
	assert_string_equal(qmqp_request_strerror(QMQP_REQUEST_BAD_ADDRESS),
			    "bad address");
	assert_string_equal(qmqp_request_strerror(QMQP_REQUEST_MANY),
			    "too many recipients");
	assert_string_equal(qmqp_request_strerror(QMQP_REQUEST_LARGE),
			    "message too large");
	assert_non_null(qmqp_request_strerror(QMQP_REQUEST_MEMORY));
}

static int setup(void **state)
{
	(void)state;
	block_pool_init(&pool);
	return 0;
}

/* Fails if a mail kept a block. */
static int teardown(void **state)
{
	(void)state;
	block_pool_deinit(&pool);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_first_line),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_bad_address),
		cmocka_unit_test(test_large),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_untouched),
		cmocka_unit_test(test_strerror),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
