/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <net/if.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "io/sockaddr.h"

/*
 * What is parsed and printed is parsed to the same again, and printed the same;
 * what is an address is no host name.
 */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* In place of the C library's: the kernel would look for a module for each
 * unknown name. */
unsigned if_nametoindex(const char *name)
{
	return strcmp(name, "lo") == 0 ? 1 : 0;
}

char *if_indextoname(unsigned index, char name[IF_NAMESIZE])
{
	return index == 1 ? strcpy(name, "lo") : NULL;
}

static void check(bool ok)
{
	if (!ok)
		abort();
}

static void check_again(const struct socket_address *a)
{
	char text[SOCKADDR_TEXT_MAX], again[SOCKADDR_TEXT_MAX];
	struct socket_address b = {0};

	sockaddr_print(a, text, sizeof(text));
	check(strlen(text) + 1 < sizeof(text));
	check(sockaddr_parse(text, strlen(text), &b) == 0);
	check(a->size == b.size && memcmp(&a->sa, &b.sa, a->size) == 0);
	sockaddr_print(&b, again, sizeof(again));
	check(strcmp(text, again) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* of exactly that size, so that a byte too far is seen */
	char *s = malloc(size > 0 ? size : 1);
	struct socket_address a = {0};
	char host[254];
	unsigned port;
	int r, split;

	if (s == NULL)
		return 0;
	if (size > 0)
		memcpy(s, data, size);
	r = sockaddr_parse(s, size, &a);
	split = sockaddr_split_host(s, size, host, &port);
	free(s);

	check(r == 0 || r == -EINVAL || r == -ENAMETOOLONG || r == -ERANGE ||
	      r == -ENODEV);
	check(split == 0 || split == -EINVAL || split == -ERANGE);
	check(r == -EINVAL || split == -EINVAL);
	if (r == 0)
		check_again(&a);
	if (split == 0) {
		check(strlen(host) < sizeof(host));
		check(port >= 1 && port <= 65535);
		check(sockaddr_split_host(host, strlen(host), host, &port) ==
		      0);
	}
	return 0;
}
