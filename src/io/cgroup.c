/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/cgroup.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "base/fd.h"
#include "io/cgroup_mount.h"
#include "io/proc_cgroup.h"

void cgroup_dir_close(struct cgroup_dir *d)
{
	fd_close(&d->fd);
	d->of = NULL;
}

int cgroup_init(struct cgroup *c, struct cgroup_mount *mount,
		struct cgroup_dir *dir, const char *path, size_t size,
		uint64_t id)
{
	char *copy = strndup(path, size);

	if (copy == NULL)
		return -ENOMEM;
	*c = (struct cgroup){
		.path = copy, .id = id, .mount = mount, .dir = dir};
	return 0;
}

void cgroup_deinit(struct cgroup *c)
{
	if (c->dir != NULL && c->dir->of == c)
		cgroup_dir_close(c->dir);
	free(c->path);
	*c = CGROUP_EMPTY;
}

static const char *reason_of(int r)
{
	switch (r) {
	case -EXDEV:
		return "the control group is outside of this cgroup namespace";
	case -ENODEV:
		return "the control group is hidden by another mount";
	case -ENOENT:
		return "the control group was removed";
	case -EACCES:
		return "the control group may not be read";
	default:
		return strerrordesc_np(-r);
	}
}

static int open_directory(const struct cgroup *c)
{
	int fd = cgroup_mount_open_path(c->mount, c->path, O_RDONLY);

	/* Without the right to read it there is still its owner to see. */
	if (fd == -EACCES)
		fd = cgroup_mount_open_path(c->mount, c->path, O_PATH);
	/* Another file system is mounted over it. */
	return fd == -EXDEV ? -ENODEV : fd;
}

/* Only an id tells a removed group from one that is called "x (deleted)": who
 * has none must not be given the attributes of the latter. */
static bool is_removed(const struct cgroup *c, const struct stat *st)
{
	if (c->id != 0)
		return st->st_ino != c->id;
	return proc_cgroup_looks_deleted(c->path);
}

static int try_open(struct cgroup *c)
{
	struct stat st;
	int fd;

	fd = open_directory(c);
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0 || is_removed(c, &st)) {
		fd_close(&fd);
		return -ENOENT;
	}
	cgroup_dir_close(c->dir);
	*c->dir = (struct cgroup_dir){.fd = fd, .uid = st.st_uid, .of = c};
	return 0;
}

int cgroup_open(struct cgroup *c, const char **ret_reason)
{
	int r;

	assert(c->path != NULL);
	if (c->dir->of == c)
		return 0;
	if (proc_cgroup_is_foreign(c->path)) {
		r = -EXDEV;
	} else {
		r = cgroup_mount_open(c->mount, ret_reason);
		if (r < 0)
			return r;
		r = try_open(c);
	}
	if (r < 0)
		*ret_reason = reason_of(r);
	return r;
}

int cgroup_uid(struct cgroup *c, uid_t *ret_uid, const char **ret_reason)
{
	int r = cgroup_open(c, ret_reason);

	if (r < 0)
		return r;
	*ret_uid = c->dir->uid;
	return 0;
}

/* What errno says after a failed call for attributes. */
static int xattr_error(const char **ret_reason)
{
	switch (errno) {
	case EOPNOTSUPP: /* no such namespace */
	case EINVAL:     /* nothing behind the namespace's name */
		return -ENODATA;
	case ENODATA:
	case ERANGE:
		return -errno;
	case EBADF: /* O_PATH: see open_directory() */
		*ret_reason = reason_of(-EACCES);
		return -EACCES;
	default:
		*ret_reason = reason_of(-errno);
		return -errno;
	}
}

static bool is_name(const char *name)
{
	size_t n = strlen(name);

	return n > 0 && n <= LIMIT_XATTR_NAME;
}

ssize_t cgroup_xattr_get(struct cgroup *c, const char *name, void *buf,
			 size_t size, const char **ret_reason)
{
	ssize_t n = cgroup_open(c, ret_reason);

	if (n < 0)
		return n;
	if (!is_name(name))
		return -ENODATA; /* the kernel says ERANGE to it */
	n = fgetxattr(c->dir->fd, name, buf, size);
	return n < 0 ? xattr_error(ret_reason) : n;
}

ssize_t cgroup_xattr_list(struct cgroup *c, char *buf, size_t size,
			  const char **ret_reason)
{
	ssize_t n = cgroup_open(c, ret_reason);

	if (n < 0)
		return n;
	n = flistxattr(c->dir->fd, buf, size);
	return n < 0 ? xattr_error(ret_reason) : n;
}

/* The id of the directory that holds the open one, 0 if it may not be asked. */
static uint64_t parent_id(const struct cgroup_dir *d)
{
	struct stat st;

	if (fstatat(d->fd, "..", &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	return st.st_ino;
}

int cgroup_parent(struct cgroup *c, struct cgroup *ret, const char **ret_reason)
{
	const char *slash = strrchr(c->path, '/');
	size_t size;
	int r;

	/* Above the root of the mount would be what it is mounted on. */
	if (slash == NULL || slash[1] == '\0')
		return 0;
	size = slash == c->path ? 1 : (size_t)(slash - c->path);

	r = cgroup_open(c, ret_reason);
	if (cgroup_unseen(r))
		return 0;
	if (r < 0 && r != -EACCES)
		return r;
	r = cgroup_init(ret, c->mount, c->dir, c->path, size,
			r == 0 ? parent_id(c->dir) : 0);
	if (r < 0) {
		*ret_reason = reason_of(r);
		return r;
	}
	return 1;
}
