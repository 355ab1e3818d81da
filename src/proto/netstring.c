/* SPDX-License-Identifier: BSD-2-Clause */
#include "proto/netstring.h"

#include "base/number.h"

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
