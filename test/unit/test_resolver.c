/* SPDX-License-Identifier: BSD-2-Clause */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/attr.h"
#include "base/limits.h"
#include "io/resolver.h"

/*
 * Linked with --wrap=getaddrinfo: names under ".hang" wait at a gate, "many" has
 * more addresses than are kept, all else is the system's.
 */

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t gate_changed = PTHREAD_COND_INITIALIZER;
static bool gate_open;
static int at_gate;
static atomic_int calls;
static atomic_bool signals_blocked;

int __real_getaddrinfo(const char *, const char *, const struct addrinfo *,
		       struct addrinfo **);
int __wrap_getaddrinfo(const char *, const char *, const struct addrinfo *,
		       struct addrinfo **);

static void wait_at_gate(void)
{
	pthread_mutex_lock(&gate);
	at_gate++;
	pthread_cond_broadcast(&gate_changed);
	while (!gate_open)
		pthread_cond_wait(&gate_changed, &gate);
	at_gate--;
	pthread_cond_broadcast(&gate_changed);
	pthread_mutex_unlock(&gate);
}

static int many_addresses(const struct addrinfo *hints, struct addrinfo **ret)
{
	struct addrinfo *first = NULL, **end = &first;

	for (int i = 0; i < LIMIT_RESOLVE_ADDRESSES + 5; i++) {
		int r = __real_getaddrinfo("192.0.2.1", NULL, hints, end);

		if (r != 0)
			return r;
		((struct sockaddr_in *)(void *)(*end)->ai_addr)
			->sin_addr.s_addr = htonl(0xc0000200 + (unsigned)i);
		end = &(*end)->ai_next;
	}
	*ret = first;
	return 0;
}

int __wrap_getaddrinfo(const char *node, const char *service,
		       const struct addrinfo *hints, struct addrinfo **ret)
{
	const char *end = strstr(node, ".hang");
	sigset_t set;

	calls++;
	pthread_sigmask(SIG_SETMASK, NULL, &set);
	signals_blocked = sigismember(&set, SIGTERM) == 1 &&
			  sigismember(&set, SIGHUP) == 1;
	if (end != NULL) {
		wait_at_gate();
		node = "192.0.2.1";
	}
	if (strcmp(node, "many") == 0)
		return many_addresses(hints, ret);
	if (strcmp(node, "broken") == 0) {
		errno = EMFILE;
		return EAI_SYSTEM;
	}
	return __real_getaddrinfo(node, service, hints, ret);
}

/* Waits until `n` look-ups hang. */
static void wait_hanging(int n)
{
	pthread_mutex_lock(&gate);
	while (at_gate != n)
		pthread_cond_wait(&gate_changed, &gate);
	pthread_mutex_unlock(&gate);
}

static void open_gate(void)
{
	pthread_mutex_lock(&gate);
	gate_open = true;
	pthread_cond_broadcast(&gate_changed);
	while (at_gate > 0)
		pthread_cond_wait(&gate_changed, &gate);
	pthread_mutex_unlock(&gate);
}

struct fixture {
	struct ev_loop *loop;
	struct resolver *resolver;
};

struct lookup {
	struct resolver_query query;
	int calls;
	int err;
	struct lookup *cancels; /* deinited by the callback */
};

static void on_done(struct resolver_query *q, int err)
{
	struct lookup *l = container_of(q, struct lookup, query);

	l->calls++;
	l->err = err;
	if (l->cancels != NULL)
		resolver_query_deinit(&l->cancels->query);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	gate_open = false;
	calls = 0;
	f->loop = ev_loop_new(EVFLAG_NOENV);
	f->resolver = resolver_new(f->loop);
	*state = f;
	return f->resolver != NULL ? 0 : -1;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	resolver_free(f->resolver);
	ev_loop_destroy(f->loop);
	free(f);
	return 0;
}

