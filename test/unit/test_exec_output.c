/* SPDX-License-Identifier: BSD-2-Clause */
/* What programs print and how they exit, and what that means. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "exec_fixture.h"

/* SPEC 4: 0 is K, some of sysexits.h and qmail's 100 are D, all else is Z. */
static void test_raw_status(void **state)
{
	static const int hard[] = {64, 65, 67, 68, 72, 77, 78, 100};
	struct test *t = *state;

	RAW("exit 0", "Kok");
	for (int status = 1, i = 0; status < 256; status++) {
		char script[32];

		sprintf(script, "exit %d", status);
		if (status == hard[i]) {
			RAW(script, "Dinternal server error");
			i += i < 7;
		} else {
			RAW(script, "Zinternal server error");
		}
	}
}

static void test_raw_signals(void **state)
{
	struct test *t = *state;

	RAW("kill -KILL $$", "Zinternal server error");
	RAW("echo text; kill -TERM $$", "Ztext");
	RAW("kill -ABRT $$", "Zinternal server error");
}

static void test_raw_text(void **state)
{
	struct test *t = *state;

	RAW("echo queued as 17", "Kqueued as 17");
	RAW("echo out; echo err >&2; echo out", "Kout err out");
	RAW("echo no such user >&2; exit 67", "Dno such user");
	RAW("echo; echo ' \t ' >&2", "Kok");
	RAW("printf '\\n\\000 a\\000b\\033[1m\\177c\\r\\n\\n'", "Ka b [1m c");
	RAW("printf '\\303\\244\\377'", "K\xc3\xa4\xff");
	assert_int_equal(t->n_lines, 0);
}

static void test_raw_text_sizes(void **state)
{
	static const struct {
		int printed, kept;
	} cases[] = {{1, 1}, {254, 254}, {255, 255}, {256, 255}, {MB, 255}};
	struct test *t = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char script[100], wanted[LIMIT_REPLY + 1];

		sprintf(script, "head -c %d /dev/zero | tr '\\0' x",
			cases[i].printed);
		memset(wanted, 'x', sizeof(wanted));
		wanted[0] = 'K';
		wanted[1 + cases[i].kept] = '\0';
		RAW(script, wanted);
	}
	/* what is trimmed is what was kept */
	RAW("printf '%300s' x; exit 1", "Zinternal server error");
}

/* A printed Z or D counts whatever the status, a K only with 0. */
static void test_qmqp_status(void **state)
{
	struct test *t = *state;

	QMQP("printf 3:Kok,", "Kok");
	QMQP("printf 3:Kok,; exit 1", "Zinternal server error");
	QMQP("printf 3:Kok,; exit 100", "Dinternal server error");
	QMQP("printf 3:Kok,; kill -KILL $$", "Zinternal server error");
	QMQP("printf 4:Zbad,", "Zbad");
	QMQP("printf 4:Zbad,; exit 100", "Zbad");
	QMQP("printf 4:Dbad,", "Dbad");
	QMQP("printf 4:Dbad,; exit 75", "Dbad");
	QMQP("printf 4:Dbad,; kill -KILL $$", "Dbad");
	QMQP("printf 2:; sleep .02; printf 'K'; sleep .02; printf x,", "Kx");
	QMQP("printf 1:K,", "K");
}

static void test_qmqp_bad_reply(void **state)
{
	static const char *const bad[] = {
		":",
		"printf K",
		"printf 3:Ko",
		"printf 3:Xok,",
		"printf 0:,",
		"printf 03:Kok,",
		"printf 3:Kok.",
		"echo hello",
		"head -c 70000 /dev/zero",
	};
	struct test *t = *state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char script[100];

		QMQP(bad[i], "Zinternal server error");
		sprintf(script, "%s; exit 77", bad[i]);
		QMQP(script, "Dinternal server error");
		sprintf(script, "%s; exit 1", bad[i]);
		QMQP(script, "Zinternal server error");
	}
}

static void test_qmqp_long_reply(void **state)
{
	struct test *t = *state;
	char wanted[LIMIT_REPLY + 1];

	memset(wanted, 'x', sizeof(wanted));
	wanted[0] = 'K';
	wanted[LIMIT_REPLY] = '\0';
	QMQP("printf 60001:K; head -c 60000 /dev/zero | tr '\\0' x; printf ,",
	     wanted);
	QMQP("printf 3:Kok,; head -c 1000000 /dev/zero", "Kok");
}

static void test_stderr_lines(void **state)
{
	struct test *t = *state;

	QMQP("printf 'one\\n\\ntw' >&2; sleep .02; printf 'o\\nthree' >&2;"
	     "printf 3:Kok,",
	     "Kok");
	assert_string_equal(t->lines, "one\n\ntwo\nthree\n");
	assert_int_equal(t->n_lines, 4);
	QMQP("exit 1", "Zinternal server error");
	assert_int_equal(t->n_lines, 0);
}

static void test_stderr_limits(void **state)
{
	struct test *t = *state;

	QMQP("head -c 513 /dev/zero | tr '\\0' x >&2; echo >&2; echo b >&2;"
	     "printf 3:Kok,",
	     "Kok");
	assert_int_equal(t->n_lines, 2);
	assert_int_equal(strlen(t->lines), 512 + 1 + 2);
	QMQP("seq 1 65 >&2; printf tail >&2; printf 3:Kok,", "Kok");
	assert_int_equal(t->n_lines, 64);
	assert_non_null(strstr(t->lines, "\n64\n"));
	QMQP("head -c 1000000 /dev/zero >&2; printf 3:Kok,", "Kok");
	assert_int_equal(t->n_lines, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_raw_status),      TEST(test_raw_signals),
		TEST(test_raw_text),        TEST(test_raw_text_sizes),
		TEST(test_qmqp_status),     TEST(test_qmqp_bad_reply),
		TEST(test_qmqp_long_reply), TEST(test_stderr_lines),
		TEST(test_stderr_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
