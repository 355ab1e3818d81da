/* SPDX-License-Identifier: BSD-2-Clause */
#include "proto/mail.h"

#include <assert.h>
#include <string.h>

#include "base/limits.h"
#include "proto/address.h"
#include "proto/netstring.h"

#define RECEIVED "Received: "

/* What each buffer of a cleared mail keeps at most: a usual mail's. */
#define KEEP 256

void mail_init(struct mail *m, struct block_pool *pool)
{
	*m = (struct mail){0};
	chain_init(&m->chain, pool);
}

void mail_deinit(struct mail *m)
{
	struct block_pool *pool = m->chain.pool;

	chain_deinit(&m->chain);
	buffer_deinit(&m->sender);
	buffer_deinit(&m->recipients);
	buffer_deinit(&m->added);
	buffer_deinit(&m->head);
	buffer_deinit(&m->tail);
	mail_init(m, pool);
}

void mail_clear(struct mail *m)
{
	chain_clear(&m->chain);
	buffer_clear(&m->sender, KEEP);
	buffer_clear(&m->recipients, KEEP);
	buffer_clear(&m->added, KEEP);
	buffer_clear(&m->head, KEEP);
	buffer_clear(&m->tail, KEEP);
	m->message_offset = m->message_size = 0;
	m->crlf = m->continues = false;
	m->n_recipients = 0;
	m->head_raw = 0;
	m->sealed = false;
}

/* It may be a part of the present one: that must not move before it is copied. */
int mail_set_sender(struct mail *m, const char *s, size_t size)
{
	struct buffer sender = BUFFER_EMPTY;
	int r;

	assert(!m->sealed && address_is_sender(s, size));
	if (size > 0 && size <= m->sender.capacity) {
		memmove(m->sender.data, s, size);
	} else if (size > 0) {
		r = buffer_add(&sender, s, size);
		if (r < 0)
			return r;
		buffer_deinit(&m->sender);
		m->sender = sender;
	}
	m->sender.size = size;
	return 0;
}

const char *mail_recipient(const struct mail *m, size_t *at, size_t *ret_size)
{
	struct netstring_length length = {0};
	size_t i = *at;

	if (i == m->recipients.size)
		return NULL;
	while (netstring_length_feed(&length, m->recipients.data[i++]) ==
	       NETSTRING_MORE)
		;
	*at = i + length.value + 1;
	*ret_size = length.value;
	return m->recipients.data + i;
}

static bool is_header_name(const char *s, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		if (s[i] < 33 || s[i] > 126 || s[i] == ':')
			return false;
	}
	return size > 0;
}

static bool is_header_value(const char *s, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c == '\0' || c == '\r' || c == '\n' || c >= 0x80)
			return false;
	}
	return true;
}

enum mail_header_error mail_insert_header(struct mail *m, const char *name,
					  size_t name_size, const char *value,
					  size_t value_size)
{
	struct buffer *b = &m->added;
	size_t line;

	assert(!m->sealed);
	if (!is_header_name(name, name_size))
		return MAIL_HEADER_NAME;
	if (!is_header_value(value, value_size))
		return MAIL_HEADER_VALUE;
	if (name_size > LIMIT_HEADER_LINE - 2 ||
	    value_size > LIMIT_HEADER_LINE - 2 - name_size)
		return MAIL_HEADER_LONG;
	line = name_size + 2 + value_size + 1;
	if (line > LIMIT_ADDED_HEADERS - b->size)
		return MAIL_HEADER_MANY;
	if (buffer_reserve(b, line) < 0)
		return MAIL_HEADER_MEMORY;

	/* There is room: none of these fails. */
	memcpy(b->data + b->size, name, name_size);
	memcpy(b->data + b->size + name_size, ": ", 2);
	if (value_size > 0)
		memcpy(b->data + b->size + name_size + 2, value, value_size);
	b->data[b->size + line - 1] = '\n';
	b->size += line;
	return MAIL_HEADER_OK;
}

const char *mail_header_strerror(enum mail_header_error e)
{
	switch (e) {
	case MAIL_HEADER_OK:
		break;
	case MAIL_HEADER_NAME:
		return "malformed header name";
	case MAIL_HEADER_VALUE:
		return "malformed header value";
	case MAIL_HEADER_LONG:
		return "header line too long";
	case MAIL_HEADER_MANY:
		return "too many headers";
	case MAIL_HEADER_MEMORY:
		return "out of memory";
	}
	return NULL;
}

/* Bytes of all that stands before the message, without the framing. */
static size_t headers_size(const struct mail *m, const char *received)
{
	size_t eol = m->crlf ? 2 : 1;
	size_t size = m->added.size;

	if (m->crlf) {
		for (size_t i = 0; i < m->added.size; i++)
			size += m->added.data[i] == '\n';
	}
	if (received != NULL)
		size += strlen(RECEIVED) + strlen(received) + eol;
	if (size > 0 && m->continues)
		size += eol;
	return size;
}

