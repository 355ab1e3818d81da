/* SPDX-License-Identifier: BSD-2-Clause */
/* /proc/PID/cgroup, and what is asked of a path that was found in it. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "io/pidfd_info.h"
#include "io/proc_cgroup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	const char *found;
	size_t found_size;
	char *path;
	pid_t pid;

	/* /proc/self/fdinfo/N has lines as well */
	if (pidfd_info_parse(text, size, &pid) == 0 && pid < -1)
		abort();

	if (proc_cgroup_parse(text, size, &found, &found_size) < 0)
		return 0;
	if (found < text || found + found_size >= text + size ||
	    found_size == 0 || found_size > LIMIT_CGROUP_PATH ||
	    *found != '/' || found[found_size] != '\n')
		abort();
	path = strndup(found, found_size);
	if (path == NULL || strlen(path) != found_size)
		abort();
	if (proc_cgroup_is_foreign(path) && strstr(path, "/..") == NULL)
		abort();
	if (proc_cgroup_looks_deleted(path) && found_size < 10)
		abort();
	free(path);
	return 0;
}
