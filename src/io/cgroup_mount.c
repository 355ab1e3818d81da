/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/cgroup_mount.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/limits.h"
#include "io/beneath.h"
#include "io/cgroup_walk.h"
#include "io/mountinfo.h"

/* A kernfs file handle (FILEID_KERNFS of <linux/exportfs.h>): the id alone. */
#define HANDLE_KERNFS 0xfe

void cgroup_mount_init(struct cgroup_mount *m)
{
	cgroup_cache_init(&m->cache);
	m->root = -1;
	m->mount_point = NULL;
	m->rest_until = 0;
}

void cgroup_mount_deinit(struct cgroup_mount *m)
{
	cgroup_cache_deinit(&m->cache);
	fd_close(&m->root);
	free(m->mount_point);
	m->mount_point = NULL;
}

static int read_mountinfo(struct buffer *text)
{
	int fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
	ssize_t n = 0;
	int r;

	if (fd < 0)
		return -errno;
	do {
		r = text->size > LIMIT_MOUNTINFO ? -E2BIG
						 : buffer_reserve(text, 16384);
		if (r < 0)
			break;
		n = fd_read(fd, text->data + text->size, 16384);
		if (n > 0)
			text->size += (size_t)n;
	} while (n > 0);
	fd_close(&fd);
	/* cppcheck-suppress uninitvar ; the loop's first statement sets r */
	return r < 0 ? r : (int)n;
}

/* Whether the path led to that mount and not to one that lies over it. */
static bool is_mount(int fd, const struct mountinfo *info)
{
	struct statfs fs;
	struct statx sx;

	if (fstatfs(fd, &fs) < 0 || fs.f_type != CGROUP2_SUPER_MAGIC)
		return false;
	if (statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &sx) < 0 ||
	    (sx.stx_mask & STATX_MNT_ID) == 0)
		return true; /* before Linux 5.8 it cannot be told */
	return sx.stx_mnt_id == info->id;
}

/* Tries one entry; 0 if it was opened. */
static int open_entry(struct cgroup_mount *m, const struct mountinfo *info)
{
	char path[PATH_MAX];
	char *copy = NULL;
	int fd = -1, r;

	r = mountinfo_unescape(&info->mount_point, path, sizeof(path));
	if (r < 0)
		return r;
	/* Not O_PATH: open_by_handle_at(2) and getdents64(2) need more. */
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = -ENODEV;
	if (!is_mount(fd, info))
		goto fail;
	r = -ENOMEM;
	copy = strdup(path);
	if (copy == NULL)
		goto fail;
	m->root = fd;
	m->mount_point = copy;
	return 0;
fail:
	fd_close(&fd);
	return r;
}

static int open_any(struct cgroup_mount *m, const struct buffer *text,
		    const char **ret_reason)
{
	const char *reason = "cgroup2 is not mounted";
	const char *p = text->data;
	size_t left = text->size;
	struct mountinfo info;
	int r = -ENODEV, code;

	while (mountinfo_next(&p, &left, &info)) {
		if (!mountinfo_is(&info.type, "cgroup2"))
			continue;
		if (!mountinfo_is(&info.root, "/")) {
			reason = "the cgroup2 mount shows only a part of the "
				 "tree";
			continue;
		}
		code = open_entry(m, &info);
		if (code == 0)
			return 0;
		if (code == -EMFILE || code == -ENFILE || code == -ENOMEM)
			r = code;
		reason = "the cgroup2 mount cannot be opened";
	}
	*ret_reason = reason;
	return r;
}

int cgroup_mount_open(struct cgroup_mount *m, const char **ret_reason)
{
	struct buffer text = BUFFER_EMPTY;
	int r;

	if (m->root >= 0)
		return 0;
	r = read_mountinfo(&text);
	if (r < 0)
		*ret_reason = "/proc/self/mountinfo cannot be read";
	else
		r = open_any(m, &text, ret_reason);
	buffer_deinit(&text);
	return r;
}

