/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_IO_SOCKADDR_H
#define QRELAY_IO_SOCKADDR_H

/*
 * Socket addresses and their text:
 *
 *   192.0.2.1  192.0.2.1:628  ::1  [::1]  [::1]:628  fe80::1%eth0  [fe80::1%2]:628
 *   /run/x.sock   @abstract
 *
 * Nothing here asks a name server.
 */

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/attr.h"

/* QMQP's port (https://cr.yp.to/proto/qmqp.html). */
#define SOCKADDR_QMQP_PORT 628

struct socket_address {
	socklen_t size;
	union {
		struct sockaddr sa;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
		struct sockaddr_un un;
	};
};

/* Enough for any address that sockaddr_print() writes, with its NUL. */
#define SOCKADDR_TEXT_MAX 160

/*
 * Parses one of the forms above; `size` bytes of `s`, no NUL needed.  Returns 0,
 * or -EINVAL for what is none of them (perhaps a host name), -ENAMETOOLONG for a
 * path or name that does not fit a sockaddr_un, -ERANGE for a bad port (0 or above
 * 65535), -ENODEV for an unknown interface behind '%'.  Embedded NUL: -EINVAL.
 */
MUSTCHECK int sockaddr_parse(const char *s, size_t size,
			     struct socket_address *ret_address);

/*
 * Splits "HOST" or "HOST:PORT" where HOST may be a host name (RFC 1123 letters,
 * digits, '-', '_' and '.'; at most 253 bytes).  `ret_host` has room for 254
 * bytes; the port is SOCKADDR_QMQP_PORT if none is named.  -EINVAL, -ERANGE.
 */
MUSTCHECK int sockaddr_split_host(const char *s, size_t size, char *ret_host,
				  unsigned *ret_port);

/* Prints what sockaddr_parse() takes ("192.0.2.1:628", "[::1]:628", "/path",
 * "@name"; bytes of names are printed as they are).  Returns `buf`. */
const char *sockaddr_print(const struct socket_address *a, char *buf,
			   size_t size);

static inline bool sockaddr_equal(const struct socket_address *a,
				  const struct socket_address *b)
{
	return a->size == b->size && memcmp(&a->sa, &b->sa, a->size) == 0;
}

static inline bool sockaddr_is_unix(const struct socket_address *a)
{
	return a->sa.sa_family == AF_UNIX;
}

#endif
