/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_BASE_SPARES_H
#define QRELAY_BASE_SPARES_H

/*
 * Objects of one kind that nobody uses, kept for the next one who needs some.
 * malloc(3) is quick at a handful of small ones only.  What an object holds stays,
 * but for the pointer that it begins with: that links them.  To use one that lies
 * here is an error that AddressSanitizer sees.
 */

#include <stdbool.h>
#include <stddef.h>

struct spares {
	/* private */
	void *first; /* owned; each begins with a pointer to the next one */
	size_t n;
	size_t max;
	size_t size; /* bytes of an object */
};

/* At most `max` objects of `size` bytes, which begin with a pointer. */
void spares_init(struct spares *s, size_t size, size_t max);

/* The object kept last, the caller's from now on; NULL if there is none. */
void *spares_take(struct spares *s);

/* Takes over `object`; returns false if there are enough. */
bool spares_keep(struct spares *s, void *object);

#endif
