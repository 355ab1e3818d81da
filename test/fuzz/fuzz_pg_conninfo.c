/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A connection string: what is taken has hosts with ports that are some, and each
 * of them stands in the string as libpq understood it.
 */

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "db/pg_conninfo.h"
#include "fuzz.h"

/* The items in their lists' order, with commas again. */
static void check_list(const struct pg_conninfo *c, const char *keyword,
		       size_t offset)
{
	const char *list = pg_conninfo_get(c, keyword);

	for (size_t i = 0; i < c->n_hosts; i++) {
		char *const *item =
			(char *const *)((const char *)&c->hosts[i] + offset);
		size_t size = *item != NULL ? strlen(*item) : 0;

		assert(*item == NULL || size > 0);
		if (list == NULL || *list == '\0') {
			assert(*item == NULL);
			continue;
		}
		assert(size == 0 || memcmp(list, *item, size) == 0);
		/* one port is for all */
		if (list[size] == '\0')
			continue;
		assert(list[size] == ',');
		list += size + 1;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = strndup((const char *)data, size);
	struct pg_conninfo c;

	assert(text != NULL);
	if (pg_conninfo_init(&c, text) == 0) {
		assert(c.n_hosts >= 1 && c.n_hosts <= LIMIT_PG_ADDRESSES);
		check_list(&c, "host", offsetof(struct pg_host, name));
		check_list(&c, "hostaddr", offsetof(struct pg_host, address));
		check_list(&c, "port", offsetof(struct pg_host, port));
		for (size_t i = 0; i < c.n_hosts; i++) {
			const char *port = c.hosts[i].port;

			assert(port == NULL ||
			       (strlen(port) <= 5 &&
				strspn(port, "0123456789") == strlen(port) &&
				atoi(port) >= 1 && atoi(port) <= 65535));
		}
		pg_conninfo_deinit(&c);
	}
	assert(c.hosts == NULL && c.n_hosts == 0);
	pg_conninfo_deinit(&c);
	free(text);
	return 0;
}
