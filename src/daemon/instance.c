/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/instance.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/limits.h"
#include "daemon/listener.h"
#include "daemon/session.h"
#include "daemon/transaction.h"
#include "io/resolver.h"
#include "lua/vm.h"

/* Seconds in which a block that nobody needs keeps its pages. */
#define TRIM_INTERVAL 5.

/* ---- sessions ---- */

void instance_update_accepting(struct instance *i)
{
	bool accepting = i->started && !i->stopping &&
			 i->clients.connections < i->config.max_connections;

	/* twice a mail, and there may be many listeners */
	if (accepting != i->accepting) {
		i->accepting = accepting;
		for (size_t n = 0; n < i->n_listeners; n++)
			listener_update(&i->listeners[n]);
	}
	if (i->stopping && list_empty(&i->sessions))
		ev_break(i->loop, EVBREAK_ALL);
}

static void kill_sessions(struct instance *i)
{
	struct list *node;

	while ((node = list_first(&i->sessions)) != NULL)
		session_kill(container_of(node, struct session, node));
}

static void close_listeners(struct instance *i)
{
	for (size_t n = 0; n < i->n_listeners; n++)
		listener_close(&i->listeners[n]);
}

/* ---- signals ---- */

static void log_error_lines(struct instance *i, const char *error)
{
	for (;;) {
		const char *end = strchrnul(error, '\n');

		log_text(&i->log, "", error, (size_t)(end - error));
		if (*end == '\0')
			return;
		error = end + 1;
	}
}

static void reload(struct instance *i);

static void on_reloaded(struct script *s, const char *error)
{
	struct instance *i = container_of(s, struct instance, script);

	i->script_running = false;
	if (error != NULL) {
		log_printf(&i->log, "reload failed:");
		log_error_lines(i, error);
	}
	if (!i->stopping)
		systemd_notify_ready();
	if (i->reload_pending && !i->stopping) {
		i->reload_pending = false;
		/* not from inside the script's own end */
		ev_feed_event(i->loop, &i->sighup, EV_SIGNAL);
	}
}

static void reload(struct instance *i)
{
	if (i->stopping)
		return;
	if (i->script_running || !i->started) {
		i->reload_pending = true;
		return;
	}
	i->script_running = true;
	systemd_notify_reloading();
	script_reload(&i->script, on_reloaded);
}

static void on_sighup(EV_P_ ev_signal *w, int revents)
{
	(void)loop, (void)revents;
	reload(container_of(w, struct instance, sighup));
}

static void on_patience_over(EV_P_ ev_timer *w, int revents)
{
	struct instance *i = container_of(w, struct instance, shutdown);

	(void)revents;
	kill_sessions(i);
	ev_break(EV_A, EVBREAK_ALL);
}

/* The first signal stops accepting, the second one everything. */
static void stop(struct instance *i)
{
	struct list *node, *next;

	if (i->stopping || !i->started) {
		i->stopping = true;
		kill_sessions(i);
		ev_break(i->loop, EVBREAK_ALL);
		return;
	}
	i->stopping = true;
	systemd_notify_stopping();
	close_listeners(i);
	for (node = i->sessions.next; node != &i->sessions; node = next) {
		next = node->next;
		session_stop(container_of(node, struct session, node));
	}
	ev_timer_set(&i->shutdown, i->config.shutdown_timeout, 0.);
	ev_timer_start(i->loop, &i->shutdown);
	instance_update_accepting(i); /* perhaps nothing is left */
}

static void on_sigterm(EV_P_ ev_signal *w, int revents)
{
	(void)loop, (void)revents;
	stop(container_of(w, struct instance, sigterm));
}

static void on_sigint(EV_P_ ev_signal *w, int revents)
{
	(void)loop, (void)revents;
	stop(container_of(w, struct instance, sigint));
}

static void on_trim(EV_P_ ev_timer *w, int revents)
{
	struct instance *i = container_of(w, struct instance, trim);

	(void)revents;
	block_pool_trim(&i->blocks);
	if (!block_pool_has_spare(&i->blocks))
		ev_timer_stop(EV_A, &i->trim);
}

void instance_trim_later(struct instance *i)
{
	if (block_pool_has_spare(&i->blocks) && !ev_is_active(&i->trim))
		ev_timer_again(i->loop, &i->trim);
}

static void on_watchdog(EV_P_ ev_timer *w, int revents)
{
	(void)loop, (void)w, (void)revents;
	systemd_notify_watchdog();
}

/* ---- life ---- */

