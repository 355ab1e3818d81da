/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_IO_SOCKET_H
#define QRELAY_IO_SOCKET_H

/*
 * Stream sockets: to connect, to listen on.  Every descriptor is non-blocking and
 * close-on-exec from birth.
 */

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "base/attr.h"
#include "io/sockaddr.h"
#include "proto/mail.h"

/*
 * Starts to connect; returns the descriptor, which may not be connected yet, or
 * -errno.  A Unix socket whose backlog is full is -EAGAIN.  A TCP server learns of
 * the connection with the first bytes that are sent, or a moment later.
 */
MUSTCHECK int socket_connect(const struct socket_address *to);

/*
 * Sends what the socket takes now of the sealed mail from `offset` on, by one
 * sendmsg(2) of at most LIMIT_IOV vectors, so that a large mail does not hold up
 * small ones: fewer bytes than are left need not mean that the socket is full.
 * Bytes (0 only at the mail's end), or -errno (-EAGAIN when it takes nothing).
 * No SIGPIPE.
 */
MUSTCHECK ssize_t socket_send_mail(int fd, const struct mail *mail,
				   enum mail_form form, size_t offset);

/* The same for a pipe (SIGPIPE must be ignored). */
MUSTCHECK ssize_t socket_write_mail(int fd, const struct mail *mail,
				    enum mail_form form, size_t offset);

/* A listening socket, and what must go when it is closed. */
struct socket_listener {
	int fd;     /* owned; -1 when empty */
	char *path; /* owned; of the socket file, NULL if there is none */
	dev_t dev;  /* which file that was */
	ino_t ino;
};

/* Why listening failed. */
struct socket_error {
	int code; /* errno */
	const char *
		text; /* static, what could not be done, e.g. "another process listens on it" */
};

/*
 * Listens on `at`.  A Unix path must be absolute.  A socket file that refuses connections is stale
 * and replaced; one that answers, or whose backlog is full, belongs to somebody:
 * -EADDRINUSE; a file of another kind: -EEXIST.  The socket is made under a
 * temporary name in the same directory, with `mode` from the start, and renamed
 * over the path, so that there is no moment without a socket.  TCP: SO_REUSEADDR,
 * IPV6_V6ONLY.  Returns 0, or -errno with `ret_error` saying it in words.  Sets the
 * process' umask for a moment.
 */
MUSTCHECK int socket_listen(const struct socket_address *at, mode_t mode,
			    int backlog, struct socket_listener *ret_listener,
			    struct socket_error *ret_error);

/* Closes it, and removes the socket file if it is still that one.  Idempotent on
 * an empty one (SOCKET_LISTENER_EMPTY). */
void socket_listener_close(struct socket_listener *l);

#define SOCKET_LISTENER_EMPTY ((struct socket_listener){.fd = -1})

#endif
