/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_IO_SPAWN_H
#define QRELAY_IO_SPAWN_H

/*
 * Starts a program with pipes on its stdio (posix_spawn(3)).  Does not wait for it:
 * that is child.h.
 */

#include <stdbool.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "base/attr.h"

/* What to start. */
struct spawn {
	const char *program; /* a path; there is no search */
	char *const *argv;
	char *const *envp;
	bool merge; /* stdout and stderr are one pipe */
};

/*
 * The program becomes the leader of a process group of its own; it has
 * descriptors 0-2 alone (pipes, in blocking mode as programs expect), every signal
 * at its default and none blocked, `envp` and nothing else, a soft RLIMIT_NOFILE of
 * at most `nofile`, our working directory.  What it costs does not depend on our
 * memory.
 *
 * `what` is borrowed during the call.  `ret_fds` are our ends, which the caller
 * owns: what it writes to the program's stdin, what it reads from its stdout and
 * its stderr (-1 with `merge`); non-blocking and close-on-exec.  Writing may raise
 * SIGPIPE.  On error returns -errno, and nothing has changed.
 */
MUSTCHECK int spawn(const struct spawn *what, rlim_t nofile, pid_t *ret_pid,
		    int ret_fds[3]);

#endif
