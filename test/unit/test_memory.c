/* SPDX-License-Identifier: BSD-2-Clause */

/* What a mail does when memory runs out: every allocation on its way fails once. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/block.h"
#include "out_of_memory.h"
#include "proto/mail.h"
#include "proto/qmqp_request.h"

static const char wire[] = "39:7:A: b\r\nX,10:sender@x.y,5:a@b.c,4:root,,";

/* Steps of a mail's life: 0 or -ENOMEM. */

static int receive(struct mail *m, struct qmqp_request *r)
{
	enum qmqp_request_result result;
	struct iovec iov[6];
	size_t used;
	int n = chain_space(&m->chain, 5 * BLOCK_SIZE, iov, 6);

	if (n < 0)
		return n;
	assert_true(n >= 1 && n <= 5);
	memcpy(iov[0].iov_base, wire, strlen(wire));
	chain_commit(&m->chain, strlen(wire));

	result = qmqp_request_feed(r, wire, strlen(wire), &used);
	if (result == QMQP_REQUEST_MEMORY)
		return -ENOMEM;
	assert_int_equal(result, QMQP_REQUEST_DONE);
	assert_int_equal(m->sender.size, 10);
	assert_memory_equal(m->sender.data, "sender@x.y", 10);
	assert_int_equal(m->recipients.size, 15);
	assert_memory_equal(m->recipients.data, "5:a@b.c,4:root,", 15);
	return 0;
}

static int change(struct mail *m)
{
	enum mail_header_error e;
	int r = mail_set_sender(m, "other@x.y", 9);

	if (r < 0) {
		/* the old one is still there */
		assert_int_equal(r, -ENOMEM);
		assert_memory_equal(m->sender.data, "sender@x.y", 10);
		return r;
	}
	e = mail_insert_header(m, "Name", 4, "value", 5);
	if (e == MAIL_HEADER_MEMORY)
		return -ENOMEM;
	assert_int_equal(e, MAIL_HEADER_OK);
	return 0;
}

/* Runs a mail whose allocation number `n` fails; returns whether one did. */
static bool run(struct block_pool *pool, int n)
{
	struct qmqp_request request;
	struct iovec iov[16];
	struct mail m;
	size_t size = 0;
	bool any;
	int r;

	mail_init(&m, pool);
	qmqp_request_init(&request, &m, 1024, 10);
	begin_failing(n, 1);
	r = receive(&m, &request);
	if (r == 0)
		r = change(&m);
	if (r == 0)
		r = mail_seal(&m, "here");
	any = stop_failing();
	if (r < 0) {
		assert_int_equal(r, -ENOMEM);
		assert_true(any);
		assert_false(m.sealed);
		mail_deinit(&m);
		return true;
	}
	n = mail_iov(&m, MAIL_QMQP, 0, iov, 16);
	for (int i = 0; i < n; i++)
		size += iov[i].iov_len;
	assert_int_equal(size, mail_wire_size(&m, MAIL_QMQP));
	mail_deinit(&m);
	return any;
}

static void test_each_allocation(void **state)
{
	int n = 0;

	(void)state;
	for (bool any = true; any; n++) {
		struct block_pool pool;

		block_pool_init(&pool);
		any = run(&pool, n);
		block_pool_deinit(&pool);
	}
	/* blocks and their table, sender, recipients, the new sender, a header,
	 * head and tail: less means that nothing was wrapped */
	assert_true(n > 10);
}

/* With less memory there is less space, but there is some. */
static void test_less_space(void **state)
{
	void *others[BLOCK_SLAB - 2];
	struct block_pool pool;
	struct iovec iov[6];
	struct chain c;

	(void)state;
	block_pool_init(&pool);
	chain_init(&c, &pool);
	begin_failing(0, 1);
	assert_int_equal(chain_space(&c, 5 * BLOCK_SIZE, iov, 6), -ENOMEM);
	begin_failing(1, 1); /* the table, not the first block */
	assert_int_equal(chain_space(&c, 5 * BLOCK_SIZE, iov, 6), -ENOMEM);
	assert_true(stop_failing());

	/* The pool has two left and cannot get more. */
	for (size_t i = 0; i < BLOCK_SLAB - 2; i++) {
		others[i] = block_get(&pool);
		assert_non_null(others[i]);
	}
	for (int n = 0; n < 2; n++) {
		begin_failing(0, 1);
		assert_int_equal(chain_space(&c, 5 * BLOCK_SIZE, iov, 6), 2);
		assert_true(stop_failing());
	}
	assert_int_equal(chain_space(&c, 5 * BLOCK_SIZE, iov, 6), 5);
	for (size_t i = 0; i < BLOCK_SLAB - 2; i++)
		block_put(&pool, others[i]);
	chain_deinit(&c);
	block_pool_deinit(&pool);
}

/* Sealing again after a failure gives the same mail as sealing once. */
static void test_seal_again(void **state)
{
	(void)state;
	for (int n = 0; n < 2; n++) {
		struct block_pool pool;
		struct mail m;
		struct iovec iov;

		block_pool_init(&pool);
		mail_init(&m, &pool);
		assert_int_equal(mail_insert_header(&m, "A", 1, "b", 1), 0);
		begin_failing(n, 1);
		assert_int_equal(mail_seal(&m, NULL), -ENOMEM);
		assert_true(stop_failing());
		assert_int_equal(mail_seal(&m, NULL), 0);
		assert_int_equal(mail_iov(&m, MAIL_RAW, 0, &iov, 1), 1);
		assert_int_equal(iov.iov_len, 5);
		assert_memory_equal(iov.iov_base, "A: b\n", 5);
		mail_deinit(&m);
		block_pool_deinit(&pool);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_allocation),
		cmocka_unit_test(test_less_space),
		cmocka_unit_test(test_seal_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
