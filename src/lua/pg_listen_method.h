/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_LUA_PG_LISTEN_METHOD_H
#define QRELAY_LUA_PG_LISTEN_METHOD_H

/*
 * db:listen(name, fn [, {on_reconnect=false}]) waits until the server has taken
 * LISTEN, and returns true; or nil and a message after the first attempt to
 * connect that fails.  In any case it goes on trying, and from then on calls
 * fn(payload, name, pid), and with on_reconnect fn(nil, name) when notifications
 * may have been missed.
 */

#include <lua.h>

int pg_listen_method(lua_State *L);

#endif
