/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/buffer.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void buffer_deinit(struct buffer *b)
{
	free(b->data);
	*b = BUFFER_EMPTY;
}

void buffer_clear(struct buffer *b, size_t keep)
{
	if (b->capacity > keep)
		buffer_deinit(b);
	b->size = 0;
}

int buffer_reserve(struct buffer *b, size_t more)
{
	size_t capacity = b->capacity ? b->capacity : 64;
	char *data;

	if (more <= b->capacity - b->size)
		return 0;
	while (capacity - b->size < more) {
		if (capacity > (size_t)-1 / 2)
			return -ENOMEM;
		capacity *= 2;
	}
	data = realloc(b->data, capacity);
	if (data == NULL)
		return -ENOMEM;
	b->data = data;
	b->capacity = capacity;
	return 0;
}

int buffer_add(struct buffer *b, const void *data, size_t n)
{
	int r;

	if (n == 0)
		return 0;
	r = buffer_reserve(b, n);
	if (r < 0)
		return r;
	memcpy(b->data + b->size, data, n);
	b->size += n;
	return 0;
}

int buffer_printf(struct buffer *b, const char *format, ...)
{
	va_list ap;
	int n, r;

	va_start(ap, format);
	n = vsnprintf(NULL, 0, format, ap);
	va_end(ap);
	if (n < 0)
		return -EINVAL;
	r = buffer_reserve(b, (size_t)n + 1);
	if (r < 0)
		return r;
	va_start(ap, format);
	vsnprintf(b->data + b->size, (size_t)n + 1, format, ap);
	va_end(ap);
	b->size += (size_t)n;
	return 0;
}
