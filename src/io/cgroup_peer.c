/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/cgroup_peer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "base/fd.h"
#include "base/limits.h"
#include "io/cgroup_mount.h"
#include "io/peer.h"
#include "io/pidfd_info.h"
#include "io/proc_cgroup.h"

static const char exited[] =
	"the client has exited, and this kernel keeps nothing of it";

static const char moves[] = "the client moves between control groups";

/* What a search works on; the outputs are those of the API. */
struct search {
	int pidfd;                  /* borrowed */
	struct cgroup_mount *mount; /* borrowed */
	struct cgroup_dir *dir;     /* borrowed */
	struct cgroup *ret;
	const char **ret_reason;
};

/* /proc/PID/cgroup, and where in it the path lies. */
struct proc_text {
	char text[LIMIT_PROC_CGROUP];
	const char *path;
	size_t size;
};

static int fail(const struct search *s, int r, const char *reason)
{
	*s->ret_reason = reason ? reason : strerrordesc_np(-r);
	return r;
}

static int read_proc(pid_t pid, struct proc_text *t)
{
	size_t size = 0;
	char path[64];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	do {
		n = fd_read(fd, t->text + size, sizeof(t->text) - size);
		if (n > 0)
			size += (size_t)n;
	} while (n > 0 && size < sizeof(t->text));
	fd_close(&fd);
	if (n < 0)
		return (int)n;
	return proc_cgroup_parse(t->text, size, &t->path, &t->size);
}

static int found(const struct search *s, const char *path, size_t size,
		 uint64_t id)
{
	int r = cgroup_init(s->ret, s->mount, s->dir, path, size, id);

	return r < 0 ? fail(s, r, NULL) : 1;
}

/* 0 if the path could not be proven this way. */
static int by_directory(const struct search *s, const struct pidfd_info *info,
			struct proc_text *t)
{
	const char *ignored;
	int r;

	if (read_proc(info->pid, t) < 0)
		return 0;
	/* NOLINTNEXTLINE(clang-analyzer-core.CallAndMessage): errno is not 0 */
	r = found(s, t->path, t->size, info->cgroup_id);
	if (r < 0)
		return r;
	if (cgroup_open(s->ret, &ignored) == 0) {
		cgroup_cache_put(&s->mount->cache, s->ret->id, s->ret->path);
		return 1;
	}
	cgroup_deinit(s->ret);
	return 0;
}

/* What a failed read of /proc means, of a process that lives. */
static int proc_failed(const struct search *s, int r)
{
	switch (r) {
	case -ENODATA:
		return 0;
	case -ENOENT:
	case -EACCES:
	case -EPERM:
		return fail(s, r,
			    "/proc does not show the client's process "
			    "(hidepid)");
	case -ENAMETOOLONG:
		return fail(s, r, "the path of the control group is too long");
	case -EINVAL:
		return fail(s, r, "/proc/PID/cgroup cannot be understood");
	default:
		return fail(s, r, NULL);
	}
}

/*
 * Whether a path that /proc told can be that of its id.  A process that moved to
 * another group and back, while we looked, shows the path of one and the id of
 * the other; a path whose group was removed says so.
 */
static bool is_conflict(struct cgroup *c)
{
	const char *ignored;

	return c->id != 0 && !proc_cgroup_looks_deleted(c->path) &&
	       cgroup_open(c, &ignored) == -ENOENT;
}

/* -EAGAIN if the process exited or moved meanwhile. */
static int by_process(const struct search *s, struct proc_text *t)
{
	uint64_t id = pidfd_info_get(s->pidfd).cgroup_id;
	pid_t before, after;
	int r, text;

	r = pidfd_info_pid(s->pidfd, &before);
	if (r == -ESRCH && pidfd_info_get(s->pidfd).reaped)
		r = -EAGAIN; /* just now: the next try takes what is kept */
	if (r == -ESRCH || r == -EAGAIN)
		return fail(s, r, exited);
	if (r < 0)
		return fail(s, r, "/proc/self/fdinfo cannot be read");
	if (before == 0)
		return fail(s, -ESRCH,
			    "the client is outside of this pid namespace");

	text = read_proc(before, t);

	r = pidfd_info_pid(s->pidfd, &after);
	if (r < 0 || before != after ||
	    id != pidfd_info_get(s->pidfd).cgroup_id)
		return fail(s, -EAGAIN, moves);
	if (text < 0)
		return proc_failed(s, text);
	/* NOLINTNEXTLINE(clang-analyzer-core.CallAndMessage): errno is not 0 */
	r = found(s, t->path, t->size, id);
	if (r == 1 && is_conflict(s->ret)) {
		cgroup_deinit(s->ret);
		return fail(s, -EAGAIN, moves);
	}
	return r;
}

static int of_reaped(const struct search *s, uint64_t id)
{
	struct buffer path = BUFFER_EMPTY;
	int r;

	if (id == 0)
		return fail(s, -ESRCH, exited);
	r = cgroup_mount_find(s->mount, id, &path, s->ret_reason);
	if (r == 0)
		r = found(s, path.data, path.size - 1, id);
	buffer_deinit(&path);
	return r;
}

static int try_find(const struct search *s, struct proc_text *t)
{
	struct pidfd_info info = pidfd_info_get(s->pidfd);
	const char *cached;
	int r;

	if (info.reaped)
		return of_reaped(s, info.cgroup_id);
	if (info.cgroup_id != 0 && info.pid != 0) {
		cached = cgroup_cache_get(&s->mount->cache, info.cgroup_id);
		if (cached != NULL)
			return found(s, cached, strlen(cached), info.cgroup_id);
		r = by_directory(s, &info, t);
		if (r != 0)
			return r;
	}
	return by_process(s, t);
}

int cgroup_peer_find_pidfd(int pidfd, struct cgroup_mount *mount,
			   struct cgroup_dir *dir, struct cgroup *ret,
			   const char **ret_reason)
{
	struct cgroup c = CGROUP_EMPTY;
	struct search s = {
		.pidfd = pidfd,
		.mount = mount,
		.dir = dir,
		.ret = &c,
		.ret_reason = ret_reason,
	};
	struct proc_text text; /* 64 KiB, of which the kernel fills a line */
	int r, i;

	for (i = 0; i < LIMIT_CGROUP_TRIES; i++) {
		r = try_find(&s, &text);
		if (r != -EAGAIN)
			break;
	}
	if (r == 1) {
		*ret = c;
		if (dir->of == &c)
			dir->of = ret;
	}
	return r;
}

/* Why there is no pidfd. */
static const char *no_pidfd(int r)
{
	switch (r) {
	case -ENOPROTOOPT:
		return "this kernel has no SO_PEERPIDFD (Linux 6.5)";
	case -ESRCH:
	case -EINVAL:
		return exited;
	case -ENODATA:
		return "the client's socket has no process";
	default:
		return strerrordesc_np(-r);
	}
}

int cgroup_peer_find(int socket, struct cgroup_mount *mount,
		     struct cgroup_dir *dir, struct cgroup *ret,
		     const char **ret_reason)
{
	int pidfd = peer_pidfd(socket);
	int r;

	if (pidfd < 0) {
		*ret_reason = no_pidfd(pidfd);
		return pidfd;
	}
	r = cgroup_peer_find_pidfd(pidfd, mount, dir, ret, ret_reason);
	fd_close(&pidfd);
	return r;
}
