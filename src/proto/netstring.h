/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_PROTO_NETSTRING_H
#define QRELAY_PROTO_NETSTRING_H

/*
 * The length of a netstring (https://cr.yp.to/proto/netstrings.txt), read byte by
 * byte: decimal digits without sign, space or leading zero, then a colon.  What
 * follows the colon is the caller's.
 */

#include <stddef.h>

#include "base/attr.h"
#include "base/limits.h"

/* All zeroes before the first byte. */
struct netstring_length {
	size_t value;
	unsigned digits;
};

enum netstring_result {
	NETSTRING_MORE, /* feed the next byte */
	NETSTRING_DONE, /* the colon: `value` is the length */
	NETSTRING_BAD,  /* no digit, a leading zero, too many digits */
};

/* Inline, because it runs for a dozen bytes of each mail. */
MUSTCHECK static inline enum netstring_result
netstring_length_feed(struct netstring_length *l, char c)
{
	size_t value;

	if (c == ':')
		return l->digits > 0 ? NETSTRING_DONE : NETSTRING_BAD;
	if (c < '0' || c > '9' || l->digits == LIMIT_NETSTRING_DIGITS)
		return NETSTRING_BAD;
	if (l->digits > 0 && l->value == 0)
		return NETSTRING_BAD;
	/* Where size_t has 32 bits, fewer digits than the limit overflow it. */
	if (__builtin_mul_overflow(l->value, (size_t)10, &value) ||
	    __builtin_add_overflow(value, (size_t)(c - '0'), &value))
		return NETSTRING_BAD;
	l->value = value;
	l->digits++;
	return NETSTRING_MORE;
}

/* The longest "LENGTH:" that netstring_print() makes, with its NUL. */
#define NETSTRING_LENGTH_MAX 22

/* Writes "SIZE:" and a NUL to `buf` (NETSTRING_LENGTH_MAX bytes); returns the
 * bytes without the NUL. */
size_t netstring_print(char *buf, size_t size);

/* Bytes of the netstring of a string of `size` bytes, all included. */
size_t netstring_wire_size(size_t size);

#endif
