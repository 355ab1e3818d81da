/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_BASE_ATTR_H
#define QRELAY_BASE_ATTR_H

/* Words for the compiler, and the two macros that C lacks. */

#include <stddef.h>

/* The result tells of a failure and must not be thrown away. */
#define MUSTCHECK __attribute__((warn_unused_result))

/* printf(3) format at argument `f`, its values from argument `a` on. */
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))

/* Runs `f` on the variable's address when it goes out of scope.  Not for code
 * that calls into Lua: its errors unwind past it. */
#define CLEANUP(f) __attribute__((cleanup(f)))

#define container_of(ptr, type, member) \
	((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#endif
