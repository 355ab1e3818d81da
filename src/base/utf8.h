/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_BASE_UTF8_H
#define QRELAY_BASE_UTF8_H

#include <stddef.h>

/*
 * Bytes (1 … 4) of the well-formed UTF-8 character that `s` starts with (RFC 3629:
 * no surrogates, nothing overlong, nothing above U+10FFFF), or 0.  `size` must
 * not be 0.
 */
size_t utf8_character(const char *s, size_t size);

#endif
