/* SPDX-License-Identifier: BSD-2-Clause */
#include "db/pg_result.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"

#define IS_NULL UINT32_MAX

struct pg_result *pg_result_new(void)
{
	return calloc(1, sizeof(struct pg_result));
}

void pg_result_free(struct pg_result *r)
{
	if (r == NULL)
		return;
	buffer_deinit(&r->names);
	buffer_deinit(&r->cells);
	free(r);
}

void pg_result_drop_rows(struct pg_result *r)
{
	buffer_deinit(&r->cells);
}

size_t pg_result_size(const struct pg_result *r)
{
	return sizeof(*r) + r->names.size + r->cells.size;
}

static int check_size(const struct pg_result *r, size_t more)
{
	if (more > LIMIT_PG_RESULT ||
	    r->names.size + r->cells.size + more > LIMIT_PG_RESULT)
		return -EMSGSIZE;
	return 0;
}

static int add_names(struct pg_result *r, const PGresult *res)
{
	int err = 0;

	for (int i = 0; err == 0 && i < PQnfields(res); i++) {
		const char *name = PQfname(res, i);

		err = buffer_add(&r->names, name, strlen(name) + 1);
	}
	r->n_fields = (size_t)PQnfields(res);
	return err;
}

static int add_cell(struct pg_result *r, const PGresult *res, int row, int i)
{
	bool null = PQgetisnull(res, row, i);
	uint32_t size = null ? 0 : (uint32_t)PQgetlength(res, row, i);
	uint32_t stored = null ? IS_NULL : size;
	int err = check_size(r, size + sizeof(size));

	if (err == 0)
		err = buffer_add(&r->cells, &stored, sizeof(stored));
	if (err == 0)
		err = buffer_add(&r->cells, PQgetvalue(res, row, i), size);
	return err;
}

int pg_result_add(struct pg_result *r, PGresult *res)
{
	bool more = PQresultStatus(res) == PGRES_SINGLE_TUPLE;
	int n_rows = PQntuples(res), err = 0;

	if (r->complete) {
		r->names.size = r->cells.size = 0;
		r->n_fields = r->n_rows = 0;
		r->complete = false;
	}
	if (r->n_fields == 0)
		err = add_names(r, res);
	for (int row = 0; err == 0 && row < n_rows; row++) {
		for (int i = 0; err == 0 && i < PQnfields(res); i++)
			err = add_cell(r, res, row, i);
		if (PQnfields(res) == 0) /* SELECT without columns */
			err = check_size(r, 0);
	}
	r->n_rows += (size_t)n_rows;
	if (more)
		return err;
	r->affected = strtoull(PQcmdTuples(res), NULL, 10);
	r->complete = true;
	return err;
}

bool pg_result_read(const struct pg_result *r, struct pg_result_cursor *cursor,
		    const char **ret_value, size_t *ret_size)
{
	uint32_t size;

	memcpy(&size, r->cells.data + cursor->at, sizeof(size));
	cursor->at += sizeof(size);
	if (size == IS_NULL)
		return false;
	*ret_value = r->cells.data + cursor->at;
	*ret_size = size;
	cursor->at += size;
	return true;
}

const char *pg_result_name(const struct pg_result *r, const char *previous)
{
	return previous == NULL ? r->names.data
				: previous + strlen(previous) + 1;
}
