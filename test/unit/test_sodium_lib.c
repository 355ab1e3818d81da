/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The `sodium` table in a bare Lua state: vectors of the RFCs, round trips,
 * every wrong length and type.  test_sodium_wipe.c is about its secrets.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <lauxlib.h>
#include <lualib.h>
#include <sodium.h>

#include "base/attr.h"
#include "ed25519_vectors.h"
#include "lua/sodium_lib.h"

/* Runs a piece of Lua, which asserts for itself. */
static void run(lua_State *L, const char *code)
{
	if (luaL_dostring(L, code) != LUA_OK)
		fail_msg("%s", lua_tostring(L, -1));
	lua_settop(L, 0);
}

static const char prelude[] =
	"hex, bin = sodium.bin2hex, sodium.hex2bin\n"
	/* The whole message of what f(...) raises. */
	"function raised(f, ...)\n"
	"  local ok, e = pcall(f, ...)\n"
	"  assert(not ok, 'did not raise')\n"
	"  return e\n"
	"end\n"
	"function same(a, b)\n"
	"  if a ~= b then\n"
	"    error(('%s, not %s'):format(a, b), 2)\n"
	"  end\n"
	"end\n"
	/* f raises at every length from 0 to 2 * size but `size` itself. */
	"function sized(arg, what, size, f)\n"
	"  for n = 0, 2 * size do\n"
	"    if n == size then f(('k'):rep(n)) else\n"
	"      local e = raised(f, ('k'):rep(n))\n"
	"      same(e:match('bad argument #(%d) to '), tostring(arg))\n"
	"      same(e:match('%(.*'), ('(%s: %d bytes expected, got %d)')\n"
	"        :format(what, size, n))\n"
	"    end\n"
	"  end\n"
	"end\n"
	"pk, sk = sodium.crypto_box_keypair()\n"
	"spk, ssk = sodium.crypto_sign_keypair()\n";

static int setup(void **state)
{
	lua_State *L = luaL_newstate();

	assert_non_null(L);
	assert_int_equal(sodium_lib_init(), 0);
	luaL_requiref(L, LUA_GNAME, luaopen_base, 1);
	luaL_requiref(L, LUA_STRLIBNAME, luaopen_string, 1);
	luaL_requiref(L, "sodium", sodium_lib_open, 1);
	lua_settop(L, 0);
	run(L, prelude);
	*state = L;
	return 0;
}

static int teardown(void **state)
{
	lua_close(*state);
	return 0;
}

static void test_open_leaves_the_table(void **state)
{
	lua_State *L = luaL_newstate();

	(void)state;
	assert_non_null(L);
	assert_int_equal(sodium_lib_init(), 0); /* again: no harm */
	assert_int_equal(sodium_lib_open(L), 1);
	assert_int_equal(lua_gettop(L), 1);
	assert_int_equal(lua_getfield(L, 1, "randombytes"), LUA_TFUNCTION);
	assert_int_equal(lua_getglobal(L, "sodium"), LUA_TNIL);
	lua_close(L);
}

static void test_hex(void **state)
{
	/* RFC 4648 10, BASE16, in the lower case that libsodium writes. */
	run(*state,
	    "local t = {[''] = '', f = '66', fo = '666f', foo = '666f6f',\n"
	    "  foob = '666f6f62', fooba = '666f6f6261',\n"
	    "  foobar = '666f6f626172'}\n"
	    "for b, h in pairs(t) do\n"
	    "  same(hex(b), h); same(bin(h), b); same(bin(h:upper()), b)\n"
	    "end\n"
	    "local all = ''; for i = 0, 255 do all = all .. string.char(i) "
	    "end\n"
	    "same(hex(all), (all:gsub('.', function(c)\n"
	    "  return ('%02x'):format(c:byte()) end)))\n"
	    "same(bin(hex(all)), all)\n"
	    "local big = sodium.randombytes(1048576)\n"
	    "same(#hex(big), 2097152)\n"
	    "assert(bin(hex(big)) == big)\n");
}

static void test_not_hex(void **state)
{
	run(*state,
	    "local bad = {'0', '000', 'a', '0x00', '00 ', ' 00', '0 0', "
	    "'00:11',\n"
	    "  '00\\n', '0\\0', '\\0000', '+1', 'fg', 'zz', '00zz', '0000z'}\n"
	    "for _, s in ipairs(bad) do same(bin(s), nil) end\n"
	    "for c = 0, 255 do\n"
	    "  local s = string.char(c)\n"
	    "  local good = s:find('^%x$') ~= nil\n"
	    "  same(bin('0' .. s) ~= nil, good)\n"
	    "  same(bin(s .. '0') ~= nil, good)\n"
	    "  same(bin('00' .. s), nil)\n"
	    "end\n");
}

