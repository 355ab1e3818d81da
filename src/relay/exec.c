/* SPDX-License-Identifier: BSD-2-Clause */
#include "relay/exec.h"

#include <assert.h>
#include <errno.h>
#include <sys/ioctl.h>

#include "base/fd.h"
#include "io/child.h"
#include "io/socket.h"
#include "proto/mail.h"

/* One read: so much may come between two looks at other mails. */
#define READ_SIZE 16384

enum { IN, OUT, ERR };

static ev_io *watcher(struct exec *x, int i)
{
	return i == IN ? &x->in : i == OUT ? &x->out : &x->err;
}

static void close_pipe(struct exec *x, int i)
{
	ev_io_stop(x->children->loop, watcher(x, i));
	fd_close(&x->fds[i]);
}

static void release(struct exec *x)
{
	x->on_done = NULL;
	x->mail = NULL;
	ev_timer_stop(x->children->loop, &x->deadline);
	for (int i = IN; i <= ERR; i++)
		close_pipe(x, i);
	child_abandon(x->child);
	x->child = NULL;
}

/* The only way out of a running delivery, so that it calls back only once. */
static void finish(struct exec *x, int err)
{
	exec_done_fn *on_done = x->on_done;

	assert(on_done != NULL);
	release(x);
	on_done(x, err); /* may free x: nothing may follow */
}

/*
 * Writes what the pipe takes now; the rest waits for EV_WRITE.  A program need not
 * read its mail: an error only ends the writing.  Closing tells it that the mail
 * is complete.
 */
static void write_mail(struct exec *x)
{
	enum mail_form form = x->raw ? MAIL_RAW : MAIL_QMQP;
	ssize_t n = socket_write_mail(x->fds[IN], x->mail, form, x->sent);

	if (n > 0)
		x->sent += (size_t)n;
	if ((n >= 0 || n == -EAGAIN) &&
	    x->sent < mail_wire_size(x->mail, form)) {
		ev_io_start(x->children->loop, &x->in);
		return;
	}
	close_pipe(x, IN);
	x->mail = NULL;
	x->on_written(x);
}

static void pass_line(void *arg, const char *line, size_t size)
{
	struct exec *x = arg;

	x->on_line(x, line, size);
}

/* Reads once, at most `max` bytes.  Returns how many; at the end of a pipe, or of
 * our patience with it, closes it and returns 0. */
static size_t read_some(struct exec *x, int i, size_t max)
{
	char buf[READ_SIZE];
	ssize_t n = fd_read(x->fds[i], buf, max < READ_SIZE ? max : READ_SIZE);

	if (n == -EAGAIN)
		return 0;
	if (n > 0) {
		x->received += (size_t)n;
		if (i == OUT)
			exec_output_feed(&x->output, buf, (size_t)n);
		else
			exec_stderr_feed(&x->lines, buf, (size_t)n, pass_line,
					 x);
	}
	if (n <= 0 || x->received >= LIMIT_CHILD_OUTPUT) {
		close_pipe(x, i);
		return 0;
	}
	return (size_t)n;
}

/*
 * Reads what is in a pipe when the program has exited: not more, as others that
 * hold the pipe may go on filling it.
 */
static void drain(struct exec *x, int i)
{
	int left = 0;

	if (x->fds[i] < 0 || ioctl(x->fds[i], FIONREAD, &left) < 0)
		return;
	while (left > 0) {
		size_t n = read_some(x, i, (size_t)left);

		if (n == 0)
			return;
		left -= (int)n;
	}
}

static void on_in(EV_P_ ev_io *w, int revents)
{
	(void)loop, (void)revents;
	write_mail(container_of(w, struct exec, in));
}

static void on_out(EV_P_ ev_io *w, int revents)
{
	(void)loop, (void)revents;
	(void)read_some(container_of(w, struct exec, out), OUT, READ_SIZE);
}

static void on_err(EV_P_ ev_io *w, int revents)
{
	(void)loop, (void)revents;
	(void)read_some(container_of(w, struct exec, err), ERR, READ_SIZE);
}

static void on_exit_status(void *owner, int status)
{
	struct exec *x = owner;

	x->child = NULL;
	drain(x, OUT);
	drain(x, ERR);
	exec_stderr_end(&x->lines, pass_line, x);
	exec_output_verdict(&x->output, status, &x->verdict);
	finish(x, 0);
}

static void on_deadline(EV_P_ ev_timer *w, int revents)
{
	struct exec *x = container_of(w, struct exec, deadline);

	(void)loop, (void)revents;
	exec_stderr_end(&x->lines, pass_line, x);
	finish(x, -ETIMEDOUT);
}

void exec_init(struct exec *x, struct children *children, exec_line_fn *on_line,
	       exec_written_fn *on_written)
{
	x->children = children;
	x->on_line = on_line;
	x->on_written = on_written;
	ev_init(&x->in, on_in);
	ev_init(&x->out, on_out);
	ev_init(&x->err, on_err);
	ev_init(&x->deadline, on_deadline);
	x->child = NULL;
	for (int i = IN; i <= ERR; i++)
		x->fds[i] = -1;
	x->mail = NULL;
	x->on_done = NULL;
}

void exec_deinit(struct exec *x)
{
	release(x);
}

int exec_start(struct exec *x, const struct exec_spec *spec,
	       const struct mail *mail, exec_done_fn *on_done)
{
	const struct spawn what = {
		.program = spec->program,
		.argv = spec->argv,
		.envp = spec->envp,
		.merge = spec->raw,
	};
	struct ev_loop *loop = x->children->loop;
	int r;

	assert(x->on_done == NULL && on_done != NULL);
	r = child_start(x->children, &what, on_exit_status, x, &x->child,
			x->fds);
	if (r < 0)
		return r;
	x->mail = mail;
	x->raw = spec->raw;
	x->sent = 0;
	x->received = 0;
	exec_output_reset(&x->output, spec->raw);
	exec_stderr_reset(&x->lines);
	x->on_done = on_done;

	ev_io_set(&x->in, x->fds[IN], EV_WRITE);
	for (int i = OUT; i <= ERR; i++) {
		if (x->fds[i] < 0)
			continue;
		ev_io_set(watcher(x, i), x->fds[i], EV_READ);
		ev_io_start(loop, watcher(x, i));
	}
	ev_now_update(loop); /* starting a program takes its time */
	ev_timer_set(&x->deadline, spec->timeout, 0.);
	ev_timer_start(loop, &x->deadline);
	write_mail(x); /* a pipe takes most mails whole */
	return 0;
}
