/* SPDX-License-Identifier: BSD-2-Clause */
#include "db/pg_conn.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/attr.h"
#include "db/pg_conninfo.h"

/* A connection that lived shorter than this counts as a failed attempt: else a
 * server that takes and drops it would keep us busy. */
#define STABLE 1.

static void begin_connect(struct pg_conn *c);

static void set_timer(struct pg_conn *c, double seconds)
{
	ev_timer_stop(c->loop, &c->timer);
	if (seconds < 0)
		seconds = 0;
	c->timer_at = ev_now(c->loop) + seconds;
	ev_timer_set(&c->timer, seconds, 0.);
	ev_timer_start(c->loop, &c->timer);
}

void pg_conn_arm(struct pg_conn *c)
{
	const struct pg_query *oldest;
	ev_tstamp at;

	if (c->state != PG_CONN_READY)
		return;
	if (c->n_sent > 0) {
		oldest = container_of(c->sent.next, struct pg_query, node);
		at = oldest->due + LIMIT_PG_OVERDUE;
	} else if (c->exclusive && (!c->in_use || c->pinged)) {
		at = ev_now(c->loop) + LIMIT_PG_IDLE;
	} else {
		return; /* a timer that runs finds nothing to do */
	}
	/* most queries have the same time: a late timer is set anew when it
	 * fires, and costs nothing before */
	if (!ev_is_active(&c->timer) || at < c->timer_at)
		set_timer(c, at - ev_now(c->loop));
}

/* libpq may have taken another socket: forget what was known of the old one. */
static void watch_socket(struct pg_conn *c, int events)
{
	ev_io_stop(c->loop, &c->io);
	ev_io_set(&c->io, PQsocket(c->pq), events);
	ev_io_start(c->loop, &c->io);
}

void pg_conn_watch(struct pg_conn *c)
{
	int events = c->paused ? 0 : EV_READ;

	c->flushing = PQflush(c->pq) > 0;
	if (c->flushing)
		events |= EV_WRITE;
	if ((c->io.events & (EV_READ | EV_WRITE)) == events &&
	    ev_is_active(&c->io))
		return;
	if (PQsocket(c->pq) < 0 || events == 0)
		ev_io_stop(c->loop, &c->io);
	else
		watch_socket(c, events);
}

/* Gives everything back; the server learns of it by the end of the stream. */
static void release(struct pg_conn *c)
{
	ev_timer_stop(c->loop, &c->timer);
	ev_io_stop(c->loop, &c->io);
	pg_lookup_deinit(&c->lookup);
	pg_statements_clear(&c->statements);
	if (c->pq != NULL)
		PQfinish(c->pq);
	c->pq = NULL;
	c->state = PG_CONN_CLOSED;
	c->retired = c->flushing = c->in_row = false;
	c->swallowed = 0;
}

static struct pg_query *take_first(struct pg_conn *c)
{
	struct list *node = list_first(&c->sent);

	if (node == NULL)
		return NULL;
	list_remove(node);
	c->n_sent--;
	return container_of(node, struct pg_query, node);
}

static void fail_all(struct pg_conn *c)
{
	struct pg_query *q;

	while ((q = take_first(c)) != NULL) {
		pg_query_fail(q, NULL, "%s", c->error);
		q->lost = true;
		q->sent = false;
		c->events->on_query(c, q);
	}
}

static void schedule_attempt(struct pg_conn *c, bool at_once)
{
	if (at_once)
		c->backoff = 0;
	else if (c->backoff == 0)
		c->backoff = LIMIT_PG_BACKOFF_MIN;
	else if (c->backoff < LIMIT_PG_BACKOFF_MAX / 2.)
		c->backoff *= 2;
	else
		c->backoff = LIMIT_PG_BACKOFF_MAX;
	c->next_attempt = ev_now(c->loop) + c->backoff;
}

static void close_with(struct pg_conn *c, bool clean)
{
	bool stable = c->state == PG_CONN_READY &&
		      ev_now(c->loop) - c->ready_at >= STABLE;

	schedule_attempt(c, clean || stable);
	release(c);
	fail_all(c);
	c->events->on_closed(c);
}

void pg_conn_close_clean(struct pg_conn *c, const char *why)
{
	snprintf(c->error, sizeof(c->error), "%s", why);
	close_with(c, true);
}

void pg_conn_close(struct pg_conn *c, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(c->error, sizeof(c->error), format, ap);
	va_end(ap);
	close_with(c, false);
}

void pg_conn_close_by_libpq(struct pg_conn *c, bool began)
{
	char message[LIMIT_PG_MESSAGE];

	pg_conninfo_message(c->options->conninfo, c->pq, began, message,
			    sizeof(message));
	pg_conn_close(c, "%s", message);
}

static void on_connected(struct pg_conn *c)
{
	PQsetnonblocking(c->pq, 1);
	c->setup = 0;
	ev_io_stop(c->loop, &c->io);
	watch_socket(c, EV_READ);
	pg_conn_setup_next(c);
}

static void poll_connect(struct pg_conn *c, PostgresPollingStatusType status)
{
	switch (status) {
	case PGRES_POLLING_READING:
	case PGRES_POLLING_WRITING:
		if (PQsocket(c->pq) >= 0) {
			watch_socket(c, status == PGRES_POLLING_READING
						? EV_READ
						: EV_WRITE);
			return;
		}
		break;
	case PGRES_POLLING_OK:
		on_connected(c);
		return;
	default:
		break;
	}
	pg_conn_close_by_libpq(c, true);
}

static void ignore_notice(void *arg, const PGresult *res)
{
	(void)arg, (void)res;
}

