/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A request in one piece and in many must be the same request; a mail that is
 * sent on must be read as the same envelope and message.  The first byte of the
 * input decides the cuts, the number of recipients and what is added; and whether
 * the rest is a request, or message, sender and recipients with a '|' between
 * them, which are framed here: lengths that fit are hard to find by chance.
 */

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/block.h"
#include "fuzz.h"
#include "proto/address.h"
#include "proto/mail.h"
#include "proto/qmqp_request.h"
#include "support/mail_bytes.h"

#define MAX_SIZE 500
#define HEADER 40 /* of what is tried as one */

static struct block_pool pool;

static enum qmqp_request_result feed(struct mail *m, size_t max_recipients,
				     const char *data, size_t size,
				     struct cuts *cuts, size_t *ret_used)
{
	enum qmqp_request_result result = QMQP_REQUEST_MORE;
	struct qmqp_request r;
	size_t total = 0;

	mail_init(m, &pool);
	qmqp_request_init(&r, m, MAX_SIZE, max_recipients);
	while (result == QMQP_REQUEST_MORE && total < size) {
		size_t left = size - total, used;
		size_t n = cuts ? cuts_next(cuts, left) : left;
		char *piece = exact(data + total, n);

		chain_put(&m->chain, piece, n);
		result = qmqp_request_feed(&r, piece, n, &used);
		free(piece);
		if (result == QMQP_REQUEST_MORE)
			assert(used == n);
		if (result == QMQP_REQUEST_DONE)
			assert(used > 0 && used <= n);
		if (result <= QMQP_REQUEST_DONE)
			total += used;
	}
	assert(result != QMQP_REQUEST_MEMORY);
	*ret_used = total;
	return result;
}

static bool same_buffer(const struct buffer *a, const struct buffer *b)
{
	return a->size == b->size &&
	       (a->size == 0 || memcmp(a->data, b->data, a->size) == 0);
}

/* The message; the caller frees it. */
static char *message(const struct mail *m)
{
	char *out = malloc(m->message_size + 1);
	size_t at = 0;

	assert(out != NULL);
	while (at < m->message_size) {
		size_t part;
		const char *p = chain_at(&m->chain, m->message_offset + at,
					 m->message_size - at, &part);

		memcpy(out + at, p, part);
		at += part;
	}
	return out;
}

static void check_same(const struct mail *a, const struct mail *b)
{
	assert(a->message_offset == b->message_offset);
	assert(a->message_size == b->message_size);
	assert(a->crlf == b->crlf && a->continues == b->continues);
	assert(a->n_recipients == b->n_recipients);
	assert(same_buffer(&a->sender, &b->sender));
	assert(same_buffer(&a->recipients, &b->recipients));
}

/* What holds for each whole request. */
static void check_mail(const struct mail *m, size_t used, size_t max_recipients)
{
	size_t at = 0, n = 0, size;
	char *data = message(m);
	char *lf = memchr(data, '\n', m->message_size);
	const char *s;

	assert(m->message_size <= MAX_SIZE);
	assert(m->message_offset + m->message_size < used);
	assert(m->crlf == (lf != NULL && lf > data && lf[-1] == '\r'));
	assert(m->continues ==
	       (m->message_size > 0 && (data[0] == ' ' || data[0] == '\t')));
	free(data);

	assert(address_is_sender(m->sender.data, m->sender.size));
	while ((s = mail_recipient(m, &at, &size)) != NULL) {
		assert(address_is_recipient(s, size));
		n++;
	}
	assert(at == m->recipients.size);
	assert(n == m->n_recipients && n > 0 && n <= max_recipients);
}

/* Tries the start of the message as a header, its name and its value; returns how
 * many bytes it takes. */
static size_t insert_header(struct mail *m, const char *data)
{
	size_t size = m->message_size < HEADER ? m->message_size : HEADER;
	bool is_name = size > 0, is_value = true;

	for (size_t i = 0; i < size; i++) {
		is_name &= data[i] > ' ' && data[i] < 0x7f && data[i] != ':';
		is_value &= data[i] > 0 && data[i] != '\r' && data[i] != '\n';
	}
	assert(mail_insert_header(m, data, size, data, size) ==
	       (!is_name    ? MAIL_HEADER_NAME
		: !is_value ? MAIL_HEADER_VALUE
			    : MAIL_HEADER_OK));
	if (is_name)
		return 2 * size + 2;
	assert(mail_insert_header(m, "V", 1, data, size) ==
	       (is_value ? MAIL_HEADER_OK : MAIL_HEADER_VALUE));
	return is_value ? size + 3 : 0;
}

