/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_TEST_FUZZ_H
#define QRELAY_TEST_FUZZ_H

/* What the fuzz targets share.  A target asserts; it returns nothing but 0. */

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Sizes of pieces, 1 … 16 bytes, that follow from one byte of the input. */
struct cuts {
	uint32_t seed;
};

/* The next piece of what has `left` bytes. */
static inline size_t cuts_next(struct cuts *c, size_t left)
{
	size_t n;

	c->seed = c->seed * 1103515245 + 12345;
	n = 1 + (c->seed >> 16) % 16;
	return n < left ? n : left;
}

#endif
