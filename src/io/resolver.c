/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/resolver.h"

#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"

/*
 * The thread knows struct worker alone, never the resolver, a query or Lua.  A job
 * belongs to the side that would touch it next: to the loop while it waits in a
 * list, to the thread while it is looked up.  A job abandoned meanwhile is
 * freed by the thread; so is the worker, if the resolver has gone before a look-up
 * that hangs has ended.
 */

enum job_state {
	JOB_WAITING, /* in worker.waiting */
	JOB_RUNNING, /* in no list: the thread's */
	JOB_DONE,    /* in worker.done */
};

struct resolver_job {
	struct list node;
	enum job_state state;
	struct resolver_query *query; /* NULL when abandoned */
	unsigned port;

	/* the outcome */
	struct socket_address *addresses; /* owned */
	size_t n_addresses;
	const char *message; /* static; NULL if there are addresses */

	char host[]; /* with its NUL */
};

/* Everything in it is under the lock, but for the thread's own job. */
struct worker {
	pthread_mutex_t lock;
	pthread_cond_t wakeup; /* there is a job, or no resolver any more */
	struct list waiting;   /* struct resolver_job.node */
	struct list done;      /* struct resolver_job.node */
	bool busy;             /* a look-up runs */
	bool closed;           /* nobody wants an outcome any more */
	bool orphaned;         /* the thread frees this */

	/* borrowed until `closed` */
	struct ev_loop *loop;
	ev_async *on_outcome;
};

struct resolver {
	struct ev_loop *loop; /* borrowed */
	ev_async outcome;
	struct worker *worker; /* owned unless orphaned; NULL before the first
				* query */
	pthread_t thread;
};

static void job_free(struct resolver_job *job)
{
	free(job->addresses);
	free(job);
}

static void free_jobs(struct list *jobs)
{
	struct list *node;

	while ((node = list_first(jobs)) != NULL) {
		list_remove(node);
		job_free(container_of(node, struct resolver_job, node));
	}
}

static void worker_free(struct worker *w)
{
	free_jobs(&w->waiting);
	free_jobs(&w->done);
	pthread_cond_destroy(&w->wakeup);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

/* Copies one address; false for a family that we do not know. */
static bool copy_address(const struct addrinfo *info, unsigned port,
			 struct socket_address *ret_address)
{
	struct socket_address a = {.size = info->ai_addrlen};

	if (info->ai_addrlen > sizeof(a.in6))
		return false;
	memcpy(&a.sa, info->ai_addr, info->ai_addrlen);
	switch (info->ai_family) {
	case AF_INET:
		a.in.sin_port = htons((uint16_t)port);
		break;
	case AF_INET6:
		a.in6.sin6_port = htons((uint16_t)port);
		break;
	default:
		return false;
	}
	*ret_address = a;
	return true;
}

static void copy_addresses(struct resolver_job *job,
			   const struct addrinfo *infos)
{
	struct socket_address *addresses =
		calloc(LIMIT_RESOLVE_ADDRESSES, sizeof(*addresses));
	size_t n = 0;

	if (addresses == NULL) {
		job->message = gai_strerror(EAI_MEMORY);
		return;
	}
	for (; infos != NULL && n < LIMIT_RESOLVE_ADDRESSES;
	     infos = infos->ai_next)
		if (copy_address(infos, job->port, &addresses[n]))
			n++;
	if (n == 0) {
		free(addresses);
		job->message = gai_strerror(EAI_NODATA);
		return;
	}
	job->addresses = addresses;
	/* analyzer: the job owns the addresses */
	job->n_addresses = n;
}

/* In the thread, without the lock. */
static void look_up(struct resolver_job *job)
{
	const struct addrinfo hints = {.ai_family = AF_UNSPEC,
				       .ai_socktype = SOCK_STREAM};
	struct addrinfo *infos = NULL;
	int r = getaddrinfo(job->host, NULL, &hints, &infos);

	if (r == EAI_SYSTEM)
		job->message = strerrordesc_np(errno);
	else if (r != 0)
		job->message = gai_strerror(r);
	else
		copy_addresses(job, infos);
	if (r == 0)
		freeaddrinfo(infos);
}

/* Takes the first job, looks it up, and hands it back.  The lock is held. */
static void run_job(struct worker *w)
{
	struct resolver_job *job = container_of(list_first(&w->waiting),
						struct resolver_job, node);

	list_remove(&job->node);
	job->state = JOB_RUNNING;
	w->busy = true;
	pthread_mutex_unlock(&w->lock);

	look_up(job);

	pthread_mutex_lock(&w->lock);
	w->busy = false;
	job->state = JOB_DONE;
	if (job->query == NULL) {
		job_free(job);
		return;
	}
	/* Where a query waits the resolver is there. */
	assert(!w->closed);
	list_append(&w->done, &job->node);
	ev_async_send(w->loop, w->on_outcome);
}

static void *thread_main(void *arg)
{
	struct worker *w = arg;
	bool orphaned;

	pthread_mutex_lock(&w->lock);
	while (!w->closed) {
		if (list_empty(&w->waiting))
			pthread_cond_wait(&w->wakeup, &w->lock);
		else
			run_job(w);
	}
	orphaned = w->orphaned;
	pthread_mutex_unlock(&w->lock);
	if (orphaned)
		worker_free(w);
	return NULL;
}

/* Takes the job from its query. */
static struct resolver_job *detach(struct resolver_query *q)
{
	struct resolver_job *job = q->job;

	ev_timer_stop(q->resolver->loop, &q->deadline);
	q->job = NULL;
	return job;
}

static void abandon(struct resolver_query *q)
{
	struct worker *w = q->resolver->worker;
	struct resolver_job *job = detach(q);

	if (job == NULL)
		return;
	pthread_mutex_lock(&w->lock);
	job->query = NULL;
	list_remove(&job->node);
	if (job->state != JOB_RUNNING)
		job_free(job);
	pthread_mutex_unlock(&w->lock);
}

static void drop_addresses(struct resolver_query *q)
{
	free(q->addresses);
	q->addresses = NULL;
	q->n_addresses = 0;
}

static void on_deadline(EV_P_ ev_timer *timer, int revents)
{
	struct resolver_query *q =
		container_of(timer, struct resolver_query, deadline);

	(void)loop, (void)revents;
	abandon(q);
	q->message = "no answer in time";
	q->on_done(q, -ETIMEDOUT);
}

static struct resolver_job *take_done(struct worker *w)
{
	struct resolver_job *job = NULL;
	struct list *node;

	pthread_mutex_lock(&w->lock);
	node = list_first(&w->done);
	if (node != NULL) {
		list_remove(node);
		job = container_of(node, struct resolver_job, node);
	}
	pthread_mutex_unlock(&w->lock);
	return job;
}

static void on_outcome(EV_P_ ev_async *async, int revents)
{
	struct resolver *r = container_of(async, struct resolver, outcome);
	struct resolver_job *job;

	(void)loop, (void)revents;
	while ((job = take_done(r->worker)) != NULL) {
		struct resolver_query *q = job->query;

		detach(q);
		q->addresses = job->addresses;
		q->n_addresses = job->n_addresses;
		q->message = job->message;
		job->addresses = NULL;
		job_free(job);
		q->on_done(q, q->n_addresses > 0 ? 0 : -ENOENT);
	}
}

/* Signals are for the loop's thread. */
static int start_thread(struct resolver *r, struct worker *w)
{
	sigset_t all, saved;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &saved);
	err = pthread_create(&r->thread, NULL, thread_main, w);
	pthread_sigmask(SIG_SETMASK, &saved, NULL);
	return -err;
}