/* Sends the mail on and reads what the next server would. */
static void check_sent(struct mail *m, uint8_t options)
{
	size_t size, used, raw_size, max_recipients = m->n_recipients;
	char *wire, *raw, *before = message(m), *after;
	struct cuts cuts = {options};
	struct mail next;
	size_t added, header = 0;

	if (options & 1)
		assert(mail_insert_header(m, "A", 1, "b", 1) == MAIL_HEADER_OK);
	if (options & 2)
		assert(mail_insert_header(m, "C", 1, "", 0) == MAIL_HEADER_OK);
	if (options & 2)
		header = insert_header(m, before);
	assert(mail_seal(m, options & 4 ? "here" : NULL) == 0);
	raw = mail_bytes(m, MAIL_RAW, 0, 1 + options % 8, SIZE_MAX, &raw_size);
	wire = mail_bytes(m, MAIL_QMQP, 0, 8, 1 + options, &size);
	assert(raw_size == mail_wire_size(m, MAIL_RAW));
	assert(size == mail_wire_size(m, MAIL_QMQP));
	added = raw_size - m->message_size;
	assert((added > 0) == ((options & 7) != 0));
	assert(memcmp(raw + added, before, m->message_size) == 0);
	/* what was inserted last stands first */
	if (header > 0) {
		assert(raw[header] == (m->crlf ? '\r' : '\n'));
		assert(memchr(raw, '\n', header) == NULL);
	}

	if (raw_size <= MAX_SIZE) {
		assert(feed(&next, max_recipients, wire, size, &cuts, &used) ==
		       QMQP_REQUEST_DONE);
		assert(used == size);
		assert(next.message_size == raw_size);
		assert(same_buffer(&m->sender, &next.sender));
		assert(same_buffer(&m->recipients, &next.recipients));
		after = message(&next);
		assert(memcmp(after, raw, raw_size) == 0);
		free(after);
		if (added > 0)
			assert(next.crlf == m->crlf && !next.continues);
		mail_deinit(&next);
	}
	free(before);
	free(raw);
	free(wire);
}

static void add_netstring(struct buffer *b, const char *data, size_t size)
{
	char length[NETSTRING_LENGTH_MAX];

	assert(buffer_add(b, length, netstring_print(length, size)) == 0);
	assert(buffer_add(b, data, size) == 0);
	assert(buffer_add(b, ",", 1) == 0);
}

/* Makes a request of the fields between the '|'. */
static struct buffer frame(const char *data, size_t size)
{
	struct buffer content = BUFFER_EMPTY, wire = BUFFER_EMPTY;
	const char *bar;

	while ((bar = memchr(data, '|', size)) != NULL) {
		size_t n = (size_t)(bar - data);

		add_netstring(&content, data, n);
		data += n + 1;
		size -= n + 1;
	}
	add_netstring(&content, data, size);
	add_netstring(&wire, content.data, content.size);
	buffer_deinit(&content);
	return wire;
}

static enum qmqp_request_result check(const char *wire, size_t size,
				      uint8_t options)
{
	size_t used, used_cut, max_recipients = 1 + options / 8 % 4;
	struct cuts cuts = {options};
	enum qmqp_request_result result;
	struct mail whole, cut;

	result = feed(&whole, max_recipients, wire, size, NULL, &used);
	assert(feed(&cut, max_recipients, wire, size, &cuts, &used_cut) ==
	       result);
	if (result == QMQP_REQUEST_DONE) {
		assert(used == used_cut);
		check_same(&whole, &cut);
		check_mail(&whole, used, max_recipients);
		check_sent(&whole, options);
	}
	mail_deinit(&whole);
	mail_deinit(&cut);
	assert(pool.n_used == 0);
	return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *rest = (const char *)data + 1;

	if (size == 0)
		return 0;
	if (data[0] & 0x80) {
		struct buffer wire = frame(rest, size - 1);

		/* what is framed well is never cut short */
		assert(check(wire.data, wire.size, data[0]) !=
		       QMQP_REQUEST_MORE);
		buffer_deinit(&wire);
	} else {
		check(rest, size - 1, data[0]);
	}
	return 0;
}
