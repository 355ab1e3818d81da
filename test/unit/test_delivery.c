/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What becomes of a mail, in the words of SPEC 4, whatever servers and programs
 * do; that no second server gets it once a first one had a byte of it; and what
 * the log will say of it.
 */
#include "relaying.h"

#include "base/clock.h"
#include "base/limits.h"
#include "daemon/delivery.h"
#include "io/child.h"
#include "lua/action_class.h"
#include "lua/command.h"

#define REQUEST "26:10:mmmmmmmmmm,3:a@x,3:b@y,,"
#define NONE 100 /* a server that is not there */

struct test {
	struct ev_loop *loop;
	struct block_pool pool;
	struct children children;
	struct mail small, large;
	struct delivery delivery;
	struct server servers[3];
	struct action action;
	struct address_list *to;
	int n_fds;

	bool starting, done;
	unsigned n_sent; /* calls of on_sent */
	double time;     /* until the answer must be there */
	char verdict[LIMIT_REPLY + 1];
	char where[100];
	char lines[100];
};

static struct test t;
static char buf[100000];

static void take_verdict(void)
{
	const struct delivery *d = &t.delivery;

	t.done = true;
	t.verdict[0] = d->verdict.letter;
	memcpy(t.verdict + 1, d->verdict.text, d->verdict.size);
	t.verdict[1 + d->verdict.size] = '\0';
	if (d->error != 0)
		snprintf(t.where, sizeof(t.where), "%s: %s", d->where,
			 strerror(-d->error));
	else
		snprintf(t.where, sizeof(t.where), "%s",
			 d->where ? d->where : "");
}

static void on_done(struct delivery *d)
{
	assert_ptr_equal(d, &t.delivery);
	assert_false(t.starting);
	assert_false(t.done);
	take_verdict();
}

static void on_sent(struct delivery *d)
{
	assert_ptr_equal(d, &t.delivery);
	assert_false(t.done);
	assert_int_equal(delivery_is_committed(d),
			 t.action.type == ACTION_CONNECT);
	t.n_sent++;
}

static void on_stderr(struct delivery *d, const char *line, size_t size)
{
	assert_ptr_equal(d, &t.delivery);
	strncat(t.lines, line, size);
	strcat(t.lines, "|");
}

static int setup(void **state)
{
	(void)state;
	t = (struct test){.n_fds = count_fds(), .time = 60.};
	t.loop = ev_loop_new(EVFLAG_NOENV);
	block_pool_init(&t.pool);
	children_init(&t.children, t.loop, RLIM_INFINITY);
	t.children.grace = .2;
	make_mail(&t.small, &t.pool, 10);
	make_mail(&t.large, &t.pool, 8 << 20);
	for (int i = 0; i < 3; i++)
		t.servers[i] = serve_unix(i);
	t.to = malloc(sizeof(*t.to) + 3 * sizeof(t.to->v[0]));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	delivery_deinit(&t.delivery);
	delivery_deinit(&t.delivery);
	free(t.to);
	children_deinit(&t.children);
	for (int i = 0; i < 3; i++)
		fd_close(&t.servers[i].fd);
	mail_deinit(&t.small);
	mail_deinit(&t.large);
	block_pool_deinit(&t.pool);
	ev_loop_destroy(t.loop);
	assert_int_equal(count_fds(), t.n_fds);
	assert_true(no_children());
	return 0;
}

/* What the script's object would hold. */
static struct address_entry entry(struct socket_address at)
{
	struct address_entry e = {.address = at};

	sockaddr_print(&e.address, e.text, sizeof(e.text));
	return e;
}

/* The address of server `i` or of none, in the action's list at `n`. */
static void connect_to(int a, int b, int c)
{
	const int which[] = {a, b, c};

	t.to->n = 0;
	for (int i = 0; i < 3 && which[i] >= 0; i++)
		t.to->v[t.to->n++] = entry(
			which[i] == NONE ? parse_address("@qrelay-unit-none")
					 : t.servers[which[i]].at);
	t.action = (struct action){.type = ACTION_CONNECT,
				   .name = "connect",
				   .to = t.to,
				   .connect_timeout = 20.};
}

/* Returns whether the verdict is known at once. */
static bool start(const struct mail *m)
{
	bool known;

	memset(&t.delivery, 0xa5, sizeof(t.delivery));
	delivery_init(&t.delivery, &t.children, on_stderr, on_sent);
	assert_false(delivery_is_committed(&t.delivery));
	t.done = false;
	t.n_sent = 0;
	t.lines[0] = '\0';
	ev_now_update(t.loop);
	t.starting = true;
	known = delivery_start(&t.delivery, &t.action, m, clock_now() + t.time,
			       on_done);
	t.starting = false;
	assert_false(t.done);
	if (known)
		take_verdict();
	return known;
}

