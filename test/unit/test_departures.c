/* SPDX-License-Identifier: BSD-2-Clause */
/* Mails set out once, in order, before the loop waits, and not too many at a time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/attr.h"
#include "daemon/departures.h"

struct mail {
	struct departure departure;
	char name;
};

static struct ev_loop *loop;
static struct departures all;
static char gone[20]; /* names, in order */
static struct mail mails[10];

static void on_turn(struct departure *d)
{
	struct mail *m = container_of(d, struct mail, departure);

	strncat(gone, &m->name, 1);
	memset(m, 0xa5, sizeof(*m)); /* its owner may have freed it */
}

static int setup(void **state)
{
	(void)state;
	loop = ev_loop_new(EVFLAG_NOENV);
	departures_init(&all, loop);
	all.patience = 3600.; /* this machine may be busy */
	gone[0] = '\0';
	for (int i = 0; i < 10; i++) {
		mails[i].name = (char)('0' + i);
		departure_init(&mails[i].departure, on_turn);
	}
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	departures_deinit(&all);
	departures_deinit(&all);
	ev_loop_destroy(loop);
	return 0;
}

static void add(int i, size_t bytes)
{
	departure_add(&mails[i].departure, &all, bytes);
}

static void test_together(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++)
		add(i, 1000);
	assert_string_equal(gone, "");
	ev_run(loop, EVRUN_NOWAIT);
	assert_string_equal(gone, "012");
	ev_run(loop, EVRUN_NOWAIT);
	assert_string_equal(gone, "012");
	/* and the next turn's */
	add(3, 0);
	ev_run(loop, EVRUN_NOWAIT);
	assert_string_equal(gone, "0123");
}

static void on_timer(EV_P_ ev_timer *w, int revents)
{
	(void)loop, (void)w, (void)revents;
	assert_string_equal(gone, "0");
	strcat(gone, "t");
}

static void test_before_waiting(void **state)
{
	ev_timer timer;

	(void)state;
	add(0, 1);
	ev_timer_init(&timer, on_timer, .01, 0.);
	ev_timer_start(loop, &timer);
	ev_run(loop, EVRUN_ONCE);
	assert_string_equal(gone, "0t");
	/* nothing of it keeps the loop alive */
	ev_run(loop, 0);
}

static void test_large(void **state)
{
	(void)state;
	add(0, 100000);
	add(1, 31071);
	assert_string_equal(gone, "");
	add(2, 1);
	assert_string_equal(gone, "012");
	add(3, 131072);
	assert_string_equal(gone, "0123");
	add(4, 131071);
	assert_string_equal(gone, "0123");
	ev_run(loop, EVRUN_NOWAIT);
	assert_string_equal(gone, "01234");
}

/* Handlers take their time: who has waited for one does not wait for the next. */
static void test_slow(void **state)
{
	(void)state;
	add(0, 1);
	assert_string_equal(gone, "");
	all.patience = .01;
	ev_sleep(.02);
	add(1, 1);
	assert_string_equal(gone, "01");
	/* the time is the turn's, not the mail's */
	ev_sleep(.02);
	add(2, 1);
	assert_string_equal(gone, "012");
	ev_run(loop, EVRUN_NOWAIT);
	assert_string_equal(gone, "012");
}

static void test_cancelled(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++)
		add(i, 1);
	departure_cancel(&mails[1].departure);
	departure_cancel(&mails[1].departure);
	departure_cancel(&mails[5].departure);
	ev_run(loop, EVRUN_NOWAIT);
	assert_string_equal(gone, "02");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_together),  TEST(test_before_waiting),
		TEST(test_large),     TEST(test_slow),
		TEST(test_cancelled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
