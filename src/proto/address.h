/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_PROTO_ADDRESS_H
#define QRELAY_PROTO_ADDRESS_H

/*
 * Which addresses of an envelope are carried.  A relay does not judge addresses
 * (RFC 5321 is for those who do): it refuses what could be mistaken for something
 * else behind it, in a log, a header or an SMTP command.
 */

#include <stdbool.h>
#include <stddef.h>

/* Whether `s` may be a sender: also "" (a bounce). */
bool address_is_sender(const char *s, size_t size);

/* Whether `s` may be a recipient: never "". */
bool address_is_recipient(const char *s, size_t size);

#endif
