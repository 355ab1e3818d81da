/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_FUZZ_SESSION_LEDGER_H
#define QRELAY_FUZZ_SESSION_LEDGER_H

/*
 * What must be true of a day's mails, told from what clients and servers sent and
 * got, and from the log:
 *
 *   - a client gets one whole reply or nothing, and what it says is what the script
 *     or a server that it was connected to said, or what stands in the contract;
 *   - `K` only if the script discarded, or a server had all and said so;
 *   - a server gets the mail as it was sent, with our headers, and no mail reaches
 *     two servers, or one twice;
 *   - one line is logged for each mail that was whole or answered.
 */

#include <stddef.h>

struct session_limits;
struct session_peers;

/* Aborts if something is not.  Every connection must have ended. */
void session_ledger_check(struct session_peers *peers,
			  const struct session_limits *limits, const char *log,
			  size_t log_size);

#endif
