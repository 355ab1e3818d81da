/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_RELAY_VERDICT_H
#define QRELAY_RELAY_VERDICT_H

/*
 * What became of a mail: K (accepted), Z (try again later), D (refused), and a
 * text for the client.
 */

#include <stddef.h>

#include "base/limits.h"

struct verdict {
	char letter;
	unsigned char size; /* of the text */
	char text[LIMIT_REPLY_TEXT];
};

/* Copies at most LIMIT_REPLY_TEXT bytes verbatim: what a server said. */
void verdict_set(struct verdict *v, char letter, const char *text, size_t size);

/* The same with control characters made spaces: what a script or a program
 * said. */
void verdict_set_clean(struct verdict *v, char letter, const char *text,
		       size_t size);

/* A text of our own. */
void verdict_set_string(struct verdict *v, char letter, const char *text);

#endif
