/* SPDX-License-Identifier: BSD-2-Clause */
#include "relay/qmqp_client.h"

#include <assert.h>
#include <errno.h>

#include "base/clock.h"
#include "base/fd.h"
#include "io/socket.h"
#include "proto/mail.h"

/* Fine on a half-started client. */
static void stop(struct qmqp_client *c)
{
	c->on_done = NULL;
	c->mail = NULL;
	ev_timer_stop(c->loop, &c->deadline);
	ev_io_stop(c->loop, &c->socket);
}

/*
 * The only way out of a running client, so that it calls back only once.  The
 * connection is left to start and deinit: closing takes longer than passing on
 * the verdict, which somebody waits for.
 */
static void finish(struct qmqp_client *c, int err)
{
	qmqp_client_done_fn *on_done = c->on_done;

	assert(on_done != NULL);
	stop(c);
	on_done(c, err); /* may free c: nothing may follow */
}

static void want(struct qmqp_client *c, int events)
{
	if ((c->socket.events & (EV_READ | EV_WRITE)) == events &&
	    ev_is_active(&c->socket))
		return;
	ev_io_stop(c->loop, &c->socket);
	ev_io_modify(&c->socket, events);
	ev_io_start(c->loop, &c->socket);
}

static void set_deadline(struct qmqp_client *c, double seconds)
{
	ev_timer_stop(c->loop, &c->deadline);
	ev_timer_set(&c->deadline, seconds > 0. ? seconds : 0., 0.);
	ev_timer_start(c->loop, &c->deadline);
}

static void note_connected(struct qmqp_client *c)
{
	if (c->connected)
		return;
	c->connected = true;
	if (c->connecting)
		set_deadline(c, c->until - clock_now());
	c->connecting = false;
}

/*
 * Sends what the socket takes now; the rest waits for EV_WRITE.  A server may
 * refuse and close before it has taken the whole mail, and its verdict beats the
 * error that sending gets: so an error only ends the sending.
 */
static void send_request(struct qmqp_client *c)
{
	ssize_t n = socket_send_mail(c->fd, c->mail, MAIL_QMQP, c->sent);

	if (n > 0) {
		c->sent += (size_t)n;
		note_connected(c);
		if (qmqp_client_all_sent(c)) {
			c->mail = NULL;
			if (c->on_sent != NULL)
				c->on_sent(c);
		}
	} else if (n < 0 && n != -EAGAIN) {
		c->send_error = (int)n;
		/* these two come from a server that was there */
		if (n == -EPIPE || n == -ECONNRESET)
			note_connected(c);
	}
}

static void wait_more(struct qmqp_client *c)
{
	bool more = c->send_error == 0 && c->sent < c->size;

	want(c, more ? EV_READ | EV_WRITE : EV_READ);
}

/* Returns 1 when the verdict is complete, 0 when more must come. */
static int recv_reply(struct qmqp_client *c)
{
	char buf[4096];
	ssize_t n = fd_recv(c->fd, buf, sizeof(buf));

	if (n == -EAGAIN)
		return 0;
	if (n < 0)
		return c->send_error ? c->send_error : (int)n;
	if (n == 0 && c->send_error)
		return c->send_error; /* perhaps it never was connected */
	note_connected(c);
	if (n == 0)
		return -ECONNRESET;
	switch (qmqp_reply_feed(&c->reply, buf, (size_t)n)) {
	case QMQP_REPLY_MORE:
		return 0;
	case QMQP_REPLY_DONE:
		return 1;
	case QMQP_REPLY_BAD:
		break;
	}
	return -EBADMSG;
}

static void on_ready(EV_P_ ev_io *w, int ready)
{
	struct qmqp_client *c = container_of(w, struct qmqp_client, socket);
	int r = 0;

	(void)loop;
	if (ready & EV_READ)
		r = recv_reply(c);
	if (r != 0) {
		finish(c, r < 0 ? r : 0);
		return;
	}
	if (ready & EV_WRITE && c->send_error == 0 && c->sent < c->size)
		send_request(c);
	wait_more(c);
}

static void on_deadline(EV_P_ ev_timer *w, int revents)
{
	struct qmqp_client *c = container_of(w, struct qmqp_client, deadline);

	(void)loop, (void)revents;
	finish(c, c->connecting ? -ETIMEDOUT : -ETIME);
}

void qmqp_client_init(struct qmqp_client *c, struct ev_loop *loop,
		      qmqp_client_sent_fn *on_sent)
{
	*c = (struct qmqp_client){.loop = loop, .fd = -1, .on_sent = on_sent};
	ev_init(&c->socket, on_ready);
	ev_init(&c->deadline, on_deadline);
}

void qmqp_client_deinit(struct qmqp_client *c)
{
	stop(c);
	fd_close(&c->fd);
}

int qmqp_client_start(struct qmqp_client *c, const struct socket_address *to,
		      const struct mail *mail, double connect_timeout,
		      double timeout, qmqp_client_done_fn *on_done)
{
	int r;

	assert(c->on_done == NULL && on_done != NULL);

	fd_close(&c->fd);
	r = socket_connect(to); /* non-blocking and CLOEXEC from birth */
	if (r < 0)
		return r;
	c->fd = r;
	c->mail = mail;
	c->size = mail_wire_size(mail, MAIL_QMQP);
	c->sent = 0;
	c->connected = c->connecting = false;
	c->send_error = 0;
	qmqp_reply_reset(&c->reply);
	ev_io_set(&c->socket, c->fd, EV_READ);

	/* On loopback the handshake is over already: try before waiting. */
	send_request(c);
	wait_more(c);

	c->connecting = !c->connected && connect_timeout < timeout;
	if (c->connecting)
		c->until = clock_now() + timeout;
	set_deadline(c, c->connecting ? connect_timeout : timeout);
	c->on_done = on_done;
	return 0;
}
