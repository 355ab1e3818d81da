/* SPDX-License-Identifier: BSD-2-Clause */

/* Which texts are prepared: found by text, the least recently used one goes. */

#include "db/pg_statements.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"

static unsigned add(struct pg_statements *s, const char *text,
		    unsigned *ret_dropped)
{
	unsigned dropped = 12345;
	unsigned n = pg_statements_add(s, text, strlen(text), &dropped);

	assert_int_not_equal(n, 0);
	assert_int_not_equal(dropped, 12345);
	*ret_dropped = dropped;
	return n;
}

static unsigned find(struct pg_statements *s, const char *text)
{
	return pg_statements_find(s, text, strlen(text));
}

static void test_find(void **state)
{
	struct pg_statements s;
	unsigned a, b, dropped;

	pg_statements_init(&s);
	assert_int_equal(find(&s, "SELECT 1"), 0);
	a = add(&s, "SELECT 1", &dropped);
	assert_int_equal(dropped, 0);
	b = add(&s, "SELECT 10", &dropped);
	assert_int_not_equal(a, b);
	assert_int_equal(find(&s, "SELECT 1"), a);
	assert_int_equal(find(&s, "SELECT 10"), b);
	assert_int_equal(find(&s, "SELECT"), 0);
	pg_statements_remove(&s, "SELECT 1", 8, b); /* another's number */
	assert_int_equal(find(&s, "SELECT 1"), a);
	pg_statements_remove(&s, "SELECT 1", 8, a);
	assert_int_equal(find(&s, "SELECT 1"), 0);
	assert_int_equal(find(&s, "SELECT 10"), b);
	pg_statements_clear(&s);
	assert_int_equal(find(&s, "SELECT 10"), 0);
	/* a number never comes twice on a connection */
	assert_true(add(&s, "SELECT 10", &dropped) > b);
	pg_statements_clear(&s);
	pg_statements_clear(&s);
}

static void test_least_recently_used(void **state)
{
	struct pg_statements s;
	unsigned first, second, dropped;
	char text[32];

	pg_statements_init(&s);
	first = add(&s, "first", &dropped);
	second = add(&s, "second", &dropped);
	for (int i = 2; i < LIMIT_PG_STATEMENTS; i++) {
		snprintf(text, sizeof(text), "SELECT %d", i);
		add(&s, text, &dropped);
		assert_int_equal(dropped, 0);
	}
	assert_int_equal(find(&s, "first"), first);
	add(&s, "one more", &dropped);
	assert_int_equal(dropped, second);
	assert_int_equal(find(&s, "second"), 0);
	assert_int_equal(find(&s, "first"), first);
	for (int i = 0; i < 5 * LIMIT_PG_STATEMENTS; i++) {
		snprintf(text, sizeof(text), "UPDATE %d", i);
		add(&s, text, &dropped);
		assert_int_not_equal(dropped, 0);
		assert_int_not_equal(find(&s, text), 0);
	}
	assert_int_equal(find(&s, "first"), 0);
	pg_statements_clear(&s);
}

static void test_name(void **state)
{
	char buf[PG_STATEMENT_NAME];

	assert_string_equal(pg_statement_name(4294967295u, buf),
			    "qrelay_4294967295");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_least_recently_used),
		cmocka_unit_test(test_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