int cgroup_mount_open_path(const struct cgroup_mount *m, const char *path,
			   int flags)
{
	return beneath_open(m->root, path + strspn(path, "/"), flags);
}

/* Opens the directory with that id; -EPERM without the privilege. */
static int open_id(const struct cgroup_mount *m, uint64_t id)
{
	union {
		struct file_handle handle;
		/* cppcheck-suppress unusedStructMember ; room for f_handle */
		char space[sizeof(struct file_handle) + sizeof(id)];
	} u;
	int fd;

	u.handle.handle_bytes = sizeof(id);
	u.handle.handle_type = HANDLE_KERNFS;
	memcpy(u.handle.f_handle, &id, sizeof(id));
	fd = open_by_handle_at(m->root, &u.handle, O_PATH | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int add_path_of(const struct cgroup_mount *m, int fd,
		       struct buffer *path)
{
	size_t prefix =
		strcmp(m->mount_point, "/") == 0 ? 0 : strlen(m->mount_point);
	char link[64], text[PATH_MAX];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, text, sizeof(text));
	if (n < 0)
		return -errno;
	if ((size_t)n >= sizeof(text) || (size_t)n < prefix ||
	    memcmp(text, m->mount_point, prefix) != 0)
		return -ENOENT;
	text[n] = '\0';
	if ((size_t)n == prefix)
		return buffer_add(path, "/", 2);
	return buffer_add(path, text + prefix, (size_t)n + 1 - prefix);
}

static bool has_id(const struct cgroup_mount *m, const char *path, uint64_t id)
{
	int fd = cgroup_mount_open_path(m, path, O_PATH);
	struct stat st;
	bool yes = fd >= 0 && fstat(fd, &st) == 0 && st.st_ino == id;

	fd_close(&fd);
	return yes;
}

/* Any failure means: not found this way. */
static int find_by_handle(const struct cgroup_mount *m, uint64_t id,
			  struct buffer *path)
{
	size_t start = path->size;
	int fd = open_id(m, id);
	int r;

	if (fd < 0)
		return fd;
	r = add_path_of(m, fd, path);
	fd_close(&fd);
	if (r < 0)
		return r;
	if (has_id(m, path->data + start, id))
		return 0;
	path->size = start;
	return -ENOENT;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int find_by_walk(struct cgroup_mount *m, uint64_t id,
			struct buffer *path, const char **ret_reason)
{
	double start = now();
	double end;
	int r;

	if (start < m->rest_until) {
		*ret_reason = "too many clients have exited lately to look for "
			      "their control groups";
		return -EAGAIN;
	}
	r = cgroup_walk(m, id, path);
	end = now();
	m->rest_until = end + LIMIT_CGROUP_WALK_REST * (end - start);
	if (r == -E2BIG)
		*ret_reason = "there are too many control groups to find that "
			      "of a client that has exited";
	else if (r == -ENOENT)
		*ret_reason = "the client has exited, and its control group "
			      "was removed or cannot be seen";
	else if (r < 0)
		*ret_reason = strerrordesc_np(-r);
	return r;
}

int cgroup_mount_find(struct cgroup_mount *m, uint64_t id, struct buffer *path,
		      const char **ret_reason)
{
	const char *cached = cgroup_cache_get(&m->cache, id);
	size_t start = path->size;
	int r;

	if (cached != NULL) {
		r = buffer_add(path, cached, strlen(cached) + 1);
		if (r < 0)
			*ret_reason = strerrordesc_np(-r);
		return r;
	}
	r = cgroup_mount_open(m, ret_reason);
	if (r < 0)
		return r;
	r = find_by_handle(m, id, path);
	if (r == -ESTALE)
		*ret_reason = "the client has exited, and its control group "
			      "was removed";
	else if (r < 0)
		r = find_by_walk(m, id, path, ret_reason);
	if (r == 0)
		cgroup_cache_put(&m->cache, id, path->data + start);
	return r == -ESTALE ? -ENOENT : r;
}
