/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_LUA_LISTEN_LIB_H
#define QRELAY_LUA_LISTEN_LIB_H

/*
 * qmqp_listen(WHERE, HANDLER [, {mode=, backlog=, name=}]) and the global
 * `systemd`.  Nothing is opened here: the calls are noted in the config.
 */

#include <lua.h>

void listen_lib_open(lua_State *L);

#endif
