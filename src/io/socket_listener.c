/* SPDX-License-Identifier: BSD-2-Clause */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "io/socket.h"

/*
 * Listening.  A socket file appears at its path complete: listening, with its
 * mode.  What lies there before is replaced only if it is a socket that nobody
 * listens on, and if it is still the same at the moment of the replacement.
 */

/* Tries for a temporary name that is free. */
#define NAME_TRIES 16

/* ".q-" and eight hexadecimal digits */
#define NAME_MAX_SIZE 12

static int fail(struct socket_error *ret_error, int code, const char *text)
{
	*ret_error = (struct socket_error){.code = code, .text = text};
	return -code;
}

/* Why bind(2) failed. */
static const char *bind_text(int code)
{
	switch (code) {
	case EADDRINUSE:
		return "another process listens on it";
	case EADDRNOTAVAIL:
		return "it is not an address of this machine";
	case EACCES:
	case EPERM:
		return "no permission to bind it";
	default:
		return "cannot bind it";
	}
}

static int new_socket(const struct socket_address *at)
{
	int fd = socket(at->sa.sa_family,
			SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	/* cppcheck-suppress resourceLeak ; errno is not 0 */
	return fd < 0 ? -errno : fd;
}

/* TCP, and abstract names. */
static int listen_at_name(const struct socket_address *at, int backlog,
			  struct socket_listener *ret_listener,
			  struct socket_error *ret_error)
{
	const int on = 1;
	int fd, r;

	fd = new_socket(at);
	if (fd < 0)
		return fail(ret_error, -fd, "cannot make a socket");
	if (!sockaddr_is_unix(at) &&
	    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0) {
		r = fail(ret_error, errno, "cannot set SO_REUSEADDR");
		goto fail;
	}
	if (at->sa.sa_family == AF_INET6 &&
	    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) < 0) {
		r = fail(ret_error, errno, "cannot set IPV6_V6ONLY");
		goto fail;
	}
	if (bind(fd, &at->sa, at->size) < 0) {
		r = fail(ret_error, errno, bind_text(errno));
		goto fail;
	}
	/* With SO_REUSEADDR a port in use may show only now. */
	if (listen(fd, backlog) < 0) {
		r = fail(ret_error, errno, bind_text(errno));
		goto fail;
	}
	*ret_listener = (struct socket_listener){.fd = fd};
	return 0;
fail:
	fd_close(&fd);
	return r;
}

/* A socket on its way to its path. */
struct attempt {
	const struct socket_address *at; /* borrowed */
	const char *path;                /* of `at` */
	const char *base;                /* its last part */

	int dir;   /* owned: its directory */
	int stale; /* owned: what is to be replaced, held open so that its
		    * inode number cannot be given to another; or -1 */
	struct socket_listener listener; /* owned */
	char name[NAME_MAX_SIZE];        /* while it is a temporary one */
};

/* Undoes all that has been done. */
static void give_up(struct attempt *a)
{
	if (a->name[0] != '\0')
		(void)unlinkat(a->dir, a->name, 0);
	free(a->listener.path);
	fd_close(&a->listener.fd);
	fd_close(&a->stale);
	fd_close(&a->dir);
}

/*
 * Whether somebody listens on the socket file: 0 if not, -EADDRINUSE if so.  A
 * full backlog is EAGAIN; a living socket of another type is EPROTOTYPE.
 */
static int probe(const struct socket_address *at)
{
	int fd = socket_connect(at);

	if (fd == -ECONNREFUSED || fd == -ENOENT)
		return 0;
	if (fd >= 0 || fd == -EAGAIN || fd == -EPROTOTYPE) {
		fd_close(&fd);
		return -EADDRINUSE;
	}
	return fd;
}

