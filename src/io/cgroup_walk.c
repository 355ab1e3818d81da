/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/cgroup_walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/limits.h"
#include "io/cgroup_mount.h"

/*
 * Paths that are still to be read, each with its NUL, one behind the other: no
 * directory stays open, however deep the tree is.  "" is the root, so that a
 * path is its parent's, a slash and a name.
 */
struct queue {
	struct buffer paths;
	size_t head;   /* offset of the next one */
	unsigned size; /* that were ever queued */
	bool full;     /* one had to be left out */
};

static bool is_dots(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* Queues the child of the directory whose path is at `parent`. */
static int push(struct queue *q, size_t parent, const char *name)
{
	size_t parent_size = strlen(q->paths.data + parent);
	size_t name_size = strlen(name);
	int r;

	if (parent_size + 1 + name_size > LIMIT_CGROUP_PATH)
		return 0; /* no process can be told to be there */
	if (q->size >= LIMIT_CGROUP_WALK) {
		q->full = true;
		return 0;
	}
	r = buffer_reserve(&q->paths, parent_size + 1 + name_size + 1);
	if (r < 0)
		return r;
	/* The parent's path lies in the buffer, which stays in place now. */
	r = buffer_add(&q->paths, q->paths.data + parent, parent_size);
	if (r == 0)
		r = buffer_add(&q->paths, "/", 1);
	if (r == 0)
		r = buffer_add(&q->paths, name, name_size + 1);
	q->size++;
	return r;
}

/* Returns 1 if `d` is the group looked for: its path is then in `ret_path`. */
static int visit(struct queue *q, size_t parent, const struct dirent64 *d,
		 uint64_t id, struct buffer *ret_path)
{
	int r;

	if (d->d_type != DT_DIR || is_dots(d->d_name))
		return 0;
	if (d->d_ino != id)
		return push(q, parent, d->d_name);
	r = buffer_printf(ret_path, "%s/%s", q->paths.data + parent, d->d_name);
	if (r == 0)
		r = buffer_add(ret_path, "", 1);
	return r < 0 ? r : 1;
}

/* Reads the directory whose path is at `parent`. */
static int read_directory(struct queue *q, size_t parent, int fd, uint64_t id,
			  struct buffer *ret_path)
{
	_Alignas(struct dirent64) char entries[16384];
	ssize_t n, at;
	int r;

	while ((n = getdents64(fd, entries, sizeof(entries))) > 0)
		for (at = 0; at < n;) {
			struct dirent64 *d = (void *)(entries + at);

			r = visit(q, parent, d, id, ret_path);
			if (r != 0)
				return r;
			at += d->d_reclen;
		}
	return 0; /* it may have been removed meanwhile */
}

static int read_next(struct queue *q, const struct cgroup_mount *m, uint64_t id,
		     struct buffer *ret_path)
{
	size_t parent = q->head;
	const char *path = q->paths.data + parent;
	int fd, r;

	q->head += strlen(path) + 1;
	fd = cgroup_mount_open_path(m, *path ? path : "/", O_RDONLY);
	if (fd == -ENOENT || fd == -EACCES || fd == -EXDEV)
		return 0;
	if (fd < 0)
		return fd;
	r = read_directory(q, parent, fd, id, ret_path);
	fd_close(&fd);
	return r;
}

static int root_is(const struct cgroup_mount *m, uint64_t id)
{
	struct stat st;

	if (fstat(m->root, &st) < 0)
		return -errno;
	return st.st_ino == id;
}

int cgroup_walk(const struct cgroup_mount *m, uint64_t id,
		struct buffer *ret_path)
{
	struct queue q = {.size = 1};
	int r;

	r = root_is(m, id);
	if (r < 0)
		return r;
	if (r > 0)
		return buffer_add(ret_path, "/", 2);

	r = buffer_add(&q.paths, "", 1);
	while (r == 0 && q.head < q.paths.size)
		r = read_next(&q, m, id, ret_path);
	buffer_deinit(&q.paths);
	if (r == 0)
		return q.full ? -E2BIG : -ENOENT;
	return r < 0 ? r : 0;
}
