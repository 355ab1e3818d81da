/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/number.h"
#include "base/utf8.h"

/*
 * O_NONBLOCK belongs to the open file description, which stderr shares with the
 * shell and whoever else has it.  So a pipe or terminal is opened a second time
 * for ourselves; where that is not permitted, each write asks first.
 */
void log_init(struct log *l, int fd)
{
	struct stat st;
	char path[32];
	int own;

	*l = (struct log){.fd = fd};
	if (fstat(fd, &st) < 0 || S_ISREG(st.st_mode))
		return;
	if (S_ISSOCK(st.st_mode)) {
		l->is_socket = true;
		return;
	}
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	own = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	if (own >= 0) {
		l->fd = own;
		l->reopened = true;
	} else {
		l->ask_first = true;
	}
}

void log_deinit(struct log *l)
{
	if (l->reopened)
		fd_close(&l->fd);
	l->reopened = false;
	buffer_deinit(&l->lines);
	l->written = 0;
}

bool log_is_empty(const struct log *l)
{
	return l->written == l->lines.size;
}

int log_fd(const struct log *l)
{
	return l->fd;
}

static ssize_t write_some(struct log *l)
{
	const char *p = l->lines.data + l->written;
	size_t n = l->lines.size - l->written;
	ssize_t r;

	if (l->ask_first) {
		struct pollfd pfd = {.fd = l->fd, .events = POLLOUT};

		if (poll(&pfd, 1, 0) <= 0) {
			errno = EAGAIN;
			return -1;
		}
		n = n < PIPE_BUF ? n : PIPE_BUF;
	}
	do
		r = l->is_socket
			    ? send(l->fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL)
			    : write(l->fd, p, n);
	while (r < 0 && errno == EINTR);
	return r;
}

static unsigned long count_lines(const char *p, size_t n)
{
	unsigned long lines = 0;

	for (size_t i = 0; i < n; i++)
		lines += p[i] == '\n';
	return lines;
}

/* All that waited is written.  Queues what there is to tell of lines that were
 * dropped; returns whether there was. */
static bool tell_dropped(struct log *l)
{
	unsigned long dropped = l->dropped;

	l->lines.size = l->written = 0;
	l->told = 0;
	if (dropped == 0)
		return false;
	log_printf(l, "log: %lu lines dropped", dropped);
	if (l->lines.size > 0) {
		l->told = dropped;
		l->dropped = 0;
	} else {
		l->dropped = dropped; /* no memory: another time */
	}
	return l->lines.size > 0;
}

/* Nobody reads it any more, or the disk is full. */
static void drop_all(struct log *l)
{
	const char *rest = l->lines.data + l->written;

	l->dropped += count_lines(rest, l->lines.size - l->written);
	if (l->torn && *rest == '\n')
		l->dropped--; /* that ends a line, and is none */
	if (l->told > 0)
		l->dropped += l->told - 1; /* that was one of the lines */
	l->lines.size = l->written = 0;
	l->told = 0;
}

bool log_flush(struct log *l)
{
	if (log_is_empty(l))
		return true; /* lines that were dropped can wait for the next */
	for (;;) {
		ssize_t n;

		if (log_is_empty(l) && !tell_dropped(l))
			return true;
		n = write_some(l);
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return false;
		if (n < 0) {
			drop_all(l);
			return true;
		}
		l->written += (size_t)n;
		if (n > 0)
			l->torn = l->lines.data[l->written - 1] != '\n';
	}
}

void log_flush_wait(struct log *l, int milliseconds)
{
	struct timespec start, now;
	long left = milliseconds;

	clock_gettime(CLOCK_MONOTONIC, &start);
	while (!log_flush(l) && left > 0) {
		struct pollfd pfd = {.fd = l->fd, .events = POLLOUT};

		poll(&pfd, 1, (int)left);
		clock_gettime(CLOCK_MONOTONIC, &now);
		left = milliseconds - (now.tv_sec - start.tv_sec) * 1000 -
		       (now.tv_nsec - start.tv_nsec) / 1000000;
	}
}

/* All of `n` bytes or none, so that an escape is never cut; one byte stays free
 * for the quote that ends a value that was cut. */
static bool add(struct log_line *line, const char *p, size_t n)
{
	if (n > sizeof(line->text) - 1 - line->size)
		return false;
	memcpy(line->text + line->size, p, n);
	line->size += n;
	return true;
}

enum {
	BARE = 1,   /* needs no quotes */
	QUOTED = 2, /* needs no escape within quotes */
	TEXT = 4,   /* needs no escape in free text */
};

#define PLAIN (QUOTED | TEXT)
#define SAFE (BARE | QUOTED | TEXT)

