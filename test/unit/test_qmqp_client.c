/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Deliveries to a server that follows a script: whatever it does, the client calls
 * back exactly once, never from inside start, or not at all if it was abandoned.
 */
#include "relaying.h"

#include "relay/qmqp_client.h"

#define SMALL 10
#define LARGE (8 << 20)
#define REQUEST "26:10:mmmmmmmmmm,3:a@x,3:b@y,,"

struct test {
	struct ev_loop *loop;
	struct block_pool pool;
	struct mail small, large;
	struct qmqp_client client;
	struct server server;
	int n_fds;

	bool starting, done;
	unsigned n_sent; /* calls of on_sent */
	int err;
	char reply[LIMIT_REPLY + 1];
	unsigned n_again; /* starts to be made from the callback */
};

static struct test t;
static char buf[LARGE + 1000];

static void on_done(struct qmqp_client *c, int err)
{
	assert_ptr_equal(c, &t.client);
	assert_false(t.starting);
	assert_false(t.done);
	t.done = true;
	t.err = err;
	if (err == 0)
		memcpy(t.reply, c->reply.text, c->reply.size);
	t.reply[err == 0 ? c->reply.size : 0] = '\0';
	if (t.n_again > 0) {
		t.n_again--;
		t.done = false;
		assert_false(qmqp_client_start(c, &t.server.at, &t.small, 20.,
					       60., on_done));
	}
}

static void on_sent(struct qmqp_client *c)
{
	assert_ptr_equal(c, &t.client);
	assert_true(qmqp_client_all_sent(c));
	t.n_sent++;
}

static int setup(void **state)
{
	(void)state;
	t = (struct test){.n_fds = count_fds()};
	t.loop = ev_loop_new(EVFLAG_NOENV);
	block_pool_init(&t.pool);
	make_mail(&t.small, &t.pool, SMALL);
	make_mail(&t.large, &t.pool, LARGE);
	t.server = serve_unix(1);
	memset(&t.client, 0xa5, sizeof(t.client));
	qmqp_client_init(&t.client, t.loop, on_sent);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	qmqp_client_deinit(&t.client);
	qmqp_client_deinit(&t.client);
	/* nothing of it is left in the loop */
	ev_run(t.loop, 0);
	close(t.server.fd);
	mail_deinit(&t.small);
	mail_deinit(&t.large);
	block_pool_deinit(&t.pool);
	ev_loop_destroy(t.loop);
	assert_int_equal(count_fds(), t.n_fds);
	return 0;
}

static int try_start(const struct mail *m, double connect_time, double time)
{
	int r;

	t.done = false;
	ev_now_update(t.loop);
	t.starting = true;
	r = qmqp_client_start(&t.client, &t.server.at, m, connect_time, time,
			      on_done);
	t.starting = false;
	assert_false(t.done);
	return r;
}

static void start(const struct mail *m)
{
	assert_int_equal(try_start(m, 20., 60.), 0);
}

/* Called back once, and no more. */
static void assert_ends(int err, const char *reply)
{
	assert_true(run_until(t.loop, &t.done));
	run_for(t.loop, .005);
	assert_int_equal(t.err, err);
	assert_string_equal(t.reply, reply);
	qmqp_client_deinit(&t.client);
	assert_int_equal(t.client.fd, -1);
}

/* Runs the whole exchange with that reply, then closes. */
static void assert_reply(const char *sent, int err, const char *reply)
{
	int fd;

	start(&t.small);
	fd = accept_client(t.loop, &t.server);
	assert_int_equal(serve_read(t.loop, fd, buf, strlen(REQUEST)),
			 strlen(REQUEST));
	assert_memory_equal(buf, REQUEST, strlen(REQUEST));
	serve_write(fd, sent);
	close(fd);
	assert_ends(err, reply);
	assert_true(t.client.connected);
	assert_true(qmqp_client_all_sent(&t.client));
}

