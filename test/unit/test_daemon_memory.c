/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What becomes of a mail when memory runs out, from accept to reply: allocation
 * number n fails, for n = 0, 1, 2 … until none does.  No crash, no leak; the client
 * gets its answer, or a `Z`, or its connection is closed before anything was read;
 * and the next mail is served as ever.
 */
#include "relaying.h"

#include <lua.h>

#include "daemon/instance.h"
#include "daemon/session.h"
#include "daemon/transaction.h"
#include "lua/vm.h"
#include "out_of_memory.h"

#define LISTENER "@qrelay-memory-%d"

static struct {
	struct instance instance;
	struct server unix_server, tcp_server;
	char script[40]; /* its path */
	FILE *log;
	int n_fds;

	int server_fd; /* of the mail that is being relayed, or -1 */
	size_t server_got;
	unsigned n_taken; /* mails that a server said K to */
} d;

static struct {
	const char *recipient;
	size_t size;       /* of the message */
	const char *reply; /* when nothing fails */
	bool tcp;          /* the client's connection */
} mail;

static const char script[] =
	"max_size = 100000\n"
	"local unix, tcp = qmqp_resolve('@qrelay-unit-%d-1'), 'localhost:%d'\n"
	"local db = pg:new('host=/nonexistent user=x', 'public',\n"
	"  {init = 'SELECT 1'})\n"
	"local dos = {\n"
	"  connect = function(m)\n"
	"    m.sender = 'new@x.y' m.account = 'account'\n"
	"    m:insert_header('X-A', ('v'):rep(200))\n"
	"    return m:connect(unix, {timeout = 20})\n"
	"  end,\n"
	"  host = function(m) return m:connect(qmqp_resolve(tcp)) end,\n"
	"  wait = function(m) sleep(0) return m:discard('x' .. #m.sender) "
	"end,\n"
	"  raw = function(m) return m:exec_raw('/bin/sh', '-c',\n"
	"    'cat > /dev/null; echo $A', {env = {A = 'done'}}) end,\n"
	"  program = function(m) return m:exec('/bin/sh', '-c',\n"
	"    'cat > /dev/null; echo line >&2; printf 3:Kok,') end,\n"
	"  query = function(m)\n"
	"    local r, why = db:execute('SELECT $1', {'x'}, {timeout = .01})\n"
	"    return why:find('timeout') and m:discard('none') or m:defer(why)\n"
	"  end,\n"
	"}\n"
	"local function handle(m) return dos[m.recipients[1]](m) end\n"
	"qmqp_listen('" LISTENER "', handle)\n"
	"qmqp_listen('127.0.0.2:%d', handle)\n"
	"qmqp_listen('/tmp/test_memory.%d', handle)\n";

/* The server's on 127.0.0.1, so that it is free on 127.0.0.2 for ours. */
static int tcp_port(void)
{
	return ntohs(d.tcp_server.at.in.sin_port);
}

static void write_script(void)
{
	FILE *f;

	strcpy(d.script, "/tmp/test_memory.XXXXXX");
	f = fdopen(mkstemp(d.script), "w");
	assert_non_null(f);
	fprintf(f, script, (int)getpid(), tcp_port(), (int)getpid(), tcp_port(),
		(int)getpid());
	fclose(f);
}

/* An empty one, so that its buffer must be allocated. */
static void new_log(void)
{
	log_deinit(&d.instance.log);
	assert_int_equal(fseek(d.log, 0, SEEK_SET), 0);
	assert_int_equal(ftruncate(fileno(d.log), 0), 0);
	log_init(&d.instance.log, fileno(d.log));
}

static void on_started(EV_P_ ev_timer *w, int revents)
{
	(void)w, (void)revents;
	ev_break(EV_A, EVBREAK_ALL);
}

/* All that comes before the first mail; whether it succeeded. */
static bool start_daemon(void)
{
	ev_timer at_once;

	if (instance_init(&d.instance) < 0)
		return false;
	new_log();
	if (!instance_run_script(&d.instance, d.script) ||
	    !instance_listen(&d.instance))
		return false;
	ev_init(&at_once, on_started);
	ev_feed_event(d.instance.loop, &at_once, EV_TIMER);
	instance_run(&d.instance);
	return true;
}

