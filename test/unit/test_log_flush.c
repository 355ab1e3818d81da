/* SPDX-License-Identifier: BSD-2-Clause */
/* Where the log goes: files, pipes and sockets that are slow, stuck or gone.  It
 * never waits, loses whole lines only, and says how many. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cmocka.h>

#include <signal.h>

#include "base/log.h"
#include "processes.h"

void *__real_realloc(void *p, size_t size);
void *__wrap_realloc(void *p, size_t size);

static bool no_memory;

void *__wrap_realloc(void *p, size_t size)
{
	return no_memory ? NULL : __real_realloc(p, size);
}

static char text[4 * LIMIT_LOG_BUFFER];
static int n_fds;

static int setup(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	no_memory = false;
	n_fds = count_fds();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	assert_int_equal(count_fds(), n_fds);
	return 0;
}

/* Numbered lines of 100 bytes, from `first` on. */
static void put(struct log *l, unsigned first, unsigned n)
{
	char rest[90];

	memset(rest, '.', sizeof(rest));
	for (unsigned i = first; i < first + n; i++) {
		char number[16];

		snprintf(number, sizeof(number), "%09u", i);
		log_text(l, number, rest, sizeof(rest));
	}
}

/* What can be read at once. */
static size_t drain(int fd)
{
	size_t size = 0;

	while (readable(fd)) {
		ssize_t n = read(fd, text + size, sizeof(text) - 1 - size);

		if (n <= 0)
			break;
		size += (size_t)n;
	}
	text[size] = '\0';
	return size;
}

/* Reads and flushes by turns until both are done. */
static void drain_all(struct log *l, int fd)
{
	size_t size = 0;
	bool done;

	do {
		ssize_t n;

		done = log_flush(l);
		while (readable(fd) &&
		       (n = read(fd, text + size, sizeof(text) - 1 - size)) > 0)
			size += (size_t)n;
	} while (!done);
	text[size] = '\0';
	assert_true(log_is_empty(l));
}

/* Lines `first` up to before `end`, each whole; returns what follows. */
static const char *expect(const char *p, unsigned first, unsigned end)
{
	for (unsigned i = first; i < end; i++, p += 100) {
		char number[16];

		snprintf(number, sizeof(number), "%09u.", i);
		assert_memory_equal(p, number, 10);
		assert_int_equal(p[99], '\n');
	}
	return p;
}