static void assert_ends(const char *verdict, const char *where)
{
	assert_true(run_until(t.loop, &t.done));
	run_for(t.loop, .005);
	assert_string_equal(t.verdict, verdict);
	assert_string_equal(t.where, where);
	delivery_deinit(&t.delivery);
}

static int serve(int i)
{
	int fd = accept_client(t.loop, &t.servers[i]);

	assert_int_equal(serve_read(t.loop, fd, buf, strlen(REQUEST)),
			 strlen(REQUEST));
	assert_memory_equal(buf, REQUEST, strlen(REQUEST));
	return fd;
}

static bool untouched(int i)
{
	return !readable(t.servers[i].fd);
}

static void test_verdict(void **state)
{
	(void)state;
	t.action = (struct action){.type = ACTION_VERDICT, .name = "reject"};
	verdict_set_string(&t.action.verdict, 'D', "go away");
	assert_true(start(&t.small));
	assert_null(delivery_target(&t.delivery));
	assert_false(delivery_is_committed(&t.delivery));
	assert_ends("Dgo away", "");
	assert_int_equal(t.n_sent, 0);
}

/* The server's own words, a K with 255 bytes of them. */
static void test_reply(void **state)
{
	static const char *const verdicts[] = {"Kok 17 qp 3", "Zlater", "Dno\n",
					       "K"};
	char wire[300];
	int fd;

	(void)state;
	connect_to(0, 1, -1);
	for (int i = 0; i < 4; i++) {
		assert_false(start(&t.small));
		fd = serve(0);
		assert_string_equal(delivery_step(&t.delivery), "reply");
		assert_true(delivery_is_committed(&t.delivery));
		assert_int_equal(t.n_sent, 1);
		sprintf(wire, "%zu:%s,", strlen(verdicts[i]), verdicts[i]);
		serve_write(fd, wire);
		assert_ends(verdicts[i], "");
		close(fd);
	}
	assert_false(start(&t.small));
	memset(wire, 'x', sizeof(wire));
	memcpy(wire, "290:K", 5);
	strcpy(wire + 4 + 290, ",");
	fd = serve(0);
	serve_write(fd, wire);
	assert_true(run_until(t.loop, &t.done));
	close(fd);
	assert_int_equal(strlen(t.verdict), 256);
	assert_memory_equal(t.verdict, "Kxxx", 4);
	assert_true(untouched(1));
}

static void test_bad_replies(void **state)
{
	int fd;

	(void)state;
	connect_to(0, 1, -1);
	assert_false(start(&t.small));
	fd = serve(0);
	serve_write(fd, "3:Xok,");
	assert_ends("Zmalformed relay response", "reply");
	close(fd);

	assert_false(start(&t.small));
	fd = serve(0);
	serve_write(fd, "3:Ko");
	close(fd);
	assert_ends("Zrelay failed", "reply: Connection reset by peer");

	/* a byte was sent: nobody else gets this mail */
	assert_false(start(&t.large));
	fd = accept_client(t.loop, &t.servers[0]);
	assert_string_equal(delivery_step(&t.delivery), "send");
	assert_false(delivery_is_committed(&t.delivery));
	close(fd);
	assert_true(run_until(t.loop, &t.done));
	assert_string_equal(t.verdict, "Zrelay failed");
	assert_memory_equal(t.where, "send: ", 6);
	assert_int_equal(t.n_sent, 0);
	assert_true(untouched(1));
}

static void test_next_address(void **state)
{
	const char *target;
	int fd;

	(void)state;
	connect_to(NONE, 1, 2);
	assert_false(start(&t.small));
	fd = serve(1);
	assert_memory_equal(delivery_target(&t.delivery), "@qrelay-unit-", 13);
	target = delivery_target(&t.delivery);
	assert_string_equal(target + strlen(target) - 2, "-1");
	serve_write(fd, "3:Kok,");
	assert_ends("Kok", "");
	assert_true(untouched(2));
	close(fd);

	connect_to(NONE, NONE, 2);
	assert_false(start(&t.small));
	fd = serve(2);
	serve_write(fd, "3:Kok,");
	assert_ends("Kok", "");
	close(fd);
}

static void test_no_address(void **state)
{
	(void)state;
	connect_to(NONE, NONE, NONE);
	assert_true(start(&t.small));
	assert_string_equal(delivery_step(&t.delivery), "connect");
	assert_ends("Zconnect failed", "connect: Connection refused");

	/* a path that is no socket */
	connect_to(NONE, -1, -1);
	t.to->v[0] = entry(parse_address("/"));
	assert_true(start(&t.small));
	assert_string_equal(delivery_target(&t.delivery), "/");
	assert_ends("Zconnect failed", "connect: Connection refused");
}