static void test_randombytes(void **state)
{
	run(*state,
	    "local r = sodium.randombytes\n"
	    "for _, n in ipairs {1, 2, 31, 1048575, 1048576} do\n"
	    "  same(#r(n), n)\n"
	    "end\n"
	    "same(#r(8.0), 8)\n"
	    "assert(r(32) ~= r(32))\n"
	    "assert(r(1048576):sub(-32) ~= ('\\0'):rep(32))\n"
	    "for _, n in ipairs {0, -1, 1048577, 1 << 62,\n"
	    "    -1 << 63} do\n"
	    "  same(raised(r, n), (\"bad argument #1 to \"\n"
	    "    .. \"'sodium.randombytes' (n: 1 to 1048576 expected, got \"\n"
	    "    .. '%d)'):format(n))\n"
	    "end\n"
	    "for _, n in ipairs {1.5, 1/0, 0/0} do\n"
	    "  assert(raised(r, n):find('no integer representation'))\n"
	    "end\n"
	    "for _, n in ipairs {'8', {}, true} do\n"
	    "  assert(raised(r, n):find('number expected, got'))\n"
	    "end\n"
	    "assert(raised(r):find('number expected, got no value'))\n");
}

static void test_scalarmult_base(void **state)
{
	/* RFC 7748 6.1: Alice, Bob. */
	run(*state, "local base = sodium.crypto_scalarmult_base\n"
		    "same(hex(base(bin('77076d0a7318a57d3c16c17251b26645'\n"
		    "  .. 'df4c2f87ebc0992ab177fba51db92c2a'))),\n"
		    "  '8520f0098930a754748b7ddcb43ef75a'\n"
		    "  .. '0dbf3a0d26381af4eba4a98eaa9b4e6a')\n"
		    "same(hex(base(bin('5dab087e624a8a4b79e17f8b83800ee6'\n"
		    "  .. '6f3bb1292618b6fd1c2f8b27ff88e0eb'))),\n"
		    "  'de9edb7d7b7dc1b4d35b61c2ece43537'\n"
		    "  .. '3f8343c85b78674dadfc7e146f882b4f')\n"
		    "same(hex(base(sk)), hex(pk))\n"
		    "sized(1, 'sk', 32, base)\n");
}

static void test_box_keypair(void **state)
{
	run(*state, "same(#pk, 32); same(#sk, 32); assert(pk ~= sk)\n"
		    "local pk2, sk2 = sodium.crypto_box_keypair()\n"
		    "assert(pk2 ~= pk and sk2 ~= sk)\n"
		    "same(select('#', sodium.crypto_box_keypair()), 2)\n");
}

static void test_box_round_trip(void **state)
{
	run(*state,
	    "local seal, open = sodium.crypto_box_seal,\n"
	    "  sodium.crypto_box_seal_open\n"
	    "for _, n in ipairs {0, 1, 15, 16, 975, 976, 977, 1048576} do\n"
	    "  local m = n > 0 and sodium.randombytes(n) or ''\n"
	    "  local ct = seal(m, pk)\n"
	    "  same(#ct, n + 48)\n"
	    "  assert(open(ct, pk, sk) == m)\n"
	    "  assert(seal(m, pk) ~= ct)\n"
	    "  assert(n < 16 or not ct:find(m, 1, true))\n"
	    "end\n"
	    "same(open(seal('hello world', pk), pk, sk), 'hello world')\n"
	    "same(open(seal(1001, pk), pk, sk), '1001')\n");
}

/* The other end of the box is libsodium itself. */
static void test_box_is_libsodiums(void **state)
{
	unsigned char pk[crypto_box_PUBLICKEYBYTES];
	unsigned char sk[crypto_box_SECRETKEYBYTES];
	unsigned char box[5 + crypto_box_SEALBYTES], opened[5];
	lua_State *L = *state;
	const char *s;
	size_t len;

	assert_int_equal(crypto_box_keypair(pk, sk), 0);
	assert_int_equal(
		crypto_box_seal(box, (const unsigned char *)"hello", 5, pk), 0);
	lua_pushlstring(L, (char *)pk, sizeof(pk));
	lua_setglobal(L, "cpk");
	lua_pushlstring(L, (char *)sk, sizeof(sk));
	lua_setglobal(L, "csk");
	lua_pushlstring(L, (char *)box, sizeof(box));
	lua_setglobal(L, "box");
	run(L, "same(sodium.crypto_box_seal_open(box, cpk, csk), 'hello')\n"
	       "box = sodium.crypto_box_seal('world', cpk)\n");
	lua_getglobal(L, "box");
	s = lua_tolstring(L, -1, &len);
	assert_int_equal(len, sizeof(box));
	assert_int_equal(crypto_box_seal_open(opened, (const unsigned char *)s,
					      len, pk, sk),
			 0);
	assert_memory_equal(opened, "world", 5);
}

