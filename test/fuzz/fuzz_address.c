/* SPDX-License-Identifier: BSD-2-Clause */

/* Addresses, against a second opinion that reads them from left to right. */

#include <assert.h>
#include <string.h>

#include "base/limits.h"
#include "fuzz.h"
#include "proto/address.h"

enum place {
	START,
	QUOTED,
	ESCAPED,
	QUOTE_END, /* only "@" may follow */
	PLAIN,
	DOMAIN_START,
	DOMAIN,
	REFUSED,
};

static enum place step_plain(enum place at, char c)
{
	if (c == '<' || c == '>' || c == ' ')
		return REFUSED;
	if (c == '@')
		return at == PLAIN ? DOMAIN_START : REFUSED;
	return at == START || at == PLAIN ? PLAIN : DOMAIN;
}

static enum place step(enum place at, char c)
{
	switch (at) {
	case QUOTED:
		return c == '"' ? QUOTE_END : c == '\\' ? ESCAPED : QUOTED;
	case ESCAPED:
		return QUOTED;
	case QUOTE_END:
		return c == '@' ? DOMAIN_START : REFUSED;
	case REFUSED:
		return REFUSED;
	default:
		return step_plain(at, c);
	}
}

/* Whether all of it is read, with or without knowing of quotes. */
static bool reads(const char *s, size_t size, bool quotes)
{
	enum place at = quotes ? QUOTED : START;

	for (size_t i = quotes ? 1 : 0; i < size; i++) {
		unsigned char c = (unsigned char)s[i];

		at = c < ' ' || c == 0x7f ? REFUSED : step(at, s[i]);
	}
	return at == DOMAIN || (at == PLAIN && !quotes);
}

static bool second_opinion(const char *s, size_t size)
{
	if (size > LIMIT_ADDRESS)
		return false;
	return reads(s, size, false) ||
	       (size > 0 && s[0] == '"' && reads(s, size, true));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *s = (const char *)data;
	bool plain = second_opinion(s, size);
	bool verp = size > 4 && size <= LIMIT_ADDRESS &&
		    memcmp(s + size - 4, "-@[]", 4) == 0 &&
		    second_opinion(s, size - 4);

	assert(address_is_recipient(s, size) == plain);
	assert(address_is_sender(s, size) == (plain || verp || size == 0));
	return 0;
}
