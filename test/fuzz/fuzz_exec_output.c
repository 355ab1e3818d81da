/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What a program prints, in one piece and in many, as a reply, as text and as
 * lines of stderr: it must come to the same, and `K` takes status 0.  The first
 * byte of the input is the exit status, the second decides the cuts.
 */

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "fuzz.h"
#include "relay/exec_output.h"
#include "relay/exec_stderr.h"
#include "relay/verdict.h"
#include "support/mail_bytes.h"

static void collect(void *arg, const char *line, size_t size)
{
	struct buffer *all = arg;

	assert(size <= LIMIT_STDERR_LINE);
	assert(memchr(line, '\n', size) == NULL);
	if (buffer_add(all, line, size) < 0 || buffer_add(all, "\n", 1) < 0)
		abort();
}

/* What the lines must be, found by looking at all of it. */
static struct buffer second_opinion(const char *data, size_t size)
{
	struct buffer all = BUFFER_EMPTY;

	for (int n = 0; n < LIMIT_STDERR_LINES && size > 0; n++) {
		const char *lf = memchr(data, '\n', size);
		size_t line = lf != NULL ? (size_t)(lf - data) : size;

		collect(&all, data,
			line < LIMIT_STDERR_LINE ? line : LIMIT_STDERR_LINE);
		line += lf != NULL;
		data += line;
		size -= line;
	}
	return all;
}

static void check_stderr(const char *data, size_t size, struct cuts cuts)
{
	struct buffer expected = second_opinion(data, size);
	struct buffer got = BUFFER_EMPTY;
	struct exec_stderr e;

	exec_stderr_reset(&e);
	while (size > 0) {
		size_t n = cuts_next(&cuts, size);
		char *piece = exact(data, n);

		exec_stderr_feed(&e, piece, n, collect, &got);
		free(piece);
		data += n;
		size -= n;
	}
	exec_stderr_end(&e, collect, &got);
	assert(got.size == expected.size);
	assert(got.size == 0 || memcmp(got.data, expected.data, got.size) == 0);
	buffer_deinit(&got);
	buffer_deinit(&expected);
}

static struct verdict judge(const char *data, size_t size, int status, bool raw,
			    struct cuts *cuts)
{
	struct exec_output o;
	struct verdict v;

	exec_output_reset(&o, raw);
	while (size > 0) {
		size_t n = cuts ? cuts_next(cuts, size) : size;
		char *piece = exact(data, n);

		exec_output_feed(&o, piece, n);
		free(piece);
		data += n;
		size -= n;
	}
	exec_output_verdict(&o, status, &v);
	return v;
}

static void check_output(const char *data, size_t size, int status, bool raw,
			 struct cuts cuts)
{
	struct verdict whole = judge(data, size, status, raw, NULL);
	struct verdict cut = judge(data, size, status, raw, &cuts);

	assert(whole.letter == cut.letter && whole.size == cut.size);
	assert(memcmp(whole.text, cut.text, whole.size) == 0);
	assert(strchr("KZD", whole.letter) != NULL && whole.letter != '\0');
	assert(whole.letter != 'K' || status == 0);
	if (!raw)
		return;
	assert(whole.size > 0 && whole.text[0] != ' ');
	assert(whole.text[whole.size - 1] != ' ');
	for (size_t i = 0; i < whole.size; i++)
		assert((unsigned char)whole.text[i] >= ' ' &&
		       whole.text[i] != 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data + 2;
	struct cuts cuts;
	int status;

	if (size < 2)
		return 0;
	size -= 2;
	/* 0 … 127, and signals */
	status = data[0] < 128 ? data[0] : data[0] - 256;
	cuts.seed = data[1];
	check_output(text, size, status, false, cuts);
	check_output(text, size, status, true, cuts);
	check_stderr(text, size, cuts);
	return 0;
}
