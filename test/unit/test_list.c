/* SPDX-License-Identifier: BSD-2-Clause */
/* A list keeps its order whatever is taken off it, and when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/attr.h"
#include "base/list.h"

struct item {
	int number;
	struct list node;
};

static struct item items[5];
static struct list head;

static int setup(void **state)
{
	(void)state;
	list_init(&head);
	for (int i = 0; i < 5; i++) {
		items[i].number = i;
		list_init(&items[i].node);
		list_append(&head, &items[i].node);
	}
	return 0;
}

/* Both directions tell the same numbers. */
static void assert_list(const char *numbers)
{
	const struct list *node = head.next;
	size_t n = 0;

	for (; node != &head; node = node->next, n++) {
		struct item *item = container_of(node, struct item, node);

		assert_int_equal(item->number, numbers[n] - '0');
		assert_ptr_equal(node->next->prev, node);
	}
	assert_int_equal(numbers[n], '\0');
	for (node = head.prev; node != &head; node = node->prev, n--)
		assert_ptr_equal(node->prev->next, node);
	assert_int_equal(n, 0);
}

static void test_order(void **state)
{
	(void)state;
	assert_list("01234");
	assert_false(list_empty(&head));
	assert_ptr_equal(list_first(&head), &items[0].node);
}

static void test_remove(void **state)
{
	(void)state;
	list_remove(&items[2].node);
	assert_list("0134");
	list_remove(&items[0].node);
	list_remove(&items[4].node);
	assert_list("13");
	assert_ptr_equal(list_first(&head), &items[1].node);
	list_remove(&items[1].node);
	list_remove(&items[3].node);
	assert_list("");
	assert_true(list_empty(&head));
	assert_null(list_first(&head));
}

static void test_remove_twice(void **state)
{
	(void)state;
	list_remove(&items[1].node);
	assert_true(list_empty(&items[1].node));
	list_remove(&items[2].node);
	list_remove(&items[1].node);
	assert_list("034");
}

/* What was taken off can be put back at the end. */
static void test_append_again(void **state)
{
	(void)state;
	list_remove(&items[0].node);
	list_append(&head, &items[0].node);
	assert_list("12340");
	for (int i = 0; i < 5; i++)
		list_remove(&items[i].node);
	list_append(&head, &items[3].node);
	assert_list("3");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_order, setup),
		cmocka_unit_test_setup(test_remove, setup),
		cmocka_unit_test_setup(test_remove_twice, setup),
		cmocka_unit_test_setup(test_append_again, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
