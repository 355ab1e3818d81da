/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_LUA_PG_DB_CLASS_H
#define QRELAY_LUA_PG_DB_CLASS_H

/* What pg:new returns: db:execute, db:transaction, db:listen. */

#include <ev.h>
#include <lua.h>
#include <stdbool.h>

struct pg_pool;
struct vm;

struct pg_db {
	struct pg_pool *pool; /* owned; NULL once it was collected */
	struct vm *vm;
	bool anchored;         /* in the registry, because it listens */
	unsigned callbacks;    /* of notifications, that wait */
	ev_tstamp complain_at; /* not before */
};

/* pg:new(conninfo [, schema [, options]]) */
int pg_db_class_new(lua_State *L);

/* The db at `index`; raises for anything else. */
struct pg_db *pg_db_class_check(lua_State *L, int index);

void pg_db_class_open(lua_State *L);

#endif
