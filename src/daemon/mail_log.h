/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_DAEMON_MAIL_LOG_H
#define QRELAY_DAEMON_MAIL_LOG_H

/* The line of the log that tells what became of a mail. */

#include <stddef.h>

struct buffer;
struct session;
struct verdict;

/*
 * Logs the one line of a mail.  A verdict whose letter is NUL was not given to
 * anybody; its text says why.  `where` is the step that failed, or NULL; `err` is
 * that step's -errno, or 0.
 */
void mail_log(const struct session *s, const struct verdict *v,
	      const char *where, int err);

/* Logs why a handler failed: a message and a traceback, line by line. */
void mail_log_error(const struct session *s, const struct buffer *error);

/* Logs a line that a program wrote to stderr while it had the mail. */
void mail_log_stderr(const struct session *s, const char *line, size_t size);

#endif
