/* SPDX-License-Identifier: BSD-2-Clause */
/* Only a peer that has gone for good is told, once; one that half-closed or talks
 * too much is left in peace, and costs nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <cmocka.h>

#include <sys/resource.h>

#include "base/fd.h"
#include "io/hangup.h"
#include "processes.h"

struct peer {
	struct hangup_watch watch;
	int fds[2]; /* ours, and the other end */
	unsigned gone;
	struct peer *stops; /* whom it stops when it has gone, or NULL */
};

struct test {
	struct ev_loop *loop;
	struct hangup hangup;
	struct peer peers[3];
	int n_fds;
};

static struct test t;

static void on_hangup(struct hangup_watch *w)
{
	struct peer *p = container_of(w, struct peer, watch);

	p->gone++;
	if (p->stops != NULL)
		hangup_watch_stop(&p->stops->watch);
}

static int setup(void **state)
{
	(void)state;
	t = (struct test){.n_fds = count_fds()};
	t.loop = ev_loop_new(EVFLAG_NOENV);
	assert_int_equal(hangup_init(&t.hangup, t.loop), 0);
	for (int i = 0; i < 3; i++) {
		struct peer *p = &t.peers[i];

		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, p->fds),
				 0);
		hangup_watch_init(&p->watch, &t.hangup);
		assert_int_equal(
			hangup_watch_start(&p->watch, p->fds[0], on_hangup), 0);
	}
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		hangup_watch_stop(&t.peers[i].watch);
		hangup_watch_stop(&t.peers[i].watch);
		fd_close(&t.peers[i].fds[0]);
		fd_close(&t.peers[i].fds[1]);
	}
	hangup_deinit(&t.hangup);
	hangup_deinit(&t.hangup);
	ev_loop_destroy(t.loop);
	assert_int_equal(count_fds(), t.n_fds);
	return 0;
}

static void assert_gone(unsigned a, unsigned b, unsigned c)
{
	run_for(t.loop, .02);
	assert_int_equal(t.peers[0].gone, a);
	assert_int_equal(t.peers[1].gone, b);
	assert_int_equal(t.peers[2].gone, c);
}

static void test_gone(void **state)
{
	(void)state;
	assert_gone(0, 0, 0);
	fd_close(&t.peers[1].fds[1]);
	assert_gone(0, 1, 0);
	assert_gone(0, 1, 0);
	fd_close(&t.peers[0].fds[1]);
	fd_close(&t.peers[2].fds[1]);
	assert_gone(1, 1, 1);
}

/* With our bytes unread, that is a reset. */
static void test_reset(void **state)
{
	(void)state;
	assert_int_equal(write(t.peers[2].fds[0], "x", 1), 1);
	fd_close(&t.peers[2].fds[1]);
	assert_gone(0, 0, 1);
}

static void test_half_closed(void **state)
{
	unsigned before;

	(void)state;
	assert_int_equal(write(t.peers[0].fds[1], "more", 4), 4);
	shutdown(t.peers[1].fds[1], SHUT_WR);
	before = ev_iteration(t.loop);
	run_for(t.loop, .1);
	assert_true(ev_iteration(t.loop) - before < 20); /* it does not spin */
	assert_gone(0, 0, 0);
	/* and then really */
	fd_close(&t.peers[1].fds[1]);
	assert_gone(0, 1, 0);
}

static void test_stopped(void **state)
{
	(void)state;
	hangup_watch_stop(&t.peers[0].watch);
	fd_close(&t.peers[0].fds[1]);
	assert_gone(0, 0, 0);
	/* started anew it finds the peer gone */
	assert_int_equal(hangup_watch_start(&t.peers[0].watch,
					    t.peers[0].fds[0], on_hangup),
			 0);
	assert_gone(1, 0, 0);
}

/* Two go at once, and the first one's owner lets go of the second. */
static void test_stop_in_callback(void **state)
{
	(void)state;
	t.peers[0].stops = &t.peers[1];
	t.peers[1].stops = &t.peers[0];
	fd_close(&t.peers[0].fds[1]);
	fd_close(&t.peers[1].fds[1]);
	run_for(t.loop, .02);
	assert_int_equal(t.peers[0].gone + t.peers[1].gone, 1);
}

struct owner {
	struct hangup_watch watch;
	int fds[2];
	bool *gone;
};

static void on_owner(struct hangup_watch *w)
{
	struct owner *o = container_of(w, struct owner, watch);

	*o->gone = true;
	close(o->fds[0]);
	free(o);
}

static void test_free_in_callback(void **state)
{
	struct owner *o[2];
	bool gone[2] = {false, false};

	(void)state;
	for (int i = 0; i < 2; i++) {
		o[i] = malloc(sizeof(*o[i]));
		o[i]->gone = &gone[i];
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, o[i]->fds),
				 0);
		hangup_watch_init(&o[i]->watch, &t.hangup);
		assert_int_equal(hangup_watch_start(&o[i]->watch, o[i]->fds[0],
						    on_owner),
				 0);
	}
	close(o[0]->fds[1]);
	close(o[1]->fds[1]);
	run_for(t.loop, .02);
	assert_true(gone[0] && gone[1]);
}

static void test_not_watchable(void **state)
{
	struct hangup_watch w;

	(void)state;
	hangup_watch_init(&w, &t.hangup);
	assert_int_equal(hangup_watch_start(&w, -1, on_hangup), -EBADF);
	hangup_watch_stop(&w);
	/* a failed start may be followed by a good one */
	hangup_watch_stop(&t.peers[0].watch);
	assert_int_equal(hangup_watch_start(&w, t.peers[0].fds[0], on_hangup),
			 0);
	hangup_watch_stop(&w);
}

/* Without descriptors it says so, and can be torn down. */
static void test_no_descriptors(void **state)
{
	struct rlimit before, none;
	struct hangup h;
	int r;

	(void)state;
	getrlimit(RLIMIT_NOFILE, &before);
	none = before;
	none.rlim_cur = 0;
	setrlimit(RLIMIT_NOFILE, &none);
	r = hangup_init(&h, t.loop);
	setrlimit(RLIMIT_NOFILE, &before);
	assert_int_equal(r, -EMFILE);
	hangup_deinit(&h);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_gone),
		TEST(test_reset),
		TEST(test_half_closed),
		TEST(test_stopped),
		TEST(test_stop_in_callback),
		TEST(test_free_in_callback),
		TEST(test_not_watchable),
		TEST(test_no_descriptors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
