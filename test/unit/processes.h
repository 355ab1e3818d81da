/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_TEST_PROCESSES_H
#define QRELAY_TEST_PROCESSES_H

/* What tests of child processes share: looking at time, descriptors and
 * processes from outside, and letting the loop run. */

#include <dirent.h>
#include <errno.h>
#include <ev.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Slow machines and valgrind get more time before a test is given up. */
static inline double patience(void)
{
	const char *slow = getenv("QRELAY_SLOW");

	return 20. * (slow != NULL ? atof(slow) : 1.);
}

static inline double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static inline int count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	if (dir == NULL)
		return -1;
	while (readdir(dir) != NULL)
		n++;
	closedir(dir);
	return n;
}

/* Neither a living child nor a zombie. */
static inline bool no_children(void)
{
	siginfo_t info;

	return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 &&
	       errno == ECHILD;
}

/* Waits until a child of ours is a zombie, and leaves it one. */
static inline void await_zombie(void)
{
	siginfo_t info;

	(void)waitid(P_ALL, 0, &info, WEXITED | WNOWAIT);
}

static inline void on_tick(EV_P_ ev_timer *w, int revents)
{
	(void)w, (void)revents;
	ev_break(loop, EVBREAK_ONE);
}

/* Lets the loop run for so many seconds, or one round at least. */
static inline void run_for(struct ev_loop *loop, double seconds)
{
	ev_timer tick;

	ev_timer_init(&tick, on_tick, seconds, 0.);
	ev_now_update(loop);
	ev_timer_start(loop, &tick);
	ev_run(loop, 0);
	ev_timer_stop(loop, &tick);
}

/* Lets the loop run until `*flag`; false if that does not come. */
static inline bool run_until(struct ev_loop *loop, const bool *flag)
{
	double end = now() + patience();

	while (!*flag && now() < end)
		run_for(loop, .002);
	return *flag;
}

/* Reads until `size` bytes or the end of file; -1 if it does not come. */
static inline ssize_t read_all(int fd, char *buf, size_t size)
{
	size_t got = 0;

	while (got < size) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		ssize_t n;

		if (poll(&p, 1, (int)(patience() * 1000.)) <= 0)
			return -1;
		n = read(fd, buf + got, size - got);
		if (n < 0)
			return -1;
		if (n == 0)
			break;
		got += (size_t)n;
	}
	return (ssize_t)got;
}

/* Reads the text that ends with the end of file. */
static inline const char *read_text(int fd, char *buf, size_t size)
{
	ssize_t n = read_all(fd, buf, size - 1);

	buf[n < 0 ? 0 : n] = '\0';
	return n < 0 ? "(hangs)" : buf;
}

/* Whether something can be read, or the end of file was reached. */
static inline bool readable(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, 0) == 1;
}

#endif
