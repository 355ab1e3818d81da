/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_LUA_SODIUM_LIB_H
#define QRELAY_LUA_SODIUM_LIB_H

/*
 * The `sodium` table of the script: a few functions of libsodium, each with the
 * name and the order of arguments that it has there.
 *
 *     crypto_box_keypair()                      -> pk, sk
 *     crypto_box_seal(message, pk)              -> ciphertext
 *     crypto_box_seal_open(ciphertext, pk, sk)  -> message, or nil
 *     crypto_scalarmult_base(sk)                -> pk
 *     crypto_sign_keypair()                     -> pk, sk
 *     crypto_sign_detached(message, sk)         -> signature
 *     crypto_sign_verify_detached(signature, message, pk) -> boolean
 *     bin2hex(bytes)                            -> lower case text
 *     hex2bin(text)                             -> bytes, or nil
 *     randombytes(n)                            -> n bytes
 *
 * Types are strict: keys, ciphertexts, signatures and what the hex functions
 * take must be strings, and the n of randombytes a number.  Only a message may
 * also be a number, which stands for its text as elsewhere in Lua.
 *
 * Raised, naming the argument and what was expected: a wrong type, a key or a
 * ciphertext of a wrong length, a public key to which nothing can be sealed,
 * an n outside 1 ... LIMIT_RANDOMBYTES, memory that ran out.
 *
 * Not raised: a box that does not open and text that is not hex (an odd number
 * of digits included) are nil; a signature of a wrong length is false, as any
 * other that does not fit.
 *
 * Secrets: every buffer of this library is wiped (sodium_memzero) before the
 * function that filled it returns or raises; that goes for new secret keys,
 * opened messages, random bytes and both hex functions.  What Lua holds itself
 * cannot be wiped: the strings a script passes in and gets back (secret keys,
 * opened messages), copies it makes of them, and the freed memory of those that
 * were collected.  Nor can what the compiler left in registers.
 */

#include <lua.h>

#include "base/attr.h"

/*
 * Makes libsodium ready (sodium_init), once before the library is opened; more
 * calls do no harm.  Soon after boot it may wait for the kernel's random bytes.
 * Returns 0, or -EIO if there is no usable source of random bytes.
 */
MUSTCHECK int sodium_lib_init(void);

/*
 * A lua_CFunction: leaves the library's table on the stack and returns 1.  The
 * caller gives it its name.  luaL_requiref(L, "sodium", sodium_lib_open, 1)
 * does so and lets Lua name the function in every message, also under pcall.
 */
int sodium_lib_open(lua_State *L);

#endif
