/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/peer.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>

#ifndef SO_PEERPIDFD
#if defined(__alpha__) || defined(__hppa__) || defined(__mips__) || \
	defined(__sparc__)
#error "SO_PEERPIDFD has another number here: update the kernel headers"
#endif
#define SO_PEERPIDFD 77 /* Linux 6.5, include/uapi/asm-generic/socket.h */
#endif

int peer_credentials(int fd, struct peer *ret_peer)
{
	struct ucred cred;
	socklen_t size = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &size) < 0)
		return -errno;

	/* A socket that is not Unix answers too, with -1 for both; no process
	 * can have that uid, and one without a number here shows as the
	 * overflow uid.  So asking for the family is not needed. */
	if (cred.uid == (uid_t)-1)
		*ret_peer = (struct peer){.known = false};
	else
		*ret_peer = (struct peer){.known = true,
					  .pid = cred.pid,
					  .uid = cred.uid,
					  .gid = cred.gid};
	return 0;
}

int peer_pidfd(int fd)
{
	int pidfd = -1;
	socklen_t size = sizeof(pidfd);

	/* pidfds are close-on-exec from birth (pidfd_open(2)). */
	if (getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &size) < 0)
		return -errno;
	return pidfd;
}
