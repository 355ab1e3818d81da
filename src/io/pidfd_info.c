/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/pidfd_info.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/fd.h"

/* Like struct pidfd_info of <linux/pidfd.h> in its first version: the size goes
 * into the ioctl's number, and every later kernel takes this one too. */
struct kernel_info {
	uint64_t mask;
	uint64_t cgroupid;
	uint32_t pid;
	uint32_t tgid;
	uint32_t ppid;
	uint32_t credentials[8];
	int32_t exit_code;
};

#define KERNEL_GET_INFO _IOWR(0xff, 11, struct kernel_info)
#define KERNEL_INFO_PID (1u << 0)
#define KERNEL_INFO_CGROUPID (1u << 2)
#define KERNEL_INFO_EXIT (1u << 3)

_Static_assert(sizeof(struct kernel_info) == 64, "PIDFD_INFO_SIZE_VER0");

struct pidfd_info pidfd_info_get(int pidfd)
{
	struct kernel_info k = {.mask = KERNEL_INFO_PID | KERNEL_INFO_CGROUPID |
					KERNEL_INFO_EXIT};
	struct pidfd_info info = {0};

	/* An error says little: ENOTTY and EINVAL come from old kernels, ESRCH
	 * and EREMOTE also for processes that live. */
	if (ioctl(pidfd, KERNEL_GET_INFO, &k) < 0)
		return info;
	info.reaped = (k.mask & KERNEL_INFO_EXIT) != 0;
	if (k.mask & KERNEL_INFO_PID)
		info.pid = (pid_t)k.pid;
	if (k.mask & KERNEL_INFO_CGROUPID)
		info.cgroup_id = k.cgroupid;
	return info;
}

/* A decimal number, or -1; ends at the line's end. */
static int parse_pid(const char *p, const char *eol, pid_t *ret_pid)
{
	int32_t pid = 0;

	if (eol - p == 2 && memcmp(p, "-1", 2) == 0) {
		*ret_pid = -1;
		return 0;
	}
	if (p == eol || eol - p > 9)
		return -EINVAL;
	for (; p < eol; p++) {
		if (*p < '0' || *p > '9')
			return -EINVAL;
		pid = pid * 10 + (*p - '0');
	}
	*ret_pid = pid;
	return 0;
}

int pidfd_info_parse(const char *text, size_t size, pid_t *ret_pid)
{
	static const char key[] = "Pid:\t";
	const char *end = text + size;
	const char *line, *eol;

	for (line = text; line < end; line = eol + 1) {
		eol = memchr(line, '\n', (size_t)(end - line));
		if (eol == NULL)
			break;
		if ((size_t)(eol - line) >= strlen(key) &&
		    memcmp(line, key, strlen(key)) == 0)
			return parse_pid(line + strlen(key), eol, ret_pid);
	}
	return -EINVAL;
}

int pidfd_info_pid(int pidfd, pid_t *ret_pid)
{
	char path[64], text[1024];
	pid_t pid;
	ssize_t n;
	int fd, r;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pidfd);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = fd_read(fd, text, sizeof(text));
	fd_close(&fd);
	if (n < 0)
		return (int)n;
	r = pidfd_info_parse(text, (size_t)n, &pid);
	if (r < 0)
		return r;
	if (pid < 0)
		return -ESRCH;
	*ret_pid = pid;
	return 0;
}