int instance_init(struct instance *i)
{
	int r;

	*i = (struct instance){.loop = NULL};
	log_init(&i->log, STDERR_FILENO);
	config_init(&i->config);
	block_pool_init(&i->blocks);
	list_init(&i->sessions);
	session_init_spares(i);
	transaction_init_spares(i);
	signal(SIGPIPE, SIG_IGN);

	i->loop = ev_loop_new(EVFLAG_NOENV);
	if (i->loop == NULL)
		return -ENOMEM;
	logger_start(&i->logger, i->loop, &i->log);
	departures_init(&i->departures, i->loop);
	children_init(&i->children, i->loop, RLIM_INFINITY);
	timeout_queue_init(&i->receiving, i->loop, session_on_receive_timeout);
	timeout_queue_init(&i->draining, i->loop, session_on_drain_timeout);
	timeout_queue_set(&i->draining, LIMIT_DRAIN_TIME);
	i->id_prefix = (uint32_t)ev_now(i->loop);
	ev_signal_init(&i->sighup, on_sighup, SIGHUP);
	ev_signal_init(&i->sigterm, on_sigterm, SIGTERM);
	ev_signal_init(&i->sigint, on_sigint, SIGINT);
	ev_signal_start(i->loop, &i->sighup);
	ev_signal_start(i->loop, &i->sigterm);
	ev_signal_start(i->loop, &i->sigint);
	ev_init(&i->watchdog, on_watchdog);
	ev_timer_init(&i->trim, on_trim, 0., TRIM_INTERVAL);
	ev_init(&i->shutdown, on_patience_over);

	r = hangup_init(&i->hangup, i->loop);
	if (r < 0)
		return r;
	r = systemd_sockets_take(&i->sockets);
	if (r < 0)
		return r;
	i->resolver = resolver_new(i->loop);
	if (i->resolver == NULL)
		return -ENOMEM;
	i->vm = vm_new(i->loop, &i->log, i->resolver, &i->config);
	if (i->vm == NULL)
		return -errno;
	script_init(&i->script, i->vm);
	return 0;
}

/* A signal that comes when nobody listens any more must not kill the process
 * before it has cleaned up: it is going to end anyway. */
static void block_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

void instance_deinit(struct instance *i)
{
	i->stopping = true;
	block_signals();
	if (i->loop != NULL) {
		kill_sessions(i);
		session_free_spares(i);
		transaction_free_spares(i);
		for (size_t n = 0; n < i->n_listeners; n++)
			listener_deinit(&i->listeners[n]);
		free(i->listeners);
		i->listeners = NULL;
		i->n_listeners = 0;
		if (i->vm != NULL)
			script_deinit(&i->script);
		vm_free(i->vm);
		i->vm = NULL;
		resolver_free(i->resolver);
		i->resolver = NULL;
		departures_deinit(&i->departures);
		clients_deinit(&i->clients);
		children_deinit(&i->children);
		hangup_deinit(&i->hangup);
		timeout_queue_deinit(&i->receiving);
		timeout_queue_deinit(&i->draining);
		ev_timer_stop(i->loop, &i->watchdog);
		ev_timer_stop(i->loop, &i->trim);
		ev_timer_stop(i->loop, &i->shutdown);
		ev_signal_stop(i->loop, &i->sighup);
		ev_signal_stop(i->loop, &i->sigterm);
		ev_signal_stop(i->loop, &i->sigint);
		logger_stop(&i->logger);
		ev_loop_destroy(i->loop);
		i->loop = NULL;
	}
	systemd_sockets_deinit(&i->sockets);
	block_pool_deinit(&i->blocks);
	config_deinit(&i->config);
	log_flush_wait(&i->log, 1000);
	log_deinit(&i->log);
}

static void on_script_done(struct script *s, const char *error)
{
	struct instance *i = container_of(s, struct instance, script);

	i->script_running = false;
	i->script_failed = error != NULL;
	if (error != NULL)
		log_error_lines(i, error);
	ev_break(i->loop, EVBREAK_ALL);
}

bool instance_run_script(struct instance *i, const char *path)
{
	i->script_running = true;
	script_run(&i->script, path, on_script_done);
	while (i->script_running && !i->stopping)
		ev_run(i->loop, 0);
	if (i->stopping || i->script_failed)
		return false;
	if (i->config.n_listeners == 0) {
		log_printf(&i->log,
			   "%s: no qmqp_listen() call: nothing to listen on",
			   path);
		return false;
	}
	return true;
}

void instance_run(struct instance *i)
{
	double watchdog = systemd_watchdog();

	timeout_queue_set(&i->receiving, i->config.receive_timeout);
	i->started = true;
	if (watchdog > 0.) {
		ev_timer_set(&i->watchdog, 0., watchdog / 2);
		ev_timer_start(i->loop, &i->watchdog);
	}
	instance_update_accepting(i);
	systemd_notify_ready();
	if (i->reload_pending) {
		i->reload_pending = false;
		reload(i);
	}
	ev_run(i->loop, 0);
}
