/* SPDX-License-Identifier: BSD-2-Clause */
#include "session_daemon.h"

#include <assert.h>
#include <lauxlib.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "daemon/instance.h"
#include "daemon/listener.h"
#include "daemon/session.h"
#include "io/sockaddr.h"
#include "lua/address_class.h"
#include "lua/vm.h"
#include "session_kernel.h"

#define FDS 100            /* more than an input can have open */
#define LUA_MEMORY 4194304 /* more than the script can hold */
#define LOOK 4096          /* inputs between two looks at memory */
#define TURN 0.001         /* seconds */

static struct instance instance;
static int servers[SESSION_SERVERS] = {-1, -1};
static int log_file;
static int home[SESSION_SERVERS]; /* descriptors of `servers` at first */
static bool open_before[FDS];     /* descriptors, before the input */
static unsigned n_checks;

/* Of the sanitizer, if there is one: looks for memory that nothing points to. */
__attribute__((weak)) int __lsan_do_recoverable_leak_check(void);

/* Spare transactions are poisoned, and each holds the pointer to the next. */
const char *__lsan_default_options(void);

const char *__lsan_default_options(void)
{
	return "use_poisoned=1";
}

/* Number 0 and 1 are the servers, 2 is the daemon; nobody listens on others. */
static const char *name_of(int number)
{
	static char name[64];

	snprintf(name, sizeof(name), "@qrelay-fuzz-%d-%d", (int)getpid(),
		 number);
	return name;
}

/* server(NUMBER) */
static int l_server(lua_State *L)
{
	lua_pushstring(L, name_of((int)luaL_checkinteger(L, 1)));
	return 1;
}

/* several(ADDRESS, ADDRESS): as if a host name had both */
static int l_several(lua_State *L)
{
	const struct address_list *a = address_class_test(L, 1);
	const struct address_list *b = address_class_test(L, 2);
	struct address_list *both;

	luaL_argcheck(L, a != NULL && b != NULL, 1, "addresses expected");
	both = lua_newuserdatauv(L, sizeof(*both) + 2 * sizeof(both->v[0]),
				 ADDRESS_CLASS_VALUES);
	both->n = 2;
	both->v[0] = a->v[0];
	both->v[1] = b->v[0];
	lua_getmetatable(L, 1);
	lua_setmetatable(L, -2);
	return 1;
}

static int add_functions(lua_State *L)
{
	lua_register(L, "server", l_server);
	lua_register(L, "several", l_several);
	return 0;
}

/* The log goes to a file in memory. */
static void redirect_log(void)
{
	log_file = memfd_create("log", MFD_CLOEXEC);
	assert(log_file >= 0);
	log_deinit(&instance.log);
	log_init(&instance.log, log_file);
}

static void on_started(EV_P_ ev_timer *w, int revents)
{
	(void)w, (void)revents;
	ev_break(EV_A, EVBREAK_ALL);
}

/* instance_run(), but that it returns. */
static void run(void)
{
	ev_timer at_once; /* never started: the clock stands still */

	ev_init(&at_once, on_started);
	ev_feed_event(instance.loop, &at_once, EV_TIMER);
	instance_run(&instance);
}

void session_daemon_start(void)
{
	if (instance.loop != NULL)
		return;
	assert(instance_init(&instance) == 0);
	/* these are for whoever runs the fuzzer */
	ev_signal_stop(instance.loop, &instance.sighup);
	ev_signal_stop(instance.loop, &instance.sigterm);
	ev_signal_stop(instance.loop, &instance.sigint);
	assert(vm_call(instance.vm, add_functions, NULL, 0) == LUA_OK);
	if (!instance_run_script(&instance, SESSION_SCRIPT) ||
	    !instance_listen(&instance)) {
		log_flush_wait(&instance.log, 1000);
		abort();
	}
	redirect_log();
	run();
	for (int n = 0; n < SESSION_SERVERS; n++) {
		session_daemon_listen(n, true);
		home[n] = servers[n];
	}
}

