/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_BASE_NUMBER_H
#define QRELAY_BASE_NUMBER_H

/* Numbers as text, where printf(3) would be half of the work. */

#include <stddef.h>
#include <stdint.h>

/* The most bytes that either writes, without a NUL. */
#define NUMBER_MAX 20

/* Writes `value` in decimal digits, not terminated; returns the bytes. */
size_t number_print(char *buf, uint64_t value);

/* The same in hexadecimal digits, lower case. */
size_t number_print_hex(char *buf, uint64_t value);

#endif
