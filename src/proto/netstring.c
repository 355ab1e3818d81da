/* SPDX-License-Identifier: BSD-2-Clause */
#include "proto/netstring.h"

#include "base/limits.h"
#include "base/number.h"

enum netstring_result netstring_length_feed(struct netstring_length *l, char c)
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

size_t netstring_print(char *buf, size_t size)
{
	size_t n = number_print(buf, size);

	buf[n++] = ':';
	buf[n] = '\0';
	return n;
}

size_t netstring_wire_size(size_t size)
{
	size_t digits = 1;

	for (size_t rest = size; rest >= 10; rest /= 10)
		digits++;
	return digits + 1 + size + 1;
}
