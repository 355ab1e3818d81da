/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A QMQP client that means no good: it takes all the connections it gets and
 * lets a mail drip into each, a byte at a time.
 *
 *	drip [-c CLIENTS] [-r RATE] [-u UID] SERVER
 *
 * It keeps CLIENTS connections under way.  RATE times a second one of them, in
 * turn, gets a byte more; one that the server has closed or refused is opened
 * again in its turn.  With -u as that user, for who is root.  Prints "ready"
 * once it has tried all, and serves until the end of standard input; then
 * prints how many it holds and how many it has lost.
 */

#include <err.h>
#include <errno.h>
#include <grp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "addr.h"

enum {
	PERIOD_NS = 1000000, /* between two bursts of bytes */
};

struct client {
	int fd; /* owned; -1 when the server has none for us */
	unsigned long sent;
};

static struct addr server;
static unsigned long clients = 2000, rate = 2000, lost, full;

/* What it says is sound, and never whole. */
static char next_byte(unsigned long sent)
{
	static const char head[] = "1000000:900000:";

	return sent < sizeof(head) - 1 ? head[sent] : 'x';
}

static void client_close(struct client *c)
{
	close(c->fd);
	*c = (struct client){.fd = -1};
}

static void client_open(struct client *c)
{
	c->fd = socket(server.sa.ss_family,
		       SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		err(1, "socket");
	if (connect(c->fd, (struct sockaddr *)&server.sa, server.len) == 0)
		return;
	if (errno != EAGAIN && errno != EINPROGRESS)
		err(1, "connect");
	full++;
	client_close(c);
}

/* A byte more; one who has an answer, or no server any more, starts anew. */
static void client_turn(struct client *c)
{
	char byte = next_byte(c->sent);
	struct pollfd p = {.fd = c->fd, .events = POLLIN};

	if (c->fd >= 0 &&
	    (poll(&p, 1, 0) != 0 || send(c->fd, &byte, 1, MSG_NOSIGNAL) != 1)) {
		client_close(c);
		lost++;
	}
	if (c->fd < 0)
		client_open(c);
	else
		c->sent++;
}

static void become(unsigned long uid)
{
	if (setgroups(0, NULL) < 0 || setgid((gid_t)uid) < 0 ||
	    setuid((uid_t)uid) < 0)
		err(1, "cannot become uid %lu", uid);
}

static bool wanted(void)
{
	struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};

	return poll(&p, 1, 0) == 0;
}

static unsigned long now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (unsigned long)ts.tv_sec * 1000000000 +
	       (unsigned long)ts.tv_nsec;
}

static void serve(struct client *all)
{
	const struct timespec pause = {.tv_nsec = PERIOD_NS};
	unsigned long t0 = now_ns(), turns = 0, at = 0;

	while (wanted()) {
		unsigned long due = (now_ns() - t0) / 1000 * rate / 1000000;

		for (; turns < due; turns++) {
			client_turn(&all[at]);
			at = at + 1 < clients ? at + 1 : 0;
		}
		nanosleep(&pause, NULL);
	}
}

static void parse_args(int argc, char **argv)
{
	int opt;

	while ((opt = getopt(argc, argv, "c:r:u:")) != -1) {
		if (opt == 'c')
			clients = addr_number(optarg, 100000);
		else if (opt == 'r')
			rate = addr_number(optarg, 1000000);
		else if (opt == 'u')
			become(addr_number(optarg, 1000000));
		else
			errx(2, "usage: drip [-c CLIENTS] [-r RATE] [-u UID] "
				"SERVER");
	}
	if (optind + 1 != argc)
		errx(2, "drip: one SERVER");
	addr_parse(&server, argv[optind]);
}

int main(int argc, char **argv)
{
	struct client *all;
	unsigned long held = 0;

	parse_args(argc, argv);
	all = calloc(clients, sizeof(*all));
	if (all == NULL)
		err(1, "calloc");
	for (unsigned long i = 0; i < clients; i++)
		client_open(&all[i]);
	printf("ready\n");
	fflush(stdout);
	serve(all);
	for (unsigned long i = 0; i < clients; i++)
		held += all[i].fd >= 0;
	printf("{\"held\": %lu, \"lost\": %lu, \"full\": %lu}\n", held, lost,
	       full);
	free(all);
	return 0;
}
