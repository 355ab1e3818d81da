/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/complaint.h"

#include <string.h>

#include "base/limits.h"
#include "base/log.h"

void complaint_log(struct complaint *c, struct log *log, double now,
		   const char *what, int err)
{
	/* not before the last one: then the clock was set back */
	if (c->last != 0. && now >= c->last &&
	    now - c->last < LIMIT_COMPLAINT_INTERVAL) {
		c->suppressed++;
		return;
	}
	if (c->suppressed > 0)
		log_printf(log, "%s: %s (and %lu times since the last message)",
			   what, strerror(err), c->suppressed);
	else
		log_printf(log, "%s: %s", what, strerror(err));
	c->last = now;
	c->suppressed = 0;
}