static void test_replies(void **state)
{
	(void)state;
	assert_reply("3:Kok,", 0, "Kok");
	assert_reply("1:Z,", 0, "Z");
	assert_reply("8:Drefused,", 0, "Drefused");
	assert_reply("3:Kok,and more", 0, "Kok");
	assert_reply("", -ECONNRESET, "");
	assert_reply("3:Ko", -ECONNRESET, "");
	assert_reply("3:Kok", -ECONNRESET, "");
	assert_reply("3:Xok,", -EBADMSG, "");
	assert_reply("0:,", -EBADMSG, "");
	assert_reply("Kok", -EBADMSG, "");
	assert_reply("3:Kokx", -EBADMSG, "");
	assert_reply("99999:K", -EBADMSG, "");
	/* nothing of a former reply is left */
	assert_reply("2:K2,", 0, "K2");
}

static void test_byte_by_byte(void **state)
{
	int fd;

	(void)state;
	start(&t.small);
	fd = accept_client(t.loop, &t.server);
	for (const char *p = "12:Kit is queue,"; *p != '\0'; p++) {
		assert_false(t.done);
		assert_int_equal(write(fd, p, 1), 1);
		run_for(t.loop, .001);
	}
	assert_ends(0, "Kit is queue");
	close(fd);
}

/* 64 KiB are taken, 256 bytes of them kept. */
static void test_long_reply(void **state)
{
	int fd;

	(void)state;
	start(&t.small);
	fd = accept_client(t.loop, &t.server);
	memset(buf, 'x', 65536);
	serve_write(fd, "65536:K");
	assert_int_equal(send(fd, buf, 65535, MSG_NOSIGNAL), 65535);
	run_for(t.loop, .01);
	assert_false(t.done);
	serve_write(fd, ",");
	assert_true(run_until(t.loop, &t.done));
	assert_int_equal(t.err, 0);
	assert_int_equal(t.client.reply.size, 256);
	assert_memory_equal(t.reply, "Kxxx", 4);
	close(fd);
}

/* It waits where the socket is full, and goes on; nothing is lost or spun for. */
static void test_large(void **state)
{
	size_t size = mail_wire_size(&t.large, MAIL_QMQP);
	unsigned before;
	int fd;

	(void)state;
	start(&t.large);
	fd = accept_client(t.loop, &t.server);
	run_for(t.loop, .02);
	assert_true(t.client.sent > 0 && t.client.sent < size);
	assert_false(qmqp_client_all_sent(&t.client));
	assert_int_equal(t.n_sent, 0);
	before = ev_iteration(t.loop);
	run_for(t.loop, .05);
	assert_true(ev_iteration(t.loop) - before < 10);
	assert_int_equal(serve_read(t.loop, fd, buf, size), size);
	assert_true(qmqp_client_all_sent(&t.client));
	assert_int_equal(t.n_sent, 1);
	assert_int_equal(memcmp(buf, "8388629:8388608:mmm", 19), 0);
	assert_memory_equal(buf + size - 15, "m,3:a@x,3:b@y,,", 15);
	before = ev_iteration(t.loop);
	run_for(t.loop, .05);
	assert_true(ev_iteration(t.loop) - before < 10);
	serve_write(fd, "3:Kok,");
	assert_ends(0, "Kok");
	close(fd);
}

/* SPEC 4: a server that refuses early and closes is heard. */
static void test_early_refusal(void **state)
{
	int fd;

	(void)state;
	start(&t.large);
	fd = accept_client(t.loop, &t.server);
	serve_write(fd, "4:Dbig,");
	close(fd);
	assert_ends(0, "Dbig");
	assert_false(qmqp_client_all_sent(&t.client));

	/* the client meets the closed socket while it writes */
	start(&t.large);
	fd = accept_client(t.loop, &t.server);
	serve_write(fd, "4:D");
	run_for(t.loop, .01);
	shutdown(fd, SHUT_RD);
	run_for(t.loop, .02);
	assert_false(t.done);
	serve_write(fd, "bi");
	run_for(t.loop, .02);
	serve_write(fd, "g,");
	assert_ends(0, "Dbig");
	close(fd);
}

