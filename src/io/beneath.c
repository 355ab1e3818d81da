/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"

static int mount_of(int fd, uint64_t *ret_id)
{
	struct statx sx;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &sx) < 0)
		return -errno;
	if ((sx.stx_mask & STATX_MNT_ID) == 0)
		return -ENOSYS;
	*ret_id = sx.stx_mnt_id;
	return 0;
}

/* Opens one name in `dir`, on the same mount. */
static int open_name(int dir, const char *name, int flags, uint64_t mount)
{
	uint64_t id = 0;
	int fd, r;

	if (strcmp(name, "..") == 0)
		return -EXDEV;
	fd = openat(dir, name, flags | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = mount_of(fd, &id);
	if (r == 0 && id != mount)
		r = -EXDEV;
	if (r < 0)
		fd_close(&fd);
	return r < 0 ? r : fd;
}

static int walk(int dir, const char *path, int flags)
{
	char name[NAME_MAX + 1];
	uint64_t mount = 0;
	int fd, next, r;

	r = mount_of(dir, &mount);
	if (r < 0)
		return r;
	fd = open_name(dir, ".", *path ? O_PATH : flags, mount);
	while (fd >= 0 && *path) {
		size_t length = strcspn(path, "/");

		if (length > NAME_MAX) {
			next = -ENAMETOOLONG;
		} else {
			memcpy(name, path, length);
			name[length] = '\0';
			path += length;
			path += strspn(path, "/");
			next = open_name(fd, name, *path ? O_PATH : flags,
					 mount);
		}
		fd_close(&fd);
		fd = next;
	}
	return fd;
}

int beneath_open(int dir, const char *path, int flags)
{
	struct open_how how = {
		.flags = (unsigned)(flags | O_DIRECTORY | O_CLOEXEC),
		.resolve =
			RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV,
	};
	long fd = syscall(SYS_openat2, dir, *path ? path : ".", &how,
			  sizeof(how));

	if (fd >= 0)
		return (int)fd;
	return errno == ENOSYS ? walk(dir, path, flags) : -errno;
}
