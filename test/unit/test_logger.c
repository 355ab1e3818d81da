/* SPDX-License-Identifier: BSD-2-Clause */
/* When the log is written: soon, in few writes, and without keeping the loop busy
 * or alive. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/log.h"
#include "daemon/logger.h"
#include "processes.h"

static struct ev_loop *loop;
static struct log the_log;
static struct logger logger;
static int fds[2];
static char text[4 * LIMIT_LOG_BUFFER];

static int setup(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	loop = ev_loop_new(EVFLAG_NOENV);
	assert_int_equal(pipe2(fds, O_NONBLOCK), 0);
	log_init(&the_log, fds[1]);
	logger = (struct logger){.loop = NULL};
	logger_stop(&logger); /* not started: no harm */
	logger_start(&logger, loop, &the_log);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	logger_stop(&logger);
	logger_stop(&logger);
	log_deinit(&the_log);
	ev_loop_destroy(loop);
	close(fds[0]);
	close(fds[1]);
	return 0;
}

static size_t drain(void)
{
	size_t size = 0;
	ssize_t n;

	while ((n = read(fds[0], text + size, sizeof(text) - 1 - size)) > 0)
		size += (size_t)n;
	text[size] = '\0';
	return size;
}

/* The loop has nothing to do but write the log: it ends. */
static void test_keeps_nothing_alive(void **state)
{
	(void)state;
	ev_run(loop, 0);
	log_text(&the_log, "", "one", 3);
	ev_run(loop, 0);
	drain();
	assert_string_equal(text, "one\n");
}

static void test_soon(void **state)
{
	double start = now();

	(void)state;
	run_for(loop, .02);
	for (int i = 0; i < 10; i++) {
		log_text(&the_log, "", "x", 1);
		run_for(loop, .001);
	}
	run_for(loop, .02);
	assert_int_equal(drain(), 20);
	assert_true(now() - start < patience());
}

/* After a quiet while at once; what follows shortly waits for company. */
static void test_together(void **state)
{
	(void)state;
	run_for(loop, .02);
	log_text(&the_log, "", "a", 1);
	run_for(loop, 0.);
	assert_int_equal(drain(), 2);
	ev_now_update(loop);
	logger.written = ev_now(loop); /* however slow we are */
	log_text(&the_log, "", "b", 1);
	ev_run(loop, EVRUN_NOWAIT);
	assert_int_equal(drain(), 0);
	run_for(loop, .05);
	assert_int_equal(drain(), 2);
}

/* A stuck reader costs nothing, and gets all when it goes on. */
static void test_stuck(void **state)
{
	unsigned before;
	size_t size;

	(void)state;
	for (int i = 0; i < 4000; i++)
		log_printf(&the_log, "%099d", i);
	run_for(loop, .02);
	assert_false(log_is_empty(&the_log));
	before = ev_iteration(loop);
	for (int i = 0; i < 5; i++) {
		log_printf(&the_log, "%099d", 4000 + i);
		run_for(loop, .02);
	}
	assert_true(ev_iteration(loop) - before < 30);
	size = drain();
	while (!log_is_empty(&the_log)) {
		run_for(loop, .001);
		size += drain();
	}
	assert_int_equal(size + drain(), 400500);
	/* and is no longer waited for */
	before = ev_iteration(loop);
	run_for(loop, .1);
	assert_true(ev_iteration(loop) - before < 10);
}

static void test_reader_left(void **state)
{
	unsigned before;

	(void)state;
	close(fds[0]);
	log_text(&the_log, "", "lost", 4);
	run_for(loop, .02);
	before = ev_iteration(loop);
	run_for(loop, .1);
	assert_true(ev_iteration(loop) - before < 10);
	fds[0] = dup(fds[1]);
}

/* Stopped with lines that wait: they stay for log_flush_wait(). */
static void test_stopped(void **state)
{
	(void)state;
	log_text(&the_log, "", "last", 4);
	logger_stop(&logger);
	run_for(loop, .02);
	assert_int_equal(drain(), 0);
	log_flush_wait(&the_log, 1000);
	assert_int_equal(drain(), 5);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_keeps_nothing_alive),
		TEST(test_soon),
		TEST(test_together),
		TEST(test_stuck),
		TEST(test_reader_left),
		TEST(test_stopped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
