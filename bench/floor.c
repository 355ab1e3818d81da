/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The floor: the least a relay in one process can do for one client.
 *
 *	floor LISTEN SERVER		(addresses: see addr.h)
 *
 * One epoll loop that passes bytes on: no parsing, no policy, no limits, no
 * log.  A mail that fits into one read costs 11 system calls when others keep
 * the loop busy: accept4, read, socket, connect, send, epoll_ctl, epoll_wait,
 * read, send, close, close.
 *
 * It does not know where a request ends.  Both a request and a reply end with
 * a comma, so a comma at the end of what a client has sent means "probably
 * all": the client is not watched then, until RECHECK_MS have passed without a
 * reply.  For the same reason a reply that is cut right after a comma in its
 * text is taken for the whole.  Whatever else goes wrong closes both sides.
 */

#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <time.h>
#include <unistd.h>

#include "addr.h"

enum {
	BUFFER = 65536,   /* bytes read at once, and held for a slow server */
	EVENTS = 64,      /* taken from epoll at once */
	RECHECK_MS = 100, /* until a client that seems done is watched */
	PAUSE_US = 10000, /* after accept has failed for want of something */
};

struct pair;

struct end {
	struct pair *pair;
	int fd;
	uint32_t events; /* what epoll watches; 0: not registered */
};

struct pair {
	struct end client, server;
	char *held; /* owned; BUFFER bytes, once needed */
	char *rest; /* what the server has not taken, in `held` */
	size_t rest_size;
	unsigned int reads;
	bool closed;            /* freed when no event at hand can name it */
	bool listed;            /* in `unwatched`, since then: */
	int64_t since;          /* ms */
	TAILQ_ENTRY(pair) link; /* of `unwatched` or `closed` */
};

TAILQ_HEAD(pairs, pair);

static struct pairs unwatched = TAILQ_HEAD_INITIALIZER(unwatched);
static struct pairs closed = TAILQ_HEAD_INITIALIZER(closed);
static struct addr server_addr;
static int poller;
static char buffer[BUFFER];
static int64_t now; /* ms */

static struct pair *pair_new(int client)
{
	struct pair *p = malloc(sizeof(*p));

	if (p == NULL)
		err(1, "malloc");
	*p = (struct pair){.client = {p, client, 0}, .server = {p, -1, 0}};
	return p;
}

/* For a client that seems done. */
static void unwatched_add(struct pair *p)
{
	if (p->listed || p->client.events != 0)
		return;
	p->listed = true;
	p->since = now;
	TAILQ_INSERT_TAIL(&unwatched, p, link);
}

static void unwatched_remove(struct pair *p)
{
	if (p->listed)
		TAILQ_REMOVE(&unwatched, p, link);
	p->listed = false;
}

static void pair_close(struct pair *p)
{
	close(p->client.fd);
	if (p->server.fd >= 0)
		close(p->server.fd);
	unwatched_remove(p);
	p->closed = true;
	TAILQ_INSERT_TAIL(&closed, p, link);
}

/* Edge-triggered: a mask is set once, and rarely changed. */
static void watch(struct end *e, uint32_t events)
{
	struct epoll_event ev = {.events = events | EPOLLET, .data.ptr = e};

	if ((e->events | events) == e->events)
		return;
	if (epoll_ctl(poller, e->events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, e->fd,
		      &ev) < 0)
		err(1, "epoll_ctl");
	e->events = events;
}

