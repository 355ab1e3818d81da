/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_BASE_FD_H
#define QRELAY_BASE_FD_H

/* File descriptors as owned values: -1 when empty. */

#include <sys/types.h>

#include "base/attr.h"

/* Closes `*fd` unless it is empty, and empties it.  Keeps errno. */
void fd_close(int *fd);

/* recv(2) without waiting: bytes, 0 at the end of file, or -errno. */
MUSTCHECK ssize_t fd_recv(int fd, void *buf, size_t size);

/* read(2): bytes, 0 at the end of file, or -errno. */
MUSTCHECK ssize_t fd_read(int fd, void *buf, size_t size);

#endif