static int start_worker(struct resolver *r)
{
	struct worker *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return -ENOMEM;
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->wakeup, NULL);
	list_init(&w->waiting);
	list_init(&w->done);
	w->loop = r->loop;
	w->on_outcome = &r->outcome;
	if (start_thread(r, w) < 0) {
		worker_free(w);
		return -EAGAIN;
	}
	r->worker = w;
	return 0;
}

struct resolver *resolver_new(struct ev_loop *loop)
{
	struct resolver *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return NULL;
	r->loop = loop;
	ev_async_init(&r->outcome, on_outcome);
	ev_async_start(loop, &r->outcome);
	ev_unref(loop);
	return r;
}

void resolver_free(struct resolver *r)
{
	struct worker *w;
	bool busy;

	if (r == NULL)
		return;
	w = r->worker;
	if (w != NULL) {
		pthread_mutex_lock(&w->lock);
		assert(list_empty(&w->waiting) && list_empty(&w->done));
		w->closed = true;
		w->orphaned = busy = w->busy;
		pthread_cond_signal(&w->wakeup);
		pthread_mutex_unlock(&w->lock);
		if (busy) {
			pthread_detach(r->thread);
		} else {
			pthread_join(r->thread, NULL);
			worker_free(w);
		}
	}
	ev_ref(r->loop);
	ev_async_stop(r->loop, &r->outcome);
	free(r);
}

void resolver_query_init(struct resolver_query *q, struct resolver *r)
{
	*q = (struct resolver_query){.resolver = r};
	ev_init(&q->deadline, on_deadline);
}

void resolver_query_deinit(struct resolver_query *q)
{
	abandon(q);
	drop_addresses(q);
	q->message = NULL;
}

int resolver_query_start(struct resolver_query *q, const char *host,
			 unsigned port, double timeout,
			 resolver_done_fn *on_done)
{
	struct resolver *r = q->resolver;
	size_t size = strlen(host) + 1;
	struct resolver_job *job;
	int err;

	assert(q->job == NULL && on_done != NULL);
	if (r->worker == NULL) {
		err = start_worker(r);
		if (err < 0)
			return err;
	}
	job = calloc(1, sizeof(*job) + size);
	if (job == NULL)
		return -ENOMEM;
	memcpy(job->host, host, size);
	job->port = port;
	job->query = q;
	job->state = JOB_WAITING;
	list_init(&job->node);

	drop_addresses(q);
	q->message = NULL;
	q->job = job;
	q->on_done = on_done;
	/* Who looks up a name has often been running for a while. */
	ev_now_update(r->loop);
	ev_timer_set(&q->deadline, timeout, 0.);
	ev_timer_start(r->loop, &q->deadline);

	pthread_mutex_lock(&r->worker->lock);
	list_append(&r->worker->waiting, &job->node);
	pthread_cond_signal(&r->worker->wakeup);
	pthread_mutex_unlock(&r->worker->lock);
	return 0;
}