/* It went without a word, at each step. */
static void test_server_leaves(void **state)
{
	int fd;

	(void)state;
	start(&t.small);
	close(accept_client(t.loop, &t.server));
	assert_true(run_until(t.loop, &t.done));
	assert_int_equal(t.err, -ECONNRESET);
	assert_true(t.client.connected);

	start(&t.large);
	fd = accept_client(t.loop, &t.server);
	close(fd);
	assert_true(run_until(t.loop, &t.done));
	assert_true(t.err == -ECONNRESET || t.err == -EPIPE);
	assert_true(t.client.connected);
	assert_true(t.client.sent > 0);

	close(t.server.fd);
	t.server = serve_tcp(5);
	start(&t.small);
	fd = accept_client(t.loop, &t.server);
	serve_read(t.loop, fd, buf, 5);
	serve_reset(fd);
	assert_ends(-ECONNRESET, "");
	assert_true(t.client.connected);
	start(&t.large);
	fd = accept_client(t.loop, &t.server);
	serve_reset(fd);
	assert_true(run_until(t.loop, &t.done));
	assert_true(t.err == -ECONNRESET || t.err == -EPIPE);
	assert_true(t.client.connected);
}

/* Nobody listens. */
static void test_refused(void **state)
{
	int r;

	(void)state;
	close(t.server.fd);
	assert_int_equal(try_start(&t.small, 20., 60.), -ECONNREFUSED);
	run_for(t.loop, .01);
	assert_false(t.done);
	assert_int_equal(t.client.fd, -1);

	t.server = serve_tcp(5);
	close(t.server.fd);
	r = try_start(&t.small, 20., 60.);
	if (r == 0)
		assert_ends(-ECONNREFUSED, "");
	else
		assert_int_equal(r, -ECONNREFUSED);
	assert_false(t.client.connected);
	assert_int_equal(t.client.sent, 0);

	/* a failed start may be followed by a good one */
	t.server = serve_unix(1);
	assert_reply("3:Kok,", 0, "Kok");
}

static void test_no_descriptors(void **state)
{
	struct rlimit before, none;
	int r;

	(void)state;
	getrlimit(RLIMIT_NOFILE, &before);
	none = before;
	none.rlim_cur = 0;
	setrlimit(RLIMIT_NOFILE, &none);
	r = try_start(&t.small, 20., 60.);
	setrlimit(RLIMIT_NOFILE, &before);
	assert_int_equal(r, -EMFILE);
	run_for(t.loop, .01);
	assert_false(t.done);
}

