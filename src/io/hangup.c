/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/hangup.h"

#include <errno.h>
#include <sys/epoll.h>

#include "base/fd.h"

/* One event a call, so that what a callback frees is not in a batch. */
static void on_ready(EV_P_ ev_io *io, int revents)
{
	struct hangup *h = container_of(io, struct hangup, io);
	struct epoll_event event;

	(void)loop, (void)revents;
	while (epoll_wait(h->io.fd, &event, 1, 0) == 1) {
		struct hangup_watch *w = event.data.ptr;
		hangup_fn *on_hangup = w->on_hangup;

		hangup_watch_stop(w);
		on_hangup(w);
	}
}

int hangup_init(struct hangup *h, struct ev_loop *loop)
{
	int fd = epoll_create1(EPOLL_CLOEXEC);

	h->loop = loop;
	ev_io_init(&h->io, on_ready, fd, EV_READ);
	if (fd < 0)
		return -errno;
	ev_io_start(loop, &h->io);
	return 0;
}

void hangup_deinit(struct hangup *h)
{
	ev_io_stop(h->loop, &h->io);
	fd_close(&h->io.fd);
}

void hangup_watch_init(struct hangup_watch *w, struct hangup *h)
{
	*w = (struct hangup_watch){.hangup = h, .fd = -1};
}

int hangup_watch_start(struct hangup_watch *w, int fd, hangup_fn *on_hangup)
{
	/* HUP and ERR are told without being asked for */
	struct epoll_event event = {.events = EPOLLONESHOT, .data.ptr = w};

	if (epoll_ctl(w->hangup->io.fd, EPOLL_CTL_ADD, fd, &event) < 0)
		return -errno;
	w->fd = fd;
	w->on_hangup = on_hangup;
	return 0;
}

void hangup_watch_stop(struct hangup_watch *w)
{
	if (w->fd < 0)
		return;
	epoll_ctl(w->hangup->io.fd, EPOLL_CTL_DEL, w->fd, NULL);
	w->fd = -1;
	w->on_hangup = NULL;
}
