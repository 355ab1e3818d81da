/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_FUZZ_SESSION_MAIL_H
#define QRELAY_FUZZ_SESSION_MAIL_H

/*
 * A second opinion on what a client has sent: whether it is a whole mail, what
 * session.lua does with it, and the bytes that a server gets.
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/buffer.h"

struct session_mail {
	bool whole;
	char end; /* the letter of session.lua by which it ends; 0 for none */
	struct buffer wire; /* what a server gets */
};

/* Reads what that uid has sent.  Aborts without memory. */
void session_mail_init(struct session_mail *m, uid_t uid, const char *data,
		       size_t size, size_t max_size, size_t max_recipients);
void session_mail_deinit(struct session_mail *m);

/* Whether it is connected to that server, 0 or 1. */
bool session_mail_goes_to(const struct session_mail *m, int server);

/* Adds a netstring. */
void session_mail_frame(struct buffer *b, const char *data, size_t size);

#endif
