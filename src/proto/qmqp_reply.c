/* SPDX-License-Identifier: BSD-2-Clause */
#include "proto/qmqp_reply.h"

#include <string.h>

enum state {
	LENGTH,
	LETTER,
	TEXT,
	COMMA,
	DONE,
	BAD,
};

void qmqp_reply_reset(struct qmqp_reply *r)
{
	r->size = 0;
	r->state = LENGTH;
	r->length = (struct netstring_length){0};
	r->left = 0;
}

static unsigned char feed_length(struct qmqp_reply *r, char c)
{
	switch (netstring_length_feed(&r->length, c)) {
	case NETSTRING_MORE:
		/* More digits only make it longer. */
		return r->length.value > LIMIT_REPLY_READ ? BAD : LENGTH;
	case NETSTRING_DONE:
		r->left = r->length.value;
		return r->left > 0 ? LETTER : BAD;
	case NETSTRING_BAD:
		break;
	}
	return BAD;
}

/* Takes what `data` has of the text, keeps what fits; returns how much it took. */
static size_t feed_text(struct qmqp_reply *r, const char *data, size_t size)
{
	size_t n = size < r->left ? size : r->left;
	size_t room = sizeof(r->text) - r->size;
	size_t keep = n < room ? n : room;

	memcpy(r->text + r->size, data, keep);
	r->size += keep;
	r->left -= n;
	r->state = r->left > 0 ? TEXT : COMMA;
	return n;
}

enum qmqp_reply_result qmqp_reply_feed(struct qmqp_reply *r, const char *data,
				       size_t size)
{
	size_t i = 0;

	/* analyzer: no loop is without end, each state moves on */
	while (i < size && r->state != DONE && r->state != BAD) {
		switch (r->state) {
		case LENGTH:
			r->state = feed_length(r, data[i++]);
			break;
		case LETTER:
			if (data[i] == 'K' || data[i] == 'Z' || data[i] == 'D')
				i += feed_text(r, data + i, size - i);
			else
				r->state = BAD;
			break;
		case TEXT:
			i += feed_text(r, data + i, size - i);
			break;
		case COMMA:
			r->state = data[i++] == ',' ? DONE : BAD;
			break;
		}
	}
	if (r->state == DONE)
		return QMQP_REPLY_DONE;
	return r->state == BAD ? QMQP_REPLY_BAD : QMQP_REPLY_MORE;
}

size_t qmqp_reply_print(char *buf, char letter, const char *text, size_t size)
{
	size_t n;

	if (size > LIMIT_REPLY_TEXT)
		size = LIMIT_REPLY_TEXT;
	n = netstring_print(buf, 1 + size);
	buf[n++] = letter;
	if (size > 0)
		memcpy(buf + n, text, size);
	n += size;
	buf[n++] = ',';
	return n;
}
