/* SPDX-License-Identifier: BSD-2-Clause */
#include "relay/exec_stderr.h"

#include <string.h>

void exec_stderr_reset(struct exec_stderr *e)
{
	e->size = 0;
	e->n_lines = 0;
	e->open = false;
}

static void add(struct exec_stderr *e, const char *data, size_t size)
{
	size_t room = sizeof(e->line) - e->size;

	if (size > room)
		size = room;
	memcpy(e->line + e->size, data, size);
	e->size += size;
	e->open = true;
}

void exec_stderr_end(struct exec_stderr *e, exec_stderr_line_fn *on_line,
		     void *arg)
{
	if (!e->open || e->n_lines == LIMIT_STDERR_LINES)
		return;
	on_line(arg, e->line, e->size);
	e->n_lines++;
	e->size = 0;
	e->open = false;
}

void exec_stderr_feed(struct exec_stderr *e, const char *data, size_t size,
		      exec_stderr_line_fn *on_line, void *arg)
{
	while (size > 0 && e->n_lines < LIMIT_STDERR_LINES) {
		const char *end = memchr(data, '\n', size);
		size_t n = end != NULL ? (size_t)(end - data) : size;

		add(e, data, n);
		if (end == NULL)
			return;
		exec_stderr_end(e, on_line, arg);
		data += n + 1;
		size -= n + 1;
	}
}
