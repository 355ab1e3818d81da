/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <ev.h>
#include <getopt.h>
#include <math.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/limits.h"
#include "io/socket.h"
#include "tools/endpoint.h"
#include "tools/maildir.h"
#include "tools/sink.h"
#include "tools/sink_session.h"

/*
 * qrelay-sink: a QMQP server that keeps what it gets in a Maildir, or throws it
 * away.  One process, one thread; storing a mail holds up the other clients, a
 * delay does not.
 */

#define PROGRAM "qrelay-sink"

/* Exit status, as the daemon's. */
#define EXIT_USAGE 2

/* Above it clients wait in the backlog. */
#define MAX_CLIENTS 256
#define BACKLOG 1024

struct options {
	const char *address;
	bool stdio;          /* instead */
	const char *maildir; /* NULL: discard */
	const char *reply;   /* NULL: by the delivery */
	double delay;
	size_t max_size;
};

struct server {
	struct sink sink;
	struct socket_listener listener;
	ev_io accept;
	ev_timer pause;
	ev_signal term, intr;
};

static void usage(FILE *to)
{
	fprintf(to,
		"usage: " PROGRAM " [OPTION]... ADDRESS\n"
		"       " PROGRAM " [OPTION]... --stdio\n"
		"Receives mails by QMQP on ADDRESS: /PATH, @NAME, IP[:PORT], "
		"[IP6]:PORT\nor HOST[:PORT] (port 628), or one on stdin, "
		"answered on stdout.\n\n"
		"  --maildir DIR     deliver to this Maildir, made if absent; "
		"without it\n"
		"                    mails are thrown away\n"
		"  --reply TEXT      answer each mail with TEXT, which starts "
		"with K, Z or D,\n"
		"                    once it is delivered\n"
		"  --delay SECONDS   wait so long before the answer\n"
		"  --max-size BYTES  of a message (%d)\n"
		"  --help, --version\n\n"
		"Without --reply the answer is K if the mail is on the disk "
		"or thrown away,\nand Z if it cannot be stored.  SIGTERM and "
		"SIGINT end it.\n",
		LIMIT_MAX_SIZE_DEFAULT);
}

static int bad_usage(const char *what, const char *value)
{
	fprintf(stderr, PROGRAM ": %s: %s\n", value, what);
	return -EINVAL;
}

static int parse_delay(const char *text, double *ret_delay)
{
	char *end;
	double value = strtod(text, &end);

	if (end == text || *end != '\0' || !isfinite(value) || value < 0. ||
	    value > LIMIT_DURATION_MAX)
		return bad_usage("not a delay in seconds", text);
	*ret_delay = value;
	return 0;
}

static int parse_size(const char *text, size_t *ret_size)
{
	unsigned long long value;
	char *end;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 ||
	    value < 1 || value > LIMIT_MAX_SIZE_MAX)
		return bad_usage("not a size in bytes", text);
	*ret_size = (size_t)value;
	return 0;
}

static int parse_reply(const char *text, const char **ret_reply)
{
	if (text[0] != 'K' && text[0] != 'Z' && text[0] != 'D')
		return bad_usage("a reply starts with K, Z or D", text);
	if (strlen(text) > LIMIT_REPLY)
		return bad_usage("too long for a reply", text);
	*ret_reply = text;
	return 0;
}

