/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A QMQP client that keeps a number of mails in flight and counts verdicts.
 *
 *	load [-n MAILS] [-c SESSIONS] [-s SIZE] [-r RATE] SERVER
 *	load -i CLIENTS SERVER
 *
 * The first form sends MAILS mails of SIZE bytes, at most SESSIONS at once;
 * with RATE, that many a second.  A latency runs from the connect to the last
 * byte of the reply; with RATE from the moment the mail was due, so that a
 * server that stalls is charged for the mails it kept from starting.  Prints
 * one JSON object.  Exit status 0 if each mail got a whole reply, else 1.
 *
 * The second form opens connections and sends nothing: prints "ready", waits
 * for the end of standard input, prints how many the server kept open.
 *
 * Times are microseconds.  Addresses: see addr.h.
 */

#include <err.h>
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "addr.h"

enum {
	EVENTS = 64,
	REPLY_MAX = 512,       /* bytes of a reply */
	RETRY_NS = 1000000,    /* after a full backlog */
	STALL_NS = 1000000000, /* wait for an event, STALLS times */
	STALLS = 30,
};

struct session {
	int fd; /* owned; -1 when idle */
	uint32_t events;
	bool broken; /* the server takes no more: read its reply */
	size_t sent, got;
	uint64_t began; /* ns */
	char reply[REPLY_MAX];
};

static struct addr server;
static int poller;
static char *request;
static size_t request_size;
static unsigned long mails = 1000, sessions = 20, size = 1000, rate, idle;
static unsigned long started, active, done, errors, retries;
static unsigned long verdicts[3]; /* in the order of "KZD" */
static uint32_t *latencies;       /* us, one a reply */

static uint64_t clock_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* Lines of 70 bytes without a comma, which the floor takes for an end. */
static void build_request(void)
{
	static const char head[] = "From: bench@example.org\n"
				   "Subject: one of many\n\n";
	static const char envelope[] = "17:bench@example.org,"
				       "19:sink+42@example.org,";
	char *message = malloc(size);
	char length[24];
	size_t inner;

	if (message == NULL)
		err(1, "malloc");
	for (size_t i = 0; i < size; i++) {
		if (i < sizeof(head) - 1)
			message[i] = head[i];
		else
			message[i] =
				i % 70 == 69 ? '\n' : (char)('a' + i * 7 % 26);
	}
	inner = (size_t)snprintf(length, sizeof(length), "%lu:", size) + size +
		1 + sizeof(envelope) - 1;
	request = malloc(inner + 64);
	if (request == NULL)
		err(1, "malloc");
	request_size = (size_t)sprintf(request, "%zu:%s", inner, length);
	memcpy(request + request_size, message, size);
	request_size += size;
	request_size +=
		(size_t)sprintf(request + request_size, ",%s,", envelope);
	free(message);
}

static void watch(struct session *s, uint32_t events)
{
	struct epoll_event ev = {.events = events, .data.ptr = s};

	if (s->events == events)
		return;
	if (epoll_ctl(poller, s->events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, s->fd,
		      &ev) < 0)
		err(1, "epoll_ctl");
	s->events = events;
}

static void send_request(struct session *s)
{
	ssize_t n = 0;

	if (s->sent < request_size && !s->broken)
		n = send(s->fd, request + s->sent, request_size - s->sent,
			 MSG_NOSIGNAL);
	if (n < 0 && errno != EAGAIN)
		s->broken = true;
	if (n > 0)
		s->sent += (size_t)n;
	watch(s, s->sent < request_size && !s->broken ? EPOLLIN | EPOLLOUT
						      : EPOLLIN);
}

/* Returns false if the server's backlog is full. */
static bool session_start(struct session *s, uint64_t began)
{
	*s = (struct session){.began = began};
	s->fd = socket(server.sa.ss_family,
		       SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s->fd < 0)
		err(1, "socket");
	if (connect(s->fd, (struct sockaddr *)&server.sa, server.len) < 0 &&
	    errno != EINPROGRESS) {
		if (errno != EAGAIN)
			err(1, "connect");
		close(s->fd);
		s->fd = -1;
		retries++;
		return false;
	}
	started++;
	active++;
	send_request(s);
	return true;
}

static void session_end(struct session *s, int verdict)
{
	static const char letters[] = "KZD";
	const char *letter = verdict ? strchr(letters, verdict) : NULL;
	uint64_t us = (clock_ns() - s->began) / 1000;

	if (letter != NULL) {
		latencies[done++] = us < UINT32_MAX ? (uint32_t)us : UINT32_MAX;
		verdicts[letter - letters]++;
	} else {
		errors++;
	}
	close(s->fd);
	s->fd = -1;
	active--;
}

/* Returns the verdict's letter, 0 if more must come, -1 if it is no reply. */
static int parse_reply(const struct session *s)
{
	char *colon;
	unsigned long n = strtoul(s->reply, &colon, 10);
	size_t head = (size_t)(colon - s->reply) + 1;

	if (*colon == '\0')
		return s->got < 8 ? 0 : -1;
	if (*colon != ':' || head == 1 || n == 0 || head + n >= REPLY_MAX)
		return -1;
	if (s->got <= head + n)
		return 0;
	return s->reply[head + n] == ',' ? s->reply[head] : -1;
}

