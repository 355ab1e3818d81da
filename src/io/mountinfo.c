/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/mountinfo.h"

#include <errno.h>
#include <string.h>

/* The fields before the mount's options, and the one where optional ones
 * begin: an unknown number, up to a lone "-". */
enum {
	FIELD_ID = 0,
	FIELD_ROOT = 3,
	FIELD_MOUNT_POINT = 4,
	FIELD_OPTIONAL = 6
};

bool mountinfo_is(const struct mountinfo_field *field, const char *text)
{
	return field->size == strlen(text) &&
	       memcmp(field->data, text, field->size) == 0;
}

/* False at the line's end. */
static bool next_field(const char **line, const char *eol,
		       struct mountinfo_field *ret)
{
	const char *p = *line, *sep;

	if (p >= eol)
		return false;
	sep = memchr(p, ' ', (size_t)(eol - p));
	if (sep == NULL)
		sep = eol;
	*ret = (struct mountinfo_field){p, (size_t)(sep - p)};
	*line = sep < eol ? sep + 1 : eol;
	return true;
}

static bool parse_id(const struct mountinfo_field *f, uint64_t *ret)
{
	uint64_t id = 0;
	size_t i;

	if (f->size == 0 || f->size > 18)
		return false;
	for (i = 0; i < f->size; i++) {
		if (f->data[i] < '0' || f->data[i] > '9')
			return false;
		id = id * 10 + (uint64_t)(f->data[i] - '0');
	}
	*ret = id;
	return true;
}

static bool parse_line(const char *line, const char *eol, struct mountinfo *ret)
{
	struct mountinfo m = {0};
	struct mountinfo_field f;
	unsigned n;

	for (n = 0; n < FIELD_OPTIONAL; n++) {
		if (!next_field(&line, eol, &f))
			return false;
		if (n == FIELD_ID && !parse_id(&f, &m.id))
			return false;
		if (n == FIELD_ROOT)
			m.root = f;
		if (n == FIELD_MOUNT_POINT)
			m.mount_point = f;
	}
	do {
		if (!next_field(&line, eol, &f))
			return false;
	} while (!mountinfo_is(&f, "-"));
	if (!next_field(&line, eol, &m.type) || m.type.size == 0)
		return false;
	*ret = m;
	return true;
}

bool mountinfo_next(const char **text, size_t *size, struct mountinfo *ret)
{
	bool found = false;

	while (!found && *size > 0) {
		const char *line = *text;
		const char *eol = memchr(line, '\n', *size);
		const char *next;

		next = eol ? eol + 1 : line + *size;
		found = parse_line(line, eol ? eol : next, ret);
		*size -= (size_t)(next - line);
		*text = next;
	}
	return found;
}

/* The byte that the backslash at `p` stands for; -1 if it stands for none. */
static int octal(const char *p, const char *end)
{
	int value = 0;
	int i;

	if (end - p < 4)
		return -1;
	for (i = 1; i <= 3; i++) {
		if (p[i] < '0' || p[i] > '7')
			return -1;
		value = value * 8 + (p[i] - '0');
	}
	return value <= 255 ? value : -1;
}

int mountinfo_unescape(const struct mountinfo_field *field, char *buf,
		       size_t size)
{
	const char *p = field->data, *end = p + field->size;
	size_t n = 0;

	while (p < end) {
		int c = (unsigned char)*p;

		if (c == '\\') {
			c = octal(p, end);
			p += 3;
		}
		p++;
		if (c <= 0)
			return -EINVAL;
		if (n + 1 >= size)
			return -ENAMETOOLONG;
		buf[n++] = (char)c;
	}
	if (size == 0)
		return -ENAMETOOLONG;
	buf[n] = '\0';
	return 0;
}
