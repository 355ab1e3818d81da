/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A reply in one piece and in many must be the same reply, and the one that is
 * found by looking at all of it; one that is printed must be read as what it was.
 * The first byte of the input decides the cuts.
 */

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "proto/qmqp_reply.h"
#include "support/mail_bytes.h"

static enum qmqp_reply_result feed_cut(struct qmqp_reply *r, const char *data,
				       size_t size, uint8_t seed)
{
	struct cuts cuts = {seed};
	enum qmqp_reply_result result = QMQP_REPLY_MORE;

	qmqp_reply_reset(r);
	for (size_t at = 0; at < size;) {
		size_t n = cuts_next(&cuts, size - at);
		char *piece = exact(data + at, n);

		result = qmqp_reply_feed(r, piece, n);
		free(piece);
		at += n;
	}
	return result;
}

static enum qmqp_reply_result second_opinion(const char *data, size_t size,
					     const char **ret_text,
					     size_t *ret_size)
{
	size_t value = 0, digits = 0;
	const char *text;

	while (digits < size && data[digits] >= '0' && data[digits] <= '9') {
		value = 10 * value + (size_t)(data[digits++] - '0');
		if (value > LIMIT_REPLY_READ || (digits > 1 && data[0] == '0'))
			return QMQP_REPLY_BAD;
	}
	if (digits == size)
		return QMQP_REPLY_MORE;
	if (digits == 0 || data[digits] != ':' || value == 0)
		return QMQP_REPLY_BAD;
	text = data + digits + 1;
	size -= digits + 1;
	if (size > 0 && *text != 'K' && *text != 'Z' && *text != 'D')
		return QMQP_REPLY_BAD;
	if (size <= value)
		return QMQP_REPLY_MORE;
	*ret_text = text;
	*ret_size = value < LIMIT_REPLY ? value : LIMIT_REPLY;
	return text[value] == ',' ? QMQP_REPLY_DONE : QMQP_REPLY_BAD;
}

static void check_again(const struct qmqp_reply *r)
{
	char wire[QMQP_REPLY_WIRE_MAX];
	struct qmqp_reply again;
	size_t n = qmqp_reply_print(wire, r->text[0], r->text + 1, r->size - 1);

	assert(n <= sizeof(wire));
	qmqp_reply_reset(&again);
	assert(qmqp_reply_feed(&again, wire, n - 1) == QMQP_REPLY_MORE);
	assert(qmqp_reply_feed(&again, wire + n - 1, 1) == QMQP_REPLY_DONE);
	assert(again.size == r->size);
	assert(memcmp(again.text, r->text, r->size) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *wire = (const char *)data + 1;
	struct qmqp_reply whole, cut;
	enum qmqp_reply_result result;
	const char *text;
	size_t text_size;

	if (size == 0)
		return 0;
	size--;
	qmqp_reply_reset(&whole);
	result = qmqp_reply_feed(&whole, wire, size);
	assert(feed_cut(&cut, wire, size, data[0]) == result);
	assert(second_opinion(wire, size, &text, &text_size) == result);
	if (result != QMQP_REPLY_DONE)
		return 0;
	assert(whole.size == text_size);
	assert(memcmp(whole.text, text, text_size) == 0);
	assert(cut.size == whole.size);
	assert(memcmp(cut.text, whole.text, cut.size) == 0);
	check_again(&whole);
	return 0;
}
