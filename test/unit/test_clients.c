/* SPDX-License-Identifier: BSD-2-Clause */
/* What is counted for each uid, however many there are and whoever leaves. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "daemon/clients.h"

void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);

static bool no_memory;

void *__wrap_calloc(size_t n, size_t size)
{
	return no_memory ? NULL : __real_calloc(n, size);
}

#define N 3000

static struct clients all;

static int setup(void **state)
{
	(void)state;
	no_memory = false;
	return clients_init(&all, 100);
}

static int teardown(void **state)
{
	(void)state;
	clients_deinit(&all);
	clients_deinit(&all);
	return 0;
}

static struct client *add(uid_t uid)
{
	struct client *c = clients_add(&all, uid);

	assert_non_null(c);
	assert_int_equal(c->uid, uid);
	return c;
}

/* The same client while it is connected; a new one starts from nothing. */
static void test_one_uid(void **state)
{
	struct client *c = add(1000);

	(void)state;
	assert_ptr_equal(add(1000), c);
	assert_int_equal(c->connections, 2);
	assert_int_equal(all.connections, 2);
	c->refused = 1;
	clients_remove(&all, c);
	assert_int_equal(c->connections, 1);
	clients_remove(&all, c);
	assert_int_equal(all.connections, 0);
	c = add(1000);
	assert_int_equal(c->connections, 1);
	assert_int_equal(c->refused, 0);
	assert_int_equal(c->bytes, 0);
	clients_remove(&all, c);
}

static void test_bytes(void **state)
{
	struct client *root = add(0), *tcp = add((uid_t)-1);

	(void)state;
	clients_charge(&all, root, 100);
	clients_charge(&all, tcp, 7);
	clients_charge(&all, root, 11);
	assert_int_equal(root->bytes, 111);
	assert_int_equal(tcp->bytes, 7);
	assert_int_equal(all.bytes, 118);
	clients_discharge(&all, root, 61);
	assert_int_equal(root->bytes, 50);
	assert_int_equal(all.bytes, 57);
	clients_discharge(&all, root, 50);
	clients_discharge(&all, tcp, 7);
	assert_int_equal(all.bytes, 0);
	clients_remove(&all, root);
	clients_remove(&all, tcp);
}

/* Far more uids than buckets, in ranges as containers have them; they leave in
 * another order than they came. */
static void test_many(void **state)
{
	static struct client *clients[N];
	uid_t uids[N];

	(void)state;
	for (unsigned i = 0; i < N; i++) {
		uids[i] = (i % 100) * 65536 + i / 100;
		clients[i] = add(uids[i]);
		assert_int_equal(clients[i]->connections, 1);
		clients_charge(&all, clients[i], i);
	}
	assert_int_equal(all.connections, N);
	for (unsigned i = 0; i < N; i++)
		assert_ptr_equal(add(uids[i]), clients[i]);
	assert_int_equal(all.connections, 2 * N);
	for (unsigned i = 0; i < 2 * N; i++) {
		unsigned k = i * 7 % N;

		assert_int_equal(clients[k]->uid, uids[k]);
		if (i >= N) {
			assert_int_equal(clients[k]->bytes, k);
			clients_discharge(&all, clients[k], k);
		}
		clients_remove(&all, clients[k]);
	}
	assert_int_equal(all.connections, 0);
	assert_int_equal(all.bytes, 0);
}

static void test_no_memory(void **state)
{
	struct clients c;
	struct client *old = add(5);

	(void)state;
	no_memory = true;
	assert_null(clients_add(&all, 6));
	assert_int_equal(all.connections, 1);
	assert_ptr_equal(clients_add(&all, 5), old);
	assert_int_equal(clients_init(&c, 10), -ENOMEM);
	clients_deinit(&c);
	no_memory = false;
	clients_remove(&all, old);
	clients_remove(&all, old);
}

/* A table of any size works. */
static void test_sizes(void **state)
{
	static const size_t sizes[] = {0, 1, 16, 17, 65536, 1000000};

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct clients c;
		struct client *x;

		assert_int_equal(clients_init(&c, sizes[i]), 0);
		for (uid_t uid = 0; uid < 10; uid++) {
			x = clients_add(&c, uid << 28);
			assert_non_null(x);
			clients_remove(&c, x);
		}
		clients_deinit(&c);
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_one_uid),   TEST(test_bytes), TEST(test_many),
		TEST(test_no_memory), TEST(test_sizes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