static void recv_reply(struct session *s)
{
	ssize_t n = read(s->fd, s->reply + s->got, REPLY_MAX - 1 - s->got);
	int r;

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		session_end(s, 0);
		return;
	}
	s->got += (size_t)n;
	r = parse_reply(s);
	if (r != 0)
		session_end(s, r > 0 ? r : 0);
}

static struct session *find_idle(struct session *all)
{
	while (all->fd >= 0)
		all++;
	return all;
}

/* Starts what may start now; returns the ns until the next one may. */
static uint64_t start_due(struct session *all, uint64_t t0)
{
	while (started < mails && active < sessions) {
		uint64_t now = clock_ns();
		uint64_t due = now;

		if (rate != 0)
			due = t0 + started * 1000000000 / rate;
		if (due > now)
			return due - now;
		if (!session_start(find_idle(all), due))
			return RETRY_NS;
	}
	return STALL_NS;
}

static void run(struct session *all)
{
	struct epoll_event events[EVENTS];
	uint64_t t0 = clock_ns();
	unsigned int stalls = 0;

	while (done + errors < mails && stalls < STALLS) {
		uint64_t ns = start_due(all, t0);
		struct timespec ts = {.tv_sec = (time_t)(ns / 1000000000),
				      .tv_nsec = (long)(ns % 1000000000)};
		int n = epoll_pwait2(poller, events, EVENTS, &ts, NULL);

		stalls = n == 0 && ns == STALL_NS ? stalls + 1 : 0;
		for (int i = 0; i < n; i++) {
			struct session *s = events[i].data.ptr;

			if (events[i].events & (uint32_t)~EPOLLOUT)
				recv_reply(s);
			if (s->fd >= 0 && (events[i].events & EPOLLOUT))
				send_request(s);
		}
	}
	errors = mails - done;
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static uint32_t percentile(unsigned int per_mille)
{
	return done == 0 ? 0 : latencies[(done - 1) * per_mille / 1000];
}

static void print_result(double seconds)
{
	qsort(latencies, done, sizeof(*latencies), compare);
	printf("{\"mails\": %lu, \"size\": %lu, \"K\": %lu, \"Z\": %lu, "
	       "\"D\": %lu, \"errors\": %lu, \"retries\": %lu, "
	       "\"seconds\": %.6f, \"p50\": %u, \"p90\": %u, \"p99\": %u, "
	       "\"p999\": %u, \"max\": %u}\n",
	       mails, size, verdicts[0], verdicts[1], verdicts[2], errors,
	       retries, seconds, percentile(500), percentile(900),
	       percentile(990), percentile(999), percentile(1000));
}

static int hold_idle(void)
{
	struct pollfd *fds = calloc(idle, sizeof(*fds));
	unsigned long open = 0;
	char c;

	if (fds == NULL)
		err(1, "calloc");
	for (unsigned long i = 0; i < idle; i++) {
		/* blocking: waits while the server's backlog is full */
		fds[i].fd = socket(server.sa.ss_family,
				   SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (fds[i].fd < 0)
			err(1, "socket");
		if (connect(fds[i].fd, (struct sockaddr *)&server.sa,
			    server.len) < 0)
			err(1, "connect");
		fds[i].events = POLLIN;
	}
	printf("ready\n");
	fflush(stdout);
	while (read(STDIN_FILENO, &c, 1) > 0)
		;
	if (poll(fds, idle, 0) < 0)
		err(1, "poll");
	for (unsigned long i = 0; i < idle; i++)
		open += fds[i].revents == 0;
	free(fds);
	printf("{\"idle\": %lu, \"open\": %lu}\n", idle, open);
	return open == idle ? 0 : 1;
}

static void usage(void)
{
	errx(2, "usage: load [-n MAILS] [-c SESSIONS] [-s SIZE] [-r RATE] "
		"SERVER | load -i CLIENTS SERVER");
}

static void parse_args(int argc, char **argv)
{
	int opt;

	while ((opt = getopt(argc, argv, "n:c:s:r:i:")) != -1) {
		if (opt == 'n')
			mails = addr_number(optarg, 100000000);
		else if (opt == 'c')
			sessions = addr_number(optarg, 10000);
		else if (opt == 's')
			size = addr_number(optarg, 1 << 30);
		else if (opt == 'r')
			rate = addr_number(optarg, 10000000);
		else if (opt == 'i')
			idle = addr_number(optarg, 100000);
		else
			usage();
	}
	if (optind + 1 != argc)
		usage();
	addr_parse(&server, argv[optind]);
}

int main(int argc, char **argv)
{
	struct session *all;
	uint64_t t0;

	parse_args(argc, argv);
	if (idle != 0)
		return hold_idle();
	build_request();
	latencies = calloc(mails, sizeof(*latencies));
	all = calloc(sessions, sizeof(*all));
	poller = epoll_create1(EPOLL_CLOEXEC);
	if (latencies == NULL || all == NULL || poller < 0)
		err(1, "cannot start");
	for (unsigned long i = 0; i < sessions; i++)
		all[i].fd = -1;
	t0 = clock_ns();
	run(all);
	print_result((double)(clock_ns() - t0) / 1e9);
	free(all);
	return errors == 0 ? 0 : 1;
}
