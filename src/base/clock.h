/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_BASE_CLOCK_H
#define QRELAY_BASE_CLOCK_H

/*
 * The time by which we measure durations.  ev_now() follows the wall clock, and
 * when that is set all that waits would be over at once, or would wait for hours.
 */

#include <time.h>

/* Seconds since some moment (CLOCK_MONOTONIC). */
static inline double clock_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

#endif
