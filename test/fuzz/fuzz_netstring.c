/* SPDX-License-Identifier: BSD-2-Clause */

/* A netstring's length, against a second opinion; and printed and read again. */

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "fuzz.h"
#include "proto/netstring.h"

static enum netstring_result read_length(const char *data, size_t size,
					 size_t *ret_value, size_t *ret_used)
{
	struct netstring_length l = {0};
	enum netstring_result r = NETSTRING_MORE;
	size_t i = 0;

	while (r == NETSTRING_MORE && i < size)
		r = netstring_length_feed(&l, data[i++]);
	*ret_value = l.value;
	*ret_used = i;
	return r;
}

/* By looking at the whole of it at once. */
static enum netstring_result second_opinion(const char *data, size_t size,
					    size_t *ret_value)
{
	char s[LIMIT_NETSTRING_DIGITS + 2] = "";
	size_t digits;

	memcpy(s, data, size < sizeof(s) - 1 ? size : sizeof(s) - 1);
	digits = strspn(s, "0123456789");
	*ret_value = strtoul(s, NULL, 10);
	if (digits > LIMIT_NETSTRING_DIGITS || (digits > 1 && s[0] == '0'))
		return NETSTRING_BAD;
	if (digits == size)
		return NETSTRING_MORE;
	return digits > 0 && s[digits] == ':' ? NETSTRING_DONE : NETSTRING_BAD;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char printed[NETSTRING_LENGTH_MAX];
	size_t value, expected, used;
	enum netstring_result r;

	r = read_length((const char *)data, size, &value, &used);
	assert(r == second_opinion((const char *)data, size, &expected));
	if (r != NETSTRING_DONE)
		return 0;
	assert(value == expected);
	assert(netstring_print(printed, value) == used);
	assert(memcmp(printed, data, used) == 0);
	assert(netstring_wire_size(value) == used + value + 1);
	return 0;
}
