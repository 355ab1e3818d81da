/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/child.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/limits.h"

#ifndef PIDFD_SIGNAL_PROCESS_GROUP
#define PIDFD_SIGNAL_PROCESS_GROUP (1U << 2)
#endif

/*
 * A group is signalled only while its number cannot belong to somebody else:
 * either the leader is not reaped (then the number is taken, by a zombie if
 * need be), or through the leader's pidfd, which names a group by identity and
 * not by number.
 */
struct child {
	struct list dying; /* in children.dying once abandoned */
	struct children *all;
	ev_io exit;
	ev_timer look;
	double grace; /* seconds from the next look on */
	pid_t pid;
	int pidfd;              /* owned; -1 only while dying */
	bool reaped;            /* the leader; others of its group may live */
	bool killed;            /* SIGKILL was sent */
	child_exit_fn *on_exit; /* non-NULL exactly while running */
	void *owner;
};

/* 0, or -errno: -ESRCH when nobody is in the group. */
static int signal_group(const struct child *c, int sig)
{
	int r;

	if (c->all->pidfd_groups && c->pidfd >= 0) {
		r = pidfd_send_signal(c->pidfd, sig, NULL,
				      PIDFD_SIGNAL_PROCESS_GROUP);
	} else {
		assert(!c->reaped);
		r = kill(-c->pid, sig);
	}
	if (r < 0 && errno == ESRCH && !c->reaped)
		r = kill(c->pid, sig); /* it moved to another group */
	return r < 0 ? -errno : 0;
}

/* Whether the leader has exited; it is gone then. */
static bool reap(struct child *c, int *ret_status)
{
	siginfo_t info = {.si_pid = 0};
	int r;

	if (c->pidfd >= 0)
		r = waitid(P_PIDFD, (id_t)c->pidfd, &info, WEXITED | WNOHANG);
	else
		r = waitid(P_PID, (id_t)c->pid, &info, WEXITED | WNOHANG);
	if (r == 0 && info.si_pid == 0)
		return false;
	c->reaped = true;
	if (r < 0)
		*ret_status = CHILD_STATUS_LOST;
	else if (info.si_code == CLD_EXITED)
		*ret_status = info.si_status;
	else
		*ret_status = -info.si_status;
	return true;
}

static void child_free(struct child *c)
{
	ev_io_stop(c->all->loop, &c->exit);
	ev_timer_stop(c->all->loop, &c->look);
	fd_close(&c->pidfd);
	list_remove(&c->dying);
	free(c);
}

/*
 * The leader of a dying group is dead.  The others, if there are any, keep what
 * is left of their grace: with a pidfd we can ask (now and then), else the leader
 * must stay a zombie until the group was killed.
 */
static void leader_died(struct child *c)
{
	int status;

	ev_io_stop(c->all->loop, &c->exit);
	if (!c->killed && !c->all->pidfd_groups)
		return;
	if (reap(c, &status) && (c->killed || signal_group(c, 0) == -ESRCH))
		child_free(c);
}

static void on_exit_ready(EV_P_ ev_io *w, int revents)
{
	struct child *c = container_of(w, struct child, exit);
	child_exit_fn *on_exit = c->on_exit;
	void *owner = c->owner;
	int status;

	(void)loop, (void)revents;
	if (on_exit == NULL) {
		leader_died(c);
		return;
	}
	if (!reap(c, &status))
		return;
	c->all->n_running--;
	child_free(c);
	on_exit(owner, status);
}

/* Goes on after SIGKILL: a process may take its time to die, and one without a
 * pidfd is not seen dying. */
static void on_look(EV_P_ ev_timer *w, int revents)
{
	struct child *c = container_of(w, struct child, look);
	int status;

	(void)loop, (void)revents;
	if (c->grace > 0.) {
		c->grace -= LIMIT_CHILD_LOOK;
		if (c->reaped && signal_group(c, 0) == -ESRCH)
			child_free(c);
		return;
	}
	(void)signal_group(c, SIGKILL); /* it may have become another user's */
	c->killed = true;
	if (c->reaped || reap(c, &status))
		child_free(c);
}

