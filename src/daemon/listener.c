/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/listener.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/limits.h"
#include "daemon/instance.h"
#include "daemon/session.h"

/* A client has gone.  Anything else, e.g. no descriptor left, or EAGAIN though the
 * loop said there was one, is likely to be there the next time as well. */
static bool is_harmless(int err)
{
	return err == EINTR || err == ECONNABORTED;
}

/* The kernel would tell of the waiting client again and again. */
static void rest(struct listener *l)
{
	ev_io_stop(l->instance->loop, &l->io);
	ev_timer_set(&l->pause, LIMIT_ACCEPT_PAUSE, 0.);
	ev_timer_start(l->instance->loop, &l->pause);
}

/* Returns false when no client waits, or none can be taken.  `more`: this turn has
 * accepted one already. */
static bool accept_client(struct listener *l, bool more, double now)
{
	struct instance *i = l->instance;
	struct socket_address remote;
	int fd, r;

	remote.size = sizeof(remote) - offsetof(struct socket_address, sa);
	fd = l->is_unix ? accept4(l->socket.fd, NULL, NULL,
				  SOCK_NONBLOCK | SOCK_CLOEXEC)
			: accept4(l->socket.fd, &remote.sa, &remote.size,
				  SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0) {
		if (is_harmless(errno) || (more && errno == EAGAIN))
			return false;
		complaint_log(&i->complaint, &i->log, now, "accept", errno);
		rest(l);
		return false;
	}
	r = session_new(l, fd, l->is_unix ? NULL : &remote, now);
	if (r < 0) {
		complaint_log(&i->complaint, &i->log, now,
			      "cannot serve a client", -r);
		fd_close(&fd);
	}
	return true;
}

/*
 * Some clients a turn of the loop, which costs more than a call of accept4 that
 * finds none; but few, since those being served come first, and only one if its
 * handler takes its time.
 */
static void on_client(EV_P_ ev_io *w, int revents)
{
	struct listener *l = container_of(w, struct listener, io);
	double now = clock_now(), until = now + LIMIT_ACCEPT_TIME;

	(void)loop, (void)revents;
	for (int n = 0; n < LIMIT_ACCEPT_AT_ONCE && now < until; n++) {
		if (!accept_client(l, n > 0, now) || !ev_is_active(&l->io) ||
		    l->instance->n_large > LIMIT_ACCEPT_LARGE)
			break;
		now = clock_now();
	}
}

static void on_rested(EV_P_ ev_timer *w, int revents)
{
	struct listener *l = container_of(w, struct listener, pause);

	(void)loop, (void)revents;
	listener_update(l);
}

/* TCP's urgent byte is one like others, which clients' sockets inherit (tcp(7),
 * SO_OOBINLINE): behind a request it would not be seen, and closing would reset
 * the connection. */
static void take_urgent(int fd)
{
	int on = 1;

	(void)setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on));
}

int listener_init(struct listener *l, struct instance *i, int handler,
		  struct socket_listener *socket)
{
	struct socket_address a;
	char text[SOCKADDR_TEXT_MAX];
	const char *name = socket->path;

	a.size = sizeof(a) - offsetof(struct socket_address, sa);
	if (getsockname(socket->fd, &a.sa, &a.size) < 0)
		return -errno;
	if (name == NULL)
		name = sockaddr_print(&a, text, sizeof(text));
	*l = (struct listener){.instance = i,
			       .handler = handler,
			       .name = strdup(name),
			       .is_unix = sockaddr_is_unix(&a),
			       .socket = *socket};
	if (l->name == NULL) {
		l->socket = SOCKET_LISTENER_EMPTY;
		return -ENOMEM;
	}
	if (!l->is_unix)
		take_urgent(l->socket.fd);
	ev_io_init(&l->io, on_client, l->socket.fd, EV_READ);
	ev_init(&l->pause, on_rested);
	return 0;
}

void listener_close(struct listener *l)
{
	ev_timer_stop(l->instance->loop, &l->pause);
	ev_io_stop(l->instance->loop, &l->io);
	socket_listener_close(&l->socket);
}

void listener_deinit(struct listener *l)
{
	listener_close(l);
	free(l->name);
	l->name = NULL;
}

void listener_update(struct listener *l)
{
	if (l->socket.fd < 0 || ev_is_active(&l->pause))
		return;
	if (l->instance->accepting)
		ev_io_start(l->instance->loop, &l->io);
	else
		ev_io_stop(l->instance->loop, &l->io);
}
