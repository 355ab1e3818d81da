/* SPDX-License-Identifier: BSD-2-Clause */
#include "proto/address.h"

#include <string.h>

#include "base/limits.h"

#define VERP "-@[]"

/* Control characters, which no address holds, quoted or not. */
static bool is_control(unsigned char c)
{
	return c < 0x20 || c == 0x7f;
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
	const char *at = memrchr(s, '@', size);
	size_t i;

	if (at == NULL || s[0] != '"')
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
	size_t local = quoted_size(s, size);
	const char *at = memchr(s + local, '@', size - local);

	for (size_t i = 0; i < size; i++) {
		if (is_control((unsigned char)s[i]))
			return false;
	}
	for (size_t i = local; i < size; i++) {
		if (s[i] == '<' || s[i] == '>' || s[i] == ' ')
			return false;
	}
	if (at == NULL)
		return true;
	if (at == s || at + 1 == s + size)
		return false;
	return memchr(at + 1, '@', size - (size_t)(at + 1 - s)) == NULL;
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
