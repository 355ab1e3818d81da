/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_TEST_MAILING_H
#define QRELAY_TEST_MAILING_H

/* For the tests of the mail object: a mail, and a handler that gets it. */

#include "scripting.h"

#include "base/block.h"
#include "lua/handler.h"
#include "proto/mail.h"
#include "proto/qmqp_request.h"

#define WIRE "37:5:hello,6:s@a.de,6:r@b.de,8:x@y.host,,"

struct post {
	struct block_pool pool;
	struct mail mail;
	struct peer peer;
	struct handler handler;
	unsigned n_done;
	enum handler_status status;
};

static struct post p;

static inline void receive_mail(void)
{
	struct qmqp_request request;
	struct iovec iov;
	size_t used;

	block_pool_init(&p.pool);
	mail_init(&p.mail, &p.pool);
	qmqp_request_init(&request, &p.mail, 1024, 10);
	assert_int_equal(chain_space(&p.mail.chain, 1, &iov, 1), 1);
	memcpy(iov.iov_base, WIRE, strlen(WIRE));
	chain_commit(&p.mail.chain, strlen(WIRE));
	assert_int_equal(qmqp_request_feed(&request, WIRE, strlen(WIRE), &used),
			 QMQP_REQUEST_DONE);
}

static inline void post_init(const struct socket_address *remote)
{
	memset(&p.handler, 0xa5, sizeof(p.handler));
	mail_context_init(&p.handler.mail, &p.mail, &p.peer, remote, -1);
	handler_init(&p.handler, w.vm);
	p.n_done = 0;
}

static inline int setup_mail(void **state)
{
	setup(state);
	p = (struct post){.peer = {true, 4711, 1000, 100}};
	receive_mail();
	post_init(NULL);
	return 0;
}

static inline void mail_teardown(void)
{
	handler_deinit(&p.handler);
	handler_deinit(&p.handler);
	mail_deinit(&p.mail);
	block_pool_deinit(&p.pool);
}

static inline int teardown_mail(void **state)
{
	mail_teardown();
	return teardown(state);
}

static void on_handled(struct handler *h, enum handler_status status)
{
	assert_ptr_equal(h, &p.handler);
	p.n_done++;
	p.status = status;
}

static int make_function(lua_State *L)
{
	if (luaL_loadbuffer(L, lua_touserdata(L, 1),
			    strlen(lua_touserdata(L, 1)), "=code") != LUA_OK)
		lua_error(L);
	lua_call(L, 0, 1);
	lua_pushinteger(L, luaL_ref(L, LUA_REGISTRYINDEX));
	return 1;
}

/* Hands the mail to `function(m) BODY end`. */
static inline enum handler_status handle(const char *body, double cpu)
{
	char code[4000];
	int function;

	snprintf(code, sizeof(code), "return function(m) %s end", body);
	if (vm_call(w.vm, make_function, code, 1) != LUA_OK)
		fail_msg("%s", lua_tostring(w.vm->L, -1));
	function = (int)lua_tointeger(w.vm->L, -1);
	lua_settop(w.vm->L, 0);
	p.n_done = 0;
	return handler_start(&p.handler, function, cpu, on_handled);
}

/* The first line of why it failed. */
static inline const char *handler_error(void)
{
	static char text[1000];
	size_t n = p.handler.coro.error.size;

	n = n < sizeof(text) ? n : sizeof(text) - 1;
	memcpy(text, n ? p.handler.coro.error.data : "", n);
	text[n] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return text;
}

/* The handler does that and returns an action. */
static inline void assert_handles(const char *body)
{
	post_init(p.handler.mail.remote);
	if (handle(body, 20.) != HANDLER_DONE)
		fail_msg("%s: %s", body, handler_error());
	assert_non_null(p.handler.action);
}

/* The handler fails with a message that holds that. */
static inline void assert_fails(const char *body, const char *error)
{
	post_init(p.handler.mail.remote);
	assert_int_equal(handle(body, 20.), HANDLER_FAILED);
	if (strstr(handler_error(), error) == NULL)
		fail_msg("%s: %s, not %s", body, handler_error(), error);
	assert_null(p.handler.action);
	handler_deinit(&p.handler);
}

#define MAIL(f) cmocka_unit_test_setup_teardown(f, setup_mail, teardown_mail)

#endif