static int setup(void **state)
{
	(void)state;
	d.n_fds = count_fds();
	d.log = tmpfile();
	d.unix_server = serve_unix(1);
	d.tcp_server = serve_tcp(5);
	d.server_fd = -1;
	write_script();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	instance_deinit(&d.instance);
	unlink(d.script);
	close(d.unix_server.fd);
	close(d.tcp_server.fd);
	fclose(d.log);
	assert_int_equal(count_fds(), d.n_fds);
	return 0;
}

/* ---- a mail ---- */

/* Whether what came is a whole request: its length is at its start. */
static bool is_whole(const char *data, size_t size)
{
	char *colon;
	size_t n = strtoul(data, &colon, 10);

	return colon > data && *colon == ':' &&
	       size == (size_t)(colon + 1 - data) + n + 1;
}

/* One move of the servers: takes a mail, and says K to one that is whole. */
static void serve(void)
{
	static char got[100000];
	ssize_t n;

	if (d.server_fd < 0) {
		struct server *s = readable(d.unix_server.fd) ? &d.unix_server
							      : &d.tcp_server;

		if (readable(s->fd))
			d.server_fd = accept(s->fd, NULL, NULL);
		d.server_got = 0;
	}
	if (d.server_fd < 0)
		return;
	n = recv(d.server_fd, got + d.server_got,
		 sizeof(got) - 1 - d.server_got, MSG_DONTWAIT);
	if (n > 0) {
		d.server_got += (size_t)n;
		got[d.server_got] = '\0';
		if (is_whole(got, d.server_got)) {
			serve_write(d.server_fd, "3:Kok,");
			d.n_taken++;
		}
	} else if (n == 0 || errno != EAGAIN) {
		fd_close(&d.server_fd);
	}
}

static size_t print_request(char *wire, const char *recipient, size_t size)
{
	static char content[100000];
	size_t n = (size_t)sprintf(content, "%zu:", size);

	memset(content + n, 'm', size);
	n += size;
	n += (size_t)sprintf(content + n, ",3:a@x,%zu:%s,5:other,",
			     strlen(recipient), recipient);
	size = (size_t)sprintf(wire, "%zu:", n);
	memcpy(wire + size, content, n);
	wire[size + n] = ',';
	return size + n + 1;
}

static int connect_client(void)
{
	char name[40];
	struct socket_address to;
	int fd;

	if (mail.tcp)
		snprintf(name, sizeof(name), "127.0.0.2:%d", tcp_port());
	else
		snprintf(name, sizeof(name), LISTENER, (int)getpid());
	to = parse_address(name);
	fd = socket(to.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, &to.sa, to.size), 0);
	return fd;
}

/* Lets the daemon work until the client's connection has ended; what it got. */
static const char *await_reply(int fd)
{
	static char reply[300];
	double end = now() + patience();
	size_t size = 0;

	for (;;) {
		ssize_t n = recv(fd, reply + size, sizeof(reply) - 1 - size,
				 MSG_DONTWAIT);

		if (n == 0 || (n < 0 && errno != EAGAIN))
			break;
		if (n > 0)
			size += (size_t)n;
		assert_true(now() < end);
		ev_run(d.instance.loop, EVRUN_NOWAIT);
		serve();
	}
	reply[size] = '\0';
	return reply;
}

static bool is_logged(const char *text)
{
	static char log[65536];
	size_t n;

	log_flush_wait(&d.instance.log, 1000);
	assert_int_equal(fseek(d.log, 0, SEEK_SET), 0);
	n = fread(log, 1, sizeof(log) - 1, d.log);
	log[n] = '\0';
	return strstr(log, text) != NULL;
}

/* A mail from connect(2) on; returns the reply. */
static const char *send_mail(void)
{
	static char wire[100000];
	size_t size = print_request(wire, mail.recipient, mail.size);
	int fd = connect_client();
	size_t half = size / 2;
	const char *reply;

	assert_int_equal(send(fd, wire, half, MSG_NOSIGNAL), half);
	for (int turns = 0; turns < 3; turns++)
		ev_run(d.instance.loop, EVRUN_NOWAIT);
	/* it may be refused already */
	(void)!send(fd, wire + half, size - half, MSG_NOSIGNAL);
	reply = await_reply(fd);
	close(fd);
	return reply;
}

