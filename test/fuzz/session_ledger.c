/* SPDX-License-Identifier: BSD-2-Clause */
#include "session_ledger.h"

#include <assert.h>
#include <string.h>

#include "base/attr.h"
#include "base/limits.h"
#include "session_daemon.h"
#include "session_mail.h"
#include "session_peer.h"

/* What we say ourselves: to a client whose mail never was whole, to any, and of a
 * mail that is to be connected. */
static const char *const refusals[] = {"Dmalformed input", "Dbad address",
				       "Dtoo many recipients",
				       "Dmessage too large", NULL};
static const char *const always[] = {"Ztimeout", "Ztoo busy",
				     "Ztoo many connections", NULL};
static const char *const failures[] = {"Zconnect failed", "Zrelay failed",
				       "Zmalformed relay response",
				       "Zinternal server error", NULL};

enum { NONE, CUT, WHOLE, WRONG }; /* a reply */

struct reply {
	int state;
	const char *text; /* its letter first */
	size_t size;
};

/* Reads a reply; what follows it is not looked at, but by `ret_used`. */
static struct reply read_reply(const char *data, size_t size, size_t max,
			       size_t *ret_used)
{
	struct reply r = {.state = size == 0 ? NONE : CUT};
	size_t at = 0;

	while (at < size && data[at] >= '0' && data[at] <= '9') {
		r.size = 10 * r.size + (size_t)(data[at++] - '0');
		if (r.size > max || (at > 1 && data[0] == '0'))
			r.state = WRONG;
		if (r.state == WRONG)
			return r;
	}
	if (at == size)
		return r;
	if (at == 0 || data[at++] != ':' || r.size == 0 ||
	    (at < size && strchr("KZD", data[at]) == NULL))
		r.state = WRONG;
	else if (size - at > r.size)
		r.state = data[at + r.size] == ',' ? WHOLE : WRONG;
	r.text = data + at;
	*ret_used = at + r.size + 1;
	return r;
}

static struct reply got(const struct session_peer *p)
{
	size_t used = 0;
	struct reply r =
		read_reply(p->got.data, p->got.size, LIMIT_REPLY, &used);

	assert(r.state != WRONG);
	if (r.state == WHOLE)
		assert(used == p->got.size);
	/* half of one: only if we did not wait for the rest */
	if (r.state == CUT)
		assert(p->left);
	return r;
}

/* What a server said, as it is passed on. */
static struct reply said(const struct session_peer *p)
{
	size_t used;
	struct reply r =
		read_reply(p->queue.data, p->sent, LIMIT_REPLY_READ, &used);

	if (r.state == WHOLE && r.size > LIMIT_REPLY)
		r.size = LIMIT_REPLY;
	return r;
}

static bool is(const struct reply *r, const char *text)
{
	return r->size == strlen(text) && memcmp(r->text, text, r->size) == 0;
}

static bool is_one(const struct reply *r, const char *const *texts)
{
	for (; *texts != NULL; texts++) {
		if (is(r, *texts))
			return true;
	}
	return false;
}

static bool is_start(const struct buffer *start, const struct buffer *all)
{
	return start->size <= all->size &&
	       (start->size == 0 ||
		memcmp(start->data, all->data, start->size) == 0);
}

static bool fits(const struct session_peer *server,
		 const struct session_mail *mail)
{
	return server->server >= 0 && !server->used &&
	       session_mail_goes_to(mail, server->server) &&
	       is_start(&server->got, &mail->wire);
}

/* Whether a server said that of the client's mail, and a `K` only when it had all
 * of it. */
static bool find_author(struct session_peers *peers,
			const struct session_mail *mail, const struct reply *r)
{
	for (size_t i = 0; i < peers->n; i++) {
		struct session_peer *p = &peers->v[i];
		struct reply s;

		if (!fits(p, mail))
			continue;
		s = said(p);
		if (s.state != WHOLE || s.size != r->size ||
		    memcmp(s.text, r->text, s.size) != 0)
			continue;
		if (r->text[0] == 'K' && p->got.size < mail->wire.size)
			continue;
		p->used = true;
		return true;
	}
	return false;
}

/* Returns true if a server must have said it. */
static bool check_verdict(const struct session_mail *mail,
			  const struct reply *r)
{
	if (is_one(r, always))
		return false;
	if (!mail->whole) {
		assert(is_one(r, refusals));
		return false;
	}
	switch (mail->end) {
	case 'd':
		assert(is(r, "Kdiscarded"));
		return false;
	case 'r':
		assert(is(r, "Drejected"));
		return false;
	case 'z':
		assert(is(r, "Zdeferred"));
		return false;
	case 'n':
		assert(is_one(r, failures));
		return false;
	case 'c':
	case 'C':
	case 'b':
	case 'B':
	case 't':
		return !is_one(r, failures);
	default:
		assert(is(r, "Zscript failed"));
		return false;
	}
}

/* Each other server that got a byte got it of a mail of its own: the one that got
 * most may choose first. */
