/* SPDX-License-Identifier: BSD-2-Clause */
#include "proto/qmqp_request.h"

#include <assert.h>
#include <string.h>

#include "base/limits.h"
#include "proto/address.h"
#include "proto/mail.h"

/* The least that a recipient needs, "1:x,"; an envelope, "0:,1:x,"; and a whole
 * request's content, "0:,0:,1:x,". */
#define MIN_RECIPIENT 4
#define MIN_ENVELOPE (3 + MIN_RECIPIENT)
#define MIN_CONTENT (3 + MIN_ENVELOPE)

enum state {
	OUTER_LENGTH,
	MESSAGE_LENGTH,
	MESSAGE,
	MESSAGE_END,
	SENDER_LENGTH,
	SENDER,
	SENDER_END,
	RECIPIENT_LENGTH,
	RECIPIENT,
	RECIPIENT_END,
	OUTER_END,
	DONE,
	FAULT,
};

const char *qmqp_request_strerror(enum qmqp_request_result r)
{
	switch (r) {
	case QMQP_REQUEST_MORE:
	case QMQP_REQUEST_DONE:
		break;
	case QMQP_REQUEST_MALFORMED:
		return "malformed input";
	case QMQP_REQUEST_BAD_ADDRESS:
		return "bad address";
	case QMQP_REQUEST_MANY:
		return "too many recipients";
	case QMQP_REQUEST_LARGE:
		return "message too large";
	case QMQP_REQUEST_MEMORY:
		return "internal server error";
	}
	return NULL;
}

void qmqp_request_init(struct qmqp_request *r, struct mail *mail,
		       size_t max_size, size_t max_recipients)
{
	assert(max_recipients <= LIMIT_MAX_RECIPIENTS_MAX);
	*r = (struct qmqp_request){
		.mail = mail,
		.max_size = max_size,
		.max_recipients = max_recipients,
		.state = OUTER_LENGTH,
	};
}

static void expect_length(struct qmqp_request *r, enum state state)
{
	r->length = (struct netstring_length){0};
	r->state = (unsigned char)state;
}

/* Behind the colon of a length: whether the outer netstring holds that string,
 * its comma, and `rest` more bytes. */
static bool outer_holds(const struct qmqp_request *r, size_t rest)
{
	return r->outer > rest && r->length.value <= r->outer - 1 - rest;
}

static enum qmqp_request_result start_outer(struct qmqp_request *r)
{
	if (r->length.value < MIN_CONTENT)
		return QMQP_REQUEST_MALFORMED;
	r->outer = r->length.value;
	expect_length(r, MESSAGE_LENGTH);
	return QMQP_REQUEST_MORE;
}

static enum qmqp_request_result start_message(struct qmqp_request *r)
{
	if (!outer_holds(r, MIN_ENVELOPE))
		return QMQP_REQUEST_MALFORMED;
	if (r->length.value > r->max_size)
		return QMQP_REQUEST_LARGE;
	if (r->outer - r->length.value - 1 >
	    (r->max_recipients + 1) * LIMIT_ADDRESS_NETSTRING)
		return QMQP_REQUEST_MANY;
	r->mail->message_offset = r->offset;
	r->mail->message_size = r->length.value;
	r->inner = r->length.value;
	r->first_line = true;
	r->state = r->inner > 0 ? MESSAGE : MESSAGE_END;
	return QMQP_REQUEST_MORE;
}

static enum qmqp_request_result start_sender(struct qmqp_request *r)
{
	if (!outer_holds(r, MIN_RECIPIENT))
		return QMQP_REQUEST_MALFORMED;
	if (r->length.value > LIMIT_ADDRESS)
		return QMQP_REQUEST_BAD_ADDRESS;
	r->inner = r->length.value;
	r->state = r->inner > 0 ? SENDER : SENDER_END;
	return QMQP_REQUEST_MORE;
}

static enum qmqp_request_result start_recipient(struct qmqp_request *r)
{
	char length[NETSTRING_LENGTH_MAX];
	size_t n;

	if (!outer_holds(r, 0) || r->length.value == 0)
		return QMQP_REQUEST_MALFORMED;
	if (r->mail->n_recipients == r->max_recipients)
		return QMQP_REQUEST_MANY;
	if (r->length.value > LIMIT_ADDRESS)
		return QMQP_REQUEST_BAD_ADDRESS;
	n = netstring_print(length, r->length.value);
	if (buffer_add(&r->mail->recipients, length, n) < 0)
		return QMQP_REQUEST_MEMORY;
	r->inner = r->length.value;
	r->state = RECIPIENT;
	return QMQP_REQUEST_MORE;
}

