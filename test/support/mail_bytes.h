/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_TEST_MAIL_BYTES_H
#define QRELAY_TEST_MAIL_BYTES_H

/* Bytes into a chain and out of a mail, for unit tests and fuzz targets.  They
 * abort without memory. */

#include <stdlib.h>
#include <string.h>

#include "base/chain.h"
#include "proto/mail.h"

/* Adds bytes to a chain, in as many steps as that takes. */
static inline void chain_put(struct chain *c, const char *data, size_t size)
{
	while (size > 0) {
		struct iovec iov;
		size_t n;

		if (chain_space(c, size, &iov, 1) != 1)
			abort();
		n = size < iov.iov_len ? size : iov.iov_len;
		memcpy(iov.iov_base, data, n);
		chain_commit(c, n);
		data += n;
		size -= n;
	}
}

/* A copy of memory that ends where its bytes end, so that AddressSanitizer and
 * valgrind see a read past them.  The caller frees it. */
static inline char *exact(const char *data, size_t size)
{
	char *copy = malloc(size ? size : 1);

	if (copy == NULL)
		abort();
	if (size > 0)
		memcpy(copy, data, size);
	return copy;
}

/*
 * What a sender of the sealed mail would write from `offset` on, if it takes
 * `max` vectors at once and the socket takes at most `bite` bytes of them.  The
 * caller frees it.
 */
static inline char *mail_bytes(const struct mail *m, enum mail_form form,
			       size_t offset, int max, size_t bite,
			       size_t *ret_size)
{
	struct iovec iov[16];
	size_t size = 0;
	char *out = malloc(mail_wire_size(m, form) + 1);
	int n;

	if (out == NULL || max > 16)
		abort();
	while ((n = mail_iov(m, form, offset + size, iov, max)) > 0) {
		size_t taken = 0;

		for (int i = 0; i < n && taken < bite; i++) {
			size_t part = iov[i].iov_len;

			if (part == 0)
				abort();
			if (part > bite - taken)
				part = bite - taken;
			if (size + part > mail_wire_size(m, form))
				abort();
			memcpy(out + size, iov[i].iov_base, part);
			size += part;
			taken += part;
		}
	}
	*ret_size = size;
	return out;
}

#endif