/* What it had is given back. */
static void assert_idle(void)
{
	const struct instance *i = &d.instance;
	double end = now() + patience();

	while ((!list_empty(&i->sessions) || d.server_fd >= 0) && now() < end) {
		ev_run(i->loop, EVRUN_NOWAIT);
		serve();
	}
	assert_true(list_empty(&i->sessions));
	assert_int_equal(i->clients.connections, 0);
	assert_int_equal(i->clients.bytes, 0);
	assert_int_equal(i->blocks.n_used, 0);
	assert_null(i->vm->running);
	assert_int_equal(lua_gettop(i->vm->L), 0);
}

/* Sends the mail while memory lacks, then once more. */
static bool run_mail(long n, long count)
{
	unsigned taken = d.n_taken;
	bool any;
	const char *reply;

	transaction_free_spares(&d.instance);
	new_log();
	begin_failing(n, count);
	reply = send_mail();
	any = stop_failing();
	if (!any) {
		assert_string_equal(reply, mail.reply);
	} else if (reply[0] == '\0') {
		/* the mail never existed */
		assert_false(is_logged(" listener="));
	} else if (strcmp(reply, mail.reply) != 0) {
		if (strstr(reply, ":Z") == NULL)
			fail_msg("%s", reply);
	}
	if (strcmp(reply, "3:Kok,") == 0 && mail.recipient[0] != 'p')
		assert_int_equal(d.n_taken, taken + 1);
	assert_idle();

	new_log();
	assert_string_equal(send_mail(), mail.reply);
	assert_true(is_logged(" listener="));
	assert_idle();
	return any;
}

static void set_mail(const char *recipient, size_t size, const char *reply)
{
	mail.recipient = recipient;
	mail.size = size;
	mail.reply = reply;
	mail.tcp = false;
}

static void try_mail(const char *recipient, size_t size, const char *reply,
		     long least)
{
	long n;

	set_mail(recipient, size, reply);
	assert_true(start_daemon());
	n = each(run_mail);
	if (n < least)
		fail_msg("%s: only %ld allocations", recipient, n);
	instance_deinit(&d.instance);
}

static void test_connect(void **state)
{
	(void)state;
	try_mail("connect", 10, "3:Kok,", 15);
}

static void test_connect_large(void **state)
{
	(void)state;
	try_mail("connect", 60000, "3:Kok,", 15);
}

static void test_host_name(void **state)
{
	(void)state;
	try_mail("host", 10, "3:Kok,", 15);
}

static void test_wait(void **state)
{
	(void)state;
	try_mail("wait", 10, "3:Kx3,", 12);
}

static void test_program(void **state)
{
	(void)state;
	try_mail("program", 10, "3:Kok,", 15);
}

static void test_raw_program(void **state)
{
	(void)state;
	try_mail("raw", 10, "5:Kdone,", 15);
}

static void test_query(void **state)
{
	(void)state;
	try_mail("query", 10, "5:Knone,", 20);
}

/* The first mail of a daemon finds nothing that was kept of another one. */
static bool run_first_mail(long n, long count)
{
	bool any;

	assert_true(start_daemon());
	any = run_mail(n, count);
	instance_deinit(&d.instance);
	return any;
}

static void test_first_mail(void **state)
{
	(void)state;
	set_mail("connect", 10, "3:Kok,");
	assert_true(each(run_first_mail) > 20);
	set_mail("host", 10, "3:Kok,");
	assert_true(each(run_first_mail) > 20);
	set_mail("query", 10, "5:Knone,");
	assert_true(each(run_first_mail) > 20);
}

static void test_tcp(void **state)
{
	(void)state;
	set_mail("wait", 10, "3:Kx3,");
	mail.tcp = true;
	assert_true(each(run_first_mail) > 20);
}

static bool run_start(long n, long count)
{
	bool started, any;

	begin_failing(n, count);
	started = start_daemon();
	any = stop_failing();
	assert_true(started || any);
	instance_deinit(&d.instance);
	return any;
}

static void test_start(void **state)
{
	(void)state;
	assert_true(each(run_start) > 100);
}

#define DAY(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		DAY(test_connect),   DAY(test_connect_large),
		DAY(test_host_name), DAY(test_wait),
		DAY(test_program),   DAY(test_raw_program),
		DAY(test_query),     DAY(test_first_mail),
		DAY(test_tcp),       DAY(test_start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
