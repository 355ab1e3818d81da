/* SPDX-License-Identifier: BSD-2-Clause */
#include "session_mail.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/address.h"

#define STEPS 8 /* that session.lua looks at */

struct span {
	const char *data;
	size_t size;
};

/* Takes a netstring off the front of `from`. */
static bool take(struct span *from, struct span *ret_content)
{
	size_t value = 0, digits = 0;

	while (digits < from->size && from->data[digits] >= '0' &&
	       from->data[digits] <= '9') {
		if (digits == 9 || (digits == 1 && from->data[0] == '0'))
			return false;
		value = 10 * value + (size_t)(from->data[digits++] - '0');
	}
	if (digits == 0 || digits == from->size || from->data[digits] != ':' ||
	    from->size - digits - 1 <= value ||
	    from->data[digits + 1 + value] != ',')
		return false;
	*ret_content = (struct span){from->data + digits + 1, value};
	from->data += digits + value + 2;
	from->size -= digits + value + 2;
	return true;
}

static void add(struct buffer *b, const char *data, size_t size)
{
	if (buffer_add(b, data, size) < 0)
		abort();
}

void session_mail_frame(struct buffer *b, const char *data, size_t size)
{
	char length[32];

	add(b, length, (size_t)sprintf(length, "%zu:", size));
	add(b, data, size);
	add(b, ",", 1);
}

/* What session.lua does, as far as it changes the mail. */
static void follow(struct session_mail *m, struct span recipient, int *headers,
		   bool *change)
{
	for (size_t i = 0; i < STEPS && i < recipient.size; i++) {
		char c = recipient.data[i];

		if (c == '@')
			return;
		*headers += c == 'h';
		*change |= c == 'f';
		if (strchr("drzcCnbBtexy", c) != NULL) {
			m->end = c;
			return;
		}
	}
}

static void make_wire(struct session_mail *m, uid_t uid, struct span message,
		      struct span sender, struct span recipients, int headers)
{
	const char *lf = memchr(message.data, '\n', message.size);
	bool crlf = lf != NULL && lf > message.data && lf[-1] == '\r';
	const char *eol = crlf ? "\r\n" : "\n";
	struct buffer text = BUFFER_EMPTY, content = BUFFER_EMPTY;
	char line[100];

	while (headers-- > 0)
		add(&text, line, (size_t)sprintf(line, "X-A: 1%s", eol));
	add(&text, line,
	    (size_t)sprintf(line, "Received: from PID=%d UID=%u with QMQP%s",
			    (int)getpid(), (unsigned)uid, eol));
	if (message.size > 0 &&
	    (message.data[0] == ' ' || message.data[0] == '\t'))
		add(&text, eol, strlen(eol));
	add(&text, message.data, message.size);
	session_mail_frame(&content, text.data, text.size);
	session_mail_frame(&content, sender.data, sender.size);
	add(&content, recipients.data, recipients.size);
	session_mail_frame(&m->wire, content.data, content.size);
	buffer_deinit(&text);
	buffer_deinit(&content);
}

void session_mail_init(struct session_mail *m, uid_t uid, const char *data,
		       size_t size, size_t max_size, size_t max_recipients)
{
	struct span all = {data, size}, content, message, sender, recipients;
	struct span first = {NULL, 0}, recipient;
	bool change = false;
	int headers = 0;
	size_t n = 0;

	*m = (struct session_mail){.whole = false};
	if (!take(&all, &content) || !take(&content, &message) ||
	    !take(&content, &sender) || message.size > max_size ||
	    !address_is_sender(sender.data, sender.size))
		return;
	recipients = content;
	while (content.size > 0) {
		if (!take(&content, &recipient) || n++ == max_recipients ||
		    !address_is_recipient(recipient.data, recipient.size))
			return;
		if (n == 1)
			first = recipient;
	}
	if (n == 0)
		return;
	m->whole = true;
	follow(m, first, &headers, &change);
	if (change)
		sender = (struct span){"f@x", 3};
	make_wire(m, uid, message, sender, recipients, headers);
}

void session_mail_deinit(struct session_mail *m)
{
	buffer_deinit(&m->wire);
}

bool session_mail_goes_to(const struct session_mail *m, int server)
{
	if (!m->whole || m->end == '\0')
		return false;
	return strchr(server == 0 ? "cbBt" : "CB", m->end) != NULL;
}
