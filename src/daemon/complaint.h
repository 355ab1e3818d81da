/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_DAEMON_COMPLAINT_H
#define QRELAY_DAEMON_COMPLAINT_H

/* A message that may repeat a thousand times a second, logged once in a while. */

#include <ev.h>

struct log;

/* All zeroes before the first. */
struct complaint {
	double last; /* clock_now() */
	unsigned long suppressed;
};

/* Logs "WHAT: strerror(err)" unless that was done within the last
 * LIMIT_COMPLAINT_INTERVAL; then counts it. */
void complaint_log(struct complaint *c, struct log *log, double now,
		   const char *what, int err);

#endif
