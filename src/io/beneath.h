/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_IO_BENEATH_H
#define QRELAY_IO_BENEATH_H

/*
 * Opens a directory beneath another one: never one outside of it, nor through a
 * symbolic link or another mount.
 *
 * openat2(2) does that; where it is not to be had (systemd's RestrictSUIDSGID=
 * takes it away, whose filter cannot see what it would create), the path is
 * walked one name at a time.  Then `..` is refused wherever it leads.
 */

#include "base/attr.h"

/*
 * `path` is relative, "" is `dir` itself; a repeated or trailing slash changes
 * nothing.  `flags` are O_RDONLY or O_PATH.  Returns a descriptor that is the
 * caller's, close-on-exec; or -errno: -EXDEV for a path that leads out or to
 * another mount, -ELOOP or -ENOTDIR for a symbolic link, -ENOSYS where openat2
 * is missing and the kernel is older than 5.8, what open(2) says for the rest.
 */
MUSTCHECK int beneath_open(int dir, const char *path, int flags);

#endif
