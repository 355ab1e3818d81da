/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_LUA_XATTR_CLASS_H
#define QRELAY_LUA_XATTR_CLASS_H

/*
 * The extended attributes of a control group, as a table that is empty and looks
 * them up: t['user.x'], t.x (short for it), pairs(t).  A name without one of the
 * kernel's prefixes (xattr(7)) is short.  Nothing is remembered.
 */

#include <lua.h>

/* Pushes such a table for the cgroup object at `cgroup`, which it keeps. */
void xattr_class_push(lua_State *L, int cgroup);

#endif
