/* SPDX-License-Identifier: BSD-2-Clause */
#include "db/pg_statements.h"

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"

#define N_BUCKETS 512 /* a power of 2, twice the limit */

struct pg_statement {
	struct list node;
	struct pg_statement *next; /* in its bucket */
	uint64_t hash;
	unsigned number;
	size_t size;
	char text[];
};

/* FNV-1a (http://www.isthe.com/chongo/tech/comp/fnv/): the texts are the
 * script's own, and there are few. */
static uint64_t hash_of(const char *text, size_t size)
{
	uint64_t h = 0xcbf29ce484222325;

	for (size_t i = 0; i < size; i++)
		h = (h ^ (unsigned char)text[i]) * 0x100000001b3;
	return h;
}

void pg_statements_init(struct pg_statements *s)
{
	*s = (struct pg_statements){0};
	list_init(&s->used);
}

/* The link that points at the text, or at the end of its bucket. */
static struct pg_statement **find(struct pg_statements *s, uint64_t hash,
				  const char *text, size_t size)
{
	struct pg_statement **p = &s->buckets[hash & (N_BUCKETS - 1)];

	while (*p != NULL && ((*p)->hash != hash || (*p)->size != size ||
			      memcmp((*p)->text, text, size) != 0))
		p = &(*p)->next;
	return p;
}

static void drop(struct pg_statements *s, struct pg_statement **p)
{
	struct pg_statement *statement = *p;

	*p = statement->next;
	list_remove(&statement->node);
	free(statement);
	s->n--;
}

void pg_statements_clear(struct pg_statements *s)
{
	struct list *node;

	while ((node = list_first(&s->used)) != NULL) {
		list_remove(node);
		free(container_of(node, struct pg_statement, node));
	}
	free(s->buckets);
	s->buckets = NULL;
	s->n = 0;
}

unsigned pg_statements_find(struct pg_statements *s, const char *text,
			    size_t size)
{
	struct pg_statement *statement;

	if (s->buckets == NULL)
		return 0;
	statement = *find(s, hash_of(text, size), text, size);
	if (statement == NULL)
		return 0;
	list_remove(&statement->node);
	list_append(&s->used, &statement->node);
	return statement->number;
}

unsigned pg_statements_add(struct pg_statements *s, const char *text,
			   size_t size, unsigned *ret_dropped)
{
	struct pg_statement *statement, **p;
	unsigned dropped = 0;

	if (s->buckets == NULL)
		s->buckets = calloc(N_BUCKETS, sizeof(struct pg_statement *));
	statement = malloc(sizeof(*statement) + size);
	if (s->buckets == NULL || statement == NULL) {
		free(statement);
		return 0;
	}
	if (s->n == LIMIT_PG_STATEMENTS) {
		struct pg_statement *oldest = container_of(
			list_first(&s->used), struct pg_statement, node);

		/* analyzer: it is full, so there is one */
		dropped = oldest->number;
		drop(s, find(s, oldest->hash, oldest->text, oldest->size));
	}
	statement->hash = hash_of(text, size);
	statement->size = size;
	memcpy(statement->text, text, size);
	if (++s->last == 0)
		++s->last;
	statement->number = s->last;
	p = find(s, statement->hash, text, size);
	assert(*p == NULL);
	statement->next = NULL;
	*p = statement;
	list_init(&statement->node);
	list_append(&s->used, &statement->node);
	s->n++;
	*ret_dropped = dropped;
	return statement->number;
}

void pg_statements_remove(struct pg_statements *s, const char *text,
			  size_t size, unsigned number)
{
	struct pg_statement **p;

	if (s->buckets == NULL)
		return;
	p = find(s, hash_of(text, size), text, size);
	if (*p != NULL && (*p)->number == number)
		drop(s, p);
}

const char *pg_statement_name(unsigned number, char *buf)
{
	snprintf(buf, PG_STATEMENT_NAME, "qrelay_%u", number);
	return buf;
}