/* A TCP server whose backlog is full does not let the client in. */
static void test_connect_timeout(void **state)
{
	int others[3];
	double begun;

	(void)state;
	close(t.server.fd);
	t.server = serve_tcp(0);
	for (int i = 0; i < 3; i++) {
		others[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		(void)!connect(others[i], &t.server.at.sa, t.server.at.size);
	}
	begun = now();
	assert_int_equal(try_start(&t.small, .1, 60.), 0);
	assert_ends(-ETIMEDOUT, "");
	assert_false(t.client.connected);
	assert_int_equal(t.client.sent, 0);
	assert_true(now() - begun >= .099);
	/* what is left in all may be less */
	begun = now();
	assert_int_equal(try_start(&t.small, 60., .1), 0);
	assert_ends(-ETIME, "");
	assert_true(now() - begun >= .099);
	for (int i = 0; i < 3; i++)
		close(others[i]);
}

/* Once connected, the whole time counts: from start, whatever dribbles in. */
static void test_reply_timeout(void **state)
{
	double begun = now();
	int fd;

	(void)state;
	assert_int_equal(try_start(&t.small, .05, .2), 0);
	fd = accept_client(t.loop, &t.server);
	run_for(t.loop, .1);
	assert_false(t.done);
	serve_write(fd, "3:");
	run_for(t.loop, .05);
	assert_false(t.done);
	serve_write(fd, "K");
	assert_ends(-ETIME, "");
	assert_true(now() - begun >= .199);
	close(fd);

	/* the server is there, and takes no more */
	assert_int_equal(try_start(&t.large, .05, .2), 0);
	fd = accept_client(t.loop, &t.server);
	assert_ends(-ETIME, "");
	assert_true(t.client.connected);
	assert_false(qmqp_client_all_sent(&t.client));
	close(fd);
}

/* On TCP the connection is there a moment later: the timer changes then. */
static void test_connected_later(void **state)
{
	int fd;

	(void)state;
	close(t.server.fd);
	t.server = serve_tcp(5);
	assert_int_equal(try_start(&t.small, .1, 60.), 0);
	fd = accept_client(t.loop, &t.server);
	run_for(t.loop, .2);
	assert_false(t.done);
	serve_write(fd, "3:Kok,");
	assert_ends(0, "Kok");
	close(fd);
}

/* Abandoned at each step: no call, and the server sees it. */
static void test_abandoned(void **state)
{
	(void)state;
	for (int step = 0; step < 5; step++) {
		int fd;

		start(step == 2 ? &t.large : &t.small);
		if (step == 0)
			qmqp_client_deinit(&t.client);
		fd = accept_client(t.loop, &t.server);
		run_for(t.loop, .002);
		if (step >= 3)
			serve_read(t.loop, fd, buf, strlen(REQUEST));
		if (step == 4)
			serve_write(fd, "3:Kok,"); /* not yet read by it */
		qmqp_client_deinit(&t.client);
		assert_int_equal(t.client.fd, -1);
		run_for(t.loop, .01);
		assert_false(t.done);
		while (recv(fd, buf, sizeof(buf), 0) > 0)
			;
		assert_int_equal(send(fd, "x", 1, MSG_NOSIGNAL), -1);
		close(fd);
	}
	assert_reply("3:Kok,", 0, "Kok");
}

/* The callback may start the next delivery with the same object. */
static void test_started_from_callback(void **state)
{
	(void)state;
	t.n_again = 2;
	start(&t.small);
	for (int i = 0; i < 3; i++) {
		int fd = accept_client(t.loop, &t.server);

		serve_read(t.loop, fd, buf, strlen(REQUEST));
		assert_memory_equal(buf, REQUEST, strlen(REQUEST));
		serve_write(fd, i < 2 ? "3:X" : "3:Kok,");
		close(fd);
	}
	assert_ends(0, "Kok");
}

struct owner {
	struct qmqp_client client;
	bool *done;
};

static void on_owner_done(struct qmqp_client *c, int err)
{
	struct owner *o = container_of(c, struct owner, client);

	assert_int_equal(err, 0);
	*o->done = true;
	qmqp_client_deinit(c);
	free(o);
}

static void test_freed_in_callback(void **state)
{
	struct owner *o = malloc(sizeof(*o));
	int fd;

	(void)state;
	o->done = &t.done;
	qmqp_client_init(&o->client, t.loop, NULL);
	assert_false(qmqp_client_start(&o->client, &t.server.at, &t.small, 20.,
				       60., on_owner_done));
	fd = accept_client(t.loop, &t.server);
	serve_write(fd, "3:Kok,");
	assert_true(run_until(t.loop, &t.done));
	close(fd);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_replies),
		TEST(test_byte_by_byte),
		TEST(test_long_reply),
		TEST(test_large),
		TEST(test_early_refusal),
		TEST(test_server_leaves),
		TEST(test_refused),
		TEST(test_no_descriptors),
		TEST(test_connect_timeout),
		TEST(test_reply_timeout),
		TEST(test_connected_later),
		TEST(test_abandoned),
		TEST(test_started_from_callback),
		TEST(test_freed_in_callback),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
