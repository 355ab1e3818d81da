/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_LUA_BUDGET_H
#define QRELAY_LUA_BUDGET_H

/*
 * How much CPU a coroutine may use.
 *
 * A timer on the thread's CPU clock (timer_create(2)) ticks all the time, so that
 * nothing is paid a mail; each tick is charged to the coroutine that runs.  Over
 * its limit a count hook is set on it from the signal handler, as the lua program
 * does for SIGINT: it fires at the next instruction, yields where it can, which no
 * pcall catches, and raises where it cannot.
 *
 * One call of a C function cannot be interrupted.
 */

#include <lua.h>
#include <signal.h>
#include <stdbool.h>
#include <time.h>

#include "base/attr.h"

/* The signal of the timer; children get its default disposition back. */
#define BUDGET_SIGNAL SIGPROF

/* What one coroutine has used, in ticks. */
struct budget_account {
	volatile sig_atomic_t used;
	sig_atomic_t limit;
};

struct budget {
	/* private */
	timer_t timer;
	bool has_timer;
	double tick; /* seconds */
	int line;    /* where a coroutine was stopped last; 0 before */

	/* read by the signal handler */
	struct budget_account *volatile account; /* borrowed while it runs */
	lua_State *volatile running;             /* its innermost coroutine */
};

/* Ticks every `tick` seconds of CPU from now on; one at a time in a process.  0 or
 * -errno. */
MUSTCHECK int budget_init(struct budget *b, double tick);
void budget_deinit(struct budget *b);

/* Another length of the tick; accounts must be set up anew.  0 or -errno. */
MUSTCHECK int budget_set_tick(struct budget *b, double tick);

/* An account that is over when more than `seconds` of CPU have been used; the
 * first tick does not count, since it may have begun with somebody else. */
void budget_account_init(const struct budget *b, struct budget_account *a,
			 double seconds);

/* The account and coroutine that run from now on; NULL for none. */
void budget_enter(struct budget *b, struct budget_account *a, lua_State *L);
void budget_leave(struct budget *b);

/* The script's own coroutine `L` runs, or runs no longer; returns which ran
 * before. */
lua_State *budget_switch(struct budget *b, lua_State *L);

static inline bool budget_is_over(const struct budget_account *a)
{
	return a->used > a->limit;
}

#endif
