/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_DAEMON_TRANSACTION_H
#define QRELAY_DAEMON_TRANSACTION_H

/*
 * One mail on its way through: what a session needs beside its socket, from the
 * first byte of the request until the answer.
 */

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "daemon/delivery.h"
#include "daemon/departures.h"
#include "io/hangup.h"
#include "lua/handler.h"
#include "proto/mail.h"
#include "proto/qmqp_request.h"

struct instance;
struct session;

struct transaction {
	struct session *session; /* borrowed: its owner; struct spares' */

	struct mail mail;
	struct qmqp_request request;
	bool whole;     /* the request is */
	size_t charged; /* bytes counted for the client */

	struct handler handler;
	struct departure departure; /* from one to the other */
	struct delivery delivery;
	struct hangup_watch hangup;
	ev_timer deadline; /* of the handler's waiting */

	/* for the log */
	uint64_t number;
	double begun; /* clock_now() of the first byte */
	double read;  /* of the last byte */
};

/* `now` is clock_now().  NULL without memory. */
MUSTCHECK struct transaction *transaction_new(struct session *s, double now);

/* Abandons whatever goes on.  Takes NULL. */
void transaction_free(struct transaction *t);

/* So many bytes more have been received. */
void transaction_charge(struct transaction *t, size_t bytes);

/* The message is not needed any more: its memory goes back, and is not the client's
 * any more. */
void transaction_drop_message(struct transaction *t);

/* At the start and at the end of the instance. */
void transaction_init_spares(struct instance *i);
void transaction_free_spares(struct instance *i);

#endif
