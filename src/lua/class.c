/* SPDX-License-Identifier: BSD-2-Clause */
#include "lua/class.h"

#include <lauxlib.h>

#include "lua/vm.h"

void class_register(lua_State *L, enum class_id id)
{
	struct class *c = &vm_of(L)->classes[id];

	c->metatable = lua_topointer(L, -1);
	c->reference = luaL_ref(L, LUA_REGISTRYINDEX);
}

void class_set(lua_State *L, enum class_id id)
{
	lua_rawgeti(L, LUA_REGISTRYINDEX, vm_of(L)->classes[id].reference);
	lua_setmetatable(L, -2);
}

void *class_test(lua_State *L, int index, enum class_id id)
{
	void *object = lua_touserdata(L, index);
	const void *its;

	if (object == NULL || !lua_getmetatable(L, index))
		return NULL;
	its = lua_topointer(L, -1);
	lua_pop(L, 1);
	return its == vm_of(L)->classes[id].metatable ? object : NULL;
}

void *class_check(lua_State *L, int index, enum class_id id)
{
	void *object = class_test(L, index, id);

	if (object == NULL) {
		lua_rawgeti(L, LUA_REGISTRYINDEX,
			    vm_of(L)->classes[id].reference);
		lua_getfield(L, -1, "__name");
		luaL_typeerror(L, index, lua_tostring(L, -1));
	}
	return object;
}
