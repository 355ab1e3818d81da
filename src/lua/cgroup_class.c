/* SPDX-License-Identifier: BSD-2-Clause */
#include "lua/cgroup_class.h"

#include <lauxlib.h>
#include <string.h>

#include "base/attr.h"
#include "base/list.h"
#include "io/cgroup.h"
#include "io/cgroup_mount.h"
#include "io/cgroup_peer.h"
#include "lua/mail_class.h"
#include "lua/xattr_class.h"

#define CLASS "qrelay.cgroup"
#define SET_CLASS "qrelay.cgroup_set"
#define MOUNT "qrelay.cgroup_mount" /* the class, and the one object's key */

/*
 * The groups of one mail, and the directory that they share.  It is let go with
 * the mail, whoever still refers to it.
 */
struct set {
	struct mail_closer closer;
	struct list groups; /* of struct object */
	struct cgroup_dir dir;
};

/* User values of the set: whether it was looked for, and what was found. */
enum { SET_CLIENT = 1, SET_VALUES = SET_CLIENT };

struct object {
	struct list node;    /* in set.groups; unlinked when stale */
	struct cgroup group; /* empty when stale */
};

enum { OBJECT_SET = 1, OBJECT_PARENT, OBJECT_XATTR, OBJECT_VALUES = 3 };

/* ---- life ---- */

static void object_close(struct object *o)
{
	list_remove(&o->node);
	cgroup_deinit(&o->group);
}

static void set_close(struct mail_closer *closer)
{
	struct set *s = container_of(closer, struct set, closer);

	while (!list_empty(&s->groups))
		object_close(container_of(list_first(&s->groups), struct object,
					  node));
	cgroup_dir_close(&s->dir);
}

static int l_object_gc(lua_State *L)
{
	object_close(luaL_checkudata(L, 1, CLASS));
	return 0;
}

static int l_set_gc(lua_State *L)
{
	struct set *s = luaL_checkudata(L, 1, SET_CLASS);

	list_remove(&s->closer.node);
	set_close(&s->closer);
	return 0;
}

static int l_mount_gc(lua_State *L)
{
	cgroup_mount_deinit(luaL_checkudata(L, 1, MOUNT));
	return 0;
}

/* Leaves the set of the mail at index 1 on the stack. */
static struct set *push_set(lua_State *L, struct mail_context *m)
{
	struct set *s;

	if (lua_getiuservalue(L, 1, 1) == LUA_TUSERDATA)
		return lua_touserdata(L, -1);
	lua_pop(L, 1);

	s = lua_newuserdatauv(L, sizeof(*s), SET_VALUES);
	s->closer.close = set_close;
	list_init(&s->closer.node);
	list_init(&s->groups);
	s->dir = CGROUP_DIR_EMPTY;
	luaL_setmetatable(L, SET_CLASS);
	list_append(&m->closers, &s->closer.node);
	lua_pushvalue(L, -1);
	lua_setiuservalue(L, 1, 1);
	return s;
}

/* Pushes an empty group that belongs to the set at `index`. */
static struct object *push_object(lua_State *L, int index)
{
	struct object *o;

	index = lua_absindex(L, index);
	o = lua_newuserdatauv(L, sizeof(*o), OBJECT_VALUES);
	list_init(&o->node);
	o->group = CGROUP_EMPTY;
	luaL_setmetatable(L, CLASS);
	lua_pushvalue(L, index);
	lua_setiuservalue(L, -2, OBJECT_SET);
	return o;
}

static struct cgroup_mount *get_mount(lua_State *L)
{
	struct cgroup_mount *mount;

	lua_getfield(L, LUA_REGISTRYINDEX, MOUNT "*");
	mount = lua_touserdata(L, -1);
	lua_pop(L, 1); /* the registry keeps it */
	return mount;
}

/* ---- the client's group ---- */

/* Leaves the group, or false if there is none, on the stack. */
static void find_client(lua_State *L, struct mail_context *m, struct set *s)
{
	int set = lua_gettop(L);
	const char *reason;
	struct object *o = push_object(L, set);
	int r;

	r = cgroup_peer_find(m->fd, get_mount(L), &s->dir, &o->group, &reason);
	if (r < 0)
		luaL_error(L, "cgroup: %s", reason);
	if (r == 0) {
		lua_pop(L, 1);
		lua_pushboolean(L, 0);
	} else {
		list_append(&s->groups, &o->node);
	}
	lua_pushvalue(L, -1);
	lua_setiuservalue(L, set, SET_CLIENT);
}

