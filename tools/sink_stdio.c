/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/limits.h"
#include "proto/mail.h"
#include "tools/sink.h"

/* Reads until the request is whole, or is seen to be none. */
static int receive(struct sink *sink, struct mail *mail,
		   enum qmqp_request_result *ret_result)
{
	enum qmqp_request_result result = QMQP_REQUEST_MORE;
	struct qmqp_request request;

	qmqp_request_init(&request, mail, sink->max_size,
			  LIMIT_MAX_RECIPIENTS_DEFAULT);
	while (result == QMQP_REQUEST_MORE) {
		struct iovec iov;
		size_t used;
		ssize_t n;

		if (chain_space(&mail->chain, 1, &iov, 1) < 0) {
			result = QMQP_REQUEST_MEMORY;
			break;
		}
		n = fd_read(STDIN_FILENO, iov.iov_base, iov.iov_len);
		chain_commit(&mail->chain, n > 0 ? (size_t)n : 0);
		if (n <= 0)
			return n == 0 ? -ENODATA : (int)n;
		result = qmqp_request_feed(&request, iov.iov_base, (size_t)n,
					   &used);
	}
	*ret_result = result;
	return 0;
}

static void wait_for(double seconds)
{
	struct timespec t = {.tv_sec = (time_t)seconds};

	t.tv_nsec = (long)((seconds - (double)t.tv_sec) * 1e9);
	while (nanosleep(&t, &t) < 0 && errno == EINTR)
		;
}

static int send_reply(const char *reply, size_t size)
{
	while (size > 0) {
		ssize_t n = write(STDOUT_FILENO, reply, size);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			reply += n;
			size -= (size_t)n;
		}
	}
	return 0;
}

int sink_serve_stdio(struct sink *sink)
{
	char reply[QMQP_REPLY_WIRE_MAX];
	enum qmqp_request_result result = QMQP_REQUEST_MORE;
	struct mail mail;
	size_t size;
	int r;

	mail_init(&mail, &sink->pool);
	r = receive(sink, &mail, &result);
	if (r == 0) {
		size = result == QMQP_REQUEST_DONE
			       ? sink_deliver(sink, &mail, reply)
			       : sink_refuse(result, reply);
		wait_for(sink->delay);
		r = send_reply(reply, size);
	}
	mail_deinit(&mail);
	return r;
}