static int look_at_path(struct attempt *a, struct socket_error *ret_error)
{
	struct stat st;
	int r;

	a->stale = open(a->path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (a->stale < 0)
		return errno == ENOENT
			       ? 0
			       : fail(ret_error, errno, "cannot look at it");
	if (fstat(a->stale, &st) < 0)
		return fail(ret_error, errno, "cannot look at it");
	if (!S_ISSOCK(st.st_mode))
		return fail(ret_error, EEXIST, "it exists and is no socket");
	r = probe(a->at);
	if (r == -EADDRINUSE)
		return fail(ret_error, EADDRINUSE, bind_text(EADDRINUSE));
	if (r < 0)
		return fail(
			ret_error, -r,
			"cannot tell whether another process listens on it");
	return 0;
}

static int open_directory(struct attempt *a, struct socket_error *ret_error)
{
	char text[sizeof(a->at->un.sun_path)];

	snprintf(text, sizeof(text), "%.*s", (int)(a->base - a->path), a->path);
	a->dir = open(text, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (a->dir < 0)
		return fail(ret_error, errno, "cannot open its directory");
	return 0;
}

/*
 * The address of `name` in the directory.  Where that is too long, the directory
 * is named by its descriptor.
 */
static int temporary_address(const struct attempt *a, const char *name,
			     struct socket_address *ret_address)
{
	char text[sizeof(a->at->un.sun_path) + NAME_MAX_SIZE];

	snprintf(text, sizeof(text), "%.*s%s", (int)(a->base - a->path),
		 a->path, name);
	if (strlen(text) >= sizeof(a->at->un.sun_path))
		snprintf(text, sizeof(text), "/proc/self/fd/%d/%s", a->dir,
			 name);
	return sockaddr_parse(text, strlen(text), ret_address);
}

/* Binds the socket to a free name in the directory. */
static int bind_temporary(struct attempt *a, mode_t mode)
{
	for (int i = 0; i < NAME_TRIES; i++) {
		struct socket_address at;
		char name[NAME_MAX_SIZE];
		uint32_t random;
		mode_t saved;
		int r;

		if (getrandom(&random, sizeof(random), GRND_NONBLOCK) < 0)
			random = (uint32_t)getpid() + (uint32_t)i;
		snprintf(name, sizeof(name), ".q-%08x", random);
		r = temporary_address(a, name, &at);
		if (r < 0)
			return r;
		/* bind(2) makes the file with 0777 & ~umask. */
		saved = umask(~mode & 0777);
		r = bind(a->listener.fd, &at.sa, at.size) < 0 ? -errno : 0;
		umask(saved);
		if (r == 0)
			memcpy(a->name, name, sizeof(name));
		if (r != -EADDRINUSE)
			return r;
	}
	return -EADDRINUSE;
}

static int make_socket(struct attempt *a, mode_t mode, int backlog,
		       struct socket_error *ret_error)
{
	struct stat st;
	int r;

	a->listener.path = strdup(a->path);
	if (a->listener.path == NULL)
		return fail(ret_error, ENOMEM, "no memory");
	a->listener.fd = new_socket(a->at);
	if (a->listener.fd < 0)
		return fail(ret_error, -a->listener.fd, "cannot make a socket");
	r = bind_temporary(a, mode);
	if (r < 0)
		return fail(ret_error, -r,
			    "cannot make a socket in its directory");
	if (listen(a->listener.fd, backlog) < 0)
		return fail(ret_error, errno, "cannot listen");
	if (fstatat(a->dir, a->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return fail(ret_error, errno, "cannot look at the new socket");
	a->listener.dev = st.st_dev;
	a->listener.ino = st.st_ino;
	return 0;
}

static bool is_stale(const struct attempt *a, const char *name)
{
	struct stat was, now;

	return fstat(a->stale, &was) == 0 &&
	       fstatat(a->dir, name, &now, AT_SYMLINK_NOFOLLOW) == 0 &&
	       was.st_dev == now.st_dev && was.st_ino == now.st_ino;
}

/* Moves the new socket to where the stale one is, or nothing is.  -EBUSY if that
 * has changed since. */
static int replace(struct attempt *a)
{
	unsigned flags = a->stale >= 0 ? RENAME_EXCHANGE : RENAME_NOREPLACE;

	if (renameat2(a->dir, a->name, a->dir, a->base, flags) < 0) {
		if (errno == EEXIST || errno == ENOENT)
			return -EBUSY;
		/* Not every file system knows these flags. */
		if (errno != EINVAL && errno != ENOSYS)
			return -errno;
		if (renameat(a->dir, a->name, a->dir, a->base) < 0)
			return -errno;
	} else if (a->stale >= 0 && is_stale(a, a->name)) {
		(void)unlinkat(a->dir, a->name, 0);
	} else if (a->stale >= 0) {
		/* Somebody else's: it must not go with our name. */
		if (renameat2(a->dir, a->name, a->dir, a->base,
			      RENAME_EXCHANGE) < 0)
			(void)renameat2(a->dir, a->name, a->dir, a->base,
					RENAME_NOREPLACE);
		return -EBUSY;
	}
	a->name[0] = '\0';
	return 0;
}

static int listen_at_path(const struct socket_address *at, mode_t mode,
			  int backlog, struct socket_listener *ret_listener,
			  struct socket_error *ret_error)
{
	struct attempt a = {.at = at,
			    .path = at->un.sun_path,
			    .base = strrchr(at->un.sun_path, '/'),
			    .dir = -1,
			    .stale = -1,
			    .listener = SOCKET_LISTENER_EMPTY};
	int r;

	assert(a.base != NULL); /* sockaddr_parse() takes no other */
	a.base++;
	if (*a.base == '\0')
		return fail(ret_error, EISDIR, "it names a directory");

	r = look_at_path(&a, ret_error);
	if (r < 0)
		goto out;
	r = open_directory(&a, ret_error);
	if (r < 0)
		goto out;
	r = make_socket(&a, mode, backlog, ret_error);
	if (r < 0)
		goto out;
	r = replace(&a);
	if (r < 0) {
		r = fail(ret_error, -r,
			 r == -EBUSY ? "another process has just changed it"
				     : "cannot move the new socket there");
		goto out;
	}
	*ret_listener = a.listener;
	a.listener = SOCKET_LISTENER_EMPTY;
out:
	give_up(&a);
	return r;
}

int socket_listen(const struct socket_address *at, mode_t mode, int backlog,
		  struct socket_listener *ret_listener,
		  struct socket_error *ret_error)
{
	if (sockaddr_is_unix(at) && at->un.sun_path[0] != '\0')
		return listen_at_path(at, mode, backlog, ret_listener,
				      ret_error);
	return listen_at_name(at, backlog, ret_listener, ret_error);
}

void socket_listener_close(struct socket_listener *l)
{
	struct stat st;

	/* The file first: while the socket is open its inode number cannot be
	 * given to another's. */
	if (l->path != NULL && lstat(l->path, &st) == 0 &&
	    S_ISSOCK(st.st_mode) && st.st_dev == l->dev && st.st_ino == l->ino)
		(void)unlink(l->path);
	free(l->path);
	fd_close(&l->fd);
	*l = SOCKET_LISTENER_EMPTY;
}
