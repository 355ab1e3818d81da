/* SPDX-License-Identifier: BSD-2-Clause */
#include "lua/callback.h"

#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "base/list.h"
#include "base/log.h"
#include "lua/config.h"
#include "lua/vm.h"

struct callback {
	struct list node; /* of vm->callbacks */
	struct coro coro;
	struct vm *vm;
	const char *what;
	callback_done_fn *on_done;
	void *context;
};

static void log_error(struct callback *cb)
{
	const char *line = cb->coro.error.data;
	size_t left = cb->coro.error.size;

	log_printf(cb->vm->log, "%s failed:", cb->what);
	while (left > 0) {
		const char *end = memchr(line, '\n', left);
		size_t size = end != NULL ? (size_t)(end - line) : left;

		log_text(cb->vm->log, "", line, size);
		size += end != NULL;
		line += size;
		left -= size;
	}
}

static void finish(struct callback *cb, enum coro_status status)
{
	callback_done_fn *on_done = cb->on_done;
	void *context = cb->context;

	if (status == CORO_FAILED)
		log_error(cb);
	list_remove(&cb->node);
	coro_deinit(&cb->coro);
	free(cb);
	on_done(context);
}

static void on_coro_done(struct coro *c, enum coro_status status)
{
	finish(container_of(c, struct callback, coro), status);
}

void callback_run(struct vm *vm, const char *what, coro_push_fn *push,
		  void *push_context, callback_done_fn *on_done, void *context)
{
	struct callback *cb = calloc(1, sizeof(*cb));
	enum coro_status status;

	if (cb == NULL) {
		log_printf(vm->log, "%s failed: not enough memory", what);
		on_done(context);
		return;
	}
	cb->vm = vm;
	cb->what = what;
	cb->on_done = on_done;
	cb->context = context;
	list_init(&cb->node);
	list_append(&vm->callbacks, &cb->node);
	coro_init(&cb->coro, vm);
	status = coro_start(&cb->coro, vm->config->handler_timeout, push,
			    push_context, on_coro_done);
	if (status != CORO_WAITING)
		finish(cb, status);
}

void callback_stop_all(struct vm *vm)
{
	struct list *node;

	while ((node = list_first(&vm->callbacks)) != NULL) {
		struct callback *cb = container_of(node, struct callback, node);

		list_remove(node);
		coro_deinit(&cb->coro);
		free(cb);
	}
}
