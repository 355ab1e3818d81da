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

/* Returns false if there is none; that the first one is not there is an error. */
static bool take_client(struct listener *l, bool first)
{
	struct instance *i = l->instance;
	struct socket_address remote;
	int fd, r;

	remote.size = sizeof(remote) - offsetof(struct socket_address, sa);
	fd = l->is_unix ? accept4(l->io.fd, NULL, NULL,
				  SOCK_NONBLOCK | SOCK_CLOEXEC)
			: accept4(l->io.fd, &remote.sa, &remote.size,
				  SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd >= 0) {
		r = session_new(l, fd, l->is_unix ? NULL : &remote);
		if (r < 0) {
			complaint_log(&i->complaint, &i->log, clock_now(),
				      "cannot serve a client", -r);
			fd_close(&fd);
		}
	} else if (errno == EAGAIN && !first) {
		return false;
	} else if (!is_harmless(errno)) {
		complaint_log(&i->complaint, &i->log, clock_now(), "accept",
			      errno);
		rest(l);
	}
	return true;
}

/*
 * One client a turn of the loop: those being served come first.  But if there was
 * one in the turn before as well, turns may be long, for a large mail passes
 * through, and a queue would grow.  (To ask each time whether there is another
 * would cost a call a mail.)
 */
static void on_client(EV_P_ ev_io *w, int revents)
{
	struct listener *l = container_of(w, struct listener, io);
	unsigned int turn = ev_iteration(loop);
	int left = turn == l->turn + 1 ? LIMIT_ACCEPT_AT_ONCE : 1;

	(void)revents;
	l->turn = turn;
	for (bool first = true; left-- > 0 && ev_is_active(w); first = false)
		if (!take_client(l, first))
			break;
}

static void on_rested(EV_P_ ev_timer *w, int revents)
{
	struct listener *l = container_of(w, struct listener, pause);

	(void)loop, (void)revents;
	instance_update_accepting(l->instance);
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

void listener_set_accepting(struct listener *l, bool accepting)
{
	if (l->socket.fd < 0 || ev_is_active(&l->pause))
		return;
	if (accepting)
		ev_io_start(l->instance->loop, &l->io);
	else
		ev_io_stop(l->instance->loop, &l->io);
}
