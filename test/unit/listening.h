/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_TEST_LISTENING_H
#define QRELAY_TEST_LISTENING_H

/*
 * What the tests of listening share: each has a folder of its own that is gone
 * afterwards, and speaks of one file in it.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/attr.h"
#include "io/socket.h"

static char folder[32];
static char the_path[160]; /* of the last in_folder() */

static inline int setup(void **state)
{
	(void)state;
	strcpy(folder, "/tmp/test_listen.XXXXXX");
	return mkdtemp(folder) == NULL ? -1 : 0;
}

static inline int teardown(void **state)
{
	char command[160];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	return system(command);
}

static inline struct socket_address address(const char *text)
{
	struct socket_address a = {0};

	assert_int_equal(sockaddr_parse(text, strlen(text), &a), 0);
	return a;
}

static inline struct socket_address in_folder(const char *name)
{
	snprintf(the_path, sizeof(the_path), "%s/%s", folder, name);
	return address(the_path);
}

static inline int count_files(void)
{
	DIR *dir = opendir(folder);
	int n = 0;

	assert_non_null(dir);
	while (readdir(dir) != NULL)
		n++;
	closedir(dir);
	return n - 2; /* "." and ".." */
}

/* Listens, or tells why not by -errno and `*ret_text`. */
static inline int try_listen(const struct socket_address *at, int backlog,
			     struct socket_listener *l, const char **ret_text)
{
	struct socket_error error = {0};
	int r;

	*l = SOCKET_LISTENER_EMPTY;
	r = socket_listen(at, 0666, backlog, l, &error);
	*ret_text = error.text;
	if (r < 0) {
		assert_int_equal(error.code, -r);
		assert_non_null(error.text);
		assert_int_equal(l->fd, -1);
		assert_null(l->path);
	}
	return r;
}

static inline struct socket_listener
must_listen(const struct socket_address *at)
{
	struct socket_listener l;
	const char *text;

	assert_int_equal(try_listen(at, 16, &l, &text), 0);
	assert_true(l.fd >= 0);
	assert_int_equal(fcntl(l.fd, F_GETFD), FD_CLOEXEC);
	assert_true(fcntl(l.fd, F_GETFL) & O_NONBLOCK);
	return l;
}

static inline void assert_refused(const struct socket_address *at, int error,
				  const char *words)
{
	struct socket_listener l;
	const char *text;

	assert_int_equal(try_listen(at, 16, &l, &text), -error);
	assert_string_equal(text, words);
}

/* A client gets through. */
static inline void assert_answers(const struct socket_address *at, int listener)
{
	int client = socket_connect(at), server;

	assert_true(client >= 0);
	assert_int_equal(fcntl(client, F_GETFD), FD_CLOEXEC);
	assert_true(fcntl(client, F_GETFL) & O_NONBLOCK);
	server = accept(listener, NULL, NULL);
	assert_true(server >= 0);
	close(server);
	close(client);
}

/* Leaves a socket file that nobody listens on. */
static inline void leave_stale(const struct socket_address *at)
{
	struct socket_listener l = must_listen(at);

	close(l.fd);
	free(l.path);
	assert_int_equal(socket_connect(at), -ECONNREFUSED);
}

static inline void make_file(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);

	assert_true(fd >= 0);
	close(fd);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif
