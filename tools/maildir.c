/* SPDX-License-Identifier: BSD-2-Clause */
#include "tools/maildir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/fd.h"
#include "io/socket.h"
#include "proto/mail.h"

/* Names tried for one mail: each that is taken was given by a process with the
 * same number in the same second. */
#define NAME_TRIES 1000

/* A host name's part of a mail's name. */
#define HOST_SIZE 65

static int make_directory(int dir, const char *name)
{
	if (mkdirat(dir, name, 0700) < 0 && errno != EEXIST)
		return -errno;
	return 0;
}

static int open_directory(int dir, const char *name)
{
	int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	/* cppcheck-suppress resourceLeak ; errno is not 0 */
	return fd < 0 ? -errno : fd;
}

int maildir_open(const char *path, struct maildir *ret_maildir)
{
	static const char *const parts[] = {"tmp", "new", "cur"};
	struct maildir d = MAILDIR_EMPTY;
	int root = -1, r;

	r = make_directory(AT_FDCWD, path);
	if (r < 0)
		return r;
	root = r = open_directory(AT_FDCWD, path);
	for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(parts); i++)
		r = make_directory(root, parts[i]);
	if (r >= 0)
		d.tmp = r = open_directory(root, "tmp");
	if (r >= 0)
		d.new = r = open_directory(root, "new");
	fd_close(&root);
	if (r < 0) {
		maildir_close(&d);
		return r;
	}
	*ret_maildir = d;
	return 0;
}

void maildir_close(struct maildir *d)
{
	fd_close(&d->tmp);
	fd_close(&d->new);
}

/* TIME.PID_COUNTER.HOST; a slash and a colon must not stand in it. */
static void next_name(struct maildir *d, char *name)
{
	char host[HOST_SIZE] = "";

	gethostname(host, sizeof(host) - 1);
	for (char *p = host; *p != '\0'; p++)
		if (*p == '/' || *p == ':')
			*p = '_';
	snprintf(name, MAILDIR_NAME_MAX, "%lld.%d_%u.%s", (long long)time(NULL),
		 (int)getpid(), d->counter++,
		 host[0] != '\0' ? host : "localhost");
}

/* A new file in tmp/ whose name is free there; its descriptor. */
static int create(struct maildir *d, char *name)
{
	for (int i = 0; i < NAME_TRIES; i++) {
		int fd;

		next_name(d, name);
		fd = openat(d->tmp, name,
			    O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (fd >= 0 || errno != EEXIST)
			return fd >= 0 ? fd : -errno;
	}
	return -EEXIST;
}

/* The headers that a delivery adds, with the message's own line ends. */
static int make_headers(const struct mail *m, struct buffer *headers)
{
	const char *eol = m->crlf ? "\r\n" : "\n", *rcpt;
	size_t at = 0, size;
	int r;

	r = buffer_printf(headers, "Return-Path: <%.*s>%s", (int)m->sender.size,
			  m->sender.size > 0 ? m->sender.data : "", eol);
	while (r == 0 && (rcpt = mail_recipient(m, &at, &size)) != NULL)
		r = buffer_printf(headers, "Delivered-To: %.*s%s", (int)size,
				  rcpt, eol);
	/* Else the message's first line would continue the last header. */
	if (r == 0 && m->continues)
		r = buffer_printf(headers, "%s", eol);
	return r;
}

static int write_all(int fd, const char *data, size_t size)
{
	while (size > 0) {
		ssize_t n = write(fd, data, size);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			data += n;
			size -= (size_t)n;
		}
	}
	return 0;
}

static int write_mail(int fd, struct mail *m)
{
	struct buffer headers = BUFFER_EMPTY;
	size_t written = 0;
	int r;

	r = make_headers(m, &headers);
	if (r == 0)
		r = write_all(fd, headers.data, headers.size);
	buffer_deinit(&headers);
	if (r == 0)
		r = mail_seal(m, NULL);
	while (r == 0 && written < mail_wire_size(m, MAIL_RAW)) {
		ssize_t n = socket_write_mail(fd, m, MAIL_RAW, written);

		if (n < 0)
			r = (int)n;
		else
			written += (size_t)n;
	}
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	return r;
}

/* Gives the file in tmp/ its name in new/, which must be free there too. */
static int publish(struct maildir *d, const char *tmp_name, char *name)
{
	for (int i = 0; i < NAME_TRIES; i++) {
		if (linkat(d->tmp, tmp_name, d->new, name, 0) < 0) {
			if (errno != EEXIST)
				return -errno;
			next_name(d, name);
			continue;
		}
		if (fsync(d->new) == 0)
			return 0;
		int r = -errno;
		(void)unlinkat(d->new, name, 0);
		return r;
	}
	return -EEXIST;
}

int maildir_deliver(struct maildir *d, struct mail *m,
		    char ret_name[MAILDIR_NAME_MAX])
{
	char tmp_name[MAILDIR_NAME_MAX], name[MAILDIR_NAME_MAX];
	int fd, r;

	fd = create(d, tmp_name);
	if (fd < 0)
		return fd;
	r = write_mail(fd, m);
	/* Some file systems tell of an error only now. */
	if (close(fd) < 0 && r == 0)
		r = -errno;
	memcpy(name, tmp_name, sizeof(name));
	if (r == 0)
		r = publish(d, tmp_name, name);
	(void)unlinkat(d->tmp, tmp_name, 0);
	if (r == 0)
		memcpy(ret_name, name, sizeof(name));
	return r;
}
