/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/socket.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/fd.h"
#include "base/limits.h"

/*
 * Connecting, and sending a mail.  It does not wait, and does not repeat a call
 * but for EINTR.
 */

int socket_connect(const struct socket_address *to)
{
	int fd, r;

	fd = socket(to->sa.sa_family,
		    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
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
