/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/attr.h"
#include "base/limits.h"
#include "io/proc_cgroup.h"

static const struct {
	const char *text;
	const char *path; /* NULL: it fails */
	int error;
} cases[] = {
	{"0::/\n", "/", 0},
	{"0::/a/b\n", "/a/b", 0},
	{"9:name=systemd:/x\n4:memory:/y\n0::/z\n", "/z", 0},
	{"0::/z\n1:cpu:/y\n", "/z", 0},
	{"0::/a/b (deleted)\n", "/a/b (deleted)", 0},
	{"0::/../..\n", "/../..", 0},
	{"0::/with space:and:colons\n", "/with space:and:colons", 0},
	{"0::/\xc3\xa9\x01\n", "/\xc3\xa9\x01", 0},
	{"", NULL, -ENODATA},
	{"9:name=systemd:/x\n4:memory:/y\n", NULL, -ENODATA},
	{"10::/x\n", NULL, -ENODATA},
	{"1:name=0:::/x\n", NULL, -ENODATA},
	{"0:cpu:/x\n", NULL, -ENODATA},
	{"0:\n", NULL, -ENODATA},
	{"\n\n", NULL, -ENODATA},
	{"0::/cut", NULL, -EINVAL},
	{"0::\n", NULL, -EINVAL},
	{"0::relative\n", NULL, -EINVAL},
};

static void test_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		size_t size = strlen(cases[i].text), n = 77;
		char *copy = malloc(size + 1); /* no NUL to rely on */
		const char *path = "untouched";

		memcpy(copy, cases[i].text, size);
		int r = proc_cgroup_parse(copy, size, &path, &n);

		assert_int_equal(r, cases[i].error);
		if (cases[i].path != NULL) {
			assert_int_equal(n, strlen(cases[i].path));
			assert_memory_equal(path, cases[i].path, n);
		} else {
			assert_string_equal(path, "untouched");
			assert_int_equal(n, 77);
		}
		free(copy);
	}
}

static void test_nul(void **state)
{
	static const char text[] = "0::/a\0b\n";
	const char *path;
	size_t n;

	(void)state;
	assert_int_equal(proc_cgroup_parse(text, sizeof(text) - 1, &path, &n),
			 -EINVAL);
}

static void test_longest(void **state)
{
	char text[LIMIT_CGROUP_PATH + 16] = "0::/";
	const char *path;
	size_t n;

	(void)state;
	memset(text + 4, 'x', LIMIT_CGROUP_PATH);
	text[3 + LIMIT_CGROUP_PATH] = '\n';
	assert_int_equal(
		proc_cgroup_parse(text, 4 + LIMIT_CGROUP_PATH, &path, &n), 0);
	assert_int_equal(n, LIMIT_CGROUP_PATH);

	text[3 + LIMIT_CGROUP_PATH] = 'x';
	text[4 + LIMIT_CGROUP_PATH] = '\n';
	assert_int_equal(
		proc_cgroup_parse(text, 5 + LIMIT_CGROUP_PATH, &path, &n),
		-ENAMETOOLONG);
}

static void test_foreign(void **state)
{
	(void)state;
	assert_true(proc_cgroup_is_foreign("/.."));
	assert_true(proc_cgroup_is_foreign("/../x"));
	assert_true(proc_cgroup_is_foreign("/../.."));
	assert_true(proc_cgroup_is_foreign("/a/../b"));
	assert_false(proc_cgroup_is_foreign("/"));
	assert_false(proc_cgroup_is_foreign("/a"));
	assert_false(proc_cgroup_is_foreign("/..a/b.."));
	assert_false(proc_cgroup_is_foreign("/.../a"));
}

static void test_deleted(void **state)
{
	(void)state;
	assert_true(proc_cgroup_looks_deleted("/a (deleted)"));
	assert_false(proc_cgroup_looks_deleted("/a (deleted)/b"));
	assert_false(proc_cgroup_looks_deleted("/a(deleted)"));
	assert_false(proc_cgroup_looks_deleted("/"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),   cmocka_unit_test(test_nul),
		cmocka_unit_test(test_longest), cmocka_unit_test(test_foreign),
		cmocka_unit_test(test_deleted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