static void test_box_does_not_open(void **state)
{
	run(*state,
	    "local open = sodium.crypto_box_seal_open\n"
	    "local ct = sodium.crypto_box_seal('hello world', pk)\n"
	    "local pk2, sk2 = sodium.crypto_box_keypair()\n"
	    "same(select('#', open(ct, pk2, sk2)), 1)\n"
	    "same(open(ct, pk2, sk2), nil)\n"
	    "same(open(ct, pk2, sk), nil)\n"
	    "same(open(ct, pk, sk2), nil)\n"
	    "same(open(ct, sk, pk), nil)\n"
	    "for i = 1, #ct do\n"
	    "  for bit = 0, 7 do\n"
	    /* An X25519 point has 255 bits: the last of 256 is ignored, but
	     * goes into the nonce. */
	    "    local c = string.char(ct:byte(i) ~ (1 << bit))\n"
	    "    same(open(ct:sub(1, i - 1) .. c .. ct:sub(i + 1), pk, sk),\n"
	    "      nil)\n"
	    "  end\n"
	    "end\n"
	    "for n = 48, #ct - 1 do same(open(ct:sub(1, n), pk, sk), nil) end\n"
	    "same(open(ct .. 'x', pk, sk), nil)\n"
	    "same(open(ct, ('\\0'):rep(32), sk), nil)\n"
	    "same(open(('\\0'):rep(59), pk, sk), nil)\n");
}

static void test_box_wrong_lengths(void **state)
{
	run(*state,
	    "local seal, open = sodium.crypto_box_seal,\n"
	    "  sodium.crypto_box_seal_open\n"
	    "local ct = seal('hello world', pk)\n"
	    "sized(2, 'pk', 32, function(k)\n"
	    "  return seal('', k) end)\n"
	    "sized(2, 'pk', 32, function(k)\n"
	    "  return open(ct, k, sk) end)\n"
	    "sized(3, 'sk', 32, function(k)\n"
	    "  return open(ct, pk, k) end)\n"
	    "for n = 0, 96 do\n"
	    "  local c = ('c'):rep(n)\n"
	    "  if n >= 48 then same(open(c, pk, sk), nil) else\n"
	    "    same(raised(open, c, pk, sk), ('bad argument #1 to '\n"
	    "      .. \"'sodium.crypto_box_seal_open' (ciphertext: at least 48 "
	    "\"\n"
	    "      .. 'bytes expected, got %d)'):format(n))\n"
	    "  end\n"
	    "end\n"
	    /* Of small order: a box for it would be everybody's. */
	    "for _, k in ipairs {('\\0'):rep(32), '\\1' .. ('\\0'):rep(31)} "
	    "do\n"
	    "  same(raised(seal, 'm', k), \"bad argument #2 to \"\n"
	    "    .. \"'sodium.crypto_box_seal' (pk: not a usable public "
	    "key)\")\n"
	    "end\n");
}

static void set_hex(lua_State *L, const char *name, const char *hex)
{
	lua_pushstring(L, hex);
	lua_setglobal(L, name);
}

static void test_sign_vectors(void **state)
{
	lua_State *L = *state;

	for (size_t i = 0; i < ARRAY_SIZE(ed25519_vectors); i++) {
		set_hex(L, "vseed", ed25519_vectors[i].seed);
		set_hex(L, "vpk", ed25519_vectors[i].pk);
		set_hex(L, "vm", ed25519_vectors[i].message);
		set_hex(L, "vsig", ed25519_vectors[i].signature);
		run(L, "local vpk, vm, vsig = bin(vpk), bin(vm), bin(vsig)\n"
		       "local vsk = bin(vseed) .. vpk\n"
		       "local sig = sodium.crypto_sign_detached(vm, vsk)\n"
		       "local verify = sodium.crypto_sign_verify_detached\n"
		       "same(hex(sig), hex(vsig))\n"
		       "same(verify(vsig, vm, vpk), true)\n"
		       /* That of TEST 2 ends in 0, as every Lua string does
			* behind its end: one that is read past its length
			* would be found good. */
		       "same(verify(vsig:sub(1, 63), vm, vpk), false)\n"
		       "same(verify(vsig, vm .. '\\0', vpk), false)\n"
		       "same(verify(vsig, vm, pk), false)\n");
	}
}

