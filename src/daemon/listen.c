/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/fd.h"
#include "base/limits.h"
#include "daemon/instance.h"
#include "daemon/listener.h"
#include "io/socket.h"

/*
 * Opening what the script wants to listen on.
 */

static bool add_listener(struct instance *i, const struct listener_config *c,
			 struct socket_listener *socket)
{
	struct listener *v =
		reallocarray(i->listeners, i->n_listeners + 1, sizeof(*v));
	int r = -ENOMEM;

	if (v != NULL) {
		i->listeners = v;
		r = listener_init(&v[i->n_listeners], i, c->handler, socket);
	}
	if (r < 0) {
		log_printf(&i->log, "%s: cannot listen: %s", c->where,
			   strerror(-r));
		socket_listener_close(socket);
		return false;
	}
	i->n_listeners++;
	return true;
}

static bool listen_address(struct instance *i, const struct listener_config *c)
{
	struct socket_listener socket;
	struct socket_error e;
	char text[SOCKADDR_TEXT_MAX];

	if (socket_listen(&c->address, c->mode, c->backlog, &socket, &e) < 0) {
		log_printf(&i->log, "%s: cannot listen on %s: %s", c->where,
			   sockaddr_print(&c->address, text, sizeof(text)),
			   e.text);
		return false;
	}
	return add_listener(i, c, &socket);
}

/* Whether another call names the sockets of that name. */
static bool is_named(const struct config *config, const char *name)
{
	for (size_t n = 0; n < config->n_listeners; n++) {
		const struct listener_config *l = &config->listeners[n];

		if (l->systemd && l->name != NULL && strcmp(l->name, name) == 0)
			return true;
	}
	return false;
}

static bool listen_systemd(struct instance *i, const struct listener_config *c)
{
	size_t found = 0;

	for (size_t n = 0; n < i->sockets.n; n++) {
		struct systemd_socket *handed = &i->sockets.v[n];
		struct socket_listener socket = SOCKET_LISTENER_EMPTY;

		if (c->name != NULL ? strcmp(c->name, handed->name) != 0
				    : is_named(&i->config, handed->name))
			continue;
		if (systemd_check_listening(handed->fd) < 0) {
			log_printf(&i->log,
				   "%s: the socket '%s' handed over by systemd "
				   "is not a listening stream socket",
				   c->where, handed->name);
			return false;
		}
		socket.fd = handed->fd;
		handed->fd = -1;
		if (!add_listener(i, c, &socket))
			return false;
		found++;
	}
	if (found > 0)
		return true;
	if (c->name != NULL)
		log_printf(&i->log,
			   "%s: systemd handed over no socket named '%s' "
			   "(FileDescriptorName=)",
			   c->where, c->name);
	else
		log_printf(&i->log,
			   "%s: systemd handed over no socket: is the daemon "
			   "started by its .socket unit?",
			   c->where);
	return false;
}

/* systemd goes on listening there: whoever connects waits for nothing. */
static void tell_unheard(struct instance *i)
{
	for (size_t n = 0; n < i->sockets.n; n++)
		if (i->sockets.v[n].fd >= 0)
			log_printf(&i->log,
				   "nobody listens on the socket '%s' handed "
				   "over by systemd: its clients will wait in "
				   "vain",
				   i->sockets.v[n].name);
}

/*
 * Raises the soft limit of descriptors to the hard one; what that cannot hold is
 * not accepted.  Children get the old limit back.
 */
static void raise_descriptors(struct instance *i)
{
	struct rlimit limit;
	rlim_t room;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	i->children.nofile = limit.rlim_cur;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0 &&
	    getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	room = limit.rlim_cur > 2 * LIMIT_FDS_RESERVED
		       ? limit.rlim_cur - LIMIT_FDS_RESERVED
		       : limit.rlim_cur / 2;
	room /= LIMIT_FDS_PER_CONNECTION;
	if (room < 1)
		room = 1;
	if (i->config.max_connections <= room)
		return;
	log_printf(&i->log,
		   "max_connections lowered from %zu to %zu: the limit of %zu "
		   "open files (RLIMIT_NOFILE) holds no more",
		   i->config.max_connections, (size_t)room,
		   (size_t)limit.rlim_cur);
	/* one uid must not have them all where the script left it a quarter */
	if (i->config.max_connections_per_uid ==
	    config_connections_per_uid(i->config.max_connections))
		i->config.max_connections_per_uid =
			config_connections_per_uid(room);
	i->config.max_connections = room;
}

bool instance_listen(struct instance *i)
{
	raise_descriptors(i);
	if (clients_init(&i->clients, i->config.max_connections) < 0) {
		log_printf(&i->log, "not enough memory");
		return false;
	}
	for (size_t n = 0; n < i->config.n_listeners; n++) {
		const struct listener_config *c = &i->config.listeners[n];

		if (c->systemd ? !listen_systemd(i, c) : !listen_address(i, c))
			return false;
	}
	tell_unheard(i);
	return true;
}
