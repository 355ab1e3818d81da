/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_TOOLS_ENDPOINT_H
#define QRELAY_TOOLS_ENDPOINT_H

/*
 * The address on a tool's command line: what sockaddr_parse() takes, or a host
 * name, HOST or HOST:PORT.
 */

#include <stddef.h>

#include "base/attr.h"
#include "io/sockaddr.h"

struct endpoint {
	struct socket_address *addresses; /* owned; at least one */
	size_t n_addresses;
};

/* Waits for the name server, at most LIMIT_RESOLVE_TIME.  -EINVAL for what is no
 * address, another -errno if the name has none or cannot be looked up; then
 * `*ret_message`, which is static, says why. */
MUSTCHECK int endpoint_resolve(const char *text, struct endpoint *ret_endpoint,
			       const char **ret_message);

/* Idempotent. */
void endpoint_deinit(struct endpoint *e);

#endif
