/* SPDX-License-Identifier: BSD-2-Clause */
#include "tools/sink_session.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "base/limits.h"
#include "proto/mail.h"
#include "proto/qmqp_reply.h"
#include "proto/qmqp_request.h"
#include "tools/sink.h"

/* How long a client may take for its answer, which any socket holds. */
#define ANSWER_TIME 30

/* Vectors of one read: 64 KiB. */
#define READ_IOV 8

enum state {
	RECEIVE,
	DELAY,
	ANSWER,
	DRAIN,
};

struct session {
	struct list node; /* in sink.sessions */
	struct sink *sink;
	enum state state;
	int fd; /* owned */
	ev_io io;
	ev_timer timer;
	ev_tstamp started;

	struct mail mail;
	struct qmqp_request request;

	char reply[QMQP_REPLY_WIRE_MAX];
	size_t reply_size;
	size_t reply_sent;
	size_t drained; /* bytes */
};

static void session_free(struct session *s)
{
	struct sink *sink = s->sink;

	ev_timer_stop(sink->loop, &s->timer);
	ev_io_stop(sink->loop, &s->io);
	fd_close(&s->fd);
	mail_deinit(&s->mail);
	list_remove(&s->node);
	free(s);
	sink->n_sessions--;
	sink->on_closed(sink);
}

static void set_timer(struct session *s, double seconds)
{
	ev_now_update(s->sink->loop);
	ev_timer_stop(s->sink->loop, &s->timer);
	ev_timer_set(&s->timer, seconds, 0.);
	ev_timer_start(s->sink->loop, &s->timer);
}

static void want(struct session *s, int events)
{
	ev_io_stop(s->sink->loop, &s->io);
	ev_io_set(&s->io, s->fd, events);
	if (events != 0)
		ev_io_start(s->sink->loop, &s->io);
}

/* May free `s`. */
static void drain(struct session *s)
{
	static char buf[65536];
	ssize_t n = fd_recv(s->fd, buf, sizeof(buf));

	if (n > 0)
		s->drained += (size_t)n;
	if (n == 0 || (n < 0 && n != -EAGAIN) ||
	    s->drained / LIMIT_DRAIN_FACTOR > s->sink->max_size)
		session_free(s);
}

/* May free `s`. */
static void answer(struct session *s)
{
	ssize_t n = send(s->fd, s->reply + s->reply_sent,
			 s->reply_size - s->reply_sent,
			 MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n < 0 && errno != EAGAIN && errno != EINTR) {
		session_free(s);
		return;
	}
	if (n > 0)
		s->reply_sent += (size_t)n;
	if (s->reply_sent < s->reply_size) {
		want(s, EV_WRITE);
		return;
	}
	shutdown(s->fd, SHUT_WR);
	s->state = DRAIN;
	set_timer(s, LIMIT_DRAIN_TIME);
	want(s, EV_READ);
}

/* May free `s`. */
static void start_answer(struct session *s)
{
	s->state = ANSWER;
	set_timer(s, ANSWER_TIME);
	answer(s);
}

/* May free `s`. */
static void handle(struct session *s, enum qmqp_request_result result)
{
	if (result == QMQP_REQUEST_MORE) {
		set_timer(s, LIMIT_RECEIVE_TIMEOUT_DEFAULT);
		return;
	}
	want(s, 0);
	if (result != QMQP_REQUEST_DONE) {
		s->reply_size = sink_refuse(result, s->reply);
		start_answer(s);
		return;
	}
	s->reply_size = sink_deliver(s->sink, &s->mail, s->reply);
	/* Nobody needs the memory during the delay. */
	mail_deinit(&s->mail);
	if (s->sink->delay > 0.) {
		s->state = DELAY;
		set_timer(s, s->sink->delay);
		return;
	}
	start_answer(s);
}

/* Reads what is there: what the request says to it, -EAGAIN, or another -errno
 * for a client that has gone. */
static int receive(struct session *s, enum qmqp_request_result *ret_result)
{
	enum qmqp_request_result result = QMQP_REQUEST_MORE;
	struct iovec iov[READ_IOV];
	struct msghdr msg = {.msg_iov = iov};
	int n_iov = chain_space(&s->mail.chain, READ_IOV * BLOCK_SIZE, iov,
				READ_IOV);
	size_t left;
	ssize_t n;

	if (n_iov < 0) {
		*ret_result = QMQP_REQUEST_MEMORY;
		return 0;
	}
	msg.msg_iovlen = (size_t)n_iov;
	n = recvmsg(s->fd, &msg, MSG_DONTWAIT);
	if (n < 0)
		n = errno == EINTR ? -EAGAIN : -errno;
	chain_commit(&s->mail.chain, n > 0 ? (size_t)n : 0);
	if (n <= 0)
		return n == 0 ? -ECONNRESET : (int)n;

	left = (size_t)n;
	for (int i = 0; left > 0 && result == QMQP_REQUEST_MORE; i++) {
		size_t part = iov[i].iov_len < left ? iov[i].iov_len : left;
		size_t used;

		result = qmqp_request_feed(&s->request, iov[i].iov_base, part,
					   &used);
		left -= part;
	}
	*ret_result = result;
	return 0;
}

static void on_ready(EV_P_ ev_io *w, int revents)
{
	struct session *s = container_of(w, struct session, io);
	enum qmqp_request_result result;
	int r;

	(void)revents;
	switch (s->state) {
	case RECEIVE:
		r = receive(s, &result);
		if (r == -EAGAIN)
			return;
		if (r < 0 || ev_now(EV_A) - s->started >
				     LIMIT_RECEIVE_TIMEOUT_DEFAULT *
					     LIMIT_RECEIVE_TOTAL_FACTOR)
			session_free(s);
		else
			handle(s, result);
		break;
	case ANSWER:
		answer(s);
		break;
	case DRAIN:
		drain(s);
		break;
	case DELAY:
		break;
	}
}

static void on_timer(EV_P_ ev_timer *w, int revents)
{
	struct session *s = container_of(w, struct session, timer);

	(void)loop, (void)revents;
	if (s->state == DELAY)
		start_answer(s);
	else
		session_free(s);
}

int session_start(struct sink *sink, int fd)
{
	struct session *s = calloc(1, sizeof(*s));

	if (s == NULL) {
		fd_close(&fd);
		return -ENOMEM;
	}
	s->sink = sink;
	s->fd = fd;
	s->state = RECEIVE;
	s->started = ev_now(sink->loop);
	list_append(&sink->sessions, &s->node);
	sink->n_sessions++;
	mail_init(&s->mail, &sink->pool);
	qmqp_request_init(&s->request, &s->mail, sink->max_size,
			  LIMIT_MAX_RECIPIENTS_DEFAULT);
	ev_init(&s->io, on_ready);
	ev_init(&s->timer, on_timer);
	set_timer(s, LIMIT_RECEIVE_TIMEOUT_DEFAULT);
	want(s, EV_READ);
	return 0;
}

void session_close_all(struct sink *sink)
{
	struct list *node;

	while ((node = list_first(&sink->sessions)) != NULL)
		session_free(container_of(node, struct session, node));
}
