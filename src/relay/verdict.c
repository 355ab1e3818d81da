/* SPDX-License-Identifier: BSD-2-Clause */
#include "relay/verdict.h"

#include <string.h>

void verdict_set(struct verdict *v, char letter, const char *text, size_t size)
{
	if (size > sizeof(v->text))
		size = sizeof(v->text);
	v->letter = letter;
	v->size = (unsigned char)size;
	if (size > 0)
		memcpy(v->text, text, size);
}

void verdict_set_clean(struct verdict *v, char letter, const char *text,
		       size_t size)
{
	verdict_set(v, letter, text, size);
	for (size_t i = 0; i < v->size; i++) {
		unsigned char c = (unsigned char)v->text[i];

		if (c < 0x20 || c == 0x7f)
			v->text[i] = ' ';
	}
}

void verdict_set_string(struct verdict *v, char letter, const char *text)
{
	verdict_set(v, letter, text, strlen(text));
}
