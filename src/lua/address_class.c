/* SPDX-License-Identifier: BSD-2-Clause */
#include "lua/address_class.h"

#include <errno.h>
#include <lauxlib.h>
#include <string.h>

#include "base/attr.h"
#include "base/limits.h"
#include "io/resolver.h"
#include "lua/class.h"
#include "lua/coro.h"
#include "lua/vm.h"

#define CLASS "qrelay.address"

/* A look-up that a coroutine waits for. */
struct lookup {
	struct resolver_query query;
	struct coro *coro;
	int err;
};

static const struct address_list *push(lua_State *L,
				       const struct socket_address *v, size_t n)
{
	struct address_list *a;

	a = lua_newuserdatauv(L, sizeof(*a) + n * sizeof(a->v[0]),
			      ADDRESS_CLASS_VALUES);
	a->n = n;
	for (size_t i = 0; i < n; i++) {
		a->v[i].address = v[i];
		sockaddr_print(&v[i], a->v[i].text, sizeof(a->v[i].text));
	}
	class_set(L, CLASS_ADDRESS);
	return a;
}

const struct address_list *address_class_test(lua_State *L, int index)
{
	return class_test(L, index, CLASS_ADDRESS);
}

/* Raises; `s` is what the script wrote. */
static int bad_address(lua_State *L, const char *s, int err)
{
	switch (err) {
	case -ENAMETOOLONG:
		return luaL_error(
			L,
			"address '%s' is too long for a socket "
			"(at most %d bytes)",
			s,
			(int)sizeof(((struct sockaddr_un *)0)->sun_path) - 1);
	case -ERANGE:
		return luaL_error(L,
				  "address '%s': the port must be from 1 to "
				  "65535",
				  s);
	case -ENODEV:
		return luaL_error(L, "address '%s': no such network interface",
				  s);
	}
	return luaL_error(L,
			  "malformed address '%s': expected IP, IP:PORT, "
			  "[IPV6]:PORT, /PATH or @NAME",
			  s);
}

const struct address_list *address_class_parse(lua_State *L, int index)
{
	char host[254];
	struct socket_address a;
	unsigned port;
	size_t size;
	const char *s = lua_tolstring(L, index, &size);
	int r = sockaddr_parse(s, size, &a);

	if (r == -EINVAL && sockaddr_split_host(s, size, host, &port) == 0)
		luaL_error(L,
			   "'%s' is not a numeric address: give host names to "
			   "qmqp_resolve() when the script starts",
			   s);
	if (r < 0)
		bad_address(L, s, r);
	return push(L, &a, 1);
}

static void on_resolved(struct resolver_query *q, int err)
{
	struct lookup *l = container_of(q, struct lookup, query);

	l->err = err;
	coro_resume(l->coro);
}

static void cancel(void *context)
{
	struct lookup *l = context;

	resolver_query_deinit(&l->query);
}

static int resolved(lua_State *L, int status, lua_KContext context)
{
	struct lookup *l = (struct lookup *)context;
	const char *s = lua_tostring(L, 1);

	(void)status;
	if (l->err == -ETIMEDOUT)
		return luaL_error(L,
				  "cannot resolve '%s': no answer within %d "
				  "seconds",
				  s, LIMIT_RESOLVE_TIME);
	if (l->err < 0)
		return luaL_error(L, "cannot resolve '%s': %s", s,
				  l->query.message ? l->query.message
						   : strerror(-l->err));
	push(L, l->query.addresses, l->query.n_addresses);
	resolver_query_deinit(&l->query);
	return 1;
}

static int lookup_gc(lua_State *L)
{
	struct lookup *l = lua_touserdata(L, 1);

	resolver_query_deinit(&l->query);
	return 0;
}

/* qmqp_resolve(STRING): waits only for a host name. */
static int l_resolve(lua_State *L)
{
	struct socket_address a;
	char host[254];
	unsigned port;
	size_t size;
	const char *s = luaL_checklstring(L, 1, &size);
	struct vm *vm = vm_of(L);
	struct lookup *l;
	struct coro *c;
	int r;

	lua_settop(L, 1);
	r = sockaddr_parse(s, size, &a);
	if (r == 0) {
		push(L, &a, 1);
		return 1;
	}
	if (r != -EINVAL)
		return bad_address(L, s, r);
	r = sockaddr_split_host(s, size, host, &port);
	if (r < 0)
		return bad_address(L, s, r);

	c = coro_current(L);
	l = lua_newuserdatauv(L, sizeof(*l), 0);
	resolver_query_init(&l->query, vm->resolver);
	l->coro = c;
	luaL_setmetatable(L, CLASS ".lookup");
	r = resolver_query_start(&l->query, host, port, LIMIT_RESOLVE_TIME,
				 on_resolved);
	if (r < 0)
		return luaL_error(L, "cannot resolve '%s': %s", s,
				  strerror(-r));
	return coro_wait(L, c, cancel, l, resolved);
}

/* What connect() would take: of several addresses the first. */
static int l_tostring(lua_State *L)
{
	const struct address_list *a = class_check(L, 1, CLASS_ADDRESS);

	lua_pushstring(L, a->v[0].text);
	return 1;
}

static int l_eq(lua_State *L)
{
	const struct address_list *a = class_test(L, 1, CLASS_ADDRESS);
	const struct address_list *b = class_test(L, 2, CLASS_ADDRESS);
	bool same = a != NULL && b != NULL && a->n == b->n;

	for (size_t i = 0; same && i < a->n; i++)
		same = sockaddr_equal(&a->v[i].address, &b->v[i].address);
	lua_pushboolean(L, same);
	return 1;
}

void address_class_open(lua_State *L)
{
	static const luaL_Reg metamethods[] = {
		{"__tostring", l_tostring},
		{"__eq", l_eq},
		{NULL, NULL},
	};

	luaL_newmetatable(L, CLASS);
	luaL_setfuncs(L, metamethods, 0);
	lua_pushliteral(L, "address");
	lua_setfield(L, -2, "__name");
	lua_pushboolean(L, 0);
	lua_setfield(L, -2, "__metatable");
	class_register(L, CLASS_ADDRESS);

	luaL_newmetatable(L, CLASS ".lookup");
	lua_pushcfunction(L, lookup_gc);
	lua_setfield(L, -2, "__gc");
	lua_pop(L, 1);

	lua_register(L, "qmqp_resolve", l_resolve);
}
