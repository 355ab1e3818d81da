/* SPDX-License-Identifier: BSD-2-Clause */
#include "cgroup_tree.h"

#include "base/limits.h"
#include "io/cgroup_mount.h"
#include "io/cgroup_walk.h"

#define NO_ID 0x7fffffffffffffffu

static struct cgroup_mount cgroup2;

static int setup(void **state)
{
	const char *reason;

	(void)state;
	cgroup_mount_init(&cgroup2);
	return cgroup_mount_open(&cgroup2, &reason);
}

static int teardown(void **state)
{
	(void)state;
	cgroup_mount_deinit(&cgroup2);
	return 0;
}

static void assert_found(uint64_t id, const char *path)
{
	struct buffer b = BUFFER_EMPTY;

	assert_int_equal(cgroup_walk(&cgroup2, id, &b), 0);
	assert_string_equal(b.data, path);
	assert_int_equal(b.size, strlen(path) + 1);
	buffer_deinit(&b);
}

static void test_finds(void **state)
{
	struct buffer b = BUFFER_EMPTY;

	(void)state;
	tree_make("/a");
	tree_make("/b");
	tree_make("/b/c");
	tree_make("/b/c/d");
	assert_found(tree_id("/a"), tree_path("/a"));
	assert_found(tree_id("/b/c/d"), tree_path("/b/c/d"));
	assert_found(tree_id("/"), "/");
	assert_int_equal(cgroup_walk(&cgroup2, NO_ID, &b), -ENOENT);
	assert_int_equal(b.size, 0);
	tree_unmake("/b/c/d");
	tree_unmake("/b/c");
	tree_unmake("/b");
	tree_unmake("/a");
}

static void as_nobody(void *id)
{
	struct buffer b = BUFFER_EMPTY;

	CHECK(setgid(65534) == 0 && setuid(65534) == 0);
	CHECK(cgroup_walk(&cgroup2, *(uint64_t *)id, &b) == 0);
	CHECK(strcmp(b.data, tree_path("/b/c")) == 0);
	b.size = 0;
	CHECK(cgroup_walk(&cgroup2, NO_ID, &b) == -ENOENT);
	buffer_deinit(&b);
}

/* What may not be read is passed over. */
static void test_closed_directory(void **state)
{
	uint64_t id;

	(void)state;
	tree_make("/a");
	tree_make("/b");
	tree_make("/b/c");
	id = tree_id("/b/c");
	assert_int_equal(chmod(tree_dir("/a"), 0), 0);
	tree_in_child(as_nobody, &id);
	tree_unmake("/b/c");
	tree_unmake("/b");
	tree_unmake("/a");
}

static void test_bounded(void **state)
{
	struct buffer b = BUFFER_EMPTY;
	const char *reason = "";
	uint64_t id;
	char name[32];

	(void)state;
	for (unsigned i = 0; i < LIMIT_CGROUP_WALK; i++) {
		snprintf(name, sizeof(name), "/%u", i);
		tree_make(name);
	}
	id = tree_id(name);
	assert_found(id, tree_path(name));
	assert_int_equal(cgroup_walk(&cgroup2, NO_ID, &b), -E2BIG);
	assert_int_equal(b.size, 0);

	/* The next search must wait; it says so, and then it works. */
	assert_int_equal(setegid(65534), 0);
	assert_int_equal(seteuid(65534), 0);
	assert_int_equal(cgroup_mount_find(&cgroup2, NO_ID, &b, &reason),
			 -E2BIG);
	assert_non_null(strstr(reason, "too many control groups"));
	assert_int_equal(cgroup_mount_find(&cgroup2, id, &b, &reason), -EAGAIN);
	assert_non_null(strstr(reason, "too many clients"));
	cgroup2.rest_until = 0;
	assert_int_equal(cgroup_mount_find(&cgroup2, id, &b, &reason), 0);
	assert_string_equal(b.data, tree_path(name));
	assert_int_equal(seteuid(0), 0);
	assert_int_equal(setegid(0), 0);

	buffer_deinit(&b);
	for (unsigned i = 0; i < LIMIT_CGROUP_WALK; i++) {
		snprintf(name, sizeof(name), "/%u", i);
		tree_unmake(name);
	}
}

static int run(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_finds, setup, teardown),
		cmocka_unit_test_setup_teardown(test_closed_directory, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_bounded, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
	return tree_main(run);
}
