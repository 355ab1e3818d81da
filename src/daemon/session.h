/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_DAEMON_SESSION_H
#define QRELAY_DAEMON_SESSION_H

/*
 * One client's connection: one mail is received, decided on, delivered and
 * answered.
 *
 *   RECEIVE --whole--> HANDLE --action--> DELIVER --verdict--+
 *      |                  |                                  |
 *      +----- bad input, timeout, script failed -------------+--> answer
 *                                                                   |
 *                     end <-- nothing more comes -- DRAIN <---------+
 *
 * session_enter() is the only way from one state to the next, session_answer()
 * the only place that answers, session_end() the only end.
 */

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/list.h"
#include "daemon/timeout_queue.h"
#include "io/peer.h"

struct client;
struct delivery;
struct departure;
struct instance;
struct listener;
struct socket_address;
struct transaction;
struct verdict;

enum session_state {
	SESSION_RECEIVE,
	SESSION_HANDLE,  /* the script decides */
	SESSION_DELIVER, /* somebody else takes it, or not */
	SESSION_DRAIN,   /* answered; what is still sent is thrown away */
};

struct session {
	struct instance *instance;   /* borrowed; struct spares' */
	struct listener *listener;   /* borrowed */
	struct client *client;       /* borrowed until it is removed there */
	struct list node;            /* in instance.sessions */
	struct timeout_item timeout; /* in receiving or draining */

	enum session_state state;
	bool over_read; /* more than the request was sent */
	bool refused;   /* one connection too many */
	int fd;         /* owned */
	ev_io io;
	double since;                  /* clock_now() of the connection */
	struct peer peer;              /* unknown on TCP */
	struct socket_address *remote; /* owned; NULL on Unix */
	size_t drained;                /* bytes */

	struct transaction *transaction; /* owned; NULL before the first byte */
};

/* Takes over `fd`, unless it fails: -errno.  `now` is clock_now(). */
MUSTCHECK int session_new(struct listener *l, int fd,
			  const struct socket_address *remote, double now);

/* The daemon stops: ends it unless a mail is under way. */
void session_stop(struct session *s);

/* The daemon's patience is over. */
void session_kill(struct session *s);

/* At the start and at the end of the instance. */
void session_init_spares(struct instance *i);
void session_free_spares(struct instance *i);

/* For instance.receiving and instance.draining. */
void session_on_receive_timeout(struct timeout_item *item);
void session_on_drain_timeout(struct timeout_item *item);

/* ---- among the session's own files ---- */

void session_enter(struct session *s, enum session_state state);

/*
 * Answers: the session may be gone afterwards, or drain.  `where` is the state in
 * which the mail failed, or NULL; `err` is -errno or 0.
 */
void session_answer(struct session *s, const struct verdict *v,
		    const char *where, int err);

/* The same with a text of ours. */
void session_refuse(struct session *s, char letter, const char *text,
		    const char *where);

/* Ends without an answer a mail that nobody waits for any more. */
void session_abandon(struct session *s, const char *where, const char *why);

void session_end(struct session *s);

/* The step its mail is at, for the log. */
const char *session_where(const struct session *s);

/* Whether a server has all of the mail, which cannot be taken back then. */
bool session_is_committed(const struct session *s);

/*
 * RECEIVE: makes room while more than max_memory is held.  Of the uid that holds
 * most, the stalest reception is refused; if it has none, the largest of its mails
 * that nobody has in full.  Returns false if `self` was the one, which may be gone.
 */
bool session_keep_memory_limit(struct session *self);

/* RECEIVE: reads what is there; `now` is clock_now().  The session may be gone
 * afterwards. */
void session_receive(struct session *s, double now);

/* DRAIN: throws away what is there.  The session may be gone afterwards. */
void session_drain(struct session *s);

/* HANDLE: asks the script.  The session may be gone afterwards. */
void session_handle(struct session *s);

/* A program that has the mail wrote a line to stderr. */
void session_on_stderr(struct delivery *d, const char *line, size_t size);

/* The mail was decided on: now it sets out. */
void session_on_departure(struct departure *d);

/* The message is not needed any more. */
void session_on_sent(struct delivery *d);

/* The handler has waited for too long. */
void session_on_deadline(EV_P_ ev_timer *w, int revents);

#endif
