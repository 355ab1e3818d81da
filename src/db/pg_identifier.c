/* SPDX-License-Identifier: BSD-2-Clause */
#include "db/pg_identifier.h"

size_t pg_identifier_quote(const char *name, char *out)
{
	size_t n = 0;

	out[n++] = '"';
	for (; *name != '\0'; name++) {
		if (*name == '"')
			out[n++] = '"';
		out[n++] = *name;
	}
	out[n++] = '"';
	out[n] = '\0';
	return n;
}