static void begin_connect(struct pg_conn *c)
{
	if (pg_lookup_print(&c->lookup, c->first) == 0)
		c->pq = pg_conninfo_connect(
			c->options->conninfo, c->lookup.hosts.data,
			c->lookup.addresses.data, c->lookup.ports.data);
	if (c->pq == NULL) {
		pg_conn_close(c, "not enough memory");
		return;
	}
	PQsetNoticeReceiver(c->pq, ignore_notice, NULL);
	c->state = PG_CONN_CONNECTING;
	if (PQstatus(c->pq) == CONNECTION_BAD)
		pg_conn_close_by_libpq(c, false);
	else
		poll_connect(c, PGRES_POLLING_WRITING);
}

static void on_looked_up(struct pg_lookup *l, const char *error)
{
	struct pg_conn *c = container_of(l, struct pg_conn, lookup);

	if (error != NULL)
		pg_conn_close(c, "cannot resolve the database's host name: %s",
			      error);
	else
		begin_connect(c);
}

static void start(struct pg_conn *c)
{
	c->state = PG_CONN_RESOLVING;
	set_timer(c, LIMIT_PG_CONNECT_TIME);
	pg_lookup_start(&c->lookup, LIMIT_PG_CONNECT_TIME, on_looked_up);
}

void pg_conn_want(struct pg_conn *c)
{
	if (c->state != PG_CONN_CLOSED)
		return;
	if (ev_now(c->loop) < c->next_attempt) {
		c->state = PG_CONN_WAITING;
		set_timer(c, c->next_attempt - ev_now(c->loop));
	} else {
		start(c);
	}
}

/* The next attempt begins with the address behind the one that is silent: libpq
 * goes on by itself only from one that refuses. */
static void on_connect_timeout(struct pg_conn *c)
{
	size_t i = c->lookup.n;

	if (c->pq != NULL)
		i = pg_lookup_find(&c->lookup, PQhostaddr(c->pq),
				   PQport(c->pq));
	c->first = i < c->lookup.n ? i + 1 : 0;
	pg_conn_close(c, "timeout: not connected within %d seconds",
		      LIMIT_PG_CONNECT_TIME);
}

static void on_timer(EV_P_ ev_timer *w, int revents)
{
	struct pg_conn *c = container_of(w, struct pg_conn, timer);
	const struct pg_query *oldest;

	(void)loop, (void)revents;
	if (c->state == PG_CONN_WAITING) {
		start(c);
	} else if (c->state != PG_CONN_READY) {
		on_connect_timeout(c);
	} else if (c->paused) {
		; /* armed again when it goes on */
	} else if (c->n_sent > 0) {
		oldest = container_of(c->sent.next, struct pg_query, node);
		if (oldest->due + LIMIT_PG_OVERDUE <= ev_now(c->loop) + 0.001)
			pg_conn_close(c,
				      "connection closed: a query that was "
				      "sent on it got no answer for too long");
		else
			pg_conn_arm(c);
	} else if (c->exclusive && !c->in_use) {
		pg_conn_close_clean(c, "idle");
	} else if (c->pinged) {
		c->events->on_ready(c);
	}
}

/* What the last read brought was not even one row: see that libpq does not take
 * in one without end. */
static bool row_is_too_large(struct pg_conn *c)
{
	int waiting;

	if (!c->in_row || ioctl(PQsocket(c->pq), FIONREAD, &waiting) < 0)
		return false;
	c->swallowed += (size_t)waiting;
	return c->swallowed > 2 * LIMIT_PG_RESULT;
}

static void on_io(EV_P_ ev_io *w, int revents)
{
	struct pg_conn *c = container_of(w, struct pg_conn, io);
	bool was_flushing = c->flushing;

	(void)loop;
	if (c->state == PG_CONN_CONNECTING) {
		ev_io_stop(c->loop, &c->io);
		poll_connect(c, PQconnectPoll(c->pq));
		return;
	}
	if (revents & EV_WRITE) {
		pg_conn_watch(c);
		if (was_flushing && !c->flushing && pg_conn_is_open(c))
			c->events->on_ready(c);
	}
	if (!(revents & EV_READ))
		return;
	if (row_is_too_large(c)) {
		pg_conn_close_clean(c, "connection closed: a row is too large");
	} else if (!PQconsumeInput(c->pq)) {
		char message[LIMIT_PG_MESSAGE];

		pg_conninfo_message(c->options->conninfo, c->pq, true, message,
				    sizeof(message));
		ev_io_stop(c->loop, &c->io);
		pg_conn_close(c, "connection to the database lost: %s",
			      message);
	} else if (c->state == PG_CONN_SETUP) {
		pg_conn_setup_read(c);
	} else {
		pg_conn_read_results(c);
	}
}

void pg_conn_init(struct pg_conn *c, struct ev_loop *loop,
		  const struct pg_conn_options *options,
		  struct resolver *resolver,
		  const struct pg_conn_events *events, void *owner)
{
	*c = (struct pg_conn){
		.loop = loop,
		.options = options,
		.events = events,
		.owner = owner,
	};
	ev_init(&c->io, on_io);
	ev_init(&c->timer, on_timer);
	pg_lookup_init(&c->lookup, options->conninfo, resolver);
	pg_statements_init(&c->statements);
	list_init(&c->sent);
}

void pg_conn_deinit(struct pg_conn *c)
{
	struct pg_query *q;

	release(c);
	while ((q = take_first(c)) != NULL)
		pg_query_free(q);
}

bool pg_conn_is_stalled(const struct pg_conn *c)
{
	const struct pg_query *oldest;

	if (c->n_sent == 0)
		return false;
	oldest = container_of(c->sent.next, struct pg_query, node);
	return ev_now(c->loop) - oldest->at_front > LIMIT_PG_STALLED;
}
