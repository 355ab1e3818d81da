/* SPDX-License-Identifier: BSD-2-Clause */
#include "listening.h"

/* Listening on a path where something lies already. */

/* What stands in for somebody else between the look at a path and the
 * replacement; linked with --wrap=renameat2. */
static void (*before_rename)(const char *path);
static int rename_error;

int __real_renameat2(int, const char *, int, const char *, unsigned);
int __wrap_renameat2(int, const char *, int, const char *, unsigned);

int __wrap_renameat2(int old_dir, const char *old_path, int new_dir,
		     const char *new_path, unsigned flags)
{
	void (*hook)(const char *) = before_rename;

	before_rename = NULL;
	if (hook != NULL)
		hook(the_path);
	if (rename_error != 0) {
		errno = rename_error;
		return -1;
	}
	return __real_renameat2(old_dir, old_path, new_dir, new_path, flags);
}

static void test_stale(void **state)
{
	struct socket_address at = in_folder("s");
	struct socket_listener l;

	(void)state;
	leave_stale(&at);
	l = must_listen(&at);
	assert_int_equal(count_files(), 1);
	assert_answers(&at, l.fd);
	socket_listener_close(&l);
	assert_int_equal(count_files(), 0);
}

static void test_living(void **state)
{
	struct socket_address at = in_folder("s");
	struct socket_listener l = must_listen(&at);
	int client;

	(void)state;
	assert_refused(&at, EADDRINUSE, "another process listens on it");
	assert_int_equal(count_files(), 1);
	client = accept(l.fd, NULL, NULL); /* the probe's */
	assert_true(client >= 0);
	close(client);
	assert_answers(&at, l.fd);
	socket_listener_close(&l);
}

static void test_full_backlog(void **state)
{
	struct socket_address at = in_folder("s");
	int clients[8], n = 0;
	struct socket_listener l;
	const char *text;

	(void)state;
	assert_int_equal(try_listen(&at, 0, &l, &text), 0);
	while (n < 8 && (clients[n] = socket_connect(&at)) >= 0)
		n++;
	assert_in_range(n, 1, 7);
	assert_int_equal(clients[n], -EAGAIN);
	assert_refused(&at, EADDRINUSE, "another process listens on it");
	assert_int_equal(count_files(), 1);
	while (n > 0)
		close(clients[--n]);
	socket_listener_close(&l);
}

/* A datagram socket is alive, though it takes no stream. */
static void test_datagram(void **state)
{
	struct socket_address at = in_folder("s");
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	(void)state;
	assert_int_equal(bind(fd, &at.sa, at.size), 0);
	assert_refused(&at, EADDRINUSE, "another process listens on it");
	close(fd);
}

static void test_other_files(void **state)
{
	struct socket_address file = in_folder("file"), fifo, dir, link, real;
	struct socket_listener l;
	struct stat st;

	(void)state;
	make_file(the_path);
	assert_refused(&file, EEXIST, "it exists and is no socket");
	assert_int_equal(lstat(the_path, &st), 0);
	assert_true(S_ISREG(st.st_mode));

	fifo = in_folder("fifo");
	assert_int_equal(mkfifo(the_path, 0600), 0);
	assert_refused(&fifo, EEXIST, "it exists and is no socket");

	dir = in_folder("dir");
	assert_int_equal(mkdir(the_path, 0700), 0);
	assert_refused(&dir, EEXIST, "it exists and is no socket");
	dir = in_folder("dir/");
	assert_refused(&dir, EISDIR, "it names a directory");

	/* not even where a symbolic link names a stale socket, or nothing */
	real = in_folder("real");
	leave_stale(&real);
	link = in_folder("link");
	assert_int_equal(symlink("real", the_path), 0);
	assert_refused(&link, EEXIST, "it exists and is no socket");
	link = in_folder("dangling");
	assert_int_equal(symlink("nothing", the_path), 0);
	assert_refused(&link, EEXIST, "it exists and is no socket");

	assert_int_equal(count_files(), 6);
	l = must_listen(&real);
	socket_listener_close(&l);
	assert_int_equal(count_files(), 5);
}

static void intrude_file(const char *path)
{
	unlink(path);
	make_file(path);
}

static struct socket_listener intruder;

static void intrude_socket(const char *path)
{
	struct socket_address at = address(path);

	unlink(path);
	intruder = must_listen(&at);
}

static void intrude_nothing(const char *path)
{
	assert_int_equal(unlink(path), 0);
}

static void test_race_file(void **state)
{
	struct socket_address at = in_folder("s");

	(void)state;
	for (int stale = 0; stale < 2; stale++) {
		struct stat st;

		if (stale)
			leave_stale(&at);
		before_rename = intrude_file;
		assert_refused(&at, EBUSY,
			       "another process has just changed it");
		assert_int_equal(count_files(), 1);
		assert_int_equal(lstat(the_path, &st), 0);
		assert_true(S_ISREG(st.st_mode));
		assert_int_equal(unlink(the_path), 0);
	}
}

static void test_race_socket(void **state)
{
	struct socket_address at = in_folder("s");

	(void)state;
	for (int stale = 0; stale < 2; stale++) {
		if (stale)
			leave_stale(&at);
		before_rename = intrude_socket;
		assert_refused(&at, EBUSY,
			       "another process has just changed it");
		assert_int_equal(count_files(), 1);
		assert_answers(&at, intruder.fd);
		socket_listener_close(&intruder);
		assert_int_equal(count_files(), 0);
	}
}

static void test_race_gone(void **state)
{
	struct socket_address at = in_folder("s");

	(void)state;
	leave_stale(&at);
	before_rename = intrude_nothing;
	assert_refused(&at, EBUSY, "another process has just changed it");
	assert_int_equal(count_files(), 0);
}

/* A file system without the flags of renameat2(2); and one that fails. */
static void test_plain_rename(void **state)
{
	struct socket_address at = in_folder("s");
	struct socket_listener l;

	(void)state;
	rename_error = EINVAL;
	l = must_listen(&at);
	assert_answers(&at, l.fd);
	socket_listener_close(&l);
	leave_stale(&at);
	l = must_listen(&at);
	assert_int_equal(count_files(), 1);
	assert_answers(&at, l.fd);
	socket_listener_close(&l);

	rename_error = EROFS;
	assert_refused(&at, EROFS, "cannot move the new socket there");
	rename_error = 0;
	assert_int_equal(count_files(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_stale),        TEST(test_living),
		TEST(test_full_backlog), TEST(test_datagram),
		TEST(test_other_files),  TEST(test_race_file),
		TEST(test_race_socket),  TEST(test_race_gone),
		TEST(test_plain_rename),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
