/* SPDX-License-Identifier: BSD-2-Clause */
#include "db/pg_conninfo.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"

/* How libpq's messages begin once it has tried a host. */
#define TRIED "connection to server"

/* What we set where the conninfo does not, unless the environment does. */
static const struct {
	const char *keyword, *value, *environment;
} defaults[] = {
	/* its negotiation blocks, and costs a round trip */
	{"gssencmode", "disable", "PGGSSENCMODE"},
	{"client_encoding", "UTF8", "PGCLIENTENCODING"},
	/* a LISTEN must not be deaf for hours behind a dead gateway */
	{"keepalives_idle", "60", NULL},
	{"keepalives_interval", "10", NULL},
	{"keepalives_count", "3", NULL},
	{"fallback_application_name", "cm4all-qrelay", NULL},
};

const char *pg_conninfo_get(const struct pg_conninfo *c, const char *keyword)
{
	for (const PQconninfoOption *o = c->options; o->keyword != NULL; o++)
		if (strcmp(o->keyword, keyword) == 0)
			return o->val;
	return NULL;
}

static const char *get_or_env(const struct pg_conninfo *c, const char *keyword,
			      const char *environment)
{
	const char *value = pg_conninfo_get(c, keyword);

	if (value == NULL)
		value = getenv(environment);
	return value != NULL && *value != '\0' ? value : NULL;
}

static size_t count(const char *list)
{
	size_t n = 1;

	if (list == NULL)
		return 0;
	for (; *list != '\0'; list++)
		n += *list == ',';
	return n;
}

/* The i-th of a comma-separated list; 0 with NULL where it is empty. */
static int copy_item(const char *list, size_t i, char **ret_item)
{
	size_t size;
	char *item = NULL;

	if (list == NULL)
		return 0;
	while (i-- > 0)
		list = strchr(list, ',') + 1;
	size = strcspn(list, ",");
	if (size > 0) {
		item = strndup(list, size);
		if (item == NULL)
			return -ENOMEM;
	}
	*ret_item = item;
	return 0;
}

static bool is_port(const char *s)
{
	unsigned n = 0;

	for (const char *p = s; *p != '\0'; p++) {
		if (*p < '0' || *p > '9' || p - s >= 5)
			return false;
		n = n * 10 + (unsigned)(*p - '0');
	}
	return n >= 1 && n <= 65535;
}

static int split_hosts(struct pg_conninfo *c)
{
	const char *names = get_or_env(c, "host", "PGHOST");
	const char *addresses = get_or_env(c, "hostaddr", "PGHOSTADDR");
	const char *ports = get_or_env(c, "port", "PGPORT");
	size_t n = count(addresses != NULL ? addresses : names);
	int r = 0;

	if (n == 0)
		n = 1;
	if (names != NULL && count(names) != n)
		return -EINVAL;
	if (ports != NULL && count(ports) != n && count(ports) != 1)
		return -EINVAL;
	if (n > LIMIT_PG_ADDRESSES)
		return -EINVAL;
	c->hosts = calloc(n, sizeof(c->hosts[0]));
	if (c->hosts == NULL)
		return -ENOMEM;
	c->n_hosts = n;
	for (size_t i = 0; r == 0 && i < n; i++) {
		struct pg_host *h = &c->hosts[i];

		r = copy_item(names, i, &h->name);
		if (r == 0)
			r = copy_item(addresses, i, &h->address);
		if (r == 0)
			r = copy_item(ports, count(ports) == 1 ? 0 : i,
				      &h->port);
		if (r == 0 && h->port != NULL && !is_port(h->port))
			r = -EINVAL;
	}
	return r;
}

int pg_conninfo_init(struct pg_conninfo *c, const char *text)
{
	char *message = NULL;
	int r;

	*c = (struct pg_conninfo){0};
	c->options = PQconninfoParse(text, &message);
	if (c->options == NULL) {
		r = message != NULL ? -EINVAL : -ENOMEM;
		PQfreemem(message);
		return r;
	}
	r = split_hosts(c);
	if (r < 0)
		pg_conninfo_deinit(c);
	return r;
}

void pg_conninfo_deinit(struct pg_conninfo *c)
{
	for (size_t i = 0; i < c->n_hosts; i++) {
		free(c->hosts[i].name);
		free(c->hosts[i].address);
		free(c->hosts[i].port);
	}
	free(c->hosts);
	PQconninfoFree(c->options);
	*c = (struct pg_conninfo){0};
}

/* Of one of ours, or NULL to leave the option to libpq. */
static const char *default_of(const char *keyword)
{
	for (size_t i = 0; i < ARRAY_SIZE(defaults); i++) {
		if (strcmp(defaults[i].keyword, keyword) != 0)
			continue;
		if (defaults[i].environment != NULL &&
		    getenv(defaults[i].environment) != NULL)
			return NULL;
		return defaults[i].value;
	}
	return NULL;
}

PGconn *pg_conninfo_connect(const struct pg_conninfo *c, const char *hosts,
			    const char *addresses, const char *ports)
{
	const struct {
		const char *keyword, *value;
	} lists[] = {{"host", hosts}, {"hostaddr", addresses}, {"port", ports}};
	const char **keywords, **values;
	size_t n = 0;
	PGconn *pq;

	while (c->options[n].keyword != NULL)
		n++;
	keywords = calloc(2 * (n + 1), sizeof(*keywords));
	if (keywords == NULL)
		return NULL;
	values = keywords + n + 1;
	for (size_t i = 0; i < n; i++) {
		const char *keyword = c->options[i].keyword;
		const char *value = c->options[i].val;

		if (value == NULL)
			value = default_of(keyword);
		for (size_t k = 0; k < ARRAY_SIZE(lists); k++)
			if (strcmp(keyword, lists[k].keyword) == 0)
				value = lists[k].value;
		/* an empty value stands for none */
		keywords[i] = keyword;
		values[i] = value;
	}
	pq = PQconnectStartParams(keywords, values, 0);
	free(keywords);
	return pq;
}

static bool holds(const char *text, const char *secret)
{
	return secret != NULL && *secret != '\0' &&
	       strstr(text, secret) != NULL;
}

void pg_conninfo_message(const struct pg_conninfo *c, const PGconn *pq,
			 bool began, char *buf, size_t size)
{
	const char *message = PQerrorMessage(pq);
	size_t n = 0;

	if (!began && strncmp(message, TRIED, sizeof(TRIED) - 1) != 0) {
		snprintf(buf, size,
			 "libpq refuses an option of the conninfo (not shown: "
			 "it may hold a password)");
		return;
	}
	if (holds(message, pg_conninfo_get(c, "password")) ||
	    holds(message, pg_conninfo_get(c, "sslpassword")) ||
	    holds(message, getenv("PGPASSWORD"))) {
		snprintf(buf, size,
			 "cannot connect (the message is not shown: it holds "
			 "the password)");
		return;
	}
	for (; *message != '\0' && n + 2 < size; message++) {
		char ch = *message;

		if (ch == '\n' || ch == '\t')
			ch = ' ';
		if (ch != ' ' || (n > 0 && buf[n - 1] != ' '))
			buf[n++] = ch;
	}
	while (n > 0 && buf[n - 1] == ' ')
		n--;
	buf[n] = '\0';
}