static void start(struct fixture *f, struct lookup *l, const char *host,
		  double timeout)
{
	memset(l, 0, sizeof(*l));
	resolver_query_init(&l->query, f->resolver);
	assert_int_equal(
		resolver_query_start(&l->query, host, 25, timeout, on_done), 0);
	assert_int_equal(l->calls, 0);
}

static void assert_first(const struct lookup *l, const char *text)
{
	char buf[SOCKADDR_TEXT_MAX];

	assert_int_equal(l->calls, 1);
	assert_int_equal(l->err, 0);
	assert_true(l->query.n_addresses >= 1);
	assert_null(l->query.message);
	assert_string_equal(
		sockaddr_print(&l->query.addresses[0], buf, sizeof(buf)), text);
}

/* A loop without a query ends by itself. */
static void test_unused(void **state)
{
	struct fixture *f = *state;

	ev_run(f->loop, 0);
	resolver_free(NULL);
}

static void test_localhost(void **state)
{
	struct fixture *f = *state;
	struct lookup l;
	char buf[SOCKADDR_TEXT_MAX];
	bool found = false;

	start(f, &l, "localhost", 20.);
	ev_run(f->loop, 0);
	assert_int_equal(l.calls, 1);
	assert_int_equal(l.err, 0);
	for (size_t i = 0; i < l.query.n_addresses; i++)
		if (strcmp(sockaddr_print(&l.query.addresses[i], buf,
					  sizeof(buf)),
			   "127.0.0.1:25") == 0)
			found = true;
	assert_true(found);
	assert_true(signals_blocked);
	resolver_query_deinit(&l.query);
	resolver_query_deinit(&l.query);
}

static void test_ipv6(void **state)
{
	struct fixture *f = *state;
	struct lookup l;

	start(f, &l, "::1", 20.);
	ev_run(f->loop, 0);
	assert_first(&l, "[::1]:25");
	resolver_query_deinit(&l.query);
}

static void test_unknown(void **state)
{
	struct fixture *f = *state;
	struct lookup l;

	start(f, &l, "no-such-host.invalid", 20.);
	ev_run(f->loop, 0);
	assert_int_equal(l.calls, 1);
	assert_int_equal(l.err, -ENOENT);
	assert_int_equal(l.query.n_addresses, 0);
	assert_non_null(l.query.message);
	resolver_query_deinit(&l.query);

	start(f, &l, "broken", 20.);
	ev_run(f->loop, 0);
	assert_int_equal(l.err, -ENOENT);
	assert_string_equal(l.query.message, "Too many open files");

	/* started again, it forgets */
	assert_int_equal(
		resolver_query_start(&l.query, "127.0.0.1", 25, 20., on_done),
		0);
	assert_null(l.query.message);
	ev_run(f->loop, 0);
	assert_int_equal(l.calls, 2);
	assert_int_equal(l.err, 0);
	resolver_query_deinit(&l.query);
}

static void test_order(void **state)
{
	struct fixture *f = *state;
	struct lookup l[3];

	start(f, &l[0], "192.0.2.1", 20.);
	start(f, &l[1], "192.0.2.2", 20.);
	start(f, &l[2], "192.0.2.3", 20.);
	ev_run(f->loop, 0);
	assert_first(&l[0], "192.0.2.1:25");
	assert_first(&l[1], "192.0.2.2:25");
	assert_first(&l[2], "192.0.2.3:25");
	for (int i = 0; i < 3; i++)
		resolver_query_deinit(&l[i].query);
}

static void test_many(void **state)
{
	struct fixture *f = *state;
	struct lookup l;
	char buf[SOCKADDR_TEXT_MAX];

	start(f, &l, "many", 20.);
	ev_run(f->loop, 0);
	assert_first(&l, "192.0.2.0:25");
	assert_int_equal(l.query.n_addresses, LIMIT_RESOLVE_ADDRESSES);
	assert_string_equal(
		sockaddr_print(&l.query.addresses[LIMIT_RESOLVE_ADDRESSES - 1],
			       buf, sizeof(buf)),
		"192.0.2.31:25");
	resolver_query_deinit(&l.query);
}

