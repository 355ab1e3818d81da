/* SPDX-License-Identifier: BSD-2-Clause */
#include "lua/vm.h"

#include <errno.h>
#include <lauxlib.h>
#include <lualib.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "lua/callback.h"
#include "lua/libraries.h"
#include "lua/sodium_lib.h"

/* Seconds; the kernel's own clock ticks every 1 to 10 ms. */
#define LONGEST_TICK 0.05
#define SHORTEST_TICK 0.002
#define TICKS_PER_BUDGET 20

/* Bytes, and how many per cent of its size a heap must reach before the next
 * collection starts. */
#define SMALL_HEAP 1048576
#define SMALL_HEAP_PAUSE 400
#define LARGE_HEAP_PAUSE 200

/* Seconds of CPU for what the script left behind, e.g. finalizers. */
#define OWN_BUDGET 1.

/*
 * lua_Alloc.  What the daemon itself asks for is small and goes through, so that
 * mails can be told what happened when a script has used up all; but its calls may
 * run finalizers and __tostring of the script, which must not have all memory.
 */
static void *allocate(void *ud, void *ptr, size_t osize, size_t nsize)
{
	struct vm *vm = ud;
	size_t before = ptr != NULL ? osize : 0;
	size_t limit = vm->memory_limit;
	void *p;

	if (nsize == 0) {
		free(ptr);
		vm->memory -= before;
		return NULL;
	}
	if (!vm->limited)
		limit += LIMIT_LUA_RESERVE;
	if (nsize > before && vm->memory - before + nsize > limit)
		return NULL;
	p = realloc(ptr, nsize);
	if (p != NULL)
		vm->memory = vm->memory - before + nsize;
	return p;
}

static int open_libraries(lua_State *L)
{
	luaL_openlibs(L);
	libraries_open(L);
	return 0;
}

struct vm *vm_new(struct ev_loop *loop, struct log *log,
		  struct resolver *resolver, struct config *config)
{
	struct vm *vm = calloc(1, sizeof(*vm));
	int r;

	if (vm == NULL)
		return NULL;
	vm->loop = loop;
	list_init(&vm->callbacks);
	vm->log = log;
	vm->resolver = resolver;
	vm->config = config;
	vm->memory_limit = LIMIT_LUA_MEMORY_DEFAULT;
	r = sodium_lib_init();
	if (r == 0)
		r = budget_init(&vm->budget, LONGEST_TICK);
	if (r < 0) {
		free(vm);
		errno = -r;
		return NULL;
	}
	vm->L = lua_newstate(allocate, vm);
	if (vm->L == NULL)
		goto fail;
	*vm_mark(vm->L) = (uintptr_t)vm;
	if (vm_call(vm, open_libraries, NULL, 0) != LUA_OK)
		goto fail;
	return vm;

fail:
	vm_free(vm);
	errno = ENOMEM;
	return NULL;
}

/* Our own calls may run finalizers of the script. */
static void enter(struct vm *vm)
{
	budget_account_init(&vm->budget, &vm->own, OWN_BUDGET);
	budget_enter(&vm->budget, &vm->own, vm->L);
}

void vm_free(struct vm *vm)
{
	if (vm == NULL)
		return;
	callback_stop_all(vm);
	if (vm->L != NULL) {
		enter(vm); /* finalizers of the script */
		lua_close(vm->L);
		budget_leave(&vm->budget);
	}
	budget_deinit(&vm->budget);
	free(vm);
}

int vm_call(struct vm *vm, lua_CFunction f, void *context, int n_results)
{
	int status;

	/* neither push allocates; the main thread's stack is empty here */
	lua_pushcfunction(vm->L, f);
	lua_pushlightuserdata(vm->L, context);
	enter(vm);
	status = lua_pcall(vm->L, 1, n_results, 0);
	budget_leave(&vm->budget);
	return status;
}

int vm_set_limits(struct vm *vm, size_t memory, double cpu)
{
	double tick = cpu / TICKS_PER_BUDGET;
	int r;

	if (tick > LONGEST_TICK)
		tick = LONGEST_TICK;
	else if (tick < SHORTEST_TICK)
		tick = SHORTEST_TICK;
	r = budget_set_tick(&vm->budget, tick);
	if (r < 0) {
		lua_pushfstring(vm->L, "cannot set a CPU timer: %s",
				strerror(-r));
		return LUA_ERRRUN;
	}
	vm->memory_limit = memory;
	/* a mail leaves little behind: no need to search a small heap often */
	lua_gc(vm->L, LUA_GCINC,
	       vm->memory < SMALL_HEAP ? SMALL_HEAP_PAUSE : LARGE_HEAP_PAUSE, 0,
	       0);
	return LUA_OK;
}

static int set_directory(lua_State *L)
{
	const char *directory = lua_touserdata(L, 1);

	lua_getglobal(L, "package");
	lua_getfield(L, -1, "path");
	lua_pushfstring(L, "%s/?.lua;%s/?/init.lua;%s", directory, directory,
			lua_tostring(L, -1));
	lua_setfield(L, -3, "path");
	return 0;
}

int vm_set_directory(struct vm *vm, const char *directory)
{
	return vm_call(vm, set_directory, (void *)directory, 0);
}