/* Appends where room was made before. */
static void put(struct buffer *b, const char *data, size_t size)
{
	assert(size <= b->capacity - b->size);
	if (size > 0)
		memcpy(b->data + b->size, data, size);
	b->size += size;
}

static void put_length(struct buffer *b, size_t size)
{
	char s[NETSTRING_LENGTH_MAX];

	/* cppcheck-suppress uninitvar ; netstring_print() writes it */
	put(b, s, netstring_print(s, size));
}

/* The added lines, last one first. */
static void put_added(struct buffer *b, const struct buffer *added,
		      const char *eol)
{
	size_t end = added->size;

	while (end > 0) {
		size_t line = end - 1;
		const char *lf = line ? memrchr(added->data, '\n', line) : NULL;
		size_t start = lf ? (size_t)(lf + 1 - added->data) : 0;

		put(b, added->data + start, line - start);
		put(b, eol, strlen(eol));
		end = start;
	}
}

static void put_headers(struct buffer *b, const struct mail *m,
			const char *received)
{
	const char *eol = m->crlf ? "\r\n" : "\n";

	put_added(b, &m->added, eol);
	if (received != NULL) {
		put(b, RECEIVED, strlen(RECEIVED));
		put(b, received, strlen(received));
		put(b, eol, strlen(eol));
	}
	if (b->size > m->head_raw && m->continues)
		put(b, eol, strlen(eol));
}

int mail_seal(struct mail *m, const char *received)
{
	size_t headers = headers_size(m, received);
	size_t message = headers + m->message_size;
	size_t outer = netstring_wire_size(message) +
		       netstring_wire_size(m->sender.size) + m->recipients.size;
	int r;

	assert(!m->sealed);
	/* cppcheck-suppress assertWithSideEffect ; strpbrk() has none */
	assert(received == NULL || strpbrk(received, "\r\n") == NULL);
	r = buffer_reserve(&m->head, 2 * NETSTRING_LENGTH_MAX + headers);
	if (r < 0)
		return r;
	r = buffer_reserve(&m->tail, 1 + netstring_wire_size(m->sender.size));
	if (r < 0)
		return r;

	put_length(&m->head, outer);
	put_length(&m->head, message);
	m->head_raw = m->head.size;
	put_headers(&m->head, m, received);
	assert(m->head.size == m->head_raw + headers);

	put(&m->tail, ",", 1);
	put_length(&m->tail, m->sender.size);
	put(&m->tail, m->sender.data, m->sender.size);
	put(&m->tail, ",", 1);
	m->sealed = true;
	return 0;
}

size_t mail_wire_size(const struct mail *m, enum mail_form form)
{
	assert(m->sealed);
	if (form == MAIL_RAW)
		return m->head.size - m->head_raw + m->message_size;
	return m->head.size + m->message_size + m->tail.size +
	       m->recipients.size + 1;
}

void mail_drop_message(struct mail *m)
{
	assert(m->sealed);
	chain_clear(&m->chain);
}

/* One piece of the wire's bytes; `*offset` counts from its start, and from the
 * next one's afterwards. */
static int piece(const char *data, size_t size, size_t *offset,
		 struct iovec *iov, int max)
{
	size_t skip = *offset;

	if (skip >= size) {
		*offset -= size;
		return 0;
	}
	*offset = 0;
	if (max == 0)
		return 0;
	iov->iov_base = (char *)data + skip;
	iov->iov_len = size - skip;
	return 1;
}

static int message_piece(const struct mail *m, size_t *offset,
			 struct iovec *iov, int max)
{
	size_t skip = *offset;

	if (skip >= m->message_size) {
		*offset -= m->message_size;
		return 0;
	}
	*offset = 0;
	return chain_iov(&m->chain, m->message_offset + skip,
			 m->message_size - skip, iov, max);
}

int mail_iov(const struct mail *m, enum mail_form form, size_t offset,
	     struct iovec *iov, int max)
{
	size_t start = form == MAIL_RAW ? m->head_raw : 0;
	int n = 0;

	assert(m->sealed && max > 0);
	n += piece(m->head.data + start, m->head.size - start, &offset, iov,
		   max);
	n += message_piece(m, &offset, iov + n, max - n);
	if (form == MAIL_RAW)
		return n;
	n += piece(m->tail.data, m->tail.size, &offset, iov + n, max - n);
	n += piece(m->recipients.data, m->recipients.size, &offset, iov + n,
		   max - n);
	n += piece(",", 1, &offset, iov + n, max - n);
	return n;
}
