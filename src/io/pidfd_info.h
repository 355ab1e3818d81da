/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_IO_PIDFD_INFO_H
#define QRELAY_IO_PIDFD_INFO_H

/*
 * What a pidfd tells about its process.  The number of a process may be given
 * to another as soon as it has been waited for; a pidfd always means the first.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/attr.h"

struct pidfd_info {
	bool reaped; /* the process was waited for: it is no more */
	pid_t pid;   /* in our pid namespace; 0 if not known */
	uint64_t
		cgroup_id; /* of its cgroup2 group, or its last; 0 if not known */
};

/*
 * Asks the kernel (PIDFD_GET_INFO of <linux/pidfd.h>); one system call.  What
 * it does not tell stays 0 and false: all of it before Linux 6.13, a process
 * that was reaped before 6.15, and one that our pid namespace does not hold.
 */
struct pidfd_info pidfd_info_get(int pidfd);

/*
 * The number that the process has in the pid namespace of /proc, from
 * /proc/self/fdinfo: 0 if it has none there, -ESRCH once it was reaped, or
 * another -errno.  Slower, but it works wherever there are pidfds.
 */
MUSTCHECK int pidfd_info_pid(int pidfd, pid_t *ret_pid);

/* Parses the text of such a file: its line "Pid:\t…".  0, or -EINVAL; the pid
 * is -1 for a process that is no more. */
MUSTCHECK int pidfd_info_parse(const char *text, size_t size, pid_t *ret_pid);

#endif
