/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_IO_PEER_H
#define QRELAY_IO_PEER_H

/*
 * Who is at the other end of a Unix socket, as the kernel saw it at connect(2)
 * (unix(7), SO_PEERCRED): what the process did to itself afterwards does not
 * show.  For where the process lives see io/cgroup.h.
 */

#include <stdbool.h>
#include <sys/types.h>

#include "base/attr.h"

struct peer {
	bool known; /* false on TCP: the rest is then all zeroes */
	pid_t pid;  /* 0: the client is outside our pid namespace */
	uid_t uid;  /* the overflow uid if ours has no number for it */
	gid_t gid;
};

/* Asks the connected socket `fd`; one system call.  -errno. */
MUSTCHECK int peer_credentials(int fd, struct peer *ret_peer);

/*
 * A pidfd of that process, close-on-exec and the caller's; however many
 * processes get its number later, it stays the client's.  -errno:
 *
 *   -ENOPROTOOPT       the kernel has no SO_PEERPIDFD (it came with Linux 6.5)
 *   -ESRCH, -EINVAL    the process has gone, and the kernel (before 6.16) keeps
 *                      nothing of it
 *   -ENODATA, -ESRCH   the socket has no such peer (TCP)
 *   -EMFILE, -ENFILE, -ENOMEM
 */
MUSTCHECK int peer_pidfd(int fd);

#endif
