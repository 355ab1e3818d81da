/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/number.h"

#include <string.h>

size_t number_print(char *buf, uint64_t value, unsigned base)
{
	char digits[NUMBER_MAX];
	size_t at = sizeof(digits);

	do {
		digits[--at] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value > 0);
	memcpy(buf, digits + at, sizeof(digits) - at);
	return sizeof(digits) - at;
}