/* US-ASCII only: all else takes the long way. */
static const unsigned char classes[256] = {
	['\t'] = TEXT,         [' ' ... '!'] = PLAIN, ['"'] = TEXT,
	['#' ... '*'] = PLAIN, ['+'] = SAFE,          [','] = PLAIN,
	['-' ... ':'] = SAFE,  [';' ... '?'] = PLAIN, ['@' ... 'Z'] = SAFE,
	['['] = PLAIN,         ['\\'] = TEXT,         [']' ... '^'] = PLAIN,
	['_'] = SAFE,          ['`'] = PLAIN,         ['a' ... 'z'] = SAFE,
	['{' ... '~'] = PLAIN,
};

/* How many bytes from `p` on are of that class. */
static size_t span(const char *p, size_t n, unsigned char class)
{
	size_t i = 0;

	while (i < n && classes[(unsigned char)p[i]] & class)
		i++;
	return i;
}

/* Adds one character that is not plain; returns how many bytes it was, 0 without
 * room. */
static size_t add_special(struct log_line *line, const char *p, size_t n,
			  bool in_quotes)
{
	unsigned char c = (unsigned char)p[0];
	size_t character = utf8_character(p, n);
	/* U+0080 ... U+009F are control characters as well */
	bool control =
		c < 0x20 || c == 0x7f ||
		(character == 2 && c == 0xc2 && (unsigned char)p[1] < 0xa0);
	char escape[5];

	if (in_quotes && (c == '"' || c == '\\'))
		return add(line, (char[]){'\\', p[0]}, 2) ? 1 : 0;
	if (!control && character > 0)
		return add(line, p, character) ? character : 0;
	snprintf(escape, sizeof(escape), "\\x%02X", c);
	return add(line, escape, 4) ? 1 : 0;
}

static void add_escaped(struct log_line *line, const char *p, size_t n,
			bool in_quotes)
{
	while (n > 0) {
		size_t room = sizeof(line->text) - 1 - line->size;
		size_t done =
			span(p, n < room ? n : room, in_quotes ? QUOTED : TEXT);

		if (done == 0)
			done = add_special(line, p, n, in_quotes);
		else
			add(line, p, done);
		if (done == 0)
			return;
		p += done;
		n -= done;
	}
}

bool log_line_key(struct log_line *line, const char *key, size_t size)
{
	char *at = line->text + line->size;

	if (sizeof(line->text) - line->size < size + 8)
		return false;
	if (line->size > 0)
		*at++ = ' ';
	memcpy(at, key, size);
	at[size] = '=';
	line->size = (size_t)(at + size + 1 - line->text);
	return true;
}

void log_line_add_quoted(struct log_line *line, const char *value, size_t size)
{
	line->text[line->size++] = '"';
	add_escaped(line, value, size, true);
	line->text[line->size++] = '"';
}

void log_line_add(struct log_line *line, const char *value, size_t size)
{
	size_t room = sizeof(line->text) - 1 - line->size;

	if (size > 0 && span(value, size, BARE) == size)
		add(line, value, size < room ? size : room);
	else
		log_line_add_quoted(line, value, size);
}

void log_line_add_number(struct log_line *line, uint64_t value)
{
	char text[NUMBER_MAX];
	size_t n = number_print(text, value);

	add(line, text, n);
}

void log_line_add_tenths(struct log_line *line, uint64_t value)
{
	char text[NUMBER_MAX + 2];
	size_t n = number_print(text, value / 10);

	text[n++] = '.';
	text[n++] = (char)('0' + value % 10);
	add(line, text, n);
}

/* The rest of a line that was cut is not told of: it is only ever a traceback or
 * a name that somebody made too long to read. */
void log_line_end(struct log *l, const struct log_line *line)
{
	size_t waiting = l->lines.size - l->written;
	bool torn = l->torn && waiting == 0;

	if (waiting + line->size + 1 > LIMIT_LOG_BUFFER) {
		l->dropped++;
		return;
	}
	if (l->written > 0 && l->lines.size > LIMIT_LOG_BUFFER / 2) {
		memmove(l->lines.data, l->lines.data + l->written, waiting);
		l->lines.size = waiting;
		l->written = 0;
	}
	if (buffer_reserve(&l->lines, line->size + 2) < 0) {
		l->dropped++;
		return;
	}
	if (torn)
		l->lines.data[l->lines.size++] = '\n';
	memcpy(l->lines.data + l->lines.size, line->text, line->size);
	l->lines.size += line->size;
	l->lines.data[l->lines.size++] = '\n';
}

void log_text(struct log *l, const char *prefix, const char *text, size_t size)
{
	struct log_line line;

	log_line_init(&line);
	add(&line, prefix, strlen(prefix));
	add_escaped(&line, text, size, false);
	log_line_end(l, &line);
}

void log_printf(struct log *l, const char *format, ...)
{
	char text[LIMIT_LOG_LINE];
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	if (n >= (int)sizeof(text))
		n = sizeof(text) - 1;
	if (n > 0)
		log_text(l, "", text, (size_t)n);
}
