/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/proc_cgroup.h"

#include <errno.h>
#include <string.h>

#include "base/limits.h"

#define V2 "0::"
#define DELETED " (deleted)"

int proc_cgroup_parse(const char *text, size_t size, const char **ret_path,
		      size_t *ret_size)
{
	const char *end = text + size;
	const char *line, *eol, *path;

	for (line = text; line < end; line = eol + 1) {
		eol = memchr(line, '\n', (size_t)(end - line));
		if (eol == NULL)
			return -EINVAL;
		if ((size_t)(eol - line) < strlen(V2) ||
		    memcmp(line, V2, strlen(V2)) != 0)
			continue;

		path = line + strlen(V2);
		size = (size_t)(eol - path);
		if (size == 0 || *path != '/' ||
		    memchr(path, '\0', size) != NULL)
			return -EINVAL;
		if (size > LIMIT_CGROUP_PATH)
			return -ENAMETOOLONG;
		*ret_path = path;
		*ret_size = size;
		return 0;
	}
	return -ENODATA;
}

bool proc_cgroup_is_foreign(const char *path)
{
	size_t n;

	for (; *path != '\0'; path += n) {
		path += strspn(path, "/");
		n = strcspn(path, "/");
		if (n == 2 && memcmp(path, "..", 2) == 0)
			return true;
	}
	return false;
}

bool proc_cgroup_looks_deleted(const char *path)
{
	size_t n = strlen(path);

	return n >= strlen(DELETED) &&
	       strcmp(path + n - strlen(DELETED), DELETED) == 0;
}
