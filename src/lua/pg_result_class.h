/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_LUA_PG_RESULT_CLASS_H
#define QRELAY_LUA_PG_RESULT_CLASS_H

/*
 * A result, as the script sees it: fetch, rows, numrows, affected, getcolnames,
 * close.  Its rows are outside of Lua's memory, and are freed when the last one
 * was fetched, by close, or by the collector.
 */

#include <lua.h>

struct pg_result;

/* Pushes a result without rows; *ret_slot is where to put them then: what it
 * points at is the result's.  May raise. */
void pg_result_class_push(lua_State *L, struct pg_result ***ret_slot);

/* Lets the collector know of `size` bytes that a new result holds. */
void pg_result_class_account(lua_State *L, size_t size);

void pg_result_class_open(lua_State *L);

#endif
