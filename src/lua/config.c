/* SPDX-License-Identifier: BSD-2-Clause */
#include "lua/config.h"

#include <lauxlib.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/limits.h"
#include "lua/vm.h"

void config_init(struct config *c)
{
	*c = (struct config){
		.max_size = LIMIT_MAX_SIZE_DEFAULT,
		.max_recipients = LIMIT_MAX_RECIPIENTS_DEFAULT,
		.max_connections = LIMIT_MAX_CONNECTIONS_DEFAULT,
		.max_connections_per_uid = LIMIT_MAX_CONNECTIONS_DEFAULT / 4,
		.max_memory = LIMIT_MAX_MEMORY_DEFAULT,
		.receive_timeout = LIMIT_RECEIVE_TIMEOUT_DEFAULT,
		.handler_timeout = LIMIT_HANDLER_TIMEOUT_DEFAULT,
		.lua_memory = LIMIT_LUA_MEMORY_DEFAULT,
		.shutdown_timeout = LIMIT_SHUTDOWN_TIMEOUT_DEFAULT,
	};
}

void config_deinit(struct config *c)
{
	for (size_t i = 0; i < c->n_listeners; i++) {
		free(c->listeners[i].name);
		free(c->listeners[i].where);
	}
	free(c->listeners);
	free(c->directory);
	config_init(c);
}

struct listener_config *config_add_listener(struct config *c)
{
	struct listener_config *v = reallocarray(
		c->listeners, c->n_listeners + 1, sizeof(*c->listeners));

	if (v == NULL)
		return NULL;
	c->listeners = v;
	v[c->n_listeners] = (struct listener_config){.handler = LUA_NOREF};
	return &v[c->n_listeners++];
}

const char *listener_config_print(const struct listener_config *l, char *buf,
				  size_t size)
{
	if (!l->systemd)
		return sockaddr_print(&l->address, buf, size);
	if (l->name != NULL)
		snprintf(buf, size, "systemd:%s", l->name);
	else
		snprintf(buf, size, "systemd");
	return buf;
}

/* ---- globals ---- */

struct global {
	const char *name;
	size_t offset; /* in struct config */
	bool seconds;  /* a double; else a size_t */
	double min, max;
	const char *unit;
};

#define GLOBAL_SIZE(field, min, max, unit)                                    \
	{                                                                     \
#field, offsetof(struct config, field), false, (double)(min), \
			(double)(max), unit                                   \
	}
#define GLOBAL_SECONDS(field)                                              \
	{                                                                  \
#field, offsetof(struct config, field), true,              \
			LIMIT_DURATION_MIN, LIMIT_DURATION_MAX, " seconds" \
	}

static const struct global globals[] = {
	GLOBAL_SIZE(max_size, LIMIT_MAX_SIZE_MIN, LIMIT_MAX_SIZE_MAX, " bytes"),
	GLOBAL_SIZE(max_recipients, 1, LIMIT_MAX_RECIPIENTS_MAX, ""),
	GLOBAL_SIZE(max_connections, 1, LIMIT_MAX_CONNECTIONS_MAX, ""),
	GLOBAL_SIZE(max_connections_per_uid, 1, LIMIT_MAX_CONNECTIONS_MAX, ""),
	GLOBAL_SIZE(max_memory, LIMIT_MAX_MEMORY_MIN, LIMIT_MAX_MEMORY_MAX,
		    " bytes"),
	GLOBAL_SECONDS(receive_timeout),
	GLOBAL_SECONDS(handler_timeout),
	GLOBAL_SIZE(lua_memory, LIMIT_LUA_MEMORY_MIN, LIMIT_MAX_MEMORY_MAX,
		    " bytes"),
	GLOBAL_SECONDS(shutdown_timeout),
};

static void *field(struct config *c, const struct global *g)
{
	return (char *)c + g->offset;
}

void config_push_globals(lua_State *L)
{
	struct config c;

	config_init(&c);
	for (size_t i = 0; i < ARRAY_SIZE(globals); i++) {
		const struct global *g = &globals[i];
		void *p = field(&c, g);

		/* a quarter of what the script may still change */
		if (p == &c.max_connections_per_uid)
			continue;
		lua_pushinteger(L, g->seconds ? (lua_Integer) * (double *)p
					      : (lua_Integer) * (size_t *)p);
		lua_setglobal(L, g->name);
	}
}

static void read_global(lua_State *L, struct config *c, const struct global *g,
			const char *script)
{
	double value;

	if (lua_getglobal(L, g->name) == LUA_TNIL) {
		lua_pop(L, 1);
		return;
	}
	value = lua_type(L, -1) == LUA_TNUMBER ? lua_tonumber(L, -1) : -1.;
	if (!(value >= g->min && value <= g->max) ||
	    (!g->seconds && value != (double)(int64_t)value)) {
		const char *is = luaL_tolstring(L, -1, NULL);
		char range[96];

		snprintf(range, sizeof(range), "%s from %.15g to %.15g%s",
			 g->seconds ? "a number" : "an integer", g->min, g->max,
			 g->unit);
		lua_pushfstring(L, "%s: %s must be %s, not %s", script, g->name,
				range, is);
		lua_error(L);
	}
	lua_pop(L, 1);
	if (g->seconds)
		*(double *)field(c, g) = value;
	else
		*(size_t *)field(c, g) = (size_t)value;
}

static int read_globals(lua_State *L)
{
	const char *script = lua_touserdata(L, 1);
	struct config *c = vm_of(L)->config;

	c->max_connections_per_uid = 0;
	for (size_t i = 0; i < ARRAY_SIZE(globals); i++)
		read_global(L, c, &globals[i], script);
	if (c->max_connections_per_uid == 0)
		c->max_connections_per_uid =
			config_connections_per_uid(c->max_connections);
	if (c->max_memory == LIMIT_MAX_MEMORY_DEFAULT &&
	    c->max_memory < c->max_size)
		c->max_memory = c->max_size;
	if (c->max_memory < c->max_size) {
		lua_pushfstring(L,
				"%s: max_memory (%I bytes) must not be below "
				"max_size (%I bytes)",
				script, (LUAI_UACINT)c->max_memory,
				(LUAI_UACINT)c->max_size);
		return lua_error(L);
	}
	lua_gc(L, LUA_GCCOLLECT);
	if (c->lua_memory < vm_of(L)->memory) {
		lua_pushfstring(L,
				"%s: lua_memory (%I bytes) is less than the "
				"script holds already (%I bytes)",
				script, (LUAI_UACINT)c->lua_memory,
				(LUAI_UACINT)vm_of(L)->memory);
		return lua_error(L);
	}
	return 0;
}

int config_read_globals(struct vm *vm, const char *script)
{
	int r = vm_call(vm, read_globals, (void *)script, 0);

	if (r != LUA_OK)
		return r;
	vm->config->sealed = true;
	return vm_set_limits(vm, vm->config->lua_memory,
			     vm->config->handler_timeout);
}
