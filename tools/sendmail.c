/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/block.h"
#include "base/fd.h"
#include "base/limits.h"
#include "proto/address.h"
#include "proto/mail.h"
#include "proto/netstring.h"
#include "tools/endpoint.h"
#include "tools/message.h"
#include "tools/submit.h"

/*
 * qrelay-sendmail: submits a mail by QMQP, with the command line of sendmail(8).
 * The recipients are those of the command line, never the message's; no header is
 * added or changed.
 */

#define PROGRAM "qrelay-sendmail"
#define DEFAULT_SOCKET "/run/cm4all/qrelay/socket"
#define SOCKET_VARIABLE "QRELAY_SOCKET"

struct options {
	const char *sender; /* NULL: whoever runs this */
	const char *address;
	bool ignore_dots;
	char **recipients;
	int n_recipients;
};

static void usage(FILE *to)
{
	fprintf(to,
		"usage: " PROGRAM " [OPTION]... [--] RECIPIENT...\n"
		"Submits the message on standard input by QMQP.\n\n"
		"  -f SENDER   envelope sender; '' or '<>' is the empty one; "
		"default USER@HOST\n"
		"  -i, -oi     a line with a lone dot does not end the "
		"message\n"
		"  -s ADDRESS  of the server: /PATH, @NAME, IP[:PORT], "
		"[IP6]:PORT or\n"
		"              HOST[:PORT] (port 628); default "
		"$" SOCKET_VARIABLE " or\n"
		"              " DEFAULT_SOCKET "\n"
		"  --help, --version\n\n"
		"Other options of sendmail are ignored, but for -t and modes "
		"other than -bm,\nwhich are refused.  Exit status: 0 "
		"accepted, 75 try again later, 77 refused,\n64 bad usage.\n");
}

/* As on a terminal: nothing that a server says may control it. */
static void complain_bytes(const char *text, size_t size)
{
	fputs(PROGRAM ": ", stderr);
	for (size_t i = 0; i < size; i++) {
		unsigned char c = (unsigned char)text[i];

		fputc(c < 0x20 || c == 0x7f ? ' ' : c, stderr);
	}
	fputc('\n', stderr);
}

static void complain(const char *text)
{
	complain_bytes(text, strlen(text));
}

static int bad_usage(const char *what)
{
	complain(what);
	return EX_USAGE;
}

/* EX_OK, EX_USAGE after a complaint, or -1 if all is done already. */
static int parse_options(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {
		{"help", no_argument, NULL, 'H'},
		{"version", no_argument, NULL, 'W'},
		{NULL, 0, NULL, 0},
	};
	int c;

	/* getopt permutes: "-f X" behind a recipient is no recipient. */
	while ((c = getopt_long(argc, argv,
				"f:r:is:to:b:A:B:C:e:F:h:L:N:O:p:R:V:X:mnvUG",
				longs, NULL)) != -1) {
		switch (c) {
		case 'f':
		case 'r': /* its old name */
			o->sender = optarg;
			break;
		case 'i':
			o->ignore_dots = true;
			break;
		case 'o':
			if (strcmp(optarg, "i") == 0)
				o->ignore_dots = true;
			break;
		case 's':
			o->address = optarg;
			break;
		case 't':
			return bad_usage("-t: recipients are taken from the "
					 "command line only");
		case 'b':
			if (strcmp(optarg, "m") != 0)
				return bad_usage(
					"-b: there is no mode but -bm");
			break;
		case 'H':
			usage(stdout);
			return -1;
		case 'W':
			puts(PROGRAM " " QRELAY_VERSION);
			return -1;
		case '?':
			return EX_USAGE; /* getopt has said why */
		default:
			break; /* sendmail's */
		}
	}
	if (optind == argc) {
		usage(stderr);
		return EX_USAGE;
	}
	o->recipients = argv + optind;
	o->n_recipients = argc - optind;
	return EX_OK;
}

/* "<ADDRESS>" is ADDRESS. */
static const char *strip(const char *address, size_t *ret_size)
{
	size_t size = strlen(address);

	if (size >= 2 && address[0] == '<' && address[size - 1] == '>') {
		address++;
		size -= 2;
	}
	*ret_size = size;
	return address;
}

/* USER@HOST of whoever runs this; "" if it cannot be told. */
static void default_sender(char *buf, size_t size)
{
	const struct passwd *user = getpwuid(getuid());
	char host[HOST_NAME_MAX + 1] = "";

	*buf = '\0';
	if (user == NULL || gethostname(host, sizeof(host) - 1) < 0 ||
	    host[0] == '\0')
		return;
	snprintf(buf, size, "%s@%s", user->pw_name, host);
}

