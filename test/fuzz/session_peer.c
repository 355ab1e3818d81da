/* SPDX-License-Identifier: BSD-2-Clause */
#include "session_peer.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/sockaddr.h"
#include "session_kernel.h"

static struct session_peer *add(struct session_peers *all, int fd, int server)
{
	struct session_peer *p = &all->v[all->n++];

	*p = (struct session_peer){.fd = fd, .server = server};
	return p;
}

void session_peers_connect(struct session_peers *all, const char *name,
			   uid_t uid)
{
	struct socket_address to;
	int fd;

	if (all->n_clients == SESSION_CLIENTS || all->n == SESSION_PEERS)
		return;
	fd = session_kernel_socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	assert(fd >= 0);
	assert(sockaddr_parse(name, strlen(name), &to) == 0);
	assert(connect(fd, &to.sa, to.size) == 0);
	session_kernel_add_uid(uid);
	add(all, fd, -1)->uid = uid;
	all->n_clients++;
}

bool session_peers_accept(struct session_peers *all, int listener, int server)
{
	int fd;

	if (listener < 0)
		return false;
	fd = accept(listener, NULL, NULL);
	if (fd < 0)
		return false;
	/* two servers for each client, at most */
	assert(all->n < SESSION_PEERS);
	assert(fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
	add(all, fd, server);
	return true;
}

void session_peers_deinit(struct session_peers *all)
{
	for (size_t i = 0; i < all->n; i++) {
		struct session_peer *p = &all->v[i];

		if (p->fd >= 0)
			close(p->fd);
		buffer_deinit(&p->queue);
		buffer_deinit(&p->got);
	}
	all->n = all->n_clients = 0;
}

void session_peer_send(struct session_peer *p, size_t size)
{
	size_t left = p->queue.size - p->sent;
	ssize_t n;

	if (p->fd < 0 || left == 0)
		return;
	n = send(p->fd, p->queue.data + p->sent, size < left ? size : left,
		 MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n > 0)
		p->sent += (size_t)n;
}

static ssize_t receive(struct session_peer *p, size_t size, int flags)
{
	ssize_t n;

	if (buffer_reserve(&p->got, size) < 0)
		abort();
	n = recv(p->fd, p->got.data + p->got.size, size, flags | MSG_DONTWAIT);
	if (n > 0)
		p->got.size += (size_t)n;
	return n;
}

bool session_peer_read(struct session_peer *p, size_t size)
{
	ssize_t n;

	if (p->fd < 0 || p->eof || size == 0)
		return false;
	n = receive(p, size, 0);
	if (n == 0 || (n < 0 && errno != EAGAIN))
		p->eof = true;
	return n > 0;
}

void session_peer_drain(struct session_peer *p)
{
	while (session_peer_read(p, 4096))
		;
}

void session_peer_half_close(struct session_peer *p)
{
	if (p->fd >= 0)
		shutdown(p->fd, SHUT_WR);
}

void session_peer_close(struct session_peer *p)
{
	int left = 0;

	if (p->fd < 0)
		return;
	/* in one call, or the same bytes would be peeked at again */
	if (!p->eof && ioctl(p->fd, FIONREAD, &left) == 0 && left > 0)
		assert(receive(p, (size_t)left, MSG_PEEK) == left);
	p->left = !p->eof;
	close(p->fd);
	p->fd = -1;
}