/* A server that does not let us in costs connect_timeout, then comes the next. */
static void test_connect_timeout(void **state)
{
	int others[3], fd;

	(void)state;
	close(t.servers[0].fd);
	t.servers[0] = serve_tcp(0);
	for (int i = 0; i < 3; i++) {
		others[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		(void)!connect(others[i], &t.servers[0].at.sa,
			       t.servers[0].at.size);
	}
	connect_to(0, 1, -1);
	t.action.connect_timeout = .1;
	assert_false(start(&t.small));
	assert_string_equal(delivery_step(&t.delivery), "connect");
	fd = serve(1);
	serve_write(fd, "3:Kok,");
	assert_ends("Kok", "");
	close(fd);

	connect_to(0, -1, -1);
	t.action.connect_timeout = .1;
	assert_false(start(&t.small));
	assert_ends("Zconnect failed", "connect: Connection timed out");

	/* no time is left for the next one */
	connect_to(0, 1, -1);
	t.time = .1;
	assert_false(start(&t.small));
	assert_true(run_until(t.loop, &t.done));
	assert_string_equal(t.verdict, "Ztimeout");
	assert_string_equal(t.where, "connect");
	assert_true(untouched(1));
	for (int i = 0; i < 3; i++)
		close(others[i]);
}

static void test_timeout(void **state)
{
	int fd;

	(void)state;
	connect_to(0, 1, -1);
	t.time = .1;
	assert_false(start(&t.small));
	fd = serve(0);
	assert_ends("Ztimeout", "reply");
	close(fd);
	assert_false(start(&t.large));
	fd = accept_client(t.loop, &t.servers[0]);
	assert_ends("Ztimeout", "send");
	close(fd);
	t.time = 0.;
	assert_true(start(&t.small));
	assert_ends("Ztimeout", "connect");
	assert_true(untouched(1));
}

static void test_no_descriptors(void **state)
{
	struct rlimit before, none;
	bool known;

	(void)state;
	connect_to(0, 1, -1);
	getrlimit(RLIMIT_NOFILE, &before);
	none = before;
	none.rlim_cur = 0;
	setrlimit(RLIMIT_NOFILE, &none);
	known = start(&t.small);
	setrlimit(RLIMIT_NOFILE, &before);
	assert_true(known);
	assert_ends("Zinternal server error", "connect: Too many open files");
}

/* Abandoned: the server sees its connection closed, and nothing is called. */
static void test_abandoned(void **state)
{
	int fd;

	(void)state;
	connect_to(0, 1, -1);
	assert_false(start(&t.small));
	fd = serve(0);
	delivery_deinit(&t.delivery);
	assert_int_equal(recv(fd, buf, 1, 0), 0);
	close(fd);
	run_for(t.loop, .01);
	assert_false(t.done);
}

static char *argv[] = {"/bin/sh", "-c", NULL, NULL};
static char *envp[] = {"PATH=/usr/bin:/bin", NULL};
static struct command command = {argv, envp};

static void program(const char *script, bool raw, double timeout)
{
	argv[0] = "/bin/sh";
	argv[2] = (char *)script;
	t.action = (struct action){.type = ACTION_EXEC,
				   .name = raw ? "exec_raw" : "exec",
				   .command = &command,
				   .raw = raw,
				   .timeout = timeout};
}

static void test_program(void **state)
{
	(void)state;
	program("x=$(cat); echo one two >&2; echo 3 >&2; printf 3:Kok,", false,
		0.);
	assert_false(start(&t.small));
	assert_string_equal(delivery_step(&t.delivery), "exec");
	assert_string_equal(delivery_target(&t.delivery), "/bin/sh");
	assert_false(delivery_is_committed(&t.delivery));
	assert_ends("Kok", "");
	assert_string_equal(t.lines, "one two|3|");

	program("cat; exit 67", true, 0.);
	assert_false(start(&t.small));
	assert_ends("Dmmmmmmmmmm", "");
	/* `until` is a server's: a program has its own time */
	t.time = .01;
	program("sleep .1; echo done", true, 0.);
	assert_false(start(&t.small));
	assert_ends("Kdone", "");
}

static void test_program_timeout(void **state)
{
	(void)state;
	program("echo x; exec sleep 100", true, .1);
	assert_false(start(&t.small));
	assert_ends("Ztimeout", "exec");
	program("exec sleep 100", true, 0.);
	assert_false(start(&t.small));
	run_for(t.loop, .02);
	delivery_deinit(&t.delivery);
	run_for(t.loop, .05);
	assert_false(t.done);
}

static void test_no_program(void **state)
{
	(void)state;
	program(":", true, 0.);
	argv[0] = "/no/such/program";
	assert_true(start(&t.small));
	assert_string_equal(delivery_target(&t.delivery), "/no/such/program");
	assert_ends("Zinternal server error",
		    "exec: No such file or directory");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_verdict),         TEST(test_reply),
		TEST(test_bad_replies),     TEST(test_next_address),
		TEST(test_no_address),      TEST(test_connect_timeout),
		TEST(test_timeout),         TEST(test_no_descriptors),
		TEST(test_abandoned),       TEST(test_program),
		TEST(test_program_timeout), TEST(test_no_program),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
