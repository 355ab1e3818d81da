/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A day of the daemon: clients that send requests in pieces, wait, half-close and
 * vanish, servers that accept, read, reply, hang and reset, time that passes.  The
 * input is a script of them; its first byte chooses limits, then each command is a
 * letter, mostly with one more byte: P is a peer, by the order of their appearance
 * (0 … 9), N an amount (0 … 9, or the byte's own value).  What is no command is
 * passed over, spaces for example.
 *
 *   o        a client connects              aN      server N accepts
 *   uN       the next clients have uid N
 *   mP TEXT~ P has a request to send: message, sender, recipients, with a '|'
 *            between them.  fN before it makes its message N x 64 bytes longer
 *   qP TEXT~ P has a reply to send          bP N... P has N bytes to send
 *   sP N     P sends N bytes of that        SP      all
 *   rP N     P reads N bytes                RP      all
 *   hP       P half-closes                  cP      reads all and closes
 *   xP       closes without reading
 *   t        a turn of the loop             TN      N of them
 *   wN       time passes                    iN      the daemon sends N bytes at once
 *   lN       server N stops listening, or starts
 *   eN       the next accept (0) or connect (1) has no descriptor, the next send
 *            (2) fails
 *   H        SIGHUP                         k, K    stop, kill
 *
 * Afterwards whoever is left reads, servers close, time passes until all has come
 * to an end.  Then session_ledger says whether it was right, session_daemon
 * whether nothing is left of it.  With FUZZ_SHOW in the environment it is shown.
 * Programs (m:exec) are not tried here, nor TCP.
 */

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "session_daemon.h"
#include "session_kernel.h"
#include "session_ledger.h"
#include "session_mail.h"
#include "session_peer.h"

#define FILL 64
#define MAX_TURNS 8

/* A whole mail's 55 s, and receive_timeout, are over before. */
#define END_ROUNDS 40
#define END_SECONDS 11.

/* A little less than receive_timeout. */
#define PATIENCE 59.

static const double pauses[] = {.02,  .2,   1.5,  5.5,  10.5,
				20.5, 30.5, 55.5, 60.5, 601.};

struct input {
	const uint8_t *at;
	size_t left;
};

struct day {
	struct input in;
	struct session_peers peers;
	size_t filler; /* bytes for the next request */
	double passed; /* seconds */
	uid_t uid;     /* of the next client */
};

static uint8_t next(struct input *in)
{
	if (in->left == 0)
		return 0;
	in->left--;
	return *in->at++;
}

static size_t amount(struct input *in)
{
	uint8_t c = next(in);

	return c >= '0' && c <= '9' ? c - '0' : c;
}

/* Up to `size` bytes. */
static const char *bytes(struct input *in, size_t *size)
{
	const char *s = (const char *)in->at;

	if (*size > in->left)
		*size = in->left;
	in->at += *size;
	in->left -= *size;
	return s;
}

/* Up to a '~', which is not part of it. */
static const char *text(struct input *in, size_t *ret_size)
{
	const uint8_t *end = in->left ? memchr(in->at, '~', in->left) : NULL;
	const char *s;

	*ret_size = end != NULL ? (size_t)(end - in->at) : in->left;
	s = bytes(in, ret_size);
	(void)next(in);
	return s;
}

static void add(struct buffer *b, const char *data, size_t size)
{
	if (buffer_add(b, data, size) < 0)
		abort();
}

static void add_message(struct buffer *b, const char *data, size_t size,
			size_t filler)
{
	struct buffer message = BUFFER_EMPTY;

	add(&message, data, size);
	if (buffer_reserve(&message, filler) < 0)
		abort();
	for (; filler > 0; filler--)
		message.data[message.size++] = (char)('a' + filler % 26);
	session_mail_frame(b, message.data, message.size);
	buffer_deinit(&message);
}

static void queue_request(struct day *d, struct session_peer *p)
{
	struct buffer content = BUFFER_EMPTY;
	size_t size;
	const char *s = text(&d->in, &size), *end = s + size;
	bool first = true;

	while (s <= end) {
		const char *bar = memchr(s, '|', (size_t)(end - s));
		size_t n = (size_t)((bar ? bar : end) - s);

		if (first)
			add_message(&content, s, n, d->filler);
		else
			session_mail_frame(&content, s, n);
		first = false;
		s += n + 1;
	}
	session_mail_frame(&p->queue, content.data, content.size);
	buffer_deinit(&content);
	d->filler = 0;
}

static void queue_reply(struct day *d, struct session_peer *p)
{
	size_t size;
	const char *s = text(&d->in, &size);

	session_mail_frame(&p->queue, s, size);
}

static void queue_bytes(struct day *d, struct session_peer *p)
{
	size_t size = amount(&d->in);
	const char *s = bytes(&d->in, &size);

	add(&p->queue, s, size);
}

/* Whoever is there may be cut off from now on. */
static void excuse(struct day *d)
{
	for (size_t i = 0; i < d->peers.n; i++)
		d->peers.v[i].excused = true;
}

static void pass_time(struct day *d)
{
	double seconds = pauses[amount(&d->in) % 10];

	d->passed += seconds;
	if (d->passed > PATIENCE)
		excuse(d);
	session_kernel_pass(seconds);
}

static void switch_server(struct day *d)
{
	int n = next(&d->in) % SESSION_SERVERS;

	while (session_peers_accept(&d->peers, session_daemon_server(n), n))
		;
	session_daemon_listen(n, session_daemon_server(n) < 0);
}

static void fail(uint8_t what)
{
	if (what % 3 == 0)
		session_kernel_fail_accept();
	else if (what % 3 == 1)
		session_kernel_fail_socket();
	else
		session_kernel_fail_send();
}

static void turns(size_t n)
{
	for (; n > 0; n--)
		session_daemon_turn();
}

/* A command of one of the peers. */
static void peer_command(struct day *d, uint8_t command)
{
	size_t n = next(&d->in) & 15;
	struct session_peer *p;

	if (d->peers.n == 0)
		return;
	p = &d->peers.v[n % d->peers.n];
	switch (command) {
	case 'm':
		queue_request(d, p);
		break;
	case 'q':
		queue_reply(d, p);
		break;
	case 'b':
		queue_bytes(d, p);
		break;
	case 's':
		session_peer_send(p, amount(&d->in));
		break;
	case 'S':
		session_peer_send(p, SIZE_MAX);
		break;
	case 'r':
		(void)session_peer_read(p, amount(&d->in));
		break;
	case 'R':
		session_peer_drain(p);
		break;
	case 'h':
		session_peer_half_close(p);
		break;
	case 'c':
		session_peer_drain(p);
		session_peer_close(p);
		break;
	case 'x':
		session_peer_close(p);
		break;
	}
}

static void command(struct day *d, uint8_t c)
{
	int server;

	switch (c) {
	case 'o':
		session_peers_connect(&d->peers, session_daemon_name(), d->uid);
		break;
	case 'u':
		d->uid = (uid_t)amount(&d->in);
		break;
	case 'a':
		server = next(&d->in) % SESSION_SERVERS;
		session_peers_accept(&d->peers, session_daemon_server(server),
				     server);
		break;
	case 'f':
		d->filler = FILL * amount(&d->in);
		break;
	case 't':
		turns(1);
		break;
	case 'T':
		turns(amount(&d->in) % (MAX_TURNS + 1));
		break;
	case 'w':
		pass_time(d);
		break;
	case 'i':
		session_kernel_bite(amount(&d->in));
		break;
	case 'l':
		switch_server(d);
		break;
	case 'e':
		fail(next(&d->in));
		break;
	case 'H':
		session_daemon_reload();
		break;
	case 'k':
	case 'K':
		excuse(d);
		if (c == 'k')
			session_daemon_stop();
		else
			session_daemon_kill();
		break;
	default:
		if (c != '\0' && strchr("mqbsSrRhcx", c) != NULL)
			peer_command(d, c);
		break;
	}
}

/* Servers go, clients wait for their answers. */
static void come_to_an_end(struct day *d)
{
	session_kernel_reset();
	for (int round = 0; round < END_ROUNDS; round++) {
		bool over = true;

		turns(3);
		for (int n = 0; n < SESSION_SERVERS; n++)
			while (session_peers_accept(
				&d->peers, session_daemon_server(n), n))
				;
		for (size_t i = 0; i < d->peers.n; i++) {
			struct session_peer *p = &d->peers.v[i];

			session_peer_drain(p);
			/* some rounds for an answer, then it is in vain */
			if (p->server >= 0 || p->eof || round == END_ROUNDS - 2)
				session_peer_close(p);
			over &= p->fd < 0;
		}
		turns(2);
		if (over && session_daemon_is_idle())
			return;
		session_kernel_pass(END_SECONDS);
	}
}

static struct session_limits choose_limits(uint8_t c)
{
	struct session_limits l = {
		.max_size = c & 1 ? 64 : 32768,
		.max_recipients = c & 2 ? 2 : 10,
		.max_memory = 65536,
		.max_connections = c & 16 ? 2 : 100,
		.max_connections_per_uid = c & 8 ? 1 : 100,
	};

	if (c & 4) {
		l.max_memory = 400;
		if (l.max_size > l.max_memory)
			l.max_size = l.max_memory;
	}
	return l;
}

/* For who wants to know what an input does. */
static void show(const struct day *d, const char *log, size_t log_size)
{
	for (size_t i = 0; i < d->peers.n; i++) {
		const struct session_peer *p = &d->peers.v[i];

		fprintf(stderr, "peer %zu, %s, sent %zu bytes, got %zu: ", i,
			p->server < 0 ? "client" : "server", p->sent,
			p->got.size);
		fwrite(p->got.data, 1, p->got.size, stderr);
		fputc('\n', stderr);
	}
	fwrite(log, 1, log_size, stderr);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct day d = {.in = {data, size}};
	struct session_limits limits;
	const char *log;
	size_t log_size;

	session_daemon_start();
	session_kernel_forget_uids();
	limits = choose_limits(next(&d.in));
	session_daemon_begin(&limits);
	while (d.in.left > 0)
		command(&d, next(&d.in));
	come_to_an_end(&d);
	log = session_daemon_log(&log_size);
	if (getenv("FUZZ_SHOW") != NULL)
		show(&d, log, log_size);
	session_ledger_check(&d.peers, &limits, log, log_size);
	session_peers_deinit(&d.peers);
	session_daemon_check();
	return 0;
}
