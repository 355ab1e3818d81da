/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/socket.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/fd.h"
#include "base/limits.h"

/*
 * Connecting, and sending a mail.  It does not wait, and does not repeat a call
 * but for EINTR.
 */

/*
 * The last packet of TCP's handshake waits for the request, which follows at once:
 * one packet less, and the server is woken once, when there is something to read
 * (tcp(7), TCP_QUICKACK).  If it cannot be set, nothing is lost.
 */
static void save_ack(int fd)
{
	int off = 0;

	(void)setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &off, sizeof(off));
}

int socket_connect(const struct socket_address *to)
{
	int fd, r;

	fd = socket(to->sa.sa_family,
		    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (!sockaddr_is_unix(to))
		save_ack(fd);
	/* After EINTR the connection is made in the background (connect(2)). */
	if (connect(fd, &to->sa, to->size) < 0 && errno != EINPROGRESS &&
	    errno != EINTR) {
		r = -errno;
		fd_close(&fd);
		return r;
	}
	return fd;
}

ssize_t socket_send_mail(int fd, const struct mail *mail, enum mail_form form,
			 size_t offset)
{
	struct iovec iov[LIMIT_IOV];
	int n_iov = mail_iov(mail, form, offset, iov, LIMIT_IOV);
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = (size_t)n_iov};
	ssize_t n;

	if (n_iov == 0)
		return 0;
	do
		n = sendmsg(fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

ssize_t socket_write_mail(int fd, const struct mail *mail, enum mail_form form,
			  size_t offset)
{
	struct iovec iov[LIMIT_IOV];
	int n_iov = mail_iov(mail, form, offset, iov, LIMIT_IOV);
	ssize_t n;

	if (n_iov == 0)
		return 0;
	do
		n = writev(fd, iov, n_iov);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}
