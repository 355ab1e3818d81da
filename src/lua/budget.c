/* SPDX-License-Identifier: BSD-2-Clause */
#include "lua/budget.h"

#include <errno.h>
#include <lauxlib.h>
#include <math.h>
#include <stddef.h>

#include "lua/vm.h"

/* Runs at each instruction of a coroutine that is over its budget. */
static void on_instruction(lua_State *L, lua_Debug *ar)
{
	struct budget *b = &vm_of(L)->budget;
	struct budget_account *a = b->account;

	if (a == NULL || !budget_is_over(a)) {
		/* left over in a coroutine that outlived its mail */
		lua_sethook(L, NULL, 0, 0);
	} else if (lua_isyieldable(L)) {
		/* afterwards Lua tells of the instruction before this one */
		lua_getinfo(L, "l", ar);
		b->line = ar->currentline;
		lua_yield(L, 0); /* takes effect when the hook returns */
	} else {
		luaL_error(L, "too much CPU used");
	}
}

/* Async-signal-safe: flags, and lua_sethook() as lua.c uses it. */
static void on_tick(int signal, siginfo_t *info, void *context)
{
	struct budget *b = info->si_value.sival_ptr;
	struct budget_account *a;

	(void)signal, (void)context;
	if (info->si_code != SI_TIMER || b == NULL)
		return;
	a = b->account;
	if (a == NULL)
		return;
	a->used += 1 + info->si_overrun;
	if (budget_is_over(a) && b->running != NULL)
		lua_sethook(b->running, on_instruction, LUA_MASKCOUNT, 1);
}

int budget_set_tick(struct budget *b, double tick)
{
	struct itimerspec spec;
	double whole;

	spec.it_interval.tv_nsec = (long)(modf(tick, &whole) * 1e9);
	spec.it_interval.tv_sec = (time_t)whole;
	spec.it_value = spec.it_interval;
	if (timer_settime(b->timer, 0, &spec, NULL) < 0)
		return -errno;
	b->tick = tick;
	return 0;
}

int budget_init(struct budget *b, double tick)
{
	struct sigaction action = {.sa_sigaction = on_tick,
				   .sa_flags = SA_SIGINFO | SA_RESTART};
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL,
				 .sigev_signo = BUDGET_SIGNAL,
				 .sigev_value.sival_ptr = b};
	int r;

	*b = (struct budget){.has_timer = false};
	sigemptyset(&action.sa_mask);
	if (sigaction(BUDGET_SIGNAL, &action, NULL) < 0 ||
	    timer_create(CLOCK_THREAD_CPUTIME_ID, &event, &b->timer) < 0)
		return -errno;
	b->has_timer = true;
	r = budget_set_tick(b, tick);
	if (r < 0)
		budget_deinit(b);
	return r;
}

void budget_deinit(struct budget *b)
{
	if (b->has_timer)
		timer_delete(b->timer);
	b->has_timer = false;
	b->account = NULL;
	/* a tick may be pending still: it finds no account */
	signal(BUDGET_SIGNAL, SIG_IGN);
}

void budget_account_init(const struct budget *b, struct budget_account *a,
			 double seconds)
{
	a->used = 0;
	a->limit = (sig_atomic_t)ceil(seconds / b->tick) + 1;
}

void budget_enter(struct budget *b, struct budget_account *a, lua_State *L)
{
	b->running = L;
	b->line = 0;
	b->account = a;
	if (budget_is_over(a))
		lua_sethook(L, on_instruction, LUA_MASKCOUNT, 1);
}

void budget_leave(struct budget *b)
{
	b->account = NULL;
	b->running = NULL;
}

lua_State *budget_switch(struct budget *b, lua_State *L)
{
	lua_State *before = b->running;

	b->running = L;
	if (b->account != NULL && budget_is_over(b->account))
		lua_sethook(L, on_instruction, LUA_MASKCOUNT, 1);
	return before;
}