static void test_sign(void **state)
{
	run(*state,
	    "local sign, verify = sodium.crypto_sign_detached,\n"
	    "  sodium.crypto_sign_verify_detached\n"
	    "same(#spk, 32); same(#ssk, 64); same(ssk:sub(33), spk)\n"
	    "local spk2, ssk2 = sodium.crypto_sign_keypair()\n"
	    "assert(ssk2 ~= ssk)\n"
	    "for _, n in ipairs {0, 1, 1048576} do\n"
	    "  local m = n > 0 and sodium.randombytes(n) or ''\n"
	    "  local sig = sign(m, ssk)\n"
	    "  same(#sig, 64)\n"
	    "  same(verify(sig, m, spk), true)\n"
	    "  same(verify(sig, m, spk2), false)\n"
	    "  same(verify(sig, m .. 'x', spk), false)\n"
	    "end\n"
	    "local sig = sign('m', ssk)\n"
	    "for i = 1, 64 do for bit = 0, 7 do\n"
	    "  local c = string.char(sig:byte(i) ~ (1 << bit))\n"
	    "  same(verify(sig:sub(1, i - 1) .. c .. sig:sub(i + 1), 'm', "
	    "spk),\n"
	    "    false)\n"
	    "end end\n"
	    "same(verify(sign(1001, ssk), '1001', spk), true)\n"
	    "same(verify(sign('1001', ssk), 1001, spk), true)\n");
}

static void test_sign_wrong_lengths(void **state)
{
	run(*state,
	    "local sign, verify = sodium.crypto_sign_detached,\n"
	    "  sodium.crypto_sign_verify_detached\n"
	    "local sig = sign('m', ssk)\n"
	    "sized(2, 'sk', 64, function(k)\n"
	    "  return sign('m', k) end)\n"
	    "sized(3, 'pk', 32,\n"
	    "  function(k) return verify(sig, 'm', k) end)\n"
	    /* A wrong key raises even where the signature is wrong, too. */
	    "sized(3, 'pk', 32,\n"
	    "  function(k) return verify('', 'm', k) end)\n"
	    "for n = 0, 128 do\n"
	    "  same(verify((sig .. sig):sub(1, n), 'm', spk), n == 64)\n"
	    "end\n");
}

static void test_types(void **state)
{
	/* Each argument of each function, but the messages. */
	run(*state,
	    "local s = sodium\n"
	    "local calls = {\n"
	    "  {s.crypto_box_seal, 2, 'm', pk},\n"
	    "  {s.crypto_box_seal_open, 1, s.crypto_box_seal('', pk), pk, "
	    "sk},\n"
	    "  {s.crypto_box_seal_open, 2, s.crypto_box_seal('', pk), pk, "
	    "sk},\n"
	    "  {s.crypto_box_seal_open, 3, s.crypto_box_seal('', pk), pk, "
	    "sk},\n"
	    "  {s.crypto_scalarmult_base, 1, sk},\n"
	    "  {s.crypto_sign_detached, 2, 'm', ssk},\n"
	    "  {s.crypto_sign_verify_detached, 1, ('s'):rep(64), 'm', spk},\n"
	    "  {s.crypto_sign_verify_detached, 3, ('s'):rep(64), 'm', spk},\n"
	    "  {s.bin2hex, 1, ''}, {s.hex2bin, 1, ''},\n"
	    "}\n"
	    "for _, c in ipairs(calls) do\n"
	    "  local f, arg = c[1], c[2]\n"
	    "  local a = {c[3], c[4], c[5]}\n"
	    "  f(a[1], a[2], a[3])\n"
	    "  for _, v in ipairs {12, 1e31, true, {}, print, false} do\n"
	    "    a[arg] = v\n"
	    "    local e = raised(f, a[1], a[2], a[3])\n"
	    "    assert(e:find('bad argument #' .. arg, 1, true), e)\n"
	    "    assert(e:find('(string expected, got ' .. type(v), 1, true), "
	    "e)\n"
	    "  end\n"
	    "  a[arg] = nil\n"
	    "  assert(raised(f, a[1], a[2], a[3]):find('string expected'))\n"
	    "  assert(raised(f):find('string expected, got no value'))\n"
	    "end\n"
	    "for _, v in ipairs {true, {}, print} do\n"
	    "  for _, e in ipairs {raised(s.crypto_box_seal, v, pk),\n"
	    "      raised(s.crypto_sign_detached, v, ssk),\n"
	    "      raised(s.crypto_sign_verify_detached, '', v, spk)} do\n"
	    "    assert(e:find('string expected, got ' .. type(v)), e)\n"
	    "  end\n"
	    "end\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_open_leaves_the_table),
#define WITH_LUA(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
		WITH_LUA(test_hex),
		WITH_LUA(test_not_hex),
		WITH_LUA(test_randombytes),
		WITH_LUA(test_scalarmult_base),
		WITH_LUA(test_box_keypair),
		WITH_LUA(test_box_round_trip),
		WITH_LUA(test_box_is_libsodiums),
		WITH_LUA(test_box_does_not_open),
		WITH_LUA(test_box_wrong_lengths),
		WITH_LUA(test_sign_vectors),
		WITH_LUA(test_sign),
		WITH_LUA(test_sign_wrong_lengths),
		WITH_LUA(test_types),
	};

	return cmocka_run_group_tests_name("sodium_lib", tests, NULL, NULL);
}
