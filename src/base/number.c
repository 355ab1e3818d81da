/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/number.h"

#include <string.h>

static size_t copy(char *buf, const char *from, const char *end)
{
	memcpy(buf, from, (size_t)(end - from));
	return (size_t)(end - from);
}

size_t number_print(char *buf, uint64_t value)
{
	char digits[NUMBER_MAX], *at = digits + sizeof(digits);

	do {
		*--at = (char)('0' + value % 10);
		value /= 10;
	} while (value > 0);
	return copy(buf, at, digits + sizeof(digits));
}

size_t number_print_hex(char *buf, uint64_t value)
{
	char digits[NUMBER_MAX], *at = digits + sizeof(digits);

	do {
		*--at = "0123456789abcdef"[value & 15];
		value >>= 4;
	} while (value > 0);
	return copy(buf, at, digits + sizeof(digits));
}