/* Which descriptors are open; libFuzzer may have opened some. */
static void look_at_descriptors(bool *ret_open)
{
	struct pollfd fds[FDS];

	for (int n = 0; n < FDS; n++)
		fds[n] = (struct pollfd){.fd = n};
	assert(poll(fds, FDS, 0) >= 0);
	for (int n = 0; n < FDS; n++)
		ret_open[n] = (fds[n].revents & POLLNVAL) == 0;
}

void session_daemon_begin(const struct session_limits *l)
{
	look_at_descriptors(open_before);
	instance.config.max_size = l->max_size;
	instance.config.max_recipients = l->max_recipients;
	instance.config.max_memory = l->max_memory;
	instance.config.max_connections = l->max_connections;
	instance.config.max_connections_per_uid = l->max_connections_per_uid;
}

const char *session_daemon_name(void)
{
	return name_of(2);
}

int session_daemon_server(int server)
{
	return servers[server];
}

void session_daemon_listen(int server, bool open)
{
	const char *name = name_of(server);
	struct socket_address a;

	if (open == (servers[server] >= 0))
		return;
	if (!open) {
		fd_close(&servers[server]);
		return;
	}
	assert(sockaddr_parse(name, strlen(name), &a) == 0);
	servers[server] =
		session_kernel_socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	assert(bind(servers[server], &a.sa, a.size) == 0);
	assert(listen(servers[server], 100) == 0);
}

void session_daemon_turn(void)
{
	session_kernel_pass(TURN);
	ev_run(instance.loop, EVRUN_NOWAIT);
}

void session_daemon_reload(void)
{
	ev_feed_event(instance.loop, &instance.sighup, EV_SIGNAL);
}

void session_daemon_stop(void)
{
	struct list *node, *next;

	for (node = instance.sessions.next; node != &instance.sessions;
	     node = next) {
		next = node->next;
		session_stop(container_of(node, struct session, node));
	}
}

void session_daemon_kill(void)
{
	struct list *node;

	while ((node = list_first(&instance.sessions)) != NULL)
		session_kill(container_of(node, struct session, node));
}

bool session_daemon_is_idle(void)
{
	const struct listener *l = &instance.listeners[0];
	struct pollfd waiting = {.fd = l->io.fd, .events = POLLIN};

	return list_empty(&instance.sessions) && !instance.script_running &&
	       ev_is_active(&l->io) && poll(&waiting, 1, 0) == 0;
}

/* Descriptors are given lowest first: so both get their first ones again. */
static void restore_servers(void)
{
	if (memcmp(servers, home, sizeof(home)) == 0)
		return;
	for (int n = 0; n < SESSION_SERVERS; n++)
		session_daemon_listen(n, false);
	for (int n = 0; n < SESSION_SERVERS; n++)
		session_daemon_listen(n, true);
	assert(memcmp(servers, home, sizeof(home)) == 0);
}

/* What no input leaves behind, as far as it is garbage by now. */
static void check_lua_memory(void)
{
	lua_gc(instance.vm->L, LUA_GCCOLLECT);
	assert(instance.vm->memory < LUA_MEMORY);
}

void session_daemon_check(void)
{
	bool open_now[FDS];

	assert(session_daemon_is_idle());
	assert(instance.clients.connections == 0 &&
	       instance.clients.bytes == 0);
	assert(list_empty(&instance.receiving.items) &&
	       list_empty(&instance.draining.items));
	assert(instance.blocks.n_used == 0);
	assert(instance.vm->running == NULL);
	assert(lua_gettop(instance.vm->L) == 0);
	restore_servers();
	look_at_descriptors(open_now);
	assert(memcmp(open_before, open_now, sizeof(open_now)) == 0);
	if (n_checks++ % LOOK == LOOK - 1) {
		check_lua_memory();
		if (__lsan_do_recoverable_leak_check != NULL)
			assert(__lsan_do_recoverable_leak_check() == 0);
	}
}

const char *session_daemon_log(size_t *ret_size)
{
	static char text[262144];
	ssize_t n;

	log_flush_wait(&instance.log, 0);
	n = pread(log_file, text, sizeof(text), 0);
	assert(n >= 0 && (size_t)n < sizeof(text));
	if (n > 0)
		assert(lseek(log_file, 0, SEEK_SET) == 0 &&
		       ftruncate(log_file, 0) == 0);
	*ret_size = (size_t)n;
	return text;
}
