/* SPDX-License-Identifier: BSD-2-Clause */
/* /proc/self/mountinfo: every line, its fields with and without escapes. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "io/mountinfo.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_field(const struct mountinfo_field *f, const char *text,
			const char *end)
{
	char buf[64];

	if (f->data < text || f->data + f->size > end)
		abort();
	if (memchr(f->data, ' ', f->size) || memchr(f->data, '\n', f->size))
		abort();
	if (mountinfo_unescape(f, buf, sizeof(buf)) == 0 &&
	    strlen(buf) > f->size)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	const char *p = text, *end = text + size;
	struct mountinfo m;

	while (mountinfo_next(&p, &size, &m)) {
		check_field(&m.root, text, end);
		check_field(&m.mount_point, text, end);
		check_field(&m.type, text, end);
		if (p + size != end || m.type.size == 0)
			abort();
	}
	if (size != 0 || p != end)
		abort();
	return 0;
}
