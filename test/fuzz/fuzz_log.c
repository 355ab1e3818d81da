/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A line of the log: whatever the values are, it is one line of printable UTF-8,
 * its keys are ours, and what is read from it is what was put in, as far as there
 * was room.  The first byte of the input says where the two values part, and
 * whether the first is repeated until it is too long.
 */

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "fuzz.h"

/* One well-formed character, by its code point; 0 if there is none. */
static size_t character(const unsigned char *s, size_t size,
			uint32_t *ret_point)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t n = s[0] < 0x80    ? 1
		   : s[0] < 0xc0  ? 0
		   : s[0] < 0xe0  ? 2
		   : s[0] < 0xf0  ? 3
		   : s[0] <= 0xf7 ? 4
				  : 0;
	uint32_t point = n < 2 ? s[0] : s[0] & (0x7fu >> n);

	if (n == 0 || n > size)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		point = point << 6 | (s[i] & 0x3f);
	}
	if (point < least[n] || point > 0x10ffff ||
	    (point >= 0xd800 && point <= 0xdfff))
		return 0;
	*ret_point = point;
	return n;
}

static void check_printable(const char *line, size_t size)
{
	const unsigned char *s = (const unsigned char *)line;

	while (size > 0) {
		uint32_t point;
		size_t n = character(s, size, &point);

		assert(n > 0 && point >= 0x20 &&
		       !(point >= 0x7f && point <= 0x9f));
		s += n;
		size -= n;
	}
}

static char hex(char c)
{
	assert((c >= '0' && c <= '9') || (c >= 'A' && c <= 'F'));
	return (char)(c <= '9' ? c - '0' : c - 'A' + 10);
}

/* Reads a quoted value; returns what is behind it. */
static const char *unquote(const char *s, const char *end, char *out,
			   size_t *ret_size)
{
	size_t n = 0;

	assert(s < end && *s == '"');
	s++;
	for (; assert(s < end), *s != '"'; s++) {
		char c = *s;

		if (c == '\\') {
			assert(end - s >= 4 || (s[1] != 'x' && end - s >= 2));
			c = *++s;
			if (c == 'x') {
				c = (char)(16 * hex(s[1]) + hex(s[2]));
				s += 2;
			} else {
				assert(c == '"' || c == '\\');
			}
		}
		out[n++] = c;
	}
	*ret_size = n;
	return s + 1;
}

static bool is_bare(const char *s, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		if (strchr("._:/@+-", s[i]) == NULL &&
		    !(s[i] >= '0' && s[i] <= '9') &&
		    !((s[i] | 32) >= 'a' && (s[i] | 32) <= 'z'))
			return false;
		if (s[i] == '\0')
			return false;
	}
	return size > 0;
}

/* A value with that key, quoted or not; returns what is behind it. */
static const char *check_value(const char *s, const char *end, const char *key,
			       const char *data, size_t size, bool quoted,
			       bool full)
{
	char out[LIMIT_LOG_LINE];
	size_t n = 0;

	assert((size_t)(end - s) > strlen(key) &&
	       memcmp(s, key, strlen(key)) == 0);
	s += strlen(key);
	if (quoted || !is_bare(data, size)) {
		s = unquote(s, end, out, &n);
	} else {
		for (; s < end && *s != ' '; s++)
			out[n++] = *s;
	}
	/* what is cut is cut at the end */
	assert(n <= size && memcmp(out, data, n) == 0);
	assert(n == size || full);
	return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t n, first, repeat;
	struct log_line line;
	const char *s, *end;
	char *value;
	bool full;

	if (size == 0)
		return 0;
	size--;
	first = size * (data[0] & 15) / 15;
	repeat = data[0] >> 4 == 8 ? 1 + LIMIT_LOG_LINE / (first + 1) : 1;
	n = repeat * first;
	value = malloc(n + 1);
	assert(value != NULL);
	for (size_t i = 0; i < repeat && first > 0; i++)
		memcpy(value + i * first, data + 1, first);

	log_line_init(&line);
	log_line_value(&line, "first", value, n);
	log_line_quoted(&line, "second", (const char *)data + 1 + first,
			size - first);
	assert(line.size <= sizeof(line.text));
	check_printable(line.text, line.size);
	end = line.text + line.size;
	full = line.size + 8 > sizeof(line.text); /* for any character */
	s = check_value(line.text, end, "first=", value, n, false, full);
	if (s < end)
		s = check_value(s, end,
				" second=", (const char *)data + 1 + first,
				size - first, true, full);
	else
		assert(line.size > sizeof(line.text) - 20);
	assert(s == end);
	free(value);
	return 0;
}
