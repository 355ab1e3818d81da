/* SPDX-License-Identifier: BSD-2-Clause */
#include "proto/address.h"

#include <string.h>

#include "base/limits.h"

#define VERP "-@[]"

enum {
	CONTROL = 1, /* in no address, quoted or not */
	BREAK = 2,   /* not outside of quotes */
	AT = 4,
};

static const unsigned char classes[256] = {
	[0 ... 0x1f] = CONTROL, [0x7f] = CONTROL, [' '] = BREAK,
	['<'] = BREAK,          ['>'] = BREAK,    ['@'] = AT,
};

static unsigned char class_of(char c)
{
	return classes[(unsigned char)c];
}

/*
 * The size of the quoted local part, its quotes included, or 0 if there is none.
 * It ends with the first `"` that no backslash precedes, and only an `@` that is
 * the last one may follow: `"a" <b>"@x` has none, since whoever reads it by RFC
 * 5321 leaves the quotes behind the `a`.  A lone `"a b"` without a domain has
 * none either.
 */
static size_t quoted_size(const char *s, size_t size)
{
	const char *at;
	size_t i;

	if (s[0] != '"')
		return 0;
	at = memrchr(s, '@', size);
	if (at == NULL)
		return 0;
	for (i = 1; i < size && s[i] != '"'; i++) {
		if (s[i] == '\\')
			i++;
	}
	return s + i + 1 == at ? i + 1 : 0;
}

/* What both may be: at least one byte, at most one `@` outside of quotes, and
 * something on either side of it. */
static bool is_address(const char *s, size_t size)
{
	size_t local = quoted_size(s, size), at = size;

	for (size_t i = 0; i < local; i++) {
		if (class_of(s[i]) & CONTROL)
			return false;
	}
	for (size_t i = local; i < size; i++) {
		unsigned char class = class_of(s[i]);

		if (class == 0)
			continue;
		if (class != AT || at < size)
			return false;
		at = i;
	}
	return at == size || (at > 0 && at + 1 < size);
}

/* "list-@host-@[]" of qmail: the VERP sender that stands for
 * "list-user=domain@host", whatever the recipient is. */
static bool is_verp(const char *s, size_t size)
{
	size_t base = size - strlen(VERP);

	return size > strlen(VERP) &&
	       memcmp(s + base, VERP, strlen(VERP)) == 0 && is_address(s, base);
}

bool address_is_sender(const char *s, size_t size)
{
	if (size == 0)
		return true;
	return size <= LIMIT_ADDRESS &&
	       (is_address(s, size) || is_verp(s, size));
}

bool address_is_recipient(const char *s, size_t size)
{
	return size > 0 && size <= LIMIT_ADDRESS && is_address(s, size);
}
