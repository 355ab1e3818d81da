/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_IO_MOUNTINFO_H
#define QRELAY_IO_MOUNTINFO_H

/*
 * The text of /proc/self/mountinfo (proc_pid_mountinfo(5)), one mount a line:
 *
 *   41 31 0:38 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw
 *   id            root mount point                   type
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"

/* A field as it is written; not terminated. */
struct mountinfo_field {
	const char *data; /* borrowed: within the text */
	size_t size;
};

struct mountinfo {
	uint64_t id;
	struct mountinfo_field root;
	struct mountinfo_field mount_point;
	struct mountinfo_field type;
};

/*
 * Takes the next line that is well formed off the front of the text.  False at
 * its end, where `ret` is untouched.
 */
bool mountinfo_next(const char **text, size_t *size, struct mountinfo *ret);

/*
 * Writes the field with its escapes (a backslash and three octal digits) undone
 * and a NUL behind it.  -EINVAL for an escape that is none and for a NUL;
 * -ENAMETOOLONG if it needs more than `size` bytes.
 */
MUSTCHECK int mountinfo_unescape(const struct mountinfo_field *field, char *buf,
				 size_t size);

/* Whether the field is that text, which has nothing to escape. */
bool mountinfo_is(const struct mountinfo_field *field, const char *text);

#endif
