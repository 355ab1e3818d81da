/* SPDX-License-Identifier: BSD-2-Clause */
#include "cgroup_tree.h"

#include "base/limits.h"
#include "io/cgroup.h"
#include "io/cgroup_mount.h"

static struct cgroup_mount cgroup2;
static struct cgroup_dir dir = {.fd = -1};
static const char *reason;

static struct cgroup *at(struct cgroup *c, const char *path, uint64_t id)
{
	assert_int_equal(cgroup_init(c, &cgroup2, &dir, path, strlen(path), id),
			 0);
	return c;
}

static int setup(void **state)
{
	(void)state;
	cgroup_mount_init(&cgroup2);
	reason = NULL;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	cgroup_dir_close(&dir);
	cgroup_mount_deinit(&cgroup2);
	return 0;
}

static void test_attributes(void **state)
{
	char buf[64];
	struct cgroup c;
	uid_t uid = 77;

	(void)state;
	tree_make("/a");
	tree_set("/a", "user.name", "alice");
	assert_int_equal(setxattr(tree_dir("/a"), "user.bin", "\0\xff\n", 3, 0),
			 0);
	tree_set("/a", "user.empty", "");
	at(&c, tree_path("/a"), tree_id("/a"));

	assert_int_equal(dir.fd, -1); /* nothing before the first use */
	assert_int_equal(cgroup_uid(&c, &uid, &reason), 0);
	assert_int_equal(uid, 0);
	assert_int_equal(chown(tree_dir("/a"), 1234, 4321), 0);
	cgroup_dir_close(&dir);
	assert_int_equal(cgroup_uid(&c, &uid, &reason), 0);
	assert_int_equal(uid, 1234);

	assert_int_equal(
		cgroup_xattr_get(&c, "user.name", buf, sizeof(buf), &reason),
		5);
	assert_memory_equal(buf, "alice", 5);
	assert_int_equal(
		cgroup_xattr_get(&c, "user.bin", buf, sizeof(buf), &reason), 3);
	assert_memory_equal(buf, "\0\xff\n", 3);
	assert_int_equal(
		cgroup_xattr_get(&c, "user.empty", buf, sizeof(buf), &reason),
		0);
	assert_int_equal(cgroup_xattr_get(&c, "user.name", buf, 4, &reason),
			 -ERANGE);
	cgroup_deinit(&c);
	assert_int_equal(dir.fd, -1);
	tree_unmake("/a");
}

static void test_absent(void **state)
{
	char name[LIMIT_XATTR_NAME + 2], buf[64];
	struct cgroup c;

	(void)state;
	tree_make("/a");
	at(&c, tree_path("/a"), tree_id("/a"));
	assert_int_equal(
		cgroup_xattr_get(&c, "user.none", buf, sizeof(buf), &reason),
		-ENODATA);
	assert_int_equal(
		cgroup_xattr_get(&c, "nospace.x", buf, sizeof(buf), &reason),
		-ENODATA);
	assert_int_equal(cgroup_xattr_get(&c, "", buf, sizeof(buf), &reason),
			 -ENODATA);
	assert_int_equal(
		cgroup_xattr_get(&c, "user.", buf, sizeof(buf), &reason),
		-ENODATA);
	memset(name, 'x', sizeof(name));
	memcpy(name, "user.", 5);
	name[LIMIT_XATTR_NAME + 1] = '\0';
	assert_int_equal(cgroup_xattr_get(&c, name, buf, sizeof(buf), &reason),
			 -ENODATA);
	name[LIMIT_XATTR_NAME] = '\0';
	assert_int_equal(cgroup_xattr_get(&c, name, buf, sizeof(buf), &reason),
			 -ENODATA);
	assert_null(reason);
	cgroup_deinit(&c);
	tree_unmake("/a");
}

