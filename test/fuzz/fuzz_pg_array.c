/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Reads any bytes as an array.  What was understood is written again, read again,
 * and must be the same.
 */

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "db/pg_array.h"

struct text {
	char *data;
	size_t size;
};

static void put(struct text *t, const char *data, size_t size)
{
	memcpy(t->data + t->size, data, size);
	t->size += size;
}

/* One more byte a token than the input has, for the commas. */
static enum pg_array_token rewrite(const char *in, size_t size,
				   struct text *out)
{
	char *scratch = malloc(size + 1);
	struct pg_array_reader r;
	enum pg_array_token token;
	const char *s;
	size_t n;
	char last = '{';

	pg_array_reader_init(&r, in, size, scratch);
	out->size = 0;
	do {
		token = pg_array_next(&r, &s, &n);
		if (last == 'x' &&
		    (token == PG_ARRAY_OPEN || token == PG_ARRAY_TEXT ||
		     token == PG_ARRAY_NULL))
			put(out, ",", 1);
		last = 'x';
		switch (token) {
		case PG_ARRAY_OPEN:
			put(out, "{", 1);
			last = '{';
			break;
		case PG_ARRAY_CLOSE:
			put(out, "}", 1);
			break;
		case PG_ARRAY_TEXT:
			assert(n <= size);
			out->size +=
				pg_array_quote(s, n, out->data + out->size);
			break;
		case PG_ARRAY_NULL:
			put(out, "NULL", 4);
			break;
		case PG_ARRAY_END:
		case PG_ARRAY_MALFORMED:
			break;
		}
	} while (token != PG_ARRAY_END && token != PG_ARRAY_MALFORMED);
	free(scratch);
	return token;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct text once = {malloc(4 * size + 16), 0};
	struct text twice = {malloc(16 * size + 64), 0};

	if (rewrite((const char *)data, size, &once) == PG_ARRAY_END) {
		assert(rewrite(once.data, once.size, &twice) == PG_ARRAY_END);
		assert(once.size == twice.size);
		assert(memcmp(once.data, twice.data, once.size) == 0);
	}
	free(once.data);
	free(twice.data);
	return 0;
}