/* The time-out of one that hangs, and of one that waits behind it. */
static void test_timeout(void **state)
{
	struct fixture *f = *state;
	struct lookup hanging, waiting, later;

	start(f, &hanging, "a.hang", 0.05);
	wait_hanging(1);
	start(f, &waiting, "192.0.2.2", 0.05);
	ev_run(f->loop, 0);
	assert_int_equal(hanging.calls, 1);
	assert_int_equal(hanging.err, -ETIMEDOUT);
	assert_int_equal(waiting.calls, 1);
	assert_int_equal(waiting.err, -ETIMEDOUT);
	assert_non_null(waiting.query.message);

	/* a late outcome goes nowhere, and the next name is looked up */
	start(f, &later, "192.0.2.3", 20.);
	open_gate();
	ev_run(f->loop, 0);
	assert_first(&later, "192.0.2.3:25");
	assert_int_equal(hanging.calls, 1);
	assert_int_equal(calls, 2);
	resolver_query_deinit(&hanging.query);
	resolver_query_deinit(&waiting.query);
	resolver_query_deinit(&later.query);
}

static void test_cancel_running(void **state)
{
	struct fixture *f = *state;
	struct lookup hanging, waiting, later;

	start(f, &hanging, "a.hang", 20.);
	start(f, &waiting, "192.0.2.2", 20.);
	wait_hanging(1);
	resolver_query_deinit(&hanging.query);
	resolver_query_deinit(&waiting.query);
	ev_run(f->loop, 0); /* nothing is left to wait for */
	start(f, &later, "192.0.2.3", 20.);
	open_gate();
	ev_run(f->loop, 0);
	assert_first(&later, "192.0.2.3:25");
	assert_int_equal(hanging.calls, 0);
	assert_int_equal(waiting.calls, 0);
	resolver_query_deinit(&later.query);
}

/* Outcomes that are there already when a callback drops their query. */
static void test_cancel_done(void **state)
{
	struct fixture *f = *state;
	struct lookup first, second, third;

	start(f, &first, "a.hang", 20.);
	start(f, &second, "192.0.2.2", 20.);
	start(f, &third, "192.0.2.3", 20.);
	first.cancels = &second;
	wait_hanging(1);
	open_gate();
	while (calls < 3) /* the third runs: the second is done */
		sched_yield();
	ev_run(f->loop, 0);
	assert_first(&third, "192.0.2.3:25");
	resolver_query_deinit(&third.query);
	assert_int_equal(first.calls, 1);
	assert_int_equal(second.calls, 0);
	resolver_query_deinit(&first.query);
}

static void test_free_hanging(void **state)
{
	struct fixture *f = *state;
	struct lookup l;

	start(f, &l, "a.hang", 20.);
	wait_hanging(1);
	resolver_query_deinit(&l.query);
	resolver_free(f->resolver); /* must not wait */
	f->resolver = NULL;
	ev_run(f->loop, 0);
	open_gate();
	assert_int_equal(l.calls, 0);
}

/* Freed while the thread is anywhere: starting, looking up, waiting. */
static void test_free_at_once(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 300; i++) {
		struct lookup l[2];

		start(f, &l[0], "192.0.2.1", 20.);
		start(f, &l[1], "192.0.2.2", 20.);
		if (i % 3 == 1)
			ev_run(f->loop, EVRUN_NOWAIT);
		if (i % 3 == 2)
			ev_run(f->loop, EVRUN_ONCE);
		resolver_query_deinit(&l[1].query);
		resolver_query_deinit(&l[0].query);
		resolver_free(f->resolver);
		f->resolver = resolver_new(f->loop);
		assert_non_null(f->resolver);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_unused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_localhost, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_ipv6, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unknown, setup, teardown),
		cmocka_unit_test_setup_teardown(test_order, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many, setup, teardown),
		cmocka_unit_test_setup_teardown(test_timeout, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cancel_running, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_cancel_done, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_free_hanging, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_free_at_once, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
