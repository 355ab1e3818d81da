/* SPDX-License-Identifier: BSD-2-Clause */
#include "lua/libraries.h"

#include "lua/action_class.h"
#include "lua/address_class.h"
#include "lua/base_lib.h"
#include "lua/cgroup_class.h"
#include "lua/coroutine_lib.h"
#include "lua/guard_lib.h"
#include "lua/listen_lib.h"
#include "lua/mail_class.h"
#include "lua/pg_lib.h"
#include "lua/sleep_lib.h"
#include "lua/sodium_lib.h"

void libraries_open(lua_State *L)
{
	base_lib_open(L);
	coroutine_lib_open(L);
	guard_lib_open(L);
	address_class_open(L);
	action_class_open(L);
	cgroup_class_open(L);
	mail_class_open(L);
	sleep_lib_open(L);
	listen_lib_open(L);
	pg_lib_open(L);

	sodium_lib_open(L);
	lua_setglobal(L, "sodium");
}
