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

/* What is at the path now. */
struct occupant {
	bool present; /* a stale socket */
	dev_t dev;
	ino_t ino;
};

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

static int look_at_path(const struct socket_address *at,
			struct occupant *ret_occupant,
			struct socket_error *ret_error)
{
	struct stat st;
	int r;

	if (lstat(at->un.sun_path, &st) < 0) {
		if (errno != ENOENT)
			return fail(ret_error, errno, "cannot look at it");
		*ret_occupant = (struct occupant){.present = false};
		return 0;
	}
	if (!S_ISSOCK(st.st_mode))
		return fail(ret_error, EEXIST, "it exists and is no socket");
	r = probe(at);
	if (r == -EADDRINUSE)
		return fail(ret_error, EADDRINUSE, bind_text(EADDRINUSE));
	if (r < 0)
		return fail(
			ret_error, -r,
			"cannot tell whether another process listens on it");
	*ret_occupant = (struct occupant){
		.present = true, .dev = st.st_dev, .ino = st.st_ino};
	return 0;
}

/*
 * The address of `name` in the directory of `path`.  Where that is too long, the
 * directory is named by its descriptor.
 */
static int temporary_address(const char *path, int dir, const char *name,
			     struct socket_address *ret_address)
{
	const char *base = strrchr(path, '/') + 1;
	char text[sizeof(ret_address->un.sun_path) + NAME_MAX_SIZE];

	snprintf(text, sizeof(text), "%.*s%s", (int)(base - path), path, name);
	if (strlen(text) >= sizeof(ret_address->un.sun_path))
		snprintf(text, sizeof(text), "/proc/self/fd/%d/%s", dir, name);
	return sockaddr_parse(text, strlen(text), ret_address);
}

/* Binds `fd` to a free name in the directory; `name` has room for
 * NAME_MAX_SIZE bytes. */
static int bind_temporary(int fd, const char *path, int dir, mode_t mode,
			  char *name)
{
	for (int i = 0; i < NAME_TRIES; i++) {
		struct socket_address at;
		uint32_t random;
		mode_t saved;
		int r;

		if (getrandom(&random, sizeof(random), GRND_NONBLOCK) < 0)
			random = (uint32_t)getpid() + (uint32_t)i;
		snprintf(name, NAME_MAX_SIZE, ".q-%08x", random);
		r = temporary_address(path, dir, name, &at);
		if (r < 0)
			return r;
		/* bind(2) makes the file with 0777 & ~umask. */
		saved = umask(~mode & 0777);
		r = bind(fd, &at.sa, at.size) < 0 ? -errno : 0;
		umask(saved);
		if (r != -EADDRINUSE)
			return r;
	}
	return -EADDRINUSE;
}

/* Moves the new socket to where `was` is, or nothing is.  -EBUSY if that has
 * changed since. */
static int replace(int dir, const char *name, const char *base,
		   const struct occupant *was)
{
	unsigned flags = was->present ? RENAME_EXCHANGE : RENAME_NOREPLACE;
	struct stat st;

	if (renameat2(dir, name, dir, base, flags) < 0) {
		if (errno == EEXIST || errno == ENOENT)
			return -EBUSY;
		/* Not every file system knows these flags. */
		if (errno != EINVAL && errno != ENOSYS)
			return -errno;
		return renameat(dir, name, dir, base) < 0 ? -errno : 0;
	}
	if (!was->present)
		return 0;
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    (st.st_dev != was->dev || st.st_ino != was->ino)) {
		/* Somebody else's: it must not go with our name. */
		if (renameat2(dir, name, dir, base, RENAME_EXCHANGE) < 0)
			(void)renameat2(dir, name, dir, base, RENAME_NOREPLACE);
		return -EBUSY;
	}
	(void)unlinkat(dir, name, 0);
	return 0;
}

static int listen_at_path(const struct socket_address *at, mode_t mode,
			  int backlog, struct socket_listener *ret_listener,
			  struct socket_error *ret_error)
{
	struct socket_listener l = {.fd = -1};
	const char *base = strrchr(at->un.sun_path, '/');
	char name[NAME_MAX_SIZE], folder[sizeof(at->un.sun_path)];
	struct occupant was = {.present = false};
	int dir = -1, r;
	struct stat st;
	bool bound = false;

	assert(base != NULL); /* sockaddr_parse() takes no other */
	base++;
	if (*base == '\0')
		return fail(ret_error, EISDIR, "it names a directory");
	r = look_at_path(at, &was, ret_error);
	if (r < 0)
		return r;

	snprintf(folder, sizeof(folder), "%.*s", (int)(base - at->un.sun_path),
		 at->un.sun_path);
	dir = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0) {
		r = fail(ret_error, errno, "cannot open its directory");
		goto fail;
	}
	l.path = strdup(at->un.sun_path);
	if (l.path == NULL) {
		r = fail(ret_error, ENOMEM, "no memory");
		goto fail;
	}
	l.fd = new_socket(at);
	if (l.fd < 0) {
		r = fail(ret_error, -l.fd, "cannot make a socket");
		goto fail;
	}
	r = bind_temporary(l.fd, at->un.sun_path, dir, mode, name);
	if (r < 0) {
		r = fail(ret_error, -r,
			 "cannot make a socket in its directory");
		goto fail;
	}
	bound = true;
	if (listen(l.fd, backlog) < 0) {
		r = fail(ret_error, errno, "cannot listen");
		goto fail;
	}
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		r = fail(ret_error, errno, "cannot look at the new socket");
		goto fail;
	}
	l.dev = st.st_dev;
	l.ino = st.st_ino;
	r = replace(dir, name, base, &was);
	if (r < 0) {
		r = fail(ret_error, -r,
			 r == -EBUSY ? "another process has just changed it"
				     : "cannot move the new socket there");
		goto fail;
	}
	fd_close(&dir);
	*ret_listener = l;
	return 0;
fail:
	if (bound)
		(void)unlinkat(dir, name, 0);
	fd_close(&l.fd);
	fd_close(&dir);
	free(l.path);
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
