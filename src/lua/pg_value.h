/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_LUA_PG_VALUE_H
#define QRELAY_LUA_PG_VALUE_H

/*
 * The text that PostgreSQL gets for a Lua value, as a parameter or as an element of
 * an array: true, false, 42, 0.1, NaN, -Infinity, strings as they are; nil and
 * pg.null are NULL.
 */

#include <lua.h>
#include <stddef.h>

#include "base/attr.h"

enum pg_value_kind {
	PG_VALUE_TEXT,
	PG_VALUE_NULL,
	PG_VALUE_HAS_NUL, /* a string that PostgreSQL cannot hold */
	PG_VALUE_UNFIT,   /* a table, a function, … */
};

/* Room for any number. */
#define PG_VALUE_NUMBER 40

/*
 * `ret_text` is good as long as the value is on the stack, or `buf`.  Numbers come
 * out with as many digits as bring the same number back, an integral float below
 * 2^53 without ".0".
 */
MUSTCHECK enum pg_value_kind pg_value_text(lua_State *L, int index,
					   char buf[PG_VALUE_NUMBER],
					   const char **ret_text,
					   size_t *ret_size);

/* pg.null, the same object always. */
void pg_value_push_null(lua_State *L);

/* Makes pg.null. */
void pg_value_open(lua_State *L);

#endif
