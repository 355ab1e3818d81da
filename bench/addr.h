/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_BENCH_ADDR_H
#define QRELAY_BENCH_ADDR_H

/*
 * The addresses the bench's programs take: `/path` (Unix), `@name` (abstract
 * Unix), `a.b.c.d:port` (TCP).  No names, no IPv6.  Its own code, so that the
 * floor shares nothing with the daemon it is compared with.
 */

#include <stddef.h>
#include <sys/socket.h>

struct addr {
	struct sockaddr_storage sa;
	socklen_t len;
};

/* Prints a message and exits with status 2 if `s` is not an address. */
void addr_parse(struct addr *a, const char *s);

/*
 * A non-blocking listening socket; a stale Unix socket file is removed first.
 * Prints a message and exits with status 1 if it cannot be had.
 */
int addr_listen(const struct addr *a);

/* Writes what addr_parse() takes for the address `fd` is bound to. */
void addr_print_bound(int fd);

/* A positive number of at most `max`; else a message and exit status 2. */
unsigned long addr_number(const char *s, unsigned long max);

#endif
