/* SPDX-License-Identifier: BSD-2-Clause */
#include "lua/sleep_lib.h"

#include <lauxlib.h>

#include "base/attr.h"
#include "base/limits.h"
#include "lua/coro.h"
#include "lua/vm.h"

struct sleeper {
	struct ev_loop *loop;
	ev_timer timer;
	struct coro *coro;
};

static void on_awake(EV_P_ ev_timer *w, int revents)
{
	struct sleeper *s = container_of(w, struct sleeper, timer);

	(void)loop, (void)revents;
	coro_resume(s->coro);
}

static void cancel(void *context)
{
	struct sleeper *s = context;

	ev_timer_stop(s->loop, &s->timer);
}

static int awake(lua_State *L, int status, lua_KContext context)
{
	(void)L, (void)status, (void)context;
	return 0;
}

static int l_sleep(lua_State *L)
{
	lua_Number seconds = luaL_checknumber(L, 1);
	struct sleeper *s;
	struct coro *c;

	if (!(seconds >= 0 && seconds <= LIMIT_SLEEP))
		return luaL_error(L, "sleep: seconds must be from 0 to %d",
				  LIMIT_SLEEP);
	c = coro_current(L);
	s = lua_newuserdatauv(L, sizeof(*s), 0);
	s->loop = vm_of(L)->loop;
	s->coro = c;
	ev_now_update(s->loop);
	ev_timer_init(&s->timer, on_awake, seconds, 0.);
	ev_timer_start(s->loop, &s->timer);
	return coro_wait(L, c, cancel, s, awake);
}

void sleep_lib_open(lua_State *L)
{
	lua_register(L, "sleep", l_sleep);
}