/* A byte of any of the four lengths. */
static enum qmqp_request_result feed_length(struct qmqp_request *r, char c)
{
	if (r->state != OUTER_LENGTH) {
		if (r->outer == 0)
			return QMQP_REQUEST_MALFORMED;
		r->outer--;
	}
	r->offset++;
	switch (netstring_length_feed(&r->length, c)) {
	case NETSTRING_MORE:
		return QMQP_REQUEST_MORE;
	case NETSTRING_DONE:
		break;
	case NETSTRING_BAD:
		return QMQP_REQUEST_MALFORMED;
	}
	switch (r->state) {
	case OUTER_LENGTH:
		return start_outer(r);
	case MESSAGE_LENGTH:
		return start_message(r);
	case SENDER_LENGTH:
		return start_sender(r);
	default:
		return start_recipient(r);
	}
}

/* Looks at the first line's end and at nothing behind it. */
static void scan_first_line(struct qmqp_request *r, const char *data,
			    size_t size)
{
	struct mail *m = r->mail;
	const char *lf = memchr(data, '\n', size);

	if (r->inner == m->message_size)
		m->continues = data[0] == ' ' || data[0] == '\t';
	if (lf == NULL) {
		r->cr = data[size - 1] == '\r';
		return;
	}
	m->crlf = lf > data ? lf[-1] == '\r' : r->cr;
	r->first_line = false;
}

static enum qmqp_request_result end_sender(struct qmqp_request *r)
{
	const struct buffer *b = &r->mail->sender;

	r->state = SENDER_END;
	return address_is_sender(b->data, b->size) ? QMQP_REQUEST_MORE
						   : QMQP_REQUEST_BAD_ADDRESS;
}

static enum qmqp_request_result end_recipient(struct qmqp_request *r)
{
	const struct buffer *b = &r->mail->recipients;
	size_t size = r->length.value;

	r->state = RECIPIENT_END;
	return address_is_recipient(b->data + b->size - size, size)
		       ? QMQP_REQUEST_MORE
		       : QMQP_REQUEST_BAD_ADDRESS;
}

/* Takes what `data` has of the message or of an address. */
static enum qmqp_request_result feed_content(struct qmqp_request *r,
					     const char *data, size_t size)
{
	struct mail *m = r->mail;
	int err = 0;

	if (r->state == SENDER)
		err = buffer_add(&m->sender, data, size);
	else if (r->state == RECIPIENT)
		err = buffer_add(&m->recipients, data, size);
	else if (r->first_line)
		scan_first_line(r, data, size);
	if (err < 0)
		return QMQP_REQUEST_MEMORY;

	r->offset += size;
	r->outer -= size;
	r->inner -= size;
	if (r->inner > 0)
		return QMQP_REQUEST_MORE;
	if (r->state == SENDER)
		return end_sender(r);
	if (r->state == RECIPIENT)
		return end_recipient(r);
	r->state = MESSAGE_END;
	return QMQP_REQUEST_MORE;
}

/* The comma behind any of the strings. */
static enum qmqp_request_result feed_comma(struct qmqp_request *r, char c)
{
	if (c != ',')
		return QMQP_REQUEST_MALFORMED;
	r->offset++;
	if (r->state == OUTER_END) {
		r->state = DONE;
		return QMQP_REQUEST_DONE;
	}
	r->outer--;
	if (r->state == MESSAGE_END) {
		expect_length(r, SENDER_LENGTH);
		return QMQP_REQUEST_MORE;
	}
	if (r->state == RECIPIENT_END) {
		if (buffer_add(&r->mail->recipients, ",", 1) < 0)
			return QMQP_REQUEST_MEMORY;
		r->mail->n_recipients++;
		if (r->outer == 0) {
			r->state = OUTER_END;
			return QMQP_REQUEST_MORE;
		}
	}
	if (r->outer < MIN_RECIPIENT)
		return QMQP_REQUEST_MALFORMED;
	expect_length(r, RECIPIENT_LENGTH);
	return QMQP_REQUEST_MORE;
}

enum qmqp_request_result qmqp_request_feed(struct qmqp_request *r,
					   const char *data, size_t size,
					   size_t *ret_used)
{
	enum qmqp_request_result result = QMQP_REQUEST_MORE;
	size_t used = 0;

	assert(r->state != FAULT);
	if (r->state == DONE)
		result = QMQP_REQUEST_DONE;
	while (result == QMQP_REQUEST_MORE && used < size) {
		size_t n = 1;

		switch (r->state) {
		case OUTER_LENGTH:
		case MESSAGE_LENGTH:
		case SENDER_LENGTH:
		case RECIPIENT_LENGTH:
			result = feed_length(r, data[used]);
			break;
		case MESSAGE:
		case SENDER:
		case RECIPIENT:
			n = size - used < r->inner ? size - used : r->inner;
			result = feed_content(r, data + used, n);
			break;
		default:
			result = feed_comma(r, data[used]);
			break;
		}
		used += n;
	}
	if (result != QMQP_REQUEST_MORE && result != QMQP_REQUEST_DONE) {
		r->state = FAULT;
		return result;
	}
	*ret_used = used;
	return result;
}