static void start_dying(struct child *c, double grace)
{
	double first = grace < LIMIT_CHILD_LOOK ? grace : LIMIT_CHILD_LOOK;

	c->on_exit = NULL;
	c->owner = NULL;
	c->grace = grace - first;
	list_append(&c->all->dying, &c->dying);
	ev_now_update(c->all->loop);
	ev_timer_set(&c->look, first, LIMIT_CHILD_LOOK);
	ev_timer_start(c->all->loop, &c->look);
}

void child_abandon(struct child *c)
{
	int status;

	if (c == NULL)
		return;
	assert(c->on_exit != NULL);
	c->all->n_running--;
	if (reap(c, &status)) {
		child_free(c);
		return;
	}
	(void)signal_group(c, SIGTERM);
	start_dying(c, c->all->grace);
}

static void watch(struct child *c, child_exit_fn *on_exit, void *owner)
{
	c->on_exit = on_exit;
	c->owner = owner;
	ev_io_set(&c->exit, c->pidfd, EV_READ);
	ev_io_start(c->all->loop, &c->exit);
	c->all->n_running++;
}

int child_start(struct children *all, const struct spawn *what,
		child_exit_fn *on_exit, void *owner, struct child **ret_child,
		int ret_fds[3])
{
	struct child *c;
	int fds[3], r;

	assert(on_exit != NULL);
	c = calloc(1, sizeof(*c));
	if (c == NULL)
		return -ENOMEM;
	c->all = all;
	c->pidfd = -1;
	list_init(&c->dying);
	ev_init(&c->exit, on_exit_ready);
	ev_init(&c->look, on_look);

	r = spawn(what, all->nofile, &c->pid, fds);
	if (r < 0) {
		child_free(c);
		return r;
	}
	c->pidfd = pidfd_open(c->pid, 0);
	if (c->pidfd < 0) {
		/* It runs, but cannot be awaited. */
		r = -errno;
		for (int i = 0; i < 3; i++)
			fd_close(&fds[i]);
		start_dying(c, 0.);
		return r;
	}
	watch(c, on_exit, owner);
	*ret_child = c;
	for (int i = 0; i < 3; i++)
		ret_fds[i] = fds[i];
	return 0;
}

/* On us: whether it exists as a group is all the same, if the kernel knows what
 * is asked. */
static bool probe_pidfd_groups(void)
{
	int fd = pidfd_open(getpid(), 0), r;

	if (fd < 0)
		return false;
	r = pidfd_send_signal(fd, 0, NULL, PIDFD_SIGNAL_PROCESS_GROUP);
	if (r < 0 && errno == ESRCH)
		r = 0;
	fd_close(&fd);
	return r == 0;
}

void children_init(struct children *all, struct ev_loop *loop, rlim_t nofile)
{
	*all = (struct children){
		.loop = loop,
		.nofile = nofile,
		.grace = LIMIT_CHILD_GRACE,
		.pidfd_groups = probe_pidfd_groups(),
	};
	list_init(&all->dying);
	signal(SIGCHLD, SIG_DFL);
}

void children_deinit(struct children *all)
{
	int left = (int)(LIMIT_CHILD_REAP * 1000.), status;
	struct list *l;

	assert(all->n_running == 0);
	for (l = all->dying.next; l != &all->dying; l = l->next)
		(void)signal_group(container_of(l, struct child, dying),
				   SIGKILL);
	while ((l = list_first(&all->dying)) != NULL) {
		struct child *c = container_of(l, struct child, dying);

		while (!c->reaped && !reap(c, &status) && left-- > 0)
			(void)poll(NULL, 0, 1);
		child_free(c);
	}
}
