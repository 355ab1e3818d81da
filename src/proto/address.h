/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_PROTO_ADDRESS_H
#define QRELAY_PROTO_ADDRESS_H

/*
 * Which addresses of an envelope are carried.  A relay does not judge addresses
 * (RFC 5321 is for those who do): it refuses what could be mistaken for something
 * else behind it, in a log, a header or an SMTP command.
 *
 * Nothing holds a control character.  `<`, `>`, a space and a second `@` stand
 * only in a quoted local part: from a `"` at the start to the first `"` without a
 * backslash before it, which the last `@` must follow.  Quotes elsewhere, or that
 * never end, are bytes like any other; so are those of an address without `@`.
 */

#include <stdbool.h>
#include <stddef.h>

/* Whether `s` may be a sender: also "" (a bounce), "#@[]" and "list-@host-@[]"
 * (double bounces and VERP of qmail). */
bool address_is_sender(const char *s, size_t size);

/* Whether `s` may be a recipient: never "". */
bool address_is_recipient(const char *s, size_t size);

#endif
