/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/block.h"
#include "base/limits.h"
#include "io/socket.h"

/* A sealed mail with a message of `size` bytes. */
static void make_mail(struct mail *m, struct block_pool *pool, size_t size)
{
	mail_init(m, pool);
	while (m->chain.size < size) {
		size_t left = size - m->chain.size;
		struct iovec iov;

		assert_int_equal(chain_space(&m->chain, left, &iov, 1), 1);
		if (iov.iov_len > left)
			iov.iov_len = left;
		for (size_t i = 0; i < iov.iov_len; i++)
			((char *)iov.iov_base)[i] =
				(char)(m->chain.size + i * 7 + i / 251);
		chain_commit(&m->chain, iov.iov_len);
	}
	m->message_offset = 0;
	m->message_size = size;
	assert_int_equal(mail_set_sender(m, "a@x", 3), 0);
	assert_int_equal(buffer_add(&m->recipients, "3:b@y,", 6), 0);
	m->n_recipients = 1;
	assert_int_equal(mail_seal(m, "from test"), 0);
}

/* The whole mail in one piece, by mail_iov() alone. */
static char *flatten(const struct mail *m, enum mail_form form)
{
	size_t size = mail_wire_size(m, form), at = 0;
	char *bytes = malloc(size);
	struct iovec iov;

	assert_non_null(bytes);
	while (mail_iov(m, form, at, &iov, 1) == 1) {
		memcpy(bytes + at, iov.iov_base, iov.iov_len);
		at += iov.iov_len;
	}
	assert_int_equal(at, size);
	return bytes;
}

/* Packets keep what one system call sent apart from the next. */
static void test_send_small(void **state)
{
	struct block_pool pool;
	struct mail m;
	char buf[4096], *bytes;
	size_t size;
	int fd[2];

	(void)state;
	block_pool_init(&pool);
	make_mail(&m, &pool, 1000);
	size = mail_wire_size(&m, MAIL_QMQP);
	bytes = flatten(&m, MAIL_QMQP);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fd), 0);
	assert_int_equal(socket_send_mail(fd[0], &m, MAIL_QMQP, 0), size);
	assert_int_equal(recv(fd[1], buf, sizeof(buf), 0), size);
	assert_memory_equal(buf, bytes, size);
	assert_int_equal(socket_send_mail(fd[0], &m, MAIL_QMQP, 1001),
			 size - 1001);
	assert_int_equal(recv(fd[1], buf, sizeof(buf), 0), size - 1001);
	assert_memory_equal(buf, bytes + 1001, size - 1001);
	assert_int_equal(socket_send_mail(fd[0], &m, MAIL_QMQP, size), 0);
	assert_int_equal(recv(fd[1], buf, sizeof(buf), MSG_DONTWAIT), -1);
	close(fd[0]);
	close(fd[1]);
	free(bytes);
	mail_deinit(&m);
	block_pool_deinit(&pool);
}

typedef ssize_t send_fn(int, const struct mail *, enum mail_form, size_t);

/* Sends, and reads at the other end whenever it is full. */
static void pump(send_fn *send, const struct mail *m, enum mail_form form,
		 int to, int from)
{
	size_t size = mail_wire_size(m, form), sent = 0, got = 0;
	char *bytes = flatten(m, form), *copy = malloc(size);
	bool was_full = false;

	assert_non_null(copy);
	while (sent < size || got < size) {
		ssize_t n = send(to, m, form, sent);

		if (n > 0) {
			sent += (size_t)n;
			continue;
		}
		if (sent < size) {
			assert_int_equal(n, -EAGAIN);
			was_full = true;
		}
		n = read(from, copy + got, 1 + (size - got) / 2);
		assert_true(n > 0);
		got += (size_t)n;
	}
	assert_int_equal(sent, size);
	assert_true(was_full);
	assert_memory_equal(bytes, copy, size);
	free(bytes);
	free(copy);
}

static void test_send_large(void **state)
{
	struct block_pool pool;
	struct mail m;
	int fd[2];

	(void)state;
	block_pool_init(&pool);
	make_mail(&m, &pool, (size_t)BLOCK_SIZE * LIMIT_IOV * 3 + 17);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	pump(socket_send_mail, &m, MAIL_QMQP, fd[0], fd[1]);
	close(fd[0]);
	close(fd[1]);

	assert_int_equal(pipe2(fd, O_NONBLOCK), 0);
	pump(socket_write_mail, &m, MAIL_RAW, fd[1], fd[0]);
	assert_int_equal(socket_write_mail(fd[1], &m, MAIL_RAW,
					   mail_wire_size(&m, MAIL_RAW)),
			 0);
	close(fd[0]);
	close(fd[1]);
	mail_deinit(&m);
	block_pool_deinit(&pool);
}

/* SIGPIPE would end this program. */
static void test_send_to_closed(void **state)
{
	struct block_pool pool;
	struct mail m;
	int fd[2];

	(void)state;
	block_pool_init(&pool);
	make_mail(&m, &pool, 1000);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	close(fd[1]);
	assert_int_equal(socket_send_mail(fd[0], &m, MAIL_QMQP, 0), -EPIPE);
	close(fd[0]);
	mail_deinit(&m);
	block_pool_deinit(&pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_send_small),
		cmocka_unit_test(test_send_large),
		cmocka_unit_test(test_send_to_closed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
