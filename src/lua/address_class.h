/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_LUA_ADDRESS_CLASS_H
#define QRELAY_LUA_ADDRESS_CLASS_H

/*
 * The script's address object, and qmqp_resolve() that makes it.
 */

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

#include "io/sockaddr.h"

/* One address, and what sockaddr_print() makes of it, for the log of each mail. */
struct address_entry {
	struct socket_address address;
	char text[SOCKADDR_TEXT_MAX];
};

/* What the object holds: at least one address, tried in this order. */
struct address_list {
	size_t n;
	struct address_entry v[];
};

/* User values of the object; the first is action_class's, for an action that the
 * object is always used with. */
#define ADDRESS_CLASS_VALUES 1
#define ADDRESS_CLASS_ACTION 1

void address_class_open(lua_State *L);

/* The object at `index`, or NULL if it is none; good while it is referenced. */
const struct address_list *address_class_test(lua_State *L, int index);

/*
 * Pushes an object made of the string at `index`, which must not be a host name;
 * raises what is wrong with it.
 */
const struct address_list *address_class_parse(lua_State *L, int index);

#endif