static void match_rest(struct session_peers *peers, struct session_mail *mails,
		       bool *matched)
{
	for (;;) {
		struct session_peer *most = NULL;
		size_t c;

		for (size_t i = 0; i < peers->n; i++) {
			struct session_peer *p = &peers->v[i];

			if (p->server >= 0 && !p->used && p->got.size > 0 &&
			    (most == NULL || p->got.size > most->got.size))
				most = p;
		}
		if (most == NULL)
			return;
		for (c = 0; c < peers->n_clients; c++) {
			if (!matched[c] && fits(most, &mails[c]))
				break;
		}
		assert(c < peers->n_clients);
		matched[c] = most->used = true;
	}
}

/* ---- the log ---- */

struct lines {
	size_t least, most;     /* that may be there */
	size_t least_k, most_k; /* of them, with a K */
};

static void expect_lines(struct lines *l, const struct session_peer *client,
			 const struct session_mail *mail, const struct reply *r)
{
	bool discarded = mail->whole && mail->end == 'd';

	l->most_k += discarded;
	if (r->state == WHOLE) {
		l->least++;
		l->most++;
		l->least_k += r->text[0] == 'K';
	} else if (r->state == CUT) {
		l->least++;
		l->most++;
	} else if (mail->whole) {
		/* whoever stays gets an answer */
		assert(client->left || client->excused);
		l->least += !client->excused;
		l->most++;
	} else if (client->left || client->excused) {
		l->most += client->sent > 0 || client->left;
	}
}

/* One " key=value" of a line. */
struct pair {
	const char *key, *value;
	size_t key_size, value_size; /* with its quotes */
};

/* Takes the next pair; what is no pair is not in a mail's line. */
static struct pair take_pair(const char **line, const char *end)
{
	struct pair p = {.key = *line};

	p.value = memchr(*line, '=', (size_t)(end - *line));
	assert(p.value != NULL && p.value > p.key);
	p.key_size = (size_t)(p.value++ - p.key);
	for (size_t i = 0; i < p.key_size; i++)
		assert(p.key[i] >= 'a' && p.key[i] <= 'z');
	*line = p.value;
	if (*line < end && **line == '"') {
		while (*++*line != '"') {
			*line += **line == '\\';
			assert(*line + 1 < end);
		}
		++*line;
	} else {
		for (; *line < end && **line != ' '; ++*line)
			assert(**line != '"');
	}
	p.value_size = (size_t)(*line - p.value);
	assert(*line == end || **line == ' ');
	*line += *line < end;
	return p;
}

static bool pair_is(const struct pair *p, const char *key, const char *value)
{
	return p->key_size == strlen(key) &&
	       memcmp(p->key, key, p->key_size) == 0 &&
	       (value == NULL || (p->value_size == strlen(value) &&
				  memcmp(p->value, value, p->value_size) == 0));
}

/* A line with an id: whether it is a mail's own, and says K. */
static bool read_line(const char *line, const char *end, struct pair *ret_id,
		      bool *ret_k)
{
	struct pair p;
	bool own = false;

	*ret_id = take_pair(&line, end);
	*ret_k = false;
	for (size_t n = 0; line < end; n++) {
		p = take_pair(&line, end);
		if (n == 0)
			own = pair_is(&p, "listener", NULL);
		*ret_k |= pair_is(&p, "verdict", "K");
	}
	assert(!own || pair_is(&p, "ms", NULL));
	return own;
}

static void check_log(const char *log, size_t size, const struct lines *l)
{
	struct pair last = {NULL, NULL, 0, 0}, id;
	const char *end;
	size_t n = 0, n_k = 0;

	for (; size > 0; size -= (size_t)(end + 1 - log), log = end + 1) {
		bool k;

		end = memchr(log, '\n', size);
		assert(end != NULL);
		if (memcmp(log, "id=", 3) != 0 || !read_line(log, end, &id, &k))
			continue;
		assert(last.value == NULL || last.value_size != id.value_size ||
		       memcmp(last.value, id.value, id.value_size) != 0);
		last = id;
		n++;
		n_k += k;
	}
	assert(n >= l->least && n <= l->most);
	assert(n_k >= l->least_k && n_k <= l->most_k);
}

void session_ledger_check(struct session_peers *peers,
			  const struct session_limits *limits, const char *log,
			  size_t log_size)
{
	struct session_mail mails[SESSION_CLIENTS];
	bool matched[SESSION_CLIENTS] = {false};
	struct lines lines = {0};
	size_t c = 0;

	for (size_t i = 0; i < peers->n; i++) {
		struct session_peer *p = &peers->v[i];

		if (p->server >= 0) {
			struct reply r = said(p);

			lines.most_k += r.state == WHOLE && r.text[0] == 'K';
			continue;
		}
		session_mail_init(&mails[c++], p->uid, p->queue.data, p->sent,
				  limits->max_size, limits->max_recipients);
	}
	c = 0;
	for (size_t i = 0; i < peers->n; i++) {
		const struct session_peer *p = &peers->v[i];
		struct reply r;

		if (p->server >= 0)
			continue;
		r = got(p);
		if (r.state == WHOLE && check_verdict(&mails[c], &r)) {
			assert(find_author(peers, &mails[c], &r));
			matched[c] = true;
		}
		expect_lines(&lines, p, &mails[c++], &r);
	}
	match_rest(peers, mails, matched);
	check_log(log, log_size, &lines);
	while (c > 0)
		session_mail_deinit(&mails[--c]);
}
