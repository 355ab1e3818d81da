/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_IO_CHILD_H
#define QRELAY_IO_CHILD_H

/*
 * Child processes: awaited in the event loop (pidfd_open(2)), terminated with all
 * of their process group.
 *
 * A child outlives who started it: once abandoned it belongs to `struct children`,
 * which sees it to its end.
 */

#include <ev.h>
#include <stdbool.h>
#include <sys/resource.h>

#include "base/attr.h"
#include "base/list.h"
#include "io/spawn.h"

struct child;

/* What all children of a process share, and those that are to die. */
struct children {
	struct ev_loop *loop; /* borrowed until deinit */
	rlim_t nofile;        /* their soft RLIMIT_NOFILE */
	double grace;         /* seconds from SIGTERM to SIGKILL */

	/* private */
	bool pidfd_groups;  /* a pidfd can signal a group (Linux 6.9) */
	unsigned n_running; /* not abandoned */
	struct list dying;  /* of struct child, through `dying`; owned */
};

/*
 * Cannot fail.  `nofile`: the soft RLIMIT_NOFILE that children get, if it is
 * below ours.  Sets SIGCHLD to its default: if we inherited it ignored, the
 * kernel would reap children itself and their status would be lost.
 */
void children_init(struct children *all, struct ev_loop *loop, rlim_t nofile);

/*
 * Kills what is dying (SIGKILL, to the groups) and reaps what dies of it within
 * LIMIT_CHILD_REAP seconds; the rest is left to init.  No child may be running.
 */
void children_deinit(struct children *all);

/* The status of a child that somebody else reaped. */
#define CHILD_STATUS_LOST (-255)

/*
 * Runs exactly once, from the loop, unless the child was abandoned first; it is
 * gone by then.  `status` is its exit status (0 … 255), or minus the signal that
 * killed it, or CHILD_STATUS_LOST.  What it wrote to its pipes can still be read;
 * other processes may hold them open.
 */
typedef void child_exit_fn(void *owner, int status);

/*
 * Starts a program as spawn() does.  `owner` is borrowed until on_exit or
 * child_abandon(); `ret_child` must be given up by one of them.  On error returns
 * -errno, and on_exit is never called.
 */
MUSTCHECK int child_start(struct children *all, const struct spawn *what,
			  child_exit_fn *on_exit, void *owner,
			  struct child **ret_child, int ret_fds[3]);

/*
 * Terminates its group and forgets the child without calling back: SIGTERM now,
 * SIGKILL to what is left of the group after `grace`.  A child that has exited by
 * itself already is only reaped: those whom it left behind are not signalled.
 * NULL is fine.
 */
void child_abandon(struct child *c);

#endif