static int server_connect(struct pair *p)
{
	p->server.fd = socket(server_addr.sa.ss_family,
			      SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (p->server.fd < 0)
		return -errno;
	/* On loopback the handshake is over when this returns. */
	if (connect(p->server.fd, (struct sockaddr *)&server_addr.sa,
		    server_addr.len) < 0 &&
	    errno != EINPROGRESS)
		return -errno;
	return 0;
}

/*
 * Sends, and holds what the server does not take yet.  Returns 1 when all is
 * gone, 0 when something is held, -1 on error.
 */
static int server_send(struct pair *p, char *data, size_t n)
{
	ssize_t sent = send(p->server.fd, data, n, MSG_NOSIGNAL);

	if (sent < 0 && errno != EAGAIN)
		return -1;
	if (sent < 0)
		sent = 0;
	p->rest = data + sent;
	p->rest_size = n - (size_t)sent;
	if (p->rest_size == 0) {
		watch(&p->server, EPOLLIN);
		return 1;
	}
	if (data == buffer) {
		/* analyzer: epoll holds the pair */
		if (p->held == NULL && (p->held = malloc(BUFFER)) == NULL)
			return -1;
		p->rest = memcpy(p->held, p->rest, p->rest_size);
	}
	watch(&p->server, EPOLLIN | EPOLLOUT);
	return 0;
}

/* Passes on `n` bytes of the buffer; returns like server_send(). */
static int pass_on(struct pair *p, size_t n)
{
	int one = 1;

	if (++p->reads == 1 && server_connect(p) < 0)
		return -1;
	if (p->reads == 2 && server_addr.sa.ss_family == AF_INET)
		setsockopt(p->server.fd, IPPROTO_TCP, TCP_NODELAY, &one,
			   sizeof(one));
	return server_send(p, buffer, n);
}

/* Goes on until the client has no more bytes or the server takes no more. */
static void pump_request(struct pair *p, uint32_t events)
{
	/* analyzer: epoll holds the pair */
	bool hangup = events & (EPOLLHUP | EPOLLRDHUP);
	int r = 1;

	if (p->rest_size != 0)
		r = server_send(p, p->rest, p->rest_size);
	while (r > 0) {
		ssize_t n = read(p->client.fd, buffer, sizeof(buffer));

		if (n < 0 && errno == EAGAIN) {
			watch(&p->client, EPOLLIN | EPOLLRDHUP);
			return;
		}
		if (n == 0 && p->server.fd >= 0 && !(events & EPOLLHUP)) {
			shutdown(p->server.fd, SHUT_WR);
			return;
		}
		r = n > 0 ? pass_on(p, (size_t)n) : -1;
		if (r > 0 && (size_t)n < sizeof(buffer) && !hangup) {
			if (buffer[n - 1] == ',')
				unwatched_add(p);
			else
				watch(&p->client, EPOLLIN | EPOLLRDHUP);
			return;
		}
	}
	if (r < 0)
		pair_close(p);
}

/* A reply is small: a client that has no room for it goes without. */
static void pump_reply(struct pair *p)
{
	ssize_t n;

	for (;;) {
		n = read(p->server.fd, buffer, sizeof(buffer));
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0)
			break;
		if (send(p->client.fd, buffer, (size_t)n, MSG_NOSIGNAL) != n ||
		    buffer[n - 1] == ',')
			break;
	}
	pair_close(p);
}

static void on_client(int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd >= 0)
		pump_request(pair_new(fd), 0);
	else if (errno != EAGAIN && errno != ECONNABORTED)
		usleep(PAUSE_US);
}

static void on_event(struct end *e, uint32_t events)
{
	struct pair *p = e->pair;

	if (p->closed)
		return;
	if (e == &p->client) {
		pump_request(p, events);
		return;
	}
	if (events & (uint32_t)~EPOLLOUT)
		pump_reply(p);
	if (!p->closed && (events & EPOLLOUT))
		pump_request(p, 0);
}

static void recheck_unwatched(void)
{
	struct timespec ts;
	struct pair *p;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &ts); /* no system call */
	now = ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
	while ((p = TAILQ_FIRST(&unwatched)) != NULL &&
	       now - p->since >= RECHECK_MS) {
		unwatched_remove(p);
		watch(&p->client, EPOLLIN | EPOLLRDHUP);
	}
}

static void free_closed(void)
{
	struct pair *p;

	while ((p = TAILQ_FIRST(&closed)) != NULL) {
		TAILQ_REMOVE(&closed, p, link);
		free(p->held);
		free(p);
	}
}

int main(int argc, char **argv)
{
	struct epoll_event events[EVENTS];
	struct epoll_event ev = {.events = EPOLLIN};
	struct addr listen_addr;
	int listener;

	if (argc != 3)
		errx(2, "usage: floor LISTEN SERVER");
	addr_parse(&listen_addr, argv[1]);
	addr_parse(&server_addr, argv[2]);
	listener = addr_listen(&listen_addr);
	poller = epoll_create1(EPOLL_CLOEXEC);
	if (poller < 0 || epoll_ctl(poller, EPOLL_CTL_ADD, listener, &ev) < 0)
		err(1, "epoll");
	for (;;) {
		int n = epoll_wait(poller, events, EVENTS,
				   TAILQ_EMPTY(&unwatched) ? -1 : RECHECK_MS);

		if (n < 0 && errno != EINTR)
			err(1, "epoll_wait");
		recheck_unwatched();
		for (int i = 0; i < n; i++) {
			if (events[i].data.ptr == NULL)
				on_client(listener);
			else
				on_event(events[i].data.ptr, events[i].events);
		}
		free_closed();
	}
}
