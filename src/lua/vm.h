/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_LUA_VM_H
#define QRELAY_LUA_VM_H

/*
 * One Lua state (https://www.lua.org/manual/5.4/) with all that belongs to it:
 * its memory limit, its CPU budget, and what the libraries need of the daemon.
 */

#include <ev.h>
#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/list.h"
#include "lua/budget.h"
#include "lua/class.h"

struct config;
struct coro;
struct log;
struct resolver;

/* More are left to the collector. */
#define VM_IDLE_THREADS 16

struct vm {
	lua_State *L; /* owned; the main thread, nothing runs in it */

	/* what the libraries need; borrowed until vm_free() */
	struct ev_loop *loop;
	struct log *log;
	struct resolver *resolver;
	struct config *config;

	struct class classes[N_CLASSES];

	struct budget budget;
	struct budget_account own; /* of what runs outside of coroutines */
	struct coro *running;      /* NULL outside of coro's resume */

	/* threads whose coroutine has ended, for the next one */
	struct {
		lua_State *thread;
		int anchor; /* in the registry */
	} idle[VM_IDLE_THREADS];
	size_t n_idle;
	struct list callbacks; /* that wait; callback.h */

	size_t memory;       /* bytes that Lua holds */
	size_t memory_limit; /* beyond it a running script gets an error; our
				own calls have LIMIT_LUA_RESERVE more */
	bool limited;        /* one runs: there is somebody to take the error */
};

/* NULL without memory or timer (errno).  All standard libraries and ours are
 * there. */
MUSTCHECK struct vm *vm_new(struct ev_loop *loop, struct log *log,
			    struct resolver *resolver, struct config *config);

/* Runs finalizers; every coroutine must have been deinited.  Takes NULL. */
void vm_free(struct vm *vm);

/*
 * What a thread carries: its vm, and in the lowest bit whether it is one of ours,
 * which the script must not resume or close.  A new thread of the script has what
 * the main thread has.
 */
static inline uintptr_t *vm_mark(lua_State *L)
{
	return (uintptr_t *)lua_getextraspace(L);
}

/* The vm that `L`, any of its threads, belongs to. */
static inline struct vm *vm_of(lua_State *L)
{
	return (struct vm *)(*vm_mark(L) & ~(uintptr_t)1);
}

static inline bool vm_is_ours(lua_State *L)
{
	return *vm_mark(L) & 1;
}

/*
 * Calls `f` with `context` as a light userdata, protected, outside of any
 * coroutine.  Returns LUA_OK with `n_results` on vm->L, or a status with the
 * message on it.
 */
MUSTCHECK int vm_call(struct vm *vm, lua_CFunction f, void *context,
		      int n_results);

/* What a running script may hold in all, in bytes, and the shortest CPU budget, in
 * seconds, that must be measured.  Status and message as above. */
MUSTCHECK int vm_set_limits(struct vm *vm, size_t memory, double cpu);

/* Looks up modules beside the script from now on. */
MUSTCHECK int vm_set_directory(struct vm *vm, const char *directory);

#endif
