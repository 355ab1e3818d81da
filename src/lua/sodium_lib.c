/* SPDX-License-Identifier: BSD-2-Clause */
#include "lua/sodium_lib.h"

#include <errno.h>
#include <sodium.h>
#include <stdint.h>

#include <lauxlib.h>

#include "base/limits.h"

/*
 * The C side of the `sodium` table.  It converts and checks arguments, and does
 * no cryptography of its own: no derived keys, no nonces, no formats.
 *
 * A Lua error leaves by longjmp and skips everything that follows.  Therefore a
 * function first checks its arguments, then allocates its scratch memory, and
 * only then computes the secret; from there to the wipe nothing may raise.
 */

#define PUBLIC_KEY_SIZE 32
_Static_assert(crypto_box_PUBLICKEYBYTES == PUBLIC_KEY_SIZE &&
		       crypto_sign_PUBLICKEYBYTES == PUBLIC_KEY_SIZE,
	       "size of pk");

struct bytes {
	const unsigned char *data;
	size_t size;
};

/* A string and nothing that Lua would convert to one. */
static struct bytes check_string(lua_State *L, int arg)
{
	struct bytes b;

	luaL_checktype(L, arg, LUA_TSTRING);
	b.data = (const unsigned char *)lua_tolstring(L, arg, &b.size);
	return b;
}

/* A string or a number, which becomes its text. */
static struct bytes check_message(lua_State *L, int arg)
{
	struct bytes b;

	b.data = (const unsigned char *)luaL_checklstring(L, arg, &b.size);
	return b;
}

static const unsigned char *check_sized(lua_State *L, int arg, const char *what,
					size_t size)
{
	struct bytes b = check_string(L, arg);

	if (b.size != size) {
		const char *msg = lua_pushfstring(
			L, "%s: %I bytes expected, got %I", what,
			(LUAI_UACINT)size, (LUAI_UACINT)b.size);
		luaL_argerror(L, arg, msg);
	}
	return b.data;
}

/*
 * Memory for a secret, left on the stack.  Not a luaL_Buffer: that one can only
 * be turned into a string by a call which may raise, and by then holds the
 * secret in a C frame that is out of reach.
 */
static unsigned char *push_scratch(lua_State *L, size_t size)
{
	return lua_newuserdatauv(L, size, 0);
}

static int to_string(lua_State *L)
{
	const struct bytes *b = lua_touserdata(L, 1);

	lua_pushlstring(L, (const char *)b->data, b->size);
	return 1;
}

/*
 * Pushes the first `size` of the `room` bytes at `secret` as a string and wipes
 * all of them.  The string is made in a protected call, because it may not fit
 * into memory: the error goes on after the wipe.
 */
static void push_wiped(lua_State *L, unsigned char *secret, size_t room,
		       size_t size)
{
	struct bytes b = {.data = secret, .size = size};
	int r;

	lua_pushcfunction(L, to_string);
	lua_pushlightuserdata(L, &b);
	r = lua_pcall(L, 1, 1, 0);
	sodium_memzero(secret, room);
	if (r != LUA_OK)
		lua_error(L);
}

/* What both kinds of key pair have in common. */
static int push_keypair(lua_State *L, size_t sk_size,
			int (*generate)(unsigned char *pk, unsigned char *sk))
{
	unsigned char pk[PUBLIC_KEY_SIZE];
	unsigned char *sk = push_scratch(L, sk_size);

	if (generate(pk, sk) != 0) {
		sodium_memzero(sk, sk_size);
		return luaL_error(L, "no key pair could be made");
	}
	/* The secret first: nothing can raise until its scratch is wiped. */
	push_wiped(L, sk, sk_size, sk_size);
	lua_pushlstring(L, (const char *)pk, sizeof(pk));
	lua_insert(L, -2);
	return 2;
}

static int l_crypto_box_keypair(lua_State *L)
{
	return push_keypair(L, crypto_box_SECRETKEYBYTES, crypto_box_keypair);
}

static int l_crypto_box_seal(lua_State *L)
{
	struct bytes m = check_message(L, 1);
	const unsigned char *pk =
		check_sized(L, 2, "pk", crypto_box_PUBLICKEYBYTES);
	luaL_Buffer buf; /* holds no secret */
	unsigned char *ct;

	/* Beyond its own limit, which may change, libsodium ends the process.
	 * NOLINTBEGIN(misc-redundant-expression) */
	luaL_argcheck(L,
		      m.size <= crypto_box_MESSAGEBYTES_MAX &&
			      m.size <= SIZE_MAX - crypto_box_SEALBYTES,
		      1, "message too long");
	/* NOLINTEND(misc-redundant-expression) */
	ct = (unsigned char *)luaL_buffinitsize(L, &buf,
						m.size + crypto_box_SEALBYTES);
	/* It refuses points of small order: everybody could open the box. */
	if (crypto_box_seal(ct, m.data, m.size, pk) != 0)
		luaL_argerror(L, 2, "pk: not a usable public key");
	luaL_pushresultsize(&buf, m.size + crypto_box_SEALBYTES);
	return 1;
}

