/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_LUA_CGROUP_CLASS_H
#define QRELAY_LUA_CGROUP_CLASS_H

/*
 * The script's view of a client's control group: `path`, `uid`, `xattr`,
 * `parent`, tostring().  Everything is looked up when it is first asked for; the
 * objects of a mail are made once and become stale with it.
 */

#include <lua.h>

struct mail_context;

void cgroup_class_open(lua_State *L);

/*
 * Pushes the control group of the mail's client, nil on TCP and where the system
 * has no cgroup2; raises why it cannot be told.  The mail's object is at index 1;
 * its first user value is this class's own.  Returns 1.
 */
int cgroup_class_push(lua_State *L, struct mail_context *m);

/* ---- between the class's files ---- */

struct cgroup;

/* The group at `index`; raises if it is none, or stale. */
struct cgroup *cgroup_class_check(lua_State *L, int index);

/* Raises that `reason`, naming the group. */
int cgroup_class_error(lua_State *L, const struct cgroup *c,
		       const char *reason);

#endif
