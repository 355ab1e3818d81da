/* SPDX-License-Identifier: BSD-2-Clause */
#include "lua/mail_class.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "lua/action_class.h"
#include "lua/cgroup_class.h"
#include "lua/class.h"
#include "proto/address.h"
#include "proto/mail.h"

#define CLASS "qrelay.mail"

/* For the log only. */
#define ACCOUNT_MAX 255

void mail_context_init(struct mail_context *m, struct mail *mail,
		       const struct peer *peer,
		       const struct socket_address *remote, int fd)
{
	*m = (struct mail_context){
		.mail = mail, .peer = peer, .remote = remote, .fd = fd};
	list_init(&m->closers);
}

void mail_context_close(struct mail_context *m)
{
	while (!list_empty(&m->closers)) {
		struct list *last = m->closers.prev;

		list_remove(last);
		struct mail_closer *c =
			container_of(last, struct mail_closer, node);
		c->close(c);
	}
	if (m->object != NULL)
		*m->object = NULL;
	m->object = NULL;
}

void mail_context_deinit(struct mail_context *m)
{
	mail_context_close(m);
	free(m->account);
	m->account = NULL;
}

void mail_class_push(lua_State *L, struct mail_context *m)
{
	/* NOLINTNEXTLINE(bugprone-sizeof-expression): it holds a pointer */
	struct mail_context **object = lua_newuserdatauv(L, sizeof(*object), 1);

	*object = NULL;
	class_set(L, CLASS_MAIL);
	*object = m;
	m->object = object;
}

struct mail_context *mail_class_check(lua_State *L, int index)
{
	struct mail_context **object = class_check(L, index, CLASS_MAIL);

	if (*object == NULL)
		luaL_error(L, "stale object");
	return *object;
}

static int l_gc(lua_State *L)
{
	struct mail_context **object = class_check(L, 1, CLASS_MAIL);

	if (*object != NULL)
		(*object)->object = NULL;
	*object = NULL;
	return 0;
}

/* ---- attributes ---- */

static int get_sender(lua_State *L, struct mail_context *m)
{
	const struct buffer *sender = &m->mail->sender;

	lua_pushlstring(L, sender->data ? sender->data : "", sender->size);
	return 1;
}

static int get_recipients(lua_State *L, struct mail_context *m)
{
	size_t at = 0, size;
	const char *recipient;

	lua_createtable(L, (int)m->mail->n_recipients, 0);
	for (int i = 1;
	     (recipient = mail_recipient(m->mail, &at, &size)) != NULL; i++) {
		lua_pushlstring(L, recipient, size);
		lua_rawseti(L, -2, i);
	}
	return 1;
}

static int get_pid(lua_State *L, struct mail_context *m)
{
	if (m->peer->known && m->peer->pid != 0)
		lua_pushinteger(L, m->peer->pid);
	else
		lua_pushnil(L);
	return 1;
}

static int get_uid(lua_State *L, struct mail_context *m)
{
	if (m->peer->known)
		lua_pushinteger(L, m->peer->uid);
	else
		lua_pushnil(L);
	return 1;
}

static int get_gid(lua_State *L, struct mail_context *m)
{
	if (m->peer->known)
		lua_pushinteger(L, m->peer->gid);
	else
		lua_pushnil(L);
	return 1;
}

static int get_remote(lua_State *L, struct mail_context *m)
{
	char text[SOCKADDR_TEXT_MAX];

	if (m->remote != NULL)
		lua_pushstring(L,
			       sockaddr_print(m->remote, text, sizeof(text)));
	else
		lua_pushnil(L);
	return 1;
}

static int get_account(lua_State *L, struct mail_context *m)
{
	lua_pushstring(L, m->account);
	return 1;
}

static int get_size(lua_State *L, struct mail_context *m)
{
	lua_pushinteger(L, (lua_Integer)m->mail->message_size);
	return 1;
}

static int set_sender(lua_State *L, struct mail_context *m)
{
	size_t size;
	const char *s;

	if (lua_type(L, 3) != LUA_TSTRING)
		return luaL_error(L, "sender must be a string, not a %s",
				  luaL_typename(L, 3));
	s = lua_tolstring(L, 3, &size);
	if (!address_is_sender(s, size))
		return luaL_error(L, "bad sender address '%s'", s);
	if (mail_set_sender(m->mail, s, size) < 0)
		return luaL_error(L, "not enough memory");
	return 0;
}

static int set_account(lua_State *L, struct mail_context *m)
{
	const char *s = NULL;
	char *copy = NULL;
	size_t size = 0;

	if (!lua_isnil(L, 3)) {
		if (!lua_isstring(L, 3))
			return luaL_error(
				L, "account must be a string or nil, not a %s",
				luaL_typename(L, 3));
		s = lua_tolstring(L, 3, &size);
		if (size > ACCOUNT_MAX || strlen(s) != size)
			return luaL_error(L,
					  "account must have at most %d bytes, "
					  "none of them NUL",
					  ACCOUNT_MAX);
		copy = strdup(s);
		if (copy == NULL)
			return luaL_error(L, "not enough memory");
	}
	free(m->account);
	m->account = copy;
	return 0;
}

