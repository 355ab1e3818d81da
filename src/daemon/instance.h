/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_DAEMON_INSTANCE_H
#define QRELAY_DAEMON_INSTANCE_H

/*
 * One running daemon: owns the loop, the script's VM, the listeners, and what all
 * sessions share.
 */

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/block.h"
#include "base/list.h"
#include "base/log.h"
#include "base/spares.h"
#include "daemon/clients.h"
#include "daemon/complaint.h"
#include "daemon/departures.h"
#include "daemon/logger.h"
#include "daemon/timeout_queue.h"
#include "io/child.h"
#include "io/hangup.h"
#include "io/systemd.h"
#include "lua/config.h"
#include "lua/script.h"

struct listener;
struct resolver;
struct vm;

struct instance {
	struct ev_loop *loop; /* owned */
	struct log log;
	struct logger logger;
	struct config config;
	struct resolver *resolver; /* owned */
	struct vm *vm;             /* owned */

	/* what sessions share */
	struct block_pool blocks;
	struct hangup hangup;
	struct children children;
	struct clients clients;
	struct list sessions;           /* of all */
	struct timeout_queue receiving; /* sessions by their last byte */
	struct timeout_queue draining;  /* sessions by their answer */
	struct departures departures;
	struct complaint complaint;
	size_t n_large;   /* messages held of LIMIT_LARGE bytes or more */
	size_t last_size; /* bytes of the last request that was whole */
	uint64_t n_mails; /* for ids */
	uint32_t id_prefix;
	struct spares spare_sessions, spare_transactions;

	struct listener *listeners; /* owned */
	size_t n_listeners;
	struct systemd_sockets sockets;

	/* life cycle */
	struct script script;
	bool script_running; /* the script or its `reload` */
	bool script_failed;
	bool reload_pending;
	bool started;
	bool accepting; /* what the listeners go by */
	bool stopping;
	struct ev_signal sighup, sigterm, sigint;
	ev_timer watchdog;
	ev_timer trim; /* of the blocks */
	ev_timer shutdown;
};

/* Acquires nothing but the loop and the VM; the log goes to stderr.  -errno. */
MUSTCHECK int instance_init(struct instance *i);

/* Ends what is left of it.  Idempotent. */
void instance_deinit(struct instance *i);

/*
 * Runs the script at `path` to its end, serving only what it waits for, and checks
 * that it listens.  Messages are logged.  Returns false if it failed, or a signal
 * asked to stop (i->stopping).
 */
MUSTCHECK bool instance_run_script(struct instance *i, const char *path);

/* Opens the listeners; what fails is logged with its place in the script. */
MUSTCHECK bool instance_listen(struct instance *i);

/* Serves until a signal ends it. */
void instance_run(struct instance *i);

/* Memory of messages was let go of: the kernel gets it back in a while. */
void instance_trim_later(struct instance *i);

/* Accepts clients, or lets them wait: after the number of sessions has changed. */
void instance_update_accepting(struct instance *i);

#endif
