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
#include "io/mountinfo.h"

static const struct {
	const char *line;
	uint64_t id; /* 0: malformed */
	const char *root;
	const char *mount_point;
	const char *type;
} lines[] = {
	{"41 31 0:38 / /sys/fs/cgroup rw,relatime - cgroup2 cgroup2 rw", 41,
	 "/", "/sys/fs/cgroup", "cgroup2"},
	{"36 35 98:0 /mnt1 /mnt2 rw shared:1 master:2 - ext3 /dev/root rw", 36,
	 "/mnt1", "/mnt2", "ext3"},
	{"1 1 0:1 / /x rw a b c d e f - t", 1, "/", "/x", "t"},
	{"1 1 0:1 /a\\040b /c\\134d rw - t s o", 1, "/a\\040b", "/c\\134d",
	 "t"},
	{"999999999999999999 1 0:1 / /x rw - t", 999999999999999999, "/", "/x",
	 "t"},
	{"", 0, NULL, NULL, NULL},
	{"41", 0, NULL, NULL, NULL},
	{"41 31 0:38 / /x rw", 0, NULL, NULL, NULL},
	{"41 31 0:38 / /x rw shared:1", 0, NULL, NULL, NULL},
	{"41 31 0:38 / /x rw -", 0, NULL, NULL, NULL},
	{"41 31 0:38 / /x rw - ", 0, NULL, NULL, NULL},
	{"x41 31 0:38 / /x rw - t", 0, NULL, NULL, NULL},
	{" 31 0:38 / /x rw - t", 0, NULL, NULL, NULL},
	{"1000000000000000000 1 0:1 / /x rw - t", 0, NULL, NULL, NULL},
	{"-1 31 0:38 / /x rw - t", 0, NULL, NULL, NULL},
};

static void check(const struct mountinfo *m, size_t i)
{
	assert_int_equal(m->id, lines[i].id);
	assert_true(mountinfo_is(&m->root, lines[i].root));
	assert_true(mountinfo_is(&m->mount_point, lines[i].mount_point));
	assert_true(mountinfo_is(&m->type, lines[i].type));
}

/* Each line alone, with and without a line feed. */
static void test_lines(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2 * ARRAY_SIZE(lines); i++) {
		size_t size = strlen(lines[i / 2].line);
		char *copy = malloc(size + 1); /* no NUL to rely on */
		const char *p = copy;
		struct mountinfo m = {.id = 77};

		memcpy(copy, lines[i / 2].line, size);
		if (i % 2)
			copy[size++] = '\n';
		if (lines[i / 2].id != 0) {
			assert_true(mountinfo_next(&p, &size, &m));
			check(&m, i / 2);
			m.id = 77;
		}
		assert_false(mountinfo_next(&p, &size, &m));
		assert_int_equal(size, 0);
		assert_int_equal(m.id, 77);
		free(copy);
	}
}

/* All of them in one text: the malformed ones are passed over. */
static void test_text(void **state)
{
	char text[4096] = "";
	struct mountinfo m;
	const char *p = text;
	size_t size;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		strcat(text, lines[i].line);
		strcat(text, "\n");
	}
	size = strlen(text);
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		if (lines[i].id == 0)
			continue;
		assert_true(mountinfo_next(&p, &size, &m));
		check(&m, i);
	}
	assert_false(mountinfo_next(&p, &size, &m));
}

static const struct {
	const char *field;
	const char *text; /* NULL: -EINVAL */
} escapes[] = {
	{"/sys/fs/cgroup", "/sys/fs/cgroup"},
	{"/a\\040b\\011c\\012d\\134e", "/a b\tc\nd\\e"},
	{"\\057\\377", "/\xff"},
	{"", ""},
	{"/a\\", NULL},
	{"/a\\04", NULL},
	{"/a\\048", NULL},
	{"/a\\400", NULL},
	{"/a\\000", NULL},
	{"/a\\x41", NULL},
};

static void test_unescape(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(escapes); i++) {
		struct mountinfo_field f = {escapes[i].field,
					    strlen(escapes[i].field)};
		char buf[64];
		int r = mountinfo_unescape(&f, buf, sizeof(buf));

		assert_int_equal(r, escapes[i].text ? 0 : -EINVAL);
		if (escapes[i].text != NULL)
			assert_string_equal(buf, escapes[i].text);
	}
}

static void test_unescape_room(void **state)
{
	struct mountinfo_field f = {"/a\\040", 6};
	char *buf = malloc(4);

	(void)state;
	assert_int_equal(mountinfo_unescape(&f, buf, 4), 0);
	assert_int_equal(mountinfo_unescape(&f, buf, 3), -ENAMETOOLONG);
	assert_int_equal(mountinfo_unescape(&f, buf, 0), -ENAMETOOLONG);
	f.size = 0;
	assert_int_equal(mountinfo_unescape(&f, buf, 0), -ENAMETOOLONG);
	free(buf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_unescape),
		cmocka_unit_test(test_unescape_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
