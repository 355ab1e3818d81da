/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_LUA_CLASS_H
#define QRELAY_LUA_CLASS_H

/*
 * The classes that each mail uses.  luaL_setmetatable() and luaL_checkudata() look
 * a metatable up by its name, which takes longer than all else that such a method
 * does; here a class is a number.
 */

#include <lua.h>

enum class_id {
	CLASS_ACTION,
	CLASS_ADDRESS,
	CLASS_MAIL,
	N_CLASSES,
};

/* What the vm knows of a class. */
struct class
{
	int reference;         /* of the metatable, in the registry */
	const void *metatable; /* the same, as lua_topointer() tells it */
};

/* The table on top is that class's metatable, as its name (luaL_newmetatable())
 * says.  Pops it. */
void class_register(lua_State *L, enum class_id id);

/* Makes the userdata on top an object of that class. */
void class_set(lua_State *L, enum class_id id);

/* The object at `index`, or NULL if it is none of that class. */
void *class_test(lua_State *L, int index, enum class_id id);

/* The object at `index`; raises, with the class's name, if it is none. */
void *class_check(lua_State *L, int index, enum class_id id);

#endif
