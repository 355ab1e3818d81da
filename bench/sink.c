/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A QMQP server that takes a request, keeps nothing, and answers K.
 *
 *	sink LISTEN			(addresses: see addr.h; port 0: any)
 *
 * Prints the address it got, then serves until it is killed.  It reads only
 * the outer length of a request and looks at nothing inside.
 */

#include <err.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "addr.h"

enum {
	BUFFER = 262144,
	EVENTS = 64,
	LENGTH_MAX = 1 << 30, /* bytes a request may claim */
	PAUSE_US = 10000,     /* after accept has failed */
	TURNS = 4, /* buffers of one request, then others are served */
};

struct client {
	int fd;
	bool watched;
	bool in_body;
	uint64_t left; /* the length so far, then the bytes yet to come */
	struct client *next_free;
};

static int poller;
static char buffer[BUFFER];
static struct client *free_clients;

static struct client *client_new(int fd)
{
	struct client *c = free_clients;

	if (c != NULL)
		free_clients = c->next_free;
	else if ((c = malloc(sizeof(*c))) == NULL)
		err(1, "malloc");
	*c = (struct client){.fd = fd};
	return c;
}

/* One descriptor a client, so no event at hand can name a closed one. */
static void client_close(struct client *c)
{
	close(c->fd);
	c->next_free = free_clients;
	free_clients = c;
}

/* Returns 1 when the request is whole, 0 if more must come, -1 if it is bad. */
static int feed(struct client *c, const char *data, size_t n)
{
	size_t i = 0;

	while (!c->in_body && i < n) {
		char ch = data[i++];

		if (ch == ':') {
			c->in_body = true;
			c->left++; /* the comma */
		} else if (ch >= '0' && ch <= '9' && c->left < LENGTH_MAX) {
			c->left = c->left * 10 + (uint64_t)(ch - '0');
		} else {
			return -1;
		}
	}
	if (!c->in_body)
		return 0;
	n -= i;
	c->left -= n < c->left ? n : c->left;
	return c->left == 0;
}

/* The reply leaves with the FIN: MSG_MORE holds it back until the close. */
static void serve(struct client *c)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = c};
	unsigned int turns = 0;
	int r = 0;

	while (r == 0) {
		ssize_t n = turns++ < TURNS
				    ? read(c->fd, buffer, sizeof(buffer))
				    : (errno = EAGAIN, -1);

		if (n < 0 && errno == EAGAIN) {
			if (!c->watched &&
			    epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &ev) < 0)
				err(1, "epoll_ctl");
			c->watched = true;
			return;
		}
		r = n <= 0 ? -1 : feed(c, buffer, (size_t)n);
	}
	if (r > 0)
		send(c->fd, "3:Kok,", 6, MSG_NOSIGNAL | MSG_MORE);
	client_close(c);
}

int main(int argc, char **argv)
{
	struct epoll_event events[EVENTS];
	struct epoll_event ev = {.events = EPOLLIN};
	struct addr listen_addr;
	int listener;

	if (argc != 2)
		errx(2, "usage: sink LISTEN");
	addr_parse(&listen_addr, argv[1]);
	listener = addr_listen(&listen_addr);
	poller = epoll_create1(EPOLL_CLOEXEC);
	if (poller < 0 || epoll_ctl(poller, EPOLL_CTL_ADD, listener, &ev) < 0)
		err(1, "epoll");
	addr_print_bound(listener);
	for (;;) {
		int n = epoll_wait(poller, events, EVENTS, -1);

		if (n < 0 && errno != EINTR)
			err(1, "epoll_wait");
		for (int i = 0; i < n; i++) {
			int fd;

			if (events[i].data.ptr != NULL) {
				serve(events[i].data.ptr);
				continue;
			}
			fd = accept4(listener, NULL, NULL,
				     SOCK_NONBLOCK | SOCK_CLOEXEC);
			if (fd >= 0)
				serve(client_new(fd));
			else if (errno != EAGAIN)
				usleep(PAUSE_US);
		}
	}
}
