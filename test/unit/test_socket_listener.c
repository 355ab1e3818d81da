/* SPDX-License-Identifier: BSD-2-Clause */
#include "listening.h"

static void test_listen(void **state)
{
	struct socket_address at = in_folder("s");
	struct socket_listener l;

	(void)state;
	assert_int_equal(socket_connect(&at), -ENOENT);
	l = must_listen(&at);
	assert_int_equal(count_files(), 1);
	assert_answers(&at, l.fd);
	socket_listener_close(&l);
	assert_int_equal(count_files(), 0);
	assert_int_equal(l.fd, -1);
	socket_listener_close(&l);
}

static void test_no_directory(void **state)
{
	struct socket_address at = in_folder("missing/s");

	(void)state;
	assert_refused(&at, ENOENT, "cannot open its directory");
	at = in_folder("file/s");
	the_path[strlen(the_path) - 2] = '\0';
	make_file(the_path);
	assert_refused(&at, ENOTDIR, "cannot look at it");
}

/* Whoever may not connect cannot tell a stale socket from a living one. */
static void test_no_permission(void **state)
{
	struct socket_address at = in_folder("s");
	bool root = geteuid() == 0;

	(void)state;
	leave_stale(&at);
	assert_int_equal(chmod(the_path, 0), 0);
	assert_int_equal(chmod(folder, 0755), 0);
	if (root)
		assert_int_equal(seteuid(65534), 0);
	assert_refused(&at, EACCES,
		       "cannot tell whether another process listens on it");
	at = in_folder("new");
	if (root)
		assert_refused(&at, EACCES,
			       "cannot make a socket in its directory");
	if (root)
		assert_int_equal(seteuid(0), 0);
	assert_int_equal(count_files(), 1);
}

/* Names of every size around the longest, in a folder with a long path. */
static void test_long_path(void **state)
{
	(void)state;
	for (size_t size = 90; size <= 107; size++) {
		char deep[128], name[256];
		struct socket_address at;
		struct socket_listener l;

		snprintf(deep, sizeof(deep), "%s/", folder);
		while (strlen(deep) < size - 2)
			strcat(deep, "d");
		assert_int_equal(mkdir(deep, 0700), 0);
		snprintf(name, sizeof(name), "%s/s", deep);
		assert_int_equal(strlen(name), size);
		at = address(name);
		leave_stale(&at);
		l = must_listen(&at);
		assert_string_equal(l.path, name);
		assert_answers(&at, l.fd);
		assert_refused(&at, EADDRINUSE,
			       "another process listens on it");
		socket_listener_close(&l);
		assert_int_equal(rmdir(deep), 0); /* nothing is left */
	}
}

static void test_mode(void **state)
{
	const mode_t masks[] = {0, 022, 077, 0777};
	const mode_t modes[] = {0666, 0660, 0600, 0, 0777, 0622};
	mode_t saved = umask(0);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(masks); i++) {
		for (size_t j = 0; j < ARRAY_SIZE(modes); j++) {
			struct socket_address at = in_folder("s");
			struct socket_listener l;
			struct socket_error error;
			struct stat st;

			umask(masks[i]);
			assert_int_equal(
				socket_listen(&at, modes[j], 16, &l, &error),
				0);
			assert_int_equal(lstat(the_path, &st), 0);
			assert_int_equal(st.st_mode, S_IFSOCK | modes[j]);
			assert_int_equal(umask(masks[i]), masks[i]);
			socket_listener_close(&l);
		}
	}
	umask(saved);
}

static void test_close_keeps_others(void **state)
{
	struct socket_address at = in_folder("s");
	struct socket_listener old = must_listen(&at), new;

	(void)state;
	assert_int_equal(unlink(the_path), 0);
	new = must_listen(&at);
	socket_listener_close(&old);
	assert_answers(&at, new.fd);
	assert_int_equal(unlink(the_path), 0);
	make_file(the_path);
	socket_listener_close(&new);
	assert_int_equal(count_files(), 1);
}

static void test_abstract(void **state)
{
	struct socket_address at;
	struct socket_listener l;
	char name[64];

	(void)state;
	snprintf(name, sizeof(name), "@%s", folder);
	at = address(name);
	l = must_listen(&at);
	assert_answers(&at, l.fd);
	assert_refused(&at, EADDRINUSE, "another process listens on it");
	socket_listener_close(&l);
	l = must_listen(&at);
	socket_listener_close(&l);
	assert_int_equal(count_files(), 0);
}

/* Listens on a free port of `text`'s address and notes it in `*at`. */
static struct socket_listener listen_tcp(const char *text,
					 struct socket_address *at)
{
	struct socket_listener l;

	*at = address(text);
	at->in.sin_port = 0; /* in6's lies there too */
	l = must_listen(at);
	assert_int_equal(getsockname(l.fd, &at->sa, &at->size), 0);
	return l;
}

static void test_tcp(void **state)
{
	struct socket_address at, all, all6;
	struct socket_listener l = listen_tcp("127.0.0.1", &at), l6;
	int client, server;

	(void)state;
	assert_refused(&at, EADDRINUSE, "another process listens on it");

	/* a connection that the server ends stays in TIME_WAIT */
	client = socket_connect(&at);
	assert_true(client >= 0);
	assert_int_equal(write(client, "x", 1), 1); /* else it comes later */
	server = accept(l.fd, NULL, NULL);
	assert_true(server >= 0);
	close(server);
	close(client);
	socket_listener_close(&l);
	l = must_listen(&at);
	socket_listener_close(&l);

	/* both families on one port */
	l6 = listen_tcp("::", &all6);
	all = address("0.0.0.0");
	all.in.sin_port = all6.in6.sin6_port;
	l = must_listen(&all);
	socket_listener_close(&l);
	socket_listener_close(&l6);

	at = address("192.0.2.1:628");
	assert_refused(&at, EADDRNOTAVAIL,
		       "it is not an address of this machine");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_listen),        TEST(test_no_directory),
		TEST(test_no_permission), TEST(test_long_path),
		TEST(test_mode),          TEST(test_close_keeps_others),
		TEST(test_abstract),      TEST(test_tcp),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
