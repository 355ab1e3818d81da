/* SPDX-License-Identifier: BSD-2-Clause */
#include "tools/message.h"

#include <string.h>

/* Bytes converted at once. */
#define PART 4096

static int append(struct chain *c, const char *data, size_t size)
{
	while (size > 0) {
		struct iovec iov;
		int r = chain_space(c, size, &iov, 1);
		size_t part;

		if (r < 0)
			return r;
		part = iov.iov_len < size ? iov.iov_len : size;
		memcpy(iov.iov_base, data, part);
		chain_commit(c, part);
		data += part;
		size -= part;
	}
	return 0;
}

/* Writes what one byte brings, at most three bytes; returns how many. */
static size_t convert(struct message_reader *r, char c, char *out)
{
	size_t n = 0;

	if (c == '\n') {
		r->cr = false;
		if (r->dot) {
			r->ended = true;
			return 0;
		}
		r->line_start = true;
		out[n++] = c;
		return n;
	}
	if (r->dot && (r->cr || c != '\r')) {
		out[n++] = '.';
		r->dot = false;
	}
	if (r->cr) {
		out[n++] = '\r';
		r->line_start = false;
	}
	r->cr = c == '\r';
	if (r->cr)
		return n;
	if (r->line_start && c == '.' && r->lone_dot_ends)
		r->dot = true;
	else
		out[n++] = c;
	r->line_start = false;
	return n;
}

void message_reader_init(struct message_reader *r, struct chain *chain,
			 bool lone_dot_ends)
{
	*r = (struct message_reader){
		.chain = chain,
		.lone_dot_ends = lone_dot_ends,
		.line_start = true,
	};
}

int message_reader_feed(struct message_reader *r, const char *data, size_t size)
{
	char part[PART];
	size_t n = 0;
	int err;

	for (size_t i = 0; i < size && !r->ended; i++) {
		n += convert(r, data[i], part + n);
		if (n > sizeof(part) - 3) {
			err = append(r->chain, part, n);
			if (err < 0)
				return err;
			n = 0;
		}
	}
	/* cppcheck-suppress uninitvar ; n bytes of it are written */
	return append(r->chain, part, n);
}

int message_reader_end(struct message_reader *r)
{
	/* A lone dot needs no line end; any other byte was told by one. */
	if (r->ended || !r->cr)
		return 0;
	return r->dot ? append(r->chain, ".\r", 2) : append(r->chain, "\r", 1);
}
