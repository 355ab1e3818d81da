/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_FUZZ_SESSION_DAEMON_H
#define QRELAY_FUZZ_SESSION_DAEMON_H

/*
 * The daemon under test: a real instance with session.lua, that lives from input
 * to input, and the listening sockets of two servers.  Everything is on abstract
 * Unix sockets.
 */

#include <stdbool.h>
#include <stddef.h>

#define SESSION_SERVERS 2

struct session_limits {
	size_t max_size;
	size_t max_recipients;
	size_t max_memory;
	size_t max_connections;
	size_t max_connections_per_uid;
};

/* Starts it, once. */
void session_daemon_start(void);

/* A new input, with its limits; no session may be there. */
void session_daemon_begin(const struct session_limits *limits);

/* The abstract name it listens on. */
const char *session_daemon_name(void);

/* The listening socket of a server, -1 while it has none. */
int session_daemon_server(int server);

/* Opens or closes that.  Nobody may wait there. */
void session_daemon_listen(int server, bool open);

/* Turns the loop once, without waiting; time passes a little. */
void session_daemon_turn(void);

/* As by SIGHUP; as by the first SIGTERM, but that it goes on; when patience is
 * over. */
void session_daemon_reload(void);
void session_daemon_stop(void);
void session_daemon_kill(void);

/* Nobody is served, and nobody waits for that. */
bool session_daemon_is_idle(void);

/* Aborts unless all is as it was before the input. */
void session_daemon_check(void);

/* Takes what was logged since the last time: `size` bytes, good until the next
 * call. */
const char *session_daemon_log(size_t *ret_size);

#endif