/* ---- methods ---- */

/* insert_header(NAME, VALUE); a number, or what has __tostring, is a value too. */
static int l_insert_header(lua_State *L)
{
	struct mail_context *m;
	size_t name_size, value_size;
	const char *name, *value;
	enum mail_header_error e;

	mail_class_check(L, 1);
	if (lua_type(L, 2) != LUA_TSTRING)
		return luaL_error(
			L, "insert_header: the name must be a string, not a %s",
			luaL_typename(L, 2));
	name = lua_tolstring(L, 2, &name_size);
	if (!lua_isstring(L, 3) &&
	    luaL_getmetafield(L, 3, "__tostring") == LUA_TNIL)
		return luaL_error(L,
				  "insert_header: the value of '%s' must be a "
				  "string, not a %s",
				  name, luaL_typename(L, 3));
	value = luaL_tolstring(L, 3, &value_size);
	/* __tostring may have kept the mail for long enough */
	m = mail_class_check(L, 1);
	e = mail_insert_header(m->mail, name, name_size, value, value_size);
	if (e != MAIL_HEADER_OK)
		return luaL_error(L, "insert_header: '%s': %s", name,
				  mail_header_strerror(e));
	return 0;
}

/* The actions know nothing of the mail, but a stale one must not make any. */
static int l_connect(lua_State *L)
{
	mail_class_check(L, 1);
	return action_class_connect(L);
}

static int l_discard(lua_State *L)
{
	mail_class_check(L, 1);
	return action_class_discard(L);
}

static int l_reject(lua_State *L)
{
	mail_class_check(L, 1);
	return action_class_reject(L);
}

static int l_defer(lua_State *L)
{
	mail_class_check(L, 1);
	return action_class_defer(L);
}

static int l_exec(lua_State *L)
{
	mail_class_check(L, 1);
	return action_class_exec(L);
}

static int l_exec_raw(lua_State *L)
{
	mail_class_check(L, 1);
	return action_class_exec_raw(L);
}

/* ---- the class ---- */

static const struct attribute {
	const char *name;
	int (*get)(lua_State *L, struct mail_context *m);
	int (*set)(lua_State *L, struct mail_context *m); /* value at 3 */
} attributes[] = {
	{"sender", get_sender, set_sender},
	{"recipients", get_recipients, NULL},
	{"uid", get_uid, NULL},
	{"pid", get_pid, NULL},
	{"gid", get_gid, NULL},
	{"cgroup", cgroup_class_push, NULL},
	{"size", get_size, NULL},
	{"account", get_account, set_account},
	{"remote", get_remote, NULL},
};

/* The one named by the value at 2, or NULL. */
static const struct attribute *find_attribute(lua_State *L)
{
	const char *name;
	size_t size;

	if (lua_type(L, 2) != LUA_TSTRING)
		return NULL;
	name = lua_tolstring(L, 2, &size);
	for (size_t i = 0; i < ARRAY_SIZE(attributes); i++)
		/* the name may hold a NUL byte: then it is another one */
		if (strcmp(attributes[i].name, name) == 0 &&
		    strlen(name) == size)
			return &attributes[i];
	return NULL;
}

/* Upvalue 1: the table of methods. */
static int l_index(lua_State *L)
{
	struct mail_context *m = mail_class_check(L, 1);
	const struct attribute *a;

	lua_pushvalue(L, 2);
	if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL)
		return 1;
	a = find_attribute(L);
	if (a == NULL)
		return luaL_error(L, "a mail has no attribute '%s'",
				  luaL_tolstring(L, 2, NULL));
	return a->get(L, m);
}

static int l_newindex(lua_State *L)
{
	struct mail_context *m = mail_class_check(L, 1);
	const struct attribute *a = find_attribute(L);

	if (a == NULL)
		return luaL_error(L, "a mail has no attribute '%s'",
				  luaL_tolstring(L, 2, NULL));
	if (a->set == NULL)
		return luaL_error(L, "attribute '%s' is read-only", a->name);
	return a->set(L, m);
}

static int l_tostring(lua_State *L)
{
	mail_class_check(L, 1);
	lua_pushliteral(L, "mail");
	return 1;
}

void mail_class_open(lua_State *L)
{
	static const luaL_Reg methods[] = {
		{"insert_header", l_insert_header},
		{"connect", l_connect},
		{"discard", l_discard},
		{"reject", l_reject},
		{"defer", l_defer},
		{"exec", l_exec},
		{"exec_raw", l_exec_raw},
		{NULL, NULL},
	};
	static const luaL_Reg metamethods[] = {
		{"__newindex", l_newindex},
		{"__tostring", l_tostring},
		{"__gc", l_gc},
		{NULL, NULL},
	};

	luaL_newmetatable(L, CLASS);
	luaL_setfuncs(L, metamethods, 0);
	luaL_newlib(L, methods);
	lua_pushcclosure(L, l_index, 1);
	lua_setfield(L, -2, "__index");
	lua_pushliteral(L, "mail");
	lua_setfield(L, -2, "__name");
	lua_pushboolean(L, 0);
	lua_setfield(L, -2, "__metatable");
	class_register(L, CLASS_MAIL);
}
