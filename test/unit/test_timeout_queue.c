/* SPDX-License-Identifier: BSD-2-Clause */
/* Who is not touched for the queue's time expires, in order, once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/attr.h"
#include "daemon/timeout_queue.h"
#include "processes.h"

#define TIME .1

struct thing {
	struct timeout_item item;
	double expired;     /* when, or 0 */
	unsigned times;     /* how often */
	unsigned touches;   /* to be done when it expires */
	struct thing *also; /* to be removed when it expires */
};

static struct ev_loop *loop;
static struct timeout_queue queue;
static struct thing things[4];
static double start;
static char order[32];

static void on_expired(struct timeout_item *item)
{
	struct thing *x = container_of(item, struct thing, item);

	assert_true(list_empty(&item->node));
	x->expired = now() - start;
	x->times++;
	order[strlen(order)] = (char)('0' + (x - things));
	if (x->also != NULL)
		timeout_item_remove(&x->also->item);
	if (x->touches > 0) {
		x->touches--;
		timeout_item_touch(item, &queue);
	}
}

static int setup(void **state)
{
	(void)state;
	loop = ev_loop_new(EVFLAG_NOENV);
	memset(&queue, 0xa5, sizeof(queue));
	memset(order, 0, sizeof(order));
	timeout_queue_init(&queue, loop, on_expired);
	timeout_queue_set(&queue, TIME);
	for (int i = 0; i < 4; i++) {
		things[i] = (struct thing){.times = 0};
		timeout_item_init(&things[i].item);
	}
	ev_now_update(loop);
	start = now();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (int i = 0; i < 4; i++) {
		timeout_item_remove(&things[i].item);
		timeout_item_remove(&things[i].item);
	}
	timeout_queue_deinit(&queue);
	assert_false(ev_is_active(&queue.timer));
	ev_loop_destroy(loop);
	return 0;
}

static void touch(int i)
{
	ev_now_update(loop);
	timeout_item_touch(&things[i].item, &queue);
}

/* Until nothing is left to expire. */
static void run_out(void)
{
	double end = now() + patience();

	while (!list_empty(&queue.items) && now() < end)
		run_for(loop, .005);
	assert_true(list_empty(&queue.items));
}

static void test_expires_in_order(void **state)
{
	(void)state;
	touch(2);
	run_for(loop, .03);
	touch(0);
	touch(1);
	run_out();
	assert_string_equal(order, "201");
	assert_true(things[2].expired >= TIME - .001);
	assert_true(things[0].expired >= TIME + .029);
	run_for(loop, 1.5 * TIME);
	assert_string_equal(order, "201");
}

/* Each touch begins its time anew, and puts it at the end. */
static void test_touched(void **state)
{
	(void)state;
	touch(0);
	touch(1);
	for (int i = 0; i < 5; i++) {
		run_for(loop, .04);
		touch(0);
		assert_int_equal(things[0].times, 0);
	}
	run_out();
	assert_string_equal(order, "10");
	assert_true(things[1].expired >= TIME - .001);
	assert_true(things[1].expired < things[0].expired);
	assert_true(things[0].expired >= .2 + TIME - .001);
}

static void test_removed(void **state)
{
	(void)state;
	touch(0);
	touch(1);
	touch(2);
	timeout_item_remove(&things[0].item);
	timeout_item_remove(&things[2].item);
	run_out();
	run_for(loop, 1.5 * TIME);
	assert_string_equal(order, "1");
	/* the queue goes on after it was empty */
	touch(2);
	run_out();
	assert_string_equal(order, "12");
}

/* All three go at once; the callback may touch, and remove others. */
static void test_in_callback(void **state)
{
	(void)state;
	things[0].also = &things[2];
	things[1].touches = 1;
	for (int i = 0; i < 4; i++)
		touch(i);
	run_for(loop, 0);
	run_out();
	assert_string_equal(order, "0131");
	assert_int_equal(things[2].times, 0);
	assert_true(things[1].expired >= 2 * TIME - .001);
}

/* Touching costs no timer, and waiting no turn of the loop. */
static void test_idle(void **state)
{
	unsigned before;

	(void)state;
	timeout_queue_set(&queue, 60.);
	touch(0);
	before = ev_iteration(loop);
	run_for(loop, .1);
	assert_true(ev_iteration(loop) - before < 10);
	assert_true(ev_is_active(&queue.timer));
	assert_ptr_equal(list_first(&queue.items), &things[0].item.node);
	touch(1);
	touch(0);
	assert_ptr_equal(list_first(&queue.items), &things[1].item.node);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_expires_in_order),
		TEST(test_touched),
		TEST(test_removed),
		TEST(test_in_callback),
		TEST(test_idle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