/* 0, -EINVAL after a complaint, or 1 if all is done already. */
static int parse_options(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {
		{"maildir", required_argument, NULL, 'm'},
		{"reply", required_argument, NULL, 'r'},
		{"delay", required_argument, NULL, 'd'},
		{"max-size", required_argument, NULL, 's'},
		{"stdio", no_argument, NULL, 'i'},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{NULL, 0, NULL, 0},
	};
	int c, r = 0;

	while (r == 0 && (c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (c) {
		case 'm':
			o->maildir = optarg;
			break;
		case 'r':
			r = parse_reply(optarg, &o->reply);
			break;
		case 'd':
			r = parse_delay(optarg, &o->delay);
			break;
		case 's':
			r = parse_size(optarg, &o->max_size);
			break;
		case 'i':
			o->stdio = true;
			break;
		case 'h':
			usage(stdout);
			return 1;
		case 'V':
			puts(PROGRAM " " QRELAY_VERSION);
			return 1;
		default:
			r = -EINVAL;
		}
	}
	if (r == 0 && optind != argc - (o->stdio ? 0 : 1)) {
		usage(stderr);
		r = -EINVAL;
	}
	if (r == 0 && !o->stdio)
		o->address = argv[optind];
	return r;
}

static void accept_clients(struct server *s)
{
	while (s->sink.n_sessions < MAX_CLIENTS) {
		int fd = accept4(s->listener.fd, NULL, NULL,
				 SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0) {
			if (errno == EINTR || errno == ECONNABORTED)
				continue;
			if (errno == EAGAIN)
				return;
			break;
		}
		if (session_start(&s->sink, fd) < 0)
			break;
	}
	/* Too many clients, or no descriptor or memory for one more. */
	ev_io_stop(s->sink.loop, &s->accept);
	if (s->sink.n_sessions < MAX_CLIENTS) {
		ev_timer_set(&s->pause, LIMIT_ACCEPT_PAUSE, 0.);
		ev_timer_start(s->sink.loop, &s->pause);
	}
}

static void on_accept(EV_P_ ev_io *w, int revents)
{
	(void)loop, (void)revents;
	accept_clients(container_of(w, struct server, accept));
}

static void on_pause_over(EV_P_ ev_timer *w, int revents)
{
	(void)revents;
	ev_io_start(EV_A_ & container_of(w, struct server, pause)->accept);
}

static void on_closed(struct sink *sink)
{
	struct server *s = container_of(sink, struct server, sink);

	if (s->listener.fd >= 0 && !ev_is_active(&s->pause))
		ev_io_start(sink->loop, &s->accept);
}

static void on_signal(EV_P_ ev_signal *w, int revents)
{
	(void)w, (void)revents;
	ev_break(EV_A_ EVBREAK_ALL);
}

/* Listens on the first address that `text` names, and says so. */
static int start_listening(struct server *s, const char *text)
{
	struct endpoint endpoint = {.addresses = NULL};
	struct socket_error error;
	char printed[SOCKADDR_TEXT_MAX];
	const char *message;
	int r;

	r = endpoint_resolve(text, &endpoint, &message);
	if (r < 0) {
		fprintf(stderr, PROGRAM ": %s: %s\n", text, message);
		return r;
	}
	r = socket_listen(&endpoint.addresses[0], 0666, BACKLOG, &s->listener,
			  &error);
	if (r < 0) {
		fprintf(stderr, PROGRAM ": %s: %s (%s)\n", text, error.text,
			strerror(error.code));
	} else {
		printf("listening on %s\n",
		       sockaddr_print(&endpoint.addresses[0], printed,
				      sizeof(printed)));
		fflush(stdout);
	}
	endpoint_deinit(&endpoint);
	return r;
}

static void start_signals(struct server *s)
{
	ev_signal_init(&s->term, on_signal, SIGTERM);
	ev_signal_start(s->sink.loop, &s->term);
	ev_signal_init(&s->intr, on_signal, SIGINT);
	ev_signal_start(s->sink.loop, &s->intr);
	signal(SIGPIPE, SIG_IGN);
}

static void serve(struct server *s)
{
	struct ev_loop *loop = s->sink.loop;

	ev_io_init(&s->accept, on_accept, s->listener.fd, EV_READ);
	ev_init(&s->pause, on_pause_over);
	ev_io_start(loop, &s->accept);
	ev_run(loop, 0);

	ev_io_stop(loop, &s->accept);
	ev_timer_stop(loop, &s->pause);
	socket_listener_close(&s->listener);
	session_close_all(&s->sink);
	block_pool_deinit(&s->sink.pool);
}

/* On -errno the complaint is on stderr. */
static int run_server(struct server *s, const char *address)
{
	int r;

	s->sink.loop = ev_loop_new(EVFLAG_NOENV);
	if (s->sink.loop == NULL) {
		fprintf(stderr, PROGRAM ": cannot make an event loop\n");
		return -ENOMEM;
	}
	/* Before anybody may learn that we listen, and send one. */
	start_signals(s);
	r = start_listening(s, address);
	if (r == 0)
		serve(s);
	ev_signal_stop(s->sink.loop, &s->term);
	ev_signal_stop(s->sink.loop, &s->intr);
	ev_loop_destroy(s->sink.loop);
	return r;
}

static int run_stdio(struct sink *sink)
{
	int r = sink_serve_stdio(sink);

	block_pool_deinit(&sink->pool);
	if (r < 0)
		fprintf(stderr, PROGRAM ": stdio: %s\n",
			r == -ENODATA ? "the request ended early"
				      : strerror(-r));
	return r;
}

int main(int argc, char **argv)
{
	struct options o = {.max_size = LIMIT_MAX_SIZE_DEFAULT};
	struct server s = {.listener = SOCKET_LISTENER_EMPTY};
	struct maildir maildir = MAILDIR_EMPTY;
	int r = parse_options(argc, argv, &o);

	if (r != 0)
		return r > 0 ? EXIT_SUCCESS : EXIT_USAGE;
	if (o.maildir != NULL) {
		r = maildir_open(o.maildir, &maildir);
		if (r < 0) {
			fprintf(stderr, PROGRAM ": %s: %s\n", o.maildir,
				strerror(-r));
			return EXIT_FAILURE;
		}
		s.sink.maildir = &maildir;
	}
	s.sink.reply = o.reply;
	s.sink.delay = o.delay;
	s.sink.max_size = o.max_size;
	s.sink.on_closed = on_closed;
	list_init(&s.sink.sessions);
	block_pool_init(&s.sink.pool);
	r = o.stdio ? run_stdio(&s.sink) : run_server(&s, o.address);
	maildir_close(&maildir);
	return r == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
