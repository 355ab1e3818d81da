/* SPDX-License-Identifier: BSD-2-Clause */
/* A complaint that repeats is logged once in ten seconds, with a count. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/limits.h"
#include "base/log.h"
#include "daemon/complaint.h"

static struct complaint complaint;
static struct log the_log;
static FILE *file;

static int setup(void **state)
{
	(void)state;
	complaint = (struct complaint){0};
	file = tmpfile();
	log_init(&the_log, fileno(file));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	log_deinit(&the_log);
	fclose(file);
	return 0;
}

/* What a complaint at that time adds to the log. */
static void assert_logs(double when, const char *wanted)
{
	char text[200];
	off_t before = lseek(fileno(file), 0, SEEK_END);
	ssize_t n;

	complaint_log(&complaint, &the_log, when, "accept", EMFILE);
	assert_true(log_flush(&the_log));
	n = pread(fileno(file), text, sizeof(text) - 1, before);
	assert_true(n >= 0);
	text[n] = '\0';
	assert_string_equal(text, wanted);
}

#define FIRST "accept: Too many open files\n"
#define AGAIN(n)                       \
	"accept: Too many open files " \
	"(and " #n " times since the last message)\n"

static void test_once_in_a_while(void **state)
{
	(void)state;
	assert_logs(1e9, FIRST);
	assert_logs(1e9, "");
	assert_logs(1e9 + 1, "");
	assert_logs(1e9 + LIMIT_COMPLAINT_INTERVAL - .1, "");
	assert_logs(1e9 + LIMIT_COMPLAINT_INTERVAL, AGAIN(3));
	assert_logs(1e9 + LIMIT_COMPLAINT_INTERVAL + 1, "");
	assert_logs(1e9 + 2 * LIMIT_COMPLAINT_INTERVAL, AGAIN(1));
	assert_logs(1e9 + 1000, FIRST);
}

/* A clock that is set back does not silence it for hours. */
static void test_clock_set_back(void **state)
{
	(void)state;
	assert_logs(1e9, FIRST);
	assert_logs(1e9 + 1, "");
	assert_logs(1e9 - 7200, AGAIN(1));
	assert_logs(1e9 - 7199, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_once_in_a_while, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_clock_set_back, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