static int l_crypto_box_seal_open(lua_State *L)
{
	struct bytes ct = check_string(L, 1);
	const unsigned char *pk =
		check_sized(L, 2, "pk", crypto_box_PUBLICKEYBYTES);
	const unsigned char *sk =
		check_sized(L, 3, "sk", crypto_box_SECRETKEYBYTES);
	unsigned char *m;
	size_t size;

	if (ct.size < crypto_box_SEALBYTES) {
		const char *msg = lua_pushfstring(
			L, "ciphertext: at least %d bytes expected, got %I",
			(int)crypto_box_SEALBYTES, (LUAI_UACINT)ct.size);
		return luaL_argerror(L, 1, msg);
	}
	size = ct.size - crypto_box_SEALBYTES;
	luaL_argcheck(L, size <= crypto_box_MESSAGEBYTES_MAX, 1,
		      "ciphertext too long");
	m = push_scratch(L, size);
	if (crypto_box_seal_open(m, ct.data, ct.size, pk, sk) != 0) {
		sodium_memzero(m, size);
		lua_pushnil(L);
		return 1;
	}
	push_wiped(L, m, size, size);
	return 1;
}

static int l_crypto_scalarmult_base(lua_State *L)
{
	const unsigned char *sk =
		check_sized(L, 1, "sk", crypto_scalarmult_SCALARBYTES);
	unsigned char pk[crypto_scalarmult_BYTES];

	if (crypto_scalarmult_base(pk, sk) != 0)
		return luaL_argerror(L, 1, "sk: not a usable secret key");
	lua_pushlstring(L, (const char *)pk, sizeof(pk));
	return 1;
}

static int l_crypto_sign_keypair(lua_State *L)
{
	return push_keypair(L, crypto_sign_SECRETKEYBYTES, crypto_sign_keypair);
}

static int l_crypto_sign_detached(lua_State *L)
{
	struct bytes m = check_message(L, 1);
	const unsigned char *sk =
		check_sized(L, 2, "sk", crypto_sign_SECRETKEYBYTES);
	unsigned char sig[crypto_sign_BYTES];

	if (crypto_sign_detached(sig, NULL, m.data, m.size, sk) != 0)
		return luaL_error(L, "the message could not be signed");
	lua_pushlstring(L, (const char *)sig, sizeof(sig));
	return 1;
}

static int l_crypto_sign_verify_detached(lua_State *L)
{
	struct bytes sig = check_string(L, 1);
	struct bytes m = check_message(L, 2);
	const unsigned char *pk =
		check_sized(L, 3, "pk", crypto_sign_PUBLICKEYBYTES);

	lua_pushboolean(L, sig.size == crypto_sign_BYTES &&
				   crypto_sign_verify_detached(
					   sig.data, m.data, m.size, pk) == 0);
	return 1;
}

/* The bytes may be a key, so both hex functions treat them as a secret. */
static int l_bin2hex(lua_State *L)
{
	struct bytes bin = check_string(L, 1);
	unsigned char *hex;
	size_t room;

	luaL_argcheck(L, bin.size <= (SIZE_MAX - 1) / 2, 1, "too long");
	room = 2 * bin.size + 1; /* a NUL is written behind the digits */
	hex = push_scratch(L, room);
	sodium_bin2hex((char *)hex, room, bin.data, bin.size);
	push_wiped(L, hex, room, room - 1);
	return 1;
}

static int l_hex2bin(lua_State *L)
{
	struct bytes hex = check_string(L, 1);
	size_t room = hex.size / 2, size;
	unsigned char *bin;

	bin = push_scratch(L, room);
	/* Skips nothing and reports no end, so a digit left over is -1, too. */
	if (sodium_hex2bin(bin, room, (const char *)hex.data, hex.size, NULL,
			   &size, NULL) != 0) {
		sodium_memzero(bin, room); /* what came before the bad digit */
		lua_pushnil(L);
		return 1;
	}
	push_wiped(L, bin, room, size);
	return 1;
}

static int l_randombytes(lua_State *L)
{
	lua_Integer n;
	unsigned char *bytes;

	luaL_checktype(L, 1, LUA_TNUMBER);
	n = luaL_checkinteger(L, 1);
	if (n < 1 || n > LIMIT_RANDOMBYTES) {
		const char *msg =
			lua_pushfstring(L, "n: 1 to %d expected, got %I",
					LIMIT_RANDOMBYTES, (LUAI_UACINT)n);
		return luaL_argerror(L, 1, msg);
	}
	bytes = push_scratch(L, (size_t)n);
	randombytes_buf(bytes, (size_t)n);
	push_wiped(L, bytes, (size_t)n, (size_t)n);
	return 1;
}

int sodium_lib_init(void)
{
	return sodium_init() < 0 ? -EIO : 0;
}

static const luaL_Reg functions[] = {
	{"bin2hex", l_bin2hex},
	{"crypto_box_keypair", l_crypto_box_keypair},
	{"crypto_box_seal", l_crypto_box_seal},
	{"crypto_box_seal_open", l_crypto_box_seal_open},
	{"crypto_scalarmult_base", l_crypto_scalarmult_base},
	{"crypto_sign_detached", l_crypto_sign_detached},
	{"crypto_sign_keypair", l_crypto_sign_keypair},
	{"crypto_sign_verify_detached", l_crypto_sign_verify_detached},
	{"hex2bin", l_hex2bin},
	{"randombytes", l_randombytes},
	{NULL, NULL},
};

int sodium_lib_open(lua_State *L)
{
	luaL_newlib(L, functions);
	return 1;
}
