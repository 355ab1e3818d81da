/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_BASE_ASAN_H
#define QRELAY_BASE_ASAN_H

/*
 * Memory that waits to be used again is poisoned, so that AddressSanitizer sees a
 * use after it was put back.
 */

#if defined(__SANITIZE_ADDRESS__)
#define HAVE_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAVE_ASAN 1
#endif
#endif

#ifdef HAVE_ASAN
#include <sanitizer/asan_interface.h>
#define ASAN_POISON(p, size) __asan_poison_memory_region(p, size)
#define ASAN_UNPOISON(p, size) __asan_unpoison_memory_region(p, size)
#else
#define ASAN_POISON(p, size) ((void)(p))
#define ASAN_UNPOISON(p, size) ((void)(p))
#endif

#endif
