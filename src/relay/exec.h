/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_RELAY_EXEC_H
#define QRELAY_RELAY_EXEC_H

/*
 * Delivers one mail to a program: a QMQP request on its stdin and the reply on its
 * stdout, or ("raw") the message alone, judged by the exit status and what the
 * program says.
 *
 * The mail is written while output is read, in whatever order the program likes.
 * It is done when the program has exited; its pipes may be held by others for
 * longer, so their end is not waited for.  Knows nothing of Lua, and does not log:
 * what a failure means is the caller's decision.
 */

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "relay/exec_output.h"
#include "relay/exec_stderr.h"
#include "relay/verdict.h"

struct child;
struct children;
struct exec;
struct mail;

/*
 * Runs exactly once after each successful start, always from the loop.  `err`
 * is 0 when `x->verdict` holds a verdict, or -ETIMEDOUT; the program is being
 * terminated then.  The callee may start `x` again, deinit it, or free the object
 * it is embedded in.
 */
typedef void exec_done_fn(struct exec *x, int err);

/* Runs, from the loop, for a line that the program wrote to stderr; not for raw
 * programs.  The bytes can be any but LF.  Must leave `x` alone. */
typedef void exec_line_fn(struct exec *x, const char *line, size_t size);

/* Runs, once at most, when nothing more is written to the program, perhaps inside of
 * start: the mail is not needed any more.  Must leave `x` alone. */
typedef void exec_written_fn(struct exec *x);

struct exec_spec {
	const char *program; /* absolute */
	char *const *argv;   /* argv[0] included, ends with NULL */
	char *const *envp;   /* all of the environment, ends with NULL */
	bool raw;
	double timeout; /* seconds, from start to exit */
};

/* Embedded in its owner, which reaches itself through container_of(). */
struct exec {
	struct verdict verdict;

	/* private */
	struct children *children; /* borrowed until deinit */
	exec_line_fn *on_line;
	exec_written_fn *on_written;
	ev_io in, out, err;
	ev_timer deadline;
	struct child *child;     /* owned while running */
	int fds[3];              /* owned; its stdin, stdout, stderr; or -1 */
	const struct mail *mail; /* borrowed from start until written or done */
	bool raw;
	size_t sent;     /* bytes of the mail */
	size_t received; /* bytes of output */
	struct exec_output output;
	struct exec_stderr lines;
	exec_done_fn *on_done; /* non-NULL exactly while running */
};

/* Cannot fail, acquires nothing.  `children` must outlive `x`. */
void exec_init(struct exec *x, struct children *children, exec_line_fn *on_line,
	       exec_written_fn *on_written);

/* Abandons a running delivery without calling back: the program's group is
 * terminated by `children`.  Idempotent. */
void exec_deinit(struct exec *x);

/*
 * Borrows the sealed `mail` until written, done or deinit; `spec` only during the call.  On
 * error (the program cannot be started) returns -errno, `x` is idle again, and
 * `on_done` is never called.  SIGPIPE must be ignored.
 */
MUSTCHECK int exec_start(struct exec *x, const struct exec_spec *spec,
			 const struct mail *mail, exec_done_fn *on_done);

#endif
