/* SPDX-License-Identifier: BSD-2-Clause */
#include "db/pg_array.h"

#include <string.h>
#include <strings.h>

/* The server's notion of a space, whatever the locale. */
static bool is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_null_word(const char *s, size_t size)
{
	return size == 4 && strncasecmp(s, "NULL", 4) == 0;
}

void pg_array_reader_init(struct pg_array_reader *r, const char *s, size_t size,
			  char *scratch)
{
	*r = (struct pg_array_reader){
		.s = s, .end = s + size, .scratch = scratch};
}

static void skip_spaces(struct pg_array_reader *r)
{
	while (r->s < r->end && is_space(*r->s))
		r->s++;
}

static bool skip_char(struct pg_array_reader *r, char c)
{
	if (r->s == r->end || *r->s != c)
		return false;
	r->s++;
	return true;
}

static bool skip_number(struct pg_array_reader *r)
{
	const char *first;

	if (!skip_char(r, '-'))
		skip_char(r, '+');
	first = r->s;
	while (r->s < r->end && *r->s >= '0' && *r->s <= '9')
		r->s++;
	return r->s > first;
}

/* "[1:2][0:3]=", which says only what the subscripts were. */
static bool skip_bounds(struct pg_array_reader *r)
{
	bool any = false;

	skip_spaces(r);
	while (skip_char(r, '[')) {
		if (!skip_number(r))
			return false;
		if (skip_char(r, ':') && !skip_number(r))
			return false;
		if (!skip_char(r, ']'))
			return false;
		any = true;
		skip_spaces(r);
	}
	if (any && !skip_char(r, '='))
		return false;
	skip_spaces(r);
	return true;
}

static enum pg_array_token malformed(struct pg_array_reader *r)
{
	r->begun = true;
	r->depth = -1;
	return PG_ARRAY_MALFORMED;
}

/* A member of the innermost array begins; false if it does not fit there: all
 * arrays of one depth must be alike. */
static bool add_member(struct pg_array_reader *r, bool is_array)
{
	struct pg_array_level *l = &r->levels[r->depth - 1];

	if (r->had_member || (is_array ? l->has_elements : l->has_arrays))
		return false;
	if (is_array)
		l->has_arrays = true;
	else
		l->has_elements = true;
	l->n_members++;
	r->want_member = false;
	return true;
}

static enum pg_array_token open_array(struct pg_array_reader *r)
{
	if (r->depth > 0 && !add_member(r, true))
		return malformed(r);
	if (r->depth == LIMIT_PG_ARRAY_DEPTH)
		return malformed(r);
	r->s++;
	r->levels[r->depth++].n_members = 0;
	r->had_member = false;
	return PG_ARRAY_OPEN;
}

static enum pg_array_token close_array(struct pg_array_reader *r)
{
	struct pg_array_level *l = &r->levels[r->depth - 1];

	if (r->want_member)
		return malformed(r);
	if (l->dimension != 0 && l->dimension != l->n_members + 1)
		return malformed(r);
	l->dimension = l->n_members + 1;
	r->s++;
	r->depth--;
	r->had_member = true;
	return PG_ARRAY_CLOSE;
}

static bool read_quoted(struct pg_array_reader *r, size_t *ret_size)
{
	size_t n = 0;

	for (r->s++; r->s < r->end; r->s++) {
		if (*r->s == '"') {
			r->s++;
			*ret_size = n;
			return true;
		}
		if (*r->s == '\\' && ++r->s == r->end)
			return false;
		if (*r->s == '\0')
			return false;
		r->scratch[n++] = *r->s;
	}
	return false;
}

/* Spaces around it do not count, unless they are escaped. */
static bool read_bare(struct pg_array_reader *r, size_t *ret_size,
		      bool *ret_escaped)
{
	size_t n = 0, solid = 0;
	bool escaped = false;

	for (; r->s < r->end; r->s++) {
		char c = *r->s;

		if (c == ',' || c == '}')
			break;
		if (c == '{' || c == '"' || c == '\0')
			return false;
		if (c == '\\') {
			if (++r->s == r->end || *r->s == '\0')
				return false;
			c = *r->s;
			escaped = true;
			solid = n + 1;
		} else if (!is_space(c)) {
			solid = n + 1;
		}
		r->scratch[n++] = c;
	}
	*ret_size = solid;
	*ret_escaped = escaped;
	return solid > 0;
}

static enum pg_array_token read_element(struct pg_array_reader *r,
					const char **ret_text, size_t *ret_size)
{
	bool quoted = *r->s == '"', escaped = false;
	size_t size;

	if (!add_member(r, false))
		return malformed(r);
	if (quoted ? !read_quoted(r, &size) : !read_bare(r, &size, &escaped))
		return malformed(r);
	r->had_member = true;
	if (!quoted && !escaped && is_null_word(r->scratch, size))
		return PG_ARRAY_NULL;
	*ret_text = r->scratch;
	*ret_size = size;
	return PG_ARRAY_TEXT;
}

enum pg_array_token pg_array_next(struct pg_array_reader *r,
				  const char **ret_text, size_t *ret_size)
{
	if (r->depth < 0)
		return PG_ARRAY_MALFORMED;
	if (!r->begun) {
		if (!skip_bounds(r) || r->s == r->end || *r->s != '{')
			return malformed(r);
		r->begun = true;
		return open_array(r);
	}
	skip_spaces(r);
	if (r->depth == 0)
		return r->s == r->end ? PG_ARRAY_END : malformed(r);
	if (r->had_member && skip_char(r, ',')) {
		r->had_member = false;
		r->want_member = true;
		skip_spaces(r);
	}
	if (r->s == r->end)
		return malformed(r);
	switch (*r->s) {
	case '{':
		return open_array(r);
	case '}':
		return close_array(r);
	case ',':
		return malformed(r);
	}
	return read_element(r, ret_text, ret_size);
}

static bool needs_quotes(const char *s, size_t size)
{
	if (size == 0 || is_null_word(s, size))
		return true;
	for (size_t i = 0; i < size; i++)
		if (is_space(s[i]) || strchr("{},\"\\", s[i]) != NULL)
			return true;
	return false;
}

size_t pg_array_quote(const char *s, size_t size, char *out)
{
	size_t n = 0;

	if (!needs_quotes(s, size)) {
		memcpy(out, s, size);
		return size;
	}
	out[n++] = '"';
	for (size_t i = 0; i < size; i++) {
		if (s[i] == '"' || s[i] == '\\')
			out[n++] = '\\';
		out[n++] = s[i];
	}
	out[n++] = '"';
	return n;
}
