/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/mail_log.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/number.h"
#include "daemon/instance.h"
#include "daemon/listener.h"
#include "daemon/session.h"
#include "daemon/transaction.h"
#include "io/sockaddr.h"
#include "relay/verdict.h"

static void add_id(struct log_line *line, const struct session *s)
{
	const struct instance *i = s->instance;
	char text[2 * NUMBER_MAX + 1];
	size_t n = number_print_hex(text, i->id_prefix);

	text[n++] = '-';
	n += number_print_hex(text + n, s->transaction ? s->transaction->number
						       : i->n_mails);
	log_line_value(line, "id", text, n);
}

static void add_client(struct log_line *line, const struct session *s)
{
	char text[SOCKADDR_TEXT_MAX];

	log_line_value(line, "listener", s->listener->name,
		       strlen(s->listener->name));
	if (s->peer.known) {
		if (s->peer.pid != 0)
			log_line_number(line, "pid", (uint64_t)s->peer.pid);
		log_line_number(line, "uid", s->peer.uid);
		log_line_number(line, "gid", s->peer.gid);
	}
	if (s->remote != NULL) {
		sockaddr_print(s->remote, text, sizeof(text));
		log_line_value(line, "client", text, strlen(text));
	}
}

static void add_mail(struct log_line *line, const struct transaction *t)
{
	const struct mail *m = &t->mail;
	const char *account = t->handler.mail.account, *recipient;
	size_t at = 0, size;

	if (account != NULL)
		log_line_value(line, "account", account, strlen(account));
	if (!t->whole)
		return;
	log_line_quoted(line, "from", m->sender.data ? m->sender.data : "",
			m->sender.size);
	recipient = mail_recipient(m, &at, &size);
	if (recipient != NULL)
		log_line_quoted(line, "to", recipient, size);
	log_line_number(line, "nrcpt", m->n_recipients);
	log_line_number(line, "size", m->message_size);
}

static void add_action(struct log_line *line, const struct transaction *t)
{
	const struct action *action = t->handler.action;
	const char *target = delivery_target(&t->delivery);

	if (action != NULL)
		log_line_value(line, "action", action->name,
			       strlen(action->name));
	if (target != NULL)
		log_line_value(line, "target", target, strlen(target));
}

static void add_where(struct log_line *line, const char *where, int err)
{
	char text[128];

	if (err == 0)
		snprintf(text, sizeof(text), "%s", where);
	else
		snprintf(text, sizeof(text), "%s: %s", where, strerror(-err));
	log_line_value(line, "where", text, strlen(text));
}

void mail_log(const struct session *s, const struct verdict *v,
	      const char *where, int err)
{
	const struct transaction *t = s->transaction;
	struct log_line line;
	double ms = 0.;

	log_line_init(&line);
	add_id(&line, s);
	add_client(&line, s);
	if (t != NULL) {
		add_mail(&line, t);
		add_action(&line, t);
		ms = (clock_now() - t->begun) * 1e3;
	}
	if (v->letter != '\0')
		log_line_value(&line, "verdict", &v->letter, 1);
	log_line_quoted(&line, "text", v->text, v->size);
	if (where != NULL)
		add_where(&line, where, err);
	log_line_tenths(&line, "ms", ms > 0. ? (uint64_t)(ms * 10. + .5) : 0);
	log_line_end(&s->instance->log, &line);
}

void mail_log_error(const struct session *s, const struct buffer *error)
{
	const char *text = error->data;
	size_t left = error->size;
	const char *key = "error";

	for (int n = 0; left > 0 && n < LIMIT_TRACEBACK_LINES; n++) {
		const char *end = memchr(text, '\n', left);
		size_t size = end ? (size_t)(end - text) : left;
		struct log_line line;

		log_line_init(&line);
		add_id(&line, s);
		log_line_quoted(&line, key, text, size);
		log_line_end(&s->instance->log, &line);
		key = "traceback";
		text += size;
		left -= size;
		if (left > 0) {
			text++;
			left--;
		}
	}
}

void mail_log_stderr(const struct session *s, const char *line, size_t size)
{
	struct log_line log;

	log_line_init(&log);
	add_id(&log, s);
	log_line_quoted(&log, "stderr", line, size);
	log_line_end(&s->instance->log, &log);
}