static void test_large(void **state)
{
	char *value = malloc(LIMIT_XATTR_VALUE);
	char *buf = malloc(LIMIT_XATTR_VALUE);
	struct cgroup c;

	(void)state;
	tree_make("/a");
	for (size_t i = 0; i < LIMIT_XATTR_VALUE; i++)
		value[i] = (char)(i * 31);
	assert_int_equal(setxattr(tree_dir("/a"), "user.big", value,
				  LIMIT_XATTR_VALUE, 0),
			 0);
	at(&c, tree_path("/a"), tree_id("/a"));
	assert_int_equal(cgroup_xattr_get(&c, "user.big", buf,
					  LIMIT_XATTR_VALUE, &reason),
			 LIMIT_XATTR_VALUE);
	assert_memory_equal(buf, value, LIMIT_XATTR_VALUE);
	assert_int_equal(cgroup_xattr_get(&c, "user.big", buf,
					  LIMIT_XATTR_VALUE - 1, &reason),
			 -ERANGE);
	cgroup_deinit(&c);
	tree_unmake("/a");
	free(value);
	free(buf);
}

static void test_list(void **state)
{
	char buf[256];
	struct cgroup c;
	ssize_t n;

	(void)state;
	tree_make("/a");
	at(&c, tree_path("/a"), tree_id("/a"));
	assert_int_equal(cgroup_xattr_list(&c, buf, sizeof(buf), &reason), 0);
	tree_set("/a", "user.one", "1");
	tree_set("/a", "user.two", "2");
	n = cgroup_xattr_list(&c, buf, sizeof(buf), &reason);
	assert_int_equal(n, 18);
	assert_non_null(memmem(buf, (size_t)n, "user.one", 9));
	assert_non_null(memmem(buf, (size_t)n, "user.two", 9));
	assert_int_equal(cgroup_xattr_list(&c, buf, 5, &reason), -ERANGE);
	cgroup_deinit(&c);
	tree_unmake("/a");
}

/* Up to the root, with one descriptor. */
static void test_parents(void **state)
{
	static const char *const names[] = {"/a/b/c", "/a/b", "/a", "/"};
	struct cgroup c[4], none;
	char buf[64];

	(void)state;
	tree_make("/a");
	tree_make("/a/b");
	tree_make("/a/b/c");
	tree_set("/a", "user.at", "a");
	tree_set("/a/b", "user.at", "b");
	tree_set("/a/b/c", "user.at", "c");

	at(&c[0], tree_path("/a/b/c"), tree_id("/a/b/c"));
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(cgroup_parent(&c[i], &c[i + 1], &reason), 1);
	assert_int_equal(cgroup_parent(&c[3], &none, &reason), 0);
	for (size_t i = 0; i < 4; i++) {
		assert_string_equal(c[i].path, tree_path(names[i]));
		assert_int_equal(c[i].id, tree_id(names[i]));
	}
	for (size_t k = 0; k < 3; k++) {
		assert_int_equal(cgroup_xattr_get(&c[k], "user.at", buf,
						  sizeof(buf), &reason),
				 1);
		assert_int_equal(buf[0], "cba"[k]);
		assert_ptr_equal(dir.of, &c[k]);
	}
	for (size_t k = 0; k < 4; k++)
		cgroup_deinit(&c[k]);
	tree_unmake("/a/b/c");
	tree_unmake("/a/b");
	tree_unmake("/a");
}

static void assert_unseen(struct cgroup *c, int error, const char *text)
{
	struct cgroup parent;
	char buf[64];
	uid_t uid;

	reason = "";
	assert_int_equal(cgroup_open(c, &reason), error);
	assert_non_null(strstr(reason, text));
	reason = "";
	assert_int_equal(
		cgroup_xattr_get(c, "user.x", buf, sizeof(buf), &reason),
		error);
	assert_non_null(strstr(reason, text));
	assert_int_equal(cgroup_xattr_list(c, buf, sizeof(buf), &reason),
			 error);
	assert_int_equal(cgroup_uid(c, &uid, &reason), error);
	assert_int_equal(cgroup_parent(c, &parent, &reason), 0);
	cgroup_deinit(c);
}

static void test_removed(void **state)
{
	struct cgroup c;
	uint64_t id;

	(void)state;
	tree_make("/a");
	id = tree_id("/a");
	tree_unmake("/a");
	assert_unseen(at(&c, tree_path("/a"), id), -ENOENT, "removed");
	assert_unseen(at(&c, tree_path("/a (deleted)"), id), -ENOENT,
		      "removed");

	/* made anew under that name it is another group */
	tree_make("/a");
	tree_set("/a", "user.x", "1");
	assert_unseen(at(&c, tree_path("/a"), id), -ENOENT, "removed");
	tree_unmake("/a");
}

