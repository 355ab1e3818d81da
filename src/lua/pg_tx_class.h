/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_LUA_PG_TX_CLASS_H
#define QRELAY_LUA_PG_TX_CLASS_H

/*
 * db:transaction(fn [, {timeout=20}]) calls fn(tx) between BEGIN and COMMIT on a
 * connection of its own.  It returns what fn returned, or true if that is nothing;
 * or nil, message and SQLSTATE if there was no connection, a query failed, or
 * COMMIT did.  An error in fn rolls back and is raised again.
 *
 * tx:execute(sql [, params [, {timeout=}]]) is as db:execute; a text without
 * parameters may hold several statements.
 */

#include <lua.h>

/* The method `transaction` of a db. */
int pg_tx_class_run(lua_State *L);

void pg_tx_class_open(lua_State *L);

#endif
