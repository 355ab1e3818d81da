/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/delivery.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/limits.h"
#include "io/child.h"
#include "lua/action_class.h"
#include "lua/command.h"
#include "relay/exec.h"

/* Apart from struct delivery, because most mails do without. */
struct program {
	struct exec exec;
	struct delivery *delivery; /* borrowed: its owner */
};

static void on_client_sent(struct qmqp_client *c)
{
	struct delivery *d = container_of(c, struct delivery, client);

	d->on_sent(d);
}

void delivery_init(struct delivery *d, struct children *children,
		   delivery_stderr_fn *on_stderr, delivery_sent_fn *on_sent)
{
	*d = (struct delivery){
		.loop = children->loop,
		.children = children,
		.on_stderr = on_stderr,
		.on_sent = on_sent,
	};
	qmqp_client_init(&d->client, d->loop, on_client_sent);
}

void delivery_deinit(struct delivery *d)
{
	qmqp_client_deinit(&d->client);
	if (d->program != NULL)
		exec_deinit(&d->program->exec);
	free(d->program);
	d->program = NULL;
	d->on_done = NULL;
}

static void fail(struct delivery *d, const char *where, int err,
		 const char *text)
{
	d->where = where;
	d->error = err;
	verdict_set_string(&d->verdict, 'Z', text);
}

static bool is_ours(int err)
{
	return err == -EMFILE || err == -ENFILE || err == -ENOMEM ||
	       err == -ENOBUFS;
}

static void on_client_done(struct qmqp_client *c, int err);

/* Tries the present address and those behind it.  Returns true when none is left:
 * the verdict is set. */
static bool try_connect(struct delivery *d)
{
	const struct address_list *to = d->action->to;

	for (;; d->address++) {
		double left = d->until - clock_now();
		int r;

		if (left <= 0.) {
			fail(d, "connect", 0, "timeout");
			return true;
		}
		r = qmqp_client_start(&d->client, &to->v[d->address].address,
				      d->mail, d->action->connect_timeout, left,
				      on_client_done);
		if (r == 0)
			return false;
		if (is_ours(r)) {
			fail(d, "connect", r, "internal server error");
			return true;
		}
		if (d->address + 1 == to->n) {
			fail(d, "connect", r, "connect failed");
			return true;
		}
	}
}

const char *delivery_step(const struct delivery *d)
{
	const struct qmqp_client *c = &d->client;

	if (d->action->type == ACTION_EXEC)
		return "exec";
	if (!c->connected)
		return "connect";
	return qmqp_client_all_sent(c) ? "reply" : "send";
}

/* What it means that the server was not there, or did not answer. */
static void client_failed(struct delivery *d, int err)
{
	const struct qmqp_client *c = &d->client;
	const char *where = delivery_step(d);

	if (err == -EBADMSG)
		fail(d, where, 0, "malformed relay response");
	else if (err == -ETIME)
		fail(d, where, 0, "timeout");
	else if (is_ours(err))
		fail(d, where, err, "internal server error");
	else if (!c->connected)
		fail(d, where, err, "connect failed");
	else
		fail(d, where, err, "relay failed");
}

static void on_client_done(struct qmqp_client *c, int err)
{
	struct delivery *d = container_of(c, struct delivery, client);

	if (err == 0 && c->reply.text[0] == 'K' && !qmqp_client_all_sent(c)) {
		/* nobody can have taken what was not sent yet */
		fail(d, "send", 0, "relay failed");
	} else if (err == 0) {
		verdict_set(&d->verdict, c->reply.text[0], c->reply.text + 1,
			    c->reply.size - 1);
	} else if (c->sent == 0 && err != -EBADMSG && err != -ETIME &&
		   !is_ours(err) && d->address + 1 < d->action->to->n) {
		/* no server has seen a byte of it: the next one may */
		d->address++;
		if (!try_connect(d))
			return;
	} else {
		client_failed(d, err);
	}
	d->on_done(d); /* may free d */
}

static void on_program_line(struct exec *x, const char *line, size_t size)
{
	struct program *p = container_of(x, struct program, exec);

	p->delivery->on_stderr(p->delivery, line, size);
}

static void on_program_written(struct exec *x)
{
	struct delivery *d = container_of(x, struct program, exec)->delivery;

	d->on_sent(d);
}

static void on_program_done(struct exec *x, int err)
{
	struct delivery *d = container_of(x, struct program, exec)->delivery;

	if (err == 0)
		d->verdict = x->verdict;
	else
		fail(d, "exec", 0, "timeout");
	d->on_done(d); /* may free d */
}

/* Returns true if it cannot be started: the verdict is set. */
static bool try_exec(struct delivery *d)
{
	const struct action *a = d->action;
	const struct exec_spec spec = {
		.program = a->command->argv[0],
		.argv = a->command->argv,
		.envp = a->command->envp,
		.raw = a->raw,
		.timeout = a->timeout > 0. ? a->timeout : LIMIT_ACTION_TIMEOUT,
	};
	int r = -ENOMEM;

	d->program = malloc(sizeof(*d->program));
	if (d->program != NULL) {
		d->program->delivery = d;
		exec_init(&d->program->exec, d->children, on_program_line,
			  on_program_written);
		r = exec_start(&d->program->exec, &spec, d->mail,
			       on_program_done);
	}
	if (r < 0)
		fail(d, "exec", r, "internal server error");
	return r < 0;
}

bool delivery_start(struct delivery *d, const struct action *action,
		    const struct mail *mail, double until,
		    delivery_done_fn *on_done)
{
	d->action = action;
	d->mail = mail;
	d->until = until;
	d->address = 0;
	d->on_done = on_done;
	switch (action->type) {
	case ACTION_VERDICT:
		d->verdict = action->verdict;
		return true;
	case ACTION_CONNECT:
		return try_connect(d);
	case ACTION_EXEC:
		return try_exec(d);
	}
	assert(false);
	return true;
}

bool delivery_is_committed(const struct delivery *d)
{
	return d->action != NULL && d->action->type == ACTION_CONNECT &&
	       qmqp_client_all_sent(&d->client);
}

const char *delivery_target(const struct delivery *d)
{
	if (d->action == NULL || d->action->type == ACTION_VERDICT)
		return NULL;
	if (d->action->type == ACTION_EXEC)
		return d->action->command->argv[0];
	return d->action->to->v[d->address].text;
}