static void test_pipe(void **state)
{
	struct log l;
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	log_init(&l, fds[1]);
	/* whoever shares the pipe with us goes on blocking */
	assert_false(fcntl(fds[1], F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(log_fd(&l), F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(log_fd(&l), F_GETFD) & FD_CLOEXEC);
	assert_true(log_is_empty(&l));
	assert_true(log_flush(&l));
	put(&l, 0, 3);
	assert_false(log_is_empty(&l));
	assert_false(readable(fds[0]));
	assert_true(log_flush(&l));
	assert_true(log_is_empty(&l));
	drain(fds[0]);
	assert_string_equal(expect(text, 0, 3), "");
	log_deinit(&l);
	assert_true(fcntl(fds[1], F_GETFD) >= 0); /* it was borrowed */
	close(fds[0]);
	close(fds[1]);
}

/* A megabyte waits; what exceeds it is counted, and told when there is room. */
static void stuck(int in, int out)
{
	const unsigned fits = LIMIT_LOG_BUFFER / 100;
	struct log l;
	double start = now();
	const char *rest;

	log_init(&l, out);
	put(&l, 0, fits + 7);
	assert_false(log_flush(&l));
	assert_false(log_flush(&l));
	assert_false(log_is_empty(&l));
	assert_true(now() - start < patience() / 4);
	drain_all(&l, in);
	rest = expect(text, 0, fits);
	assert_string_equal(rest, "log: 7 lines dropped\n");

	/* The count starts anew. */
	put(&l, 0, fits + 1);
	drain_all(&l, in);
	rest = expect(text, 0, fits);
	assert_string_equal(rest, "log: 1 lines dropped\n");
	log_deinit(&l);
}

static void test_stuck_pipe(void **state)
{
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	stuck(fds[0], fds[1]);
	close(fds[0]);
	close(fds[1]);
}

/* A socket cannot be opened a second time: it stays blocking, we do not. */
static void test_stuck_socket(void **state)
{
	int fds[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	stuck(fds[0], fds[1]);
	assert_false(fcntl(fds[1], F_GETFL) & O_NONBLOCK);
	close(fds[0]);
	close(fds[1]);
}

/* Nor a pipe if the descriptors have run out: then each write asks first. */
static void test_stuck_without_descriptors(void **state)
{
	struct rlimit before, none;
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	getrlimit(RLIMIT_NOFILE, &before);
	none = before;
	none.rlim_cur = (rlim_t)fds[1] + 1; /* all are taken */
	setrlimit(RLIMIT_NOFILE, &none);
	stuck(fds[0], fds[1]);
	setrlimit(RLIMIT_NOFILE, &before);
	assert_false(fcntl(fds[1], F_GETFL) & O_NONBLOCK);
	close(fds[0]);
	close(fds[1]);
}

/* While some of it is read, lines go on being taken, in order. */
static void test_slow_reader(void **state)
{
	const unsigned fits = LIMIT_LOG_BUFFER / 100;
	unsigned next = fits, seen = 0;
	struct log l;
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	log_init(&l, fds[1]);
	put(&l, 0, fits);
	while (next < 3 * fits) {
		static char part[100];
		unsigned n = 0;

		assert_false(log_flush(&l));
		for (; n < 200; n++) {
			assert_int_equal(read_all(fds[0], part, 100), 100);
			expect(part, seen, seen + 1);
			seen++;
		}
		/* so many are in the pipe, and left room */
		put(&l, next, n);
		next += n;
	}
	drain_all(&l, fds[0]);
	assert_string_equal(expect(text, seen, next), "");
	/* what was written does not pile up */
	assert_true(l.lines.capacity <= 2 * LIMIT_LOG_BUFFER);
	log_deinit(&l);
	close(fds[0]);
	close(fds[1]);
}

/* Nobody reads any more: nothing waits then, and nobody need try again before
 * there is a new line.  Whoever opens the pipe next hears of what was lost. */
static void reader_left(struct log *l, int *reader, int again)
{
	close(*reader);
	put(l, 0, 5);
	for (int i = 0; i < 10; i++) {
		assert_true(log_flush(l));
		assert_true(log_is_empty(l));
	}
	put(l, 5, 1);
	assert_true(log_flush(l));
	*reader = again;
}

static void test_reader_left_and_came(void **state)
{
	char path[] = "/tmp/test_log.XXXXXX", fifo[40];
	struct log l;
	int reader, writer;

	(void)state;
	assert_non_null(mkdtemp(path));
	snprintf(fifo, sizeof(fifo), "%s/f", path);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	reader = open(fifo, O_RDONLY | O_NONBLOCK);
	writer = open(fifo, O_WRONLY);
	log_init(&l, writer);
	reader_left(&l, &reader, -1);
	reader = open(fifo, O_RDONLY | O_NONBLOCK);
	put(&l, 6, 1);
	drain_all(&l, reader);
	assert_string_equal(expect(text, 6, 7), "log: 6 lines dropped\n");
	log_deinit(&l);
	close(reader);
	close(writer);
	unlink(fifo);
	rmdir(path);
}

static void test_reader_left_socket(void **state)
{
	struct log l;
	int fds[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	log_init(&l, fds[1]);
	reader_left(&l, &fds[0], -1);
	log_deinit(&l);
	close(fds[1]);
}

/* A line that the full disk cut does not become part of the next one, and the
 * count of lost lines survives a second failure. */
static void test_full_disk(void **state)
{
	FILE *file = tmpfile();
	struct rlimit before, small;
	struct log l;
	ssize_t n;

	(void)state;
	log_init(&l, fileno(file));
	getrlimit(RLIMIT_FSIZE, &before);
	small = before;
	small.rlim_cur = 250;
	setrlimit(RLIMIT_FSIZE, &small);
	put(&l, 0, 5);
	assert_true(log_flush(&l));
	put(&l, 5, 2);
	assert_true(log_flush(&l));
	assert_true(log_flush(&l));
	setrlimit(RLIMIT_FSIZE, &before);
	put(&l, 7, 1);
	assert_true(log_flush(&l));
	n = pread(fileno(file), text, sizeof(text) - 1, 0);
	assert_true(n > 251);
	text[n] = '\0';
	expect(text, 0, 2);
	assert_memory_equal(text + 200, "000000002", 9);
	assert_int_equal(text[250], '\n');
	assert_string_equal(expect(text + 251, 7, 8), "log: 5 lines dropped\n");
	log_deinit(&l);
	fclose(file);
}

static void test_regular_file_is_appended_to(void **state)
{
	char path[] = "/tmp/test_log.XXXXXX";
	int fd = mkstemp(path), other = open(path, O_WRONLY | O_APPEND);
	struct log l;

	(void)state;
	assert_int_equal(fcntl(fd, F_SETFL, O_APPEND), 0);
	log_init(&l, fd);
	assert_int_equal(log_fd(&l), fd);
	put(&l, 0, 1);
	assert_true(log_flush(&l));
	assert_int_equal(write(other, "other\n", 6), 6);
	put(&l, 1, 1);
	assert_true(log_flush(&l));
	close(other);
	other = open(path, O_RDONLY);
	assert_int_equal(drain(other), 206);
	assert_memory_equal(expect(text, 0, 1), "other\n", 6);
	expect(text + 106, 1, 2);
	close(other);
	log_deinit(&l);
	close(fd);
	unlink(path);
}

/* Without memory lines are lost; flushing ends all the same. */
static void test_no_memory(void **state)
{
	struct log l;
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	log_init(&l, fds[1]);
	no_memory = true;
	put(&l, 0, 3);
	assert_true(log_flush(&l));
	put(&l, 3, 1);
	assert_true(log_flush(&l));
	no_memory = false;
	put(&l, 4, 1);
	drain_all(&l, fds[0]);
	assert_string_equal(expect(text, 4, 5), "log: 4 lines dropped\n");
	log_deinit(&l);
	close(fds[0]);
	close(fds[1]);
}

/* The end of the process waits, but not for ever. */
static void test_flush_wait(void **state)
{
	struct log l;
	int fds[2];
	double start;

	(void)state;
	assert_int_equal(pipe(fds), 0);
	log_init(&l, fds[1]);
	start = now();
	put(&l, 0, 3);
	log_flush_wait(&l, 10000);
	assert_true(now() - start < 5.);
	assert_true(log_is_empty(&l));

	put(&l, 3, 5000);
	start = now();
	log_flush_wait(&l, 200);
	assert_true(now() - start >= .19 && now() - start < patience());
	assert_false(log_is_empty(&l));
	if (fork() == 0) {
		usleep(50000);
		for (size_t left = 500300; left > 0;)
			left -= (size_t)read(fds[0], text, sizeof(text));
		_exit(0);
	}
	log_flush_wait(&l, 60000);
	assert_true(log_is_empty(&l));
	assert_true(now() - start < 50.);
	wait(NULL);
	log_deinit(&l);
	close(fds[0]);
	close(fds[1]);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_pipe),
		TEST(test_stuck_pipe),
		TEST(test_stuck_socket),
		TEST(test_stuck_without_descriptors),
		TEST(test_slow_reader),
		TEST(test_reader_left_and_came),
		TEST(test_reader_left_socket),
		TEST(test_full_disk),
		TEST(test_regular_file_is_appended_to),
		TEST(test_no_memory),
		TEST(test_flush_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
