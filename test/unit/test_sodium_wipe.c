/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * That the `sodium` table leaves no secret in the memory it used, neither after
 * success nor where memory runs out at any point.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <lauxlib.h>
#include <lualib.h>
#include <sodium.h>

#include "base/attr.h"
#include "lua/sodium_lib.h"

/*
 * A heap that can run dry, and that knows every userdata in it: the library
 * keeps its secrets in those.  `header` is what Lua puts before the payload.
 */
struct heap {
	long allocations_left; /* < 0: no limit */
	size_t header;
	bool dirty; /* a userdata was freed that held something */
	size_t count;
	struct {
		unsigned char *block;
		size_t size;
	} userdata[64];
};

struct fixture {
	struct heap heap;
	lua_State *L;
};

static bool is_dirty(const struct heap *h, size_t i)
{
	return !sodium_is_zero(h->userdata[i].block + h->header,
			       h->userdata[i].size - h->header);
}

static bool holds_secret(const struct heap *h)
{
	bool found = h->dirty;

	for (size_t i = 0; i < h->count; i++)
		found = found || is_dirty(h, i);
	return found;
}

static void forget(struct heap *h, const void *block)
{
	for (size_t i = 0; i < h->count; i++) {
		if (h->userdata[i].block != block)
			continue;
		h->dirty = h->dirty || is_dirty(h, i);
		h->userdata[i] = h->userdata[--h->count];
		break;
	}
}

static void remember(struct heap *h, void *block, size_t size)
{
	assert_true(h->count < ARRAY_SIZE(h->userdata));
	/* Lua writes none of the payload: only we can make it differ from 0. */
	memset(block, 0, size);
	h->userdata[h->count].block = block;
	h->userdata[h->count].size = size;
	h->count++;
}

static void *heap_alloc(void *ud, void *ptr, size_t osize, size_t nsize)
{
	struct heap *h = ud;
	bool is_userdata = ptr == NULL && osize == LUA_TUSERDATA;

	if (nsize == 0) {
		if (ptr != NULL)
			forget(h, ptr);
		free(ptr);
		return NULL;
	}
	if (h->allocations_left == 0 && (ptr == NULL || nsize > osize))
		return NULL;
	if (h->allocations_left > 0)
		h->allocations_left--;
	ptr = realloc(ptr, nsize);
	assert_non_null(ptr);
	if (is_userdata)
		remember(h, ptr, nsize);
	return ptr;
}

/* Runs a piece of Lua, which asserts for itself. */
static void run(lua_State *L, const char *code)
{
	if (luaL_dostring(L, code) != LUA_OK)
		fail_msg("%s", lua_tostring(L, -1));
	lua_settop(L, 0);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	assert_int_equal(sodium_lib_init(), 0);
	f->heap.allocations_left = -1;
	f->L = lua_newstate(heap_alloc, &f->heap);
	assert_non_null(f->L);
	lua_newuserdatauv(f->L, 1000, 0);
	f->heap.header = f->heap.userdata[0].size - 1000;
	luaL_requiref(f->L, "sodium", sodium_lib_open, 1);
	luaL_requiref(f->L, LUA_GNAME, luaopen_base, 1);
	luaL_requiref(f->L, LUA_STRLIBNAME, luaopen_string, 1);
	lua_settop(f->L, 0);
	run(f->L, "secret = ('secret'):rep(1000)\n"
		  "pk, sk = sodium.crypto_box_keypair()\n"
		  "spk, ssk = sodium.crypto_sign_keypair()\n"
		  "sealed = sodium.crypto_box_seal(secret, pk)\n"
		  "hexed = sodium.bin2hex(secret)\n"
		  "alien = ('k'):rep(32)\n");
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	lua_close(f->L);
	assert_false(f->heap.dirty);
	free(f);
	return 0;
}

/*
 * Lets every single allocation of a call fail.  Whatever happens, no userdata
 * may hold anything afterwards, and the call must work once memory is there.
 */
static void starve(struct fixture *f, const char *expression)
{
	lua_State *L = f->L;
	long n = 0;
	int r;

	lua_pushfstring(L, "return %s", expression);
	assert_int_equal(luaL_loadstring(L, lua_tostring(L, -1)), LUA_OK);
	do {
		lua_gc(L, LUA_GCCOLLECT);
		lua_pushvalue(L, 2);
		f->heap.allocations_left = n++;
		r = lua_pcall(L, 0, LUA_MULTRET, 0);
		f->heap.allocations_left = -1;
		if (holds_secret(&f->heap))
			fail_msg("%s: not wiped (%ld)", expression, n);
		if (r != LUA_OK)
			assert_int_equal(r, LUA_ERRMEM);
		lua_settop(L, 2);
	} while (r != LUA_OK && n < 100);
	assert_int_equal(r, LUA_OK);
	assert_true(n > 1);
	lua_settop(L, 0);
}

static void test_wiped_without_memory(void **state)
{
	struct fixture *f = *state;

	starve(f, "sodium.crypto_box_keypair()");
	starve(f, "sodium.crypto_sign_keypair()");
	starve(f, "sodium.crypto_box_seal_open(sealed, pk, sk)");
	starve(f, "sodium.crypto_box_seal_open(sealed, pk, alien)");
	starve(f, "sodium.crypto_scalarmult_base(sk)");
	starve(f, "sodium.crypto_sign_detached(secret, ssk)");
	starve(f, "sodium.bin2hex(secret)");
	starve(f, "sodium.hex2bin(hexed)");
	starve(f, "sodium.hex2bin(hexed .. 'zz')");
	starve(f, "sodium.randombytes(100)");
}

/* Without an error there is no secret left either, nor when it is collected. */
static void test_wiped(void **state)
{
	struct fixture *f = *state;

	run(f->L, "collectgarbage('stop')\n"
		  "sodium.bin2hex(('k'):rep(32)); "
		  "sodium.hex2bin(('6b'):rep(32)); sodium.hex2bin('6b6b6z')\n"
		  "sodium.randombytes(32)\n"
		  "sodium.crypto_box_seal_open(\n"
		  "  sodium.crypto_box_seal(('k'):rep(32), pk), pk, sk)\n");
	assert_non_null(f->heap.userdata[0].block);
	assert_false(holds_secret(&f->heap));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define WITH_LUA(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
		WITH_LUA(test_wiped_without_memory),
		WITH_LUA(test_wiped),
	};

	return cmocka_run_group_tests_name("sodium_wipe", tests, NULL, NULL);
}
