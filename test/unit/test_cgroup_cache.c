/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "io/cgroup_cache.h"

static void test_remembers(void **state)
{
	static struct cgroup_cache c;

	(void)state;
	cgroup_cache_init(&c);
	assert_null(cgroup_cache_get(&c, 0));
	assert_null(cgroup_cache_get(&c, 63));
	cgroup_cache_put(&c, 63, "/a");
	cgroup_cache_put(&c, 64, "/b");
	assert_string_equal(cgroup_cache_get(&c, 63), "/a");
	assert_string_equal(cgroup_cache_get(&c, 64), "/b");
	/* the same low bits, another generation */
	assert_null(cgroup_cache_get(&c, 63 + ((uint64_t)1 << 32)));
	cgroup_cache_deinit(&c);
	assert_null(cgroup_cache_get(&c, 63));
	cgroup_cache_deinit(&c);
}

static void test_bounded(void **state)
{
	static struct cgroup_cache c;
	char path[32];
	unsigned kept = 0;

	(void)state;
	cgroup_cache_init(&c);
	for (uint64_t id = 1; id <= 3 * LIMIT_CGROUP_CACHE; id++) {
		snprintf(path, sizeof(path), "/%u", (unsigned)id);
		cgroup_cache_put(&c, id, path);
	}
	for (uint64_t id = 1; id <= 3 * LIMIT_CGROUP_CACHE; id++)
		if (cgroup_cache_get(&c, id) != NULL) {
			snprintf(path, sizeof(path), "/%u", (unsigned)id);
			assert_string_equal(cgroup_cache_get(&c, id), path);
			kept++;
		}
	assert_int_equal(kept, LIMIT_CGROUP_CACHE);
	cgroup_cache_deinit(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_remembers),
		cmocka_unit_test(test_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