static int bad_address(const char *address)
{
	char text[LIMIT_ADDRESS + 64];

	snprintf(text, sizeof(text), "bad address: %s", address);
	complain(text);
	return EX_USAGE;
}

static int set_sender(struct mail *m, const char *address)
{
	char buf[LIMIT_ADDRESS + 1];
	const char *sender;
	size_t size;

	if (address == NULL) {
		default_sender(buf, sizeof(buf));
		if (*buf == '\0')
			return bad_usage("who sends this? Use -f SENDER");
		address = buf;
	}
	sender = strip(address, &size);
	if (!address_is_sender(sender, size))
		return bad_address(address);
	return mail_set_sender(m, sender, size) < 0 ? EX_OSERR : EX_OK;
}

static int add_recipient(struct mail *m, const char *address)
{
	size_t size;
	const char *rcpt = strip(address, &size);

	if (!address_is_recipient(rcpt, size))
		return bad_address(address);
	if (buffer_printf(&m->recipients, "%zu:%.*s,", size, (int)size, rcpt) <
	    0)
		return EX_OSERR;
	m->n_recipients++;
	return EX_OK;
}

static int read_message(struct mail *m, bool ignore_dots)
{
	struct message_reader reader;
	char buf[65536];
	ssize_t n = 1;

	message_reader_init(&reader, &m->chain, !ignore_dots);
	while (n > 0 && !reader.ended) {
		n = fd_read(STDIN_FILENO, buf, sizeof(buf));
		if (n < 0) {
			complain(strerror((int)-n));
			return EX_IOERR;
		}
		if (message_reader_feed(&reader, buf, (size_t)n) < 0)
			return EX_OSERR;
		if (m->chain.size > LIMIT_MAX_SIZE_MAX) {
			complain("message too large");
			return EX_DATAERR;
		}
	}
	if (message_reader_end(&reader) < 0)
		return EX_OSERR;
	m->message_size = m->chain.size;
	return EX_OK;
}

static int make_mail(struct mail *m, const struct options *o)
{
	int r = set_sender(m, o->sender);

	for (int i = 0; r == EX_OK && i < o->n_recipients; i++)
		r = add_recipient(m, o->recipients[i]);
	if (r == EX_OK)
		r = read_message(m, o->ignore_dots);
	if (r == EX_OK && mail_seal(m, NULL) < 0)
		r = EX_OSERR;
	if (r == EX_OSERR)
		complain("no memory");
	return r;
}

static const char *submit_text(int err)
{
	switch (err) {
	case -ETIMEDOUT:
		return "the server does not answer";
	case -ECONNRESET:
	case -EPIPE:
		return "the server closed without an answer";
	case -EBADMSG:
		return "the server's answer is malformed";
	default:
		return strerror(-err);
	}
}

static int submit_mail(const struct mail *m, const char *address)
{
	struct endpoint endpoint = {.addresses = NULL};
	char text[LIMIT_REPLY];
	struct qmqp_reply reply;
	const char *message;
	int r;

	r = endpoint_resolve(address, &endpoint, &message);
	if (r < 0) {
		fprintf(stderr, PROGRAM ": %s: %s\n", address, message);
		return r == -EINVAL ? EX_USAGE : EX_TEMPFAIL;
	}
	r = submit(endpoint.addresses, endpoint.n_addresses, m, &reply);
	endpoint_deinit(&endpoint);
	if (r < 0) {
		snprintf(text, sizeof(text), "%s: %s", address, submit_text(r));
		complain(text);
		return EX_TEMPFAIL;
	}
	if (reply.text[0] == 'K')
		return EX_OK;
	complain_bytes(reply.text + 1, reply.size - 1);
	return reply.text[0] == 'D' ? EX_NOPERM : EX_TEMPFAIL;
}

int main(int argc, char **argv)
{
	struct options o = {.address = getenv(SOCKET_VARIABLE)};
	struct block_pool pool;
	struct mail m;
	int r;

	if (o.address == NULL || *o.address == '\0')
		o.address = DEFAULT_SOCKET;
	r = parse_options(argc, argv, &o);
	if (r != EX_OK)
		return r < 0 ? EX_OK : r;
	signal(SIGPIPE, SIG_IGN);
	block_pool_init(&pool);
	mail_init(&m, &pool);
	r = make_mail(&m, &o);
	if (r == EX_OK)
		r = submit_mail(&m, o.address);
	mail_deinit(&m);
	block_pool_deinit(&pool);
	return r;
}
