/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"

/* `ours` is the index of our end: 0 reads, 1 writes.  O_NONBLOCK belongs to the
 * open file description, of which each end has its own. */
static int open_pipe(int ours, int *ret_ours, int *ret_theirs)
{
	int ends[2], r;

	r = pipe2(ends, O_CLOEXEC);
	if (r < 0)
		return -errno;
	if (fcntl(ends[ours], F_SETFL, O_NONBLOCK) < 0) {
		r = -errno;
		fd_close(&ends[0]);
		fd_close(&ends[1]);
		return r;
	}
	*ret_ours = ends[ours];
	*ret_theirs = ends[!ours];
	return 0;
	/* analyzer: both are the caller's now */
}

static int set_attributes(posix_spawnattr_t *attr)
{
	sigset_t all, none;
	int r;

	/* sigfillset(3) spares the two that glibc keeps for itself, and the
	 * program would find those ignored. */
	memset(&all, 0xff, sizeof(all));
	sigemptyset(&none);
	r = posix_spawnattr_setflags(attr, POSIX_SPAWN_SETPGROUP |
						   POSIX_SPAWN_SETSIGDEF |
						   POSIX_SPAWN_SETSIGMASK);
	if (r == 0)
		r = posix_spawnattr_setpgroup(attr, 0);
	if (r == 0)
		r = posix_spawnattr_setsigdefault(attr, &all);
	if (r == 0)
		r = posix_spawnattr_setsigmask(attr, &none);
	return r;
}

/* Stdin first: if we have no stdio ourselves, its pipe is the one that took the
 * free numbers, and no other end can be overwritten. */
static int set_files(posix_spawn_file_actions_t *files, const int fds[3])
{
	int r = 0;

	for (int i = 0; i < 3 && r == 0; i++)
		r = posix_spawn_file_actions_adddup2(files, fds[i], i);
	if (r == 0)
		r = posix_spawn_file_actions_addclosefrom_np(files, 3);
	return r;
}

/*
 * posix_spawn(3) cannot set a limit, and setting it from outside (prlimit(2))
 * comes too late for the program's first lines.  So ours is lowered for the time
 * of the call: the soft limit alone, which concerns new descriptors, of which
 * this thread opens none meanwhile.  (A name look-up on the helper thread may
 * fail for want of one, if we hold more than the children's limit.)
 */
static int spawn_limited(rlim_t nofile, pid_t *ret_pid,
			 const struct spawn *what,
			 const posix_spawn_file_actions_t *files,
			 const posix_spawnattr_t *attr)
{
	struct rlimit ours, theirs;
	bool lower =
		getrlimit(RLIMIT_NOFILE, &ours) == 0 && nofile < ours.rlim_cur;
	int r;

	if (lower) {
		theirs = (struct rlimit){nofile, ours.rlim_max};
		if (setrlimit(RLIMIT_NOFILE, &theirs) < 0)
			return errno;
	}
	r = posix_spawn(ret_pid, what->program, files, attr, what->argv,
			what->envp);
	if (lower)
		(void)setrlimit(RLIMIT_NOFILE, &ours);
	return r;
}

static int spawn_with(const struct spawn *what, rlim_t nofile, const int fds[3],
		      pid_t *ret_pid)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	int r;

	r = posix_spawn_file_actions_init(&files);
	if (r != 0)
		return -r;
	r = posix_spawnattr_init(&attr);
	if (r == 0) {
		/* The files first: a descriptor over the limit is refused. */
		r = set_files(&files, fds);
		if (r == 0)
			r = set_attributes(&attr);
		if (r == 0)
			r = spawn_limited(nofile, ret_pid, what, &files, &attr);
		posix_spawnattr_destroy(&attr);
	}
	posix_spawn_file_actions_destroy(&files);
	return -r;
}

int spawn(const struct spawn *what, rlim_t nofile, pid_t *ret_pid,
	  int ret_fds[3])
{
	int ours[3] = {-1, -1, -1}, theirs[3] = {-1, -1, -1}, r;

	r = open_pipe(1, &ours[0], &theirs[0]);
	if (r == 0)
		r = open_pipe(0, &ours[1], &theirs[1]);
	if (r == 0 && !what->merge)
		r = open_pipe(0, &ours[2], &theirs[2]);
	if (r == 0) {
		const int fds[3] = {theirs[0], theirs[1],
				    theirs[what->merge ? 1 : 2]};

		r = spawn_with(what, nofile, fds, ret_pid);
	}
	for (int i = 0; i < 3; i++) {
		fd_close(&theirs[i]);
		if (r < 0)
			fd_close(&ours[i]);
		else
			ret_fds[i] = ours[i];
	}
	return r;
}
