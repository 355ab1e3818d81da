/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_TEST_OUT_OF_MEMORY_H
#define QRELAY_TEST_OUT_OF_MEMORY_H

/*
 * Lets allocation number n fail, and some more behind it; the linker puts the
 * functions below in front of the real ones (--wrap).  Those of libraries are not
 * among them, but for Lua's, which are ours.
 */

#include <errno.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

void *__real_malloc(size_t size);
void *__real_realloc(void *at, size_t size);
void *__real_reallocarray(void *at, size_t n, size_t size);
void *__real_calloc(size_t n, size_t size);
char *__real_strdup(const char *s);
char *__real_strndup(const char *s, size_t n);
void *__real_mmap64(void *to, size_t size, int prot, int flags, int fd,
		    off_t at);
void *__wrap_malloc(size_t size);
void *__wrap_realloc(void *at, size_t size);
void *__wrap_reallocarray(void *at, size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
char *__wrap_strdup(const char *s);
char *__wrap_strndup(const char *s, size_t n);
void *__wrap_mmap64(void *to, size_t size, int prot, int flags, int fd,
		    off_t at);

/* Allocations before the first that fails, < 0: none; how many fail from there
 * on.  The resolver's thread allocates, too, while the loop waits for it. */
static atomic_long left = -1, n_fail;
static atomic_bool failed;

static bool fails(void)
{
	if (left < 0)
		return false;
	if (left > 0) {
		left--;
		return false;
	}
	if (n_fail == 0)
		return false;
	n_fail--;
	failed = true;
	errno = ENOMEM;
	return true;
}

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__wrap_realloc(void *at, size_t size)
{
	/* Lua relies on it that shrinking succeeds */
	if ((at == NULL || malloc_usable_size(at) < size) && fails())
		return NULL;
	return __real_realloc(at, size);
}

void *__wrap_reallocarray(void *at, size_t n, size_t size)
{
	return fails() ? NULL : __real_reallocarray(at, n, size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return fails() ? NULL : __real_calloc(n, size);
}

char *__wrap_strdup(const char *s)
{
	return fails() ? NULL : __real_strdup(s);
}

char *__wrap_strndup(const char *s, size_t n)
{
	return fails() ? NULL : __real_strndup(s, n);
}

void *__wrap_mmap64(void *to, size_t size, int prot, int flags, int fd,
		    off_t at)
{
	return fails() ? MAP_FAILED
		       : __real_mmap64(to, size, prot, flags, fd, at);
}

static inline void begin_failing(long n, long count)
{
	failed = false;
	n_fail = count;
	left = n;
}

/* Ends the failing; whether there was any. */
static inline bool stop_failing(void)
{
	left = -1;
	return failed;
}

/*
 * Runs `scenario(n, count)` for n = 0, 1, 2 … until it returns that nothing failed;
 * with one failure, with two (Lua collects garbage and asks once more), and with
 * all from n on.  Returns the last n.
 */
static inline long each(bool (*scenario)(long n, long count))
{
	static const long counts[] = {1, 2, 1000000};
	long n = 0;

	for (size_t i = 0; i < 3; i++)
		for (n = 0; scenario(n, counts[i]); n++)
			if (n == 20000)
				abort();
	return n;
}

#endif