/* A group may really be called that: its id tells. */
static void test_called_deleted(void **state)
{
	struct cgroup c;
	char buf[8];

	(void)state;
	tree_make("/a (deleted)");
	tree_set("/a (deleted)", "user.x", "1");
	at(&c, tree_path("/a (deleted)"), tree_id("/a (deleted)"));
	assert_int_equal(
		cgroup_xattr_get(&c, "user.x", buf, sizeof(buf), &reason), 1);
	cgroup_deinit(&c);
	assert_unseen(at(&c, tree_path("/a (deleted)"), 0), -ENOENT, "removed");
	assert_unseen(at(&c, tree_path("/a (deleted)"), tree_id("")), -ENOENT,
		      "removed");
	tree_unmake("/a (deleted)");
}

static void test_foreign(void **state)
{
	struct cgroup c;

	(void)state;
	assert_unseen(at(&c, "/../..", 0), -EXDEV, "cgroup namespace");
	assert_unseen(at(&c, "/../sys", tree_id("")), -EXDEV,
		      "cgroup namespace");
}

/* The parent is what holds the group, not what took its name. */
static void test_parent_replaced(void **state)
{
	struct cgroup c, parent;
	char buf[8];

	(void)state;
	tree_make("/a");
	tree_make("/a/b");
	at(&c, tree_path("/a/b"), tree_id("/a/b"));
	assert_int_equal(cgroup_parent(&c, &parent, &reason), 1);
	tree_unmake("/a/b");
	tree_unmake("/a");
	tree_make("/a");
	tree_set("/a", "user.x", "1");
	assert_int_equal(
		cgroup_xattr_get(&parent, "user.x", buf, sizeof(buf), &reason),
		-ENOENT);
	cgroup_deinit(&c);
	cgroup_deinit(&parent);
	tree_unmake("/a");
}

/* What an ordinary user gets of a directory that is closed to it. */
static void as_nobody(void *arg)
{
	struct cgroup c, parent;
	char buf[8];
	uid_t uid;

	(void)arg;
	CHECK(setgid(65534) == 0 && setuid(65534) == 0);
	CHECK(cgroup_init(&c, &cgroup2, &dir, tree_path("/a/b"),
			  strlen(tree_path("/a/b")), 0) == 0);
	CHECK(cgroup_uid(&c, &uid, &reason) == 0 && uid == 1234);
	CHECK(cgroup_xattr_get(&c, "user.x", buf, sizeof(buf), &reason) ==
	      -EACCES);
	CHECK(strstr(reason, "may not be read"));
	CHECK(cgroup_parent(&c, &parent, &reason) == 1);
	CHECK(cgroup_xattr_get(&parent, "user.x", buf, sizeof(buf), &reason) ==
	      1);
	cgroup_deinit(&parent);
	cgroup_deinit(&c);

	CHECK(cgroup_init(&c, &cgroup2, &dir, tree_path("/a/b/c"),
			  strlen(tree_path("/a/b/c")), 0) == 0);
	CHECK(cgroup_uid(&c, &uid, &reason) == -EACCES);
	CHECK(cgroup_parent(&c, &parent, &reason) == 1);
	CHECK(cgroup_uid(&parent, &uid, &reason) == 0 && uid == 1234);
	cgroup_deinit(&parent);
	cgroup_deinit(&c);
}

static void test_closed_directory(void **state)
{
	(void)state;
	tree_make("/a");
	tree_set("/a", "user.x", "1");
	tree_make("/a/b");
	tree_make("/a/b/c");
	assert_int_equal(chown(tree_dir("/a/b"), 1234, 1234), 0);
	assert_int_equal(chmod(tree_dir("/a/b"), 0700), 0);
	tree_in_child(as_nobody, NULL);
	tree_unmake("/a/b/c");
	tree_unmake("/a/b");
	tree_unmake("/a");
}

static int run(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_attributes, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_absent, setup, teardown),
		cmocka_unit_test_setup_teardown(test_large, setup, teardown),
		cmocka_unit_test_setup_teardown(test_list, setup, teardown),
		cmocka_unit_test_setup_teardown(test_parents, setup, teardown),
		cmocka_unit_test_setup_teardown(test_removed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_called_deleted, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_foreign, setup, teardown),
		cmocka_unit_test_setup_teardown(test_parent_replaced, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_closed_directory, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
	return tree_main(run);
}
