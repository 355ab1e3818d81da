/* SPDX-License-Identifier: BSD-2-Clause */
#include "relay/exec_output.h"

#include <string.h>
#include <sysexits.h>

/* How qmail's programs say that a mail failed for good (qmail-command(8)). */
#define QMAIL_HARD_ERROR 100

void exec_output_reset(struct exec_output *o, bool raw)
{
	o->raw = raw;
	o->result = QMQP_REPLY_MORE;
	o->size = 0;
	qmqp_reply_reset(&o->reply);
}

void exec_output_feed(struct exec_output *o, const char *data, size_t size)
{
	size_t room = sizeof(o->text) - o->size;

	if (!o->raw) {
		if (o->result == QMQP_REPLY_MORE)
			o->result = qmqp_reply_feed(&o->reply, data, size);
		return;
	}
	if (size > room)
		size = room;
	memcpy(o->text + o->size, data, size);
	o->size += size;
}

static char status_letter(int status)
{
	switch (status) {
	case EX_OK:
		return 'K';
	case EX_USAGE:
	case EX_DATAERR:
	case EX_NOUSER:
	case EX_NOHOST:
	case EX_OSFILE:
	case EX_NOPERM:
	case EX_CONFIG:
	case QMAIL_HARD_ERROR:
		return 'D';
	default:
		return 'Z';
	}
}

/* Control characters count as spaces already when the ends are trimmed. */
static void set_trimmed(struct verdict *v, char letter, const char *text,
			size_t size)
{
	struct verdict clean;
	size_t start = 0, end;

	verdict_set_clean(&clean, letter, text, size);
	end = clean.size;
	while (start < end && clean.text[start] == ' ')
		start++;
	while (end > start && clean.text[end - 1] == ' ')
		end--;
	if (start < end)
		verdict_set(v, letter, clean.text + start, end - start);
	else
		verdict_set_string(v, letter,
				   letter == 'K' ? "ok"
						 : "internal server error");
}

void exec_output_verdict(const struct exec_output *o, int status,
			 struct verdict *ret_verdict)
{
	char letter = status_letter(status);

	if (o->raw) {
		set_trimmed(ret_verdict, letter, o->text, o->size);
		return;
	}
	if (o->result == QMQP_REPLY_DONE &&
	    (o->reply.text[0] != 'K' || status == EX_OK)) {
		verdict_set(ret_verdict, o->reply.text[0], o->reply.text + 1,
			    o->reply.size - 1);
		return;
	}
	verdict_set_string(ret_verdict, letter == 'D' ? 'D' : 'Z',
			   "internal server error");
}
