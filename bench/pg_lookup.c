/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Looks up rows by a key, CALLERS at a time, as that many mails would.
 *
 *	pg_lookup pool|one LOOKUPS CALLERS CONNINFO
 *
 * "pool" is what the daemon does: the queries of all callers are in flight at once.
 * "one" is the usual client: one connection, one query at a time, prepared once;
 * the other callers wait.  Both are the same code but for that.  Prints one JSON
 * object: lookups a second, and CPU of this process a lookup.
 */

#include <err.h>
#include <ev.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/attr.h"
#include "db/pg_pool.h"
#include "io/resolver.h"

#define TEXT "SELECT max_mails FROM customer WHERE id = $1"
#define ROWS 100000

static struct ev_loop *loop;
static struct pg_pool *pool;
static unsigned long lookups, started, done;
static uint32_t seed = 1;

static double now(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void on_done(struct pg_query *q);

static void look_up(void)
{
	struct pg_query *q = pg_query_new(TEXT, strlen(TEXT));
	char key[16];
	int n;

	seed = seed * 1664525 + 1013904223;
	n = snprintf(key, sizeof(key), "%u", seed % ROWS + 1);
	if (q == NULL || pg_query_add(q, key, (size_t)n) < 0)
		errx(1, "not enough memory");
	started++;
	pg_pool_submit(pool, q, 20, on_done);
}

static void on_done(struct pg_query *q)
{
	if (q->result == NULL || q->result->n_rows != 1)
		errx(1, "look-up failed: %s", q->error ? q->error : "no row");
	pg_query_free(q);
	if (++done == lookups)
		ev_break(loop, EVBREAK_ALL);
	else if (started < lookups)
		look_up();
}

static void run(unsigned long n, unsigned long callers)
{
	lookups = n;
	started = done = 0;
	while (started < callers && started < lookups)
		look_up();
	ev_run(loop, 0);
}

int main(int argc, char **argv)
{
	struct pg_pool_options options = {.shared = 2, .prepare = true};
	unsigned long callers;
	struct resolver *resolver;
	double wall, cpu;

	if (argc != 5)
		errx(2, "usage: pg_lookup pool|one LOOKUPS CALLERS CONNINFO");
	callers = strtoul(argv[3], NULL, 10);
	if (strcmp(argv[1], "one") == 0)
		callers = options.shared = 1;
	options.conninfo = argv[4];
	loop = ev_loop_new(EVFLAG_NOENV);
	resolver = resolver_new(loop);
	pool = pg_pool_new(loop, resolver, &options);
	if (pool == NULL)
		err(1, "pg_pool_new");
	run(1000, callers); /* connect, prepare */
	wall = now(CLOCK_MONOTONIC);
	cpu = now(CLOCK_PROCESS_CPUTIME_ID);
	run(strtoul(argv[2], NULL, 10), callers);
	wall = now(CLOCK_MONOTONIC) - wall;
	cpu = now(CLOCK_PROCESS_CPUTIME_ID) - cpu;
	printf("{\"rate\": %.1f, \"cpu_us\": %.3f}\n", (double)done / wall,
	       cpu / (double)done * 1e6);
	pg_pool_free(pool);
	resolver_free(resolver);
	ev_loop_destroy(loop);
	return 0;
}