int cgroup_class_push(lua_State *L, struct mail_context *m)
{
	struct set *s;

	if (!m->peer->known) {
		lua_pushnil(L);
		return 1;
	}
	s = push_set(L, m);
	if (lua_getiuservalue(L, -1, SET_CLIENT) == LUA_TNIL) {
		lua_pop(L, 1);
		find_client(L, m, s);
	}
	if (lua_isboolean(L, -1))
		lua_pushnil(L);
	return 1;
}

/* ---- fields ---- */

struct cgroup *cgroup_class_check(lua_State *L, int index)
{
	struct object *o = luaL_checkudata(L, index, CLASS);

	if (o->group.path == NULL)
		luaL_error(L, "stale object");
	return &o->group;
}

int cgroup_class_error(lua_State *L, const struct cgroup *c, const char *reason)
{
	return luaL_error(L, "cgroup '%s': %s", c->path, reason);
}

static int get_path(lua_State *L, struct cgroup *c)
{
	lua_pushstring(L, c->path);
	return 1;
}

static int get_uid(lua_State *L, struct cgroup *c)
{
	const char *reason;
	uid_t uid;

	if (cgroup_uid(c, &uid, &reason) < 0)
		return cgroup_class_error(L, c, reason);
	lua_pushinteger(L, uid);
	return 1;
}

static int get_xattr(lua_State *L, struct cgroup *c)
{
	(void)c;
	if (lua_getiuservalue(L, 1, OBJECT_XATTR) != LUA_TNIL)
		return 1;
	xattr_class_push(L, 1);
	lua_pushvalue(L, -1);
	lua_setiuservalue(L, 1, OBJECT_XATTR);
	return 1;
}

static int get_parent(lua_State *L, struct cgroup *c)
{
	const char *reason;
	struct object *o;
	struct set *s;
	int r;

	switch (lua_getiuservalue(L, 1, OBJECT_PARENT)) {
	case LUA_TUSERDATA:
		return 1;
	case LUA_TBOOLEAN:
		lua_pushnil(L);
		return 1;
	}
	lua_getiuservalue(L, 1, OBJECT_SET);
	s = lua_touserdata(L, -1);
	o = push_object(L, -1);
	r = cgroup_parent(c, &o->group, &reason);
	if (r < 0)
		return cgroup_class_error(L, c, reason);
	if (r == 0) {
		lua_pushboolean(L, 0);
		lua_setiuservalue(L, 1, OBJECT_PARENT);
		lua_pushnil(L);
		return 1;
	}
	list_append(&s->groups, &o->node);
	lua_pushvalue(L, -1);
	lua_setiuservalue(L, 1, OBJECT_PARENT);
	return 1;
}

static const struct field {
	const char *name;
	int (*get)(lua_State *L, struct cgroup *c); /* the object at 1 */
} fields[] = {
	{"path", get_path},
	{"xattr", get_xattr},
	{"parent", get_parent},
	{"uid", get_uid},
};

static int l_index(lua_State *L)
{
	struct cgroup *c = cgroup_class_check(L, 1);
	const char *name;

	if (lua_type(L, 2) != LUA_TSTRING)
		return 0;
	name = lua_tostring(L, 2);
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		if (strcmp(fields[i].name, name) == 0)
			return fields[i].get(L, c);
	return 0;
}

static int l_newindex(lua_State *L)
{
	return luaL_error(L, "a cgroup is read-only");
}

static int l_tostring(lua_State *L)
{
	return get_path(L, cgroup_class_check(L, 1));
}

/* ---- the class ---- */

static void open_closing(lua_State *L, const char *name, lua_CFunction gc)
{
	luaL_newmetatable(L, name);
	lua_pushcfunction(L, gc);
	lua_setfield(L, -2, "__gc");
	lua_pop(L, 1);
}

void cgroup_class_open(lua_State *L)
{
	static const luaL_Reg metamethods[] = {
		{"__index", l_index},
		{"__newindex", l_newindex},
		{"__tostring", l_tostring},
		{"__gc", l_object_gc},
		{NULL, NULL},
	};

	luaL_newmetatable(L, CLASS);
	luaL_setfuncs(L, metamethods, 0);
	lua_pushliteral(L, "cgroup");
	lua_setfield(L, -2, "__name");
	lua_pushboolean(L, 0);
	lua_setfield(L, -2, "__metatable");
	lua_pop(L, 1);

	open_closing(L, SET_CLASS, l_set_gc);
	open_closing(L, MOUNT, l_mount_gc);
	cgroup_mount_init(lua_newuserdatauv(L, sizeof(struct cgroup_mount), 0));
	luaL_setmetatable(L, MOUNT);
	lua_setfield(L, LUA_REGISTRYINDEX, MOUNT "*");
}
