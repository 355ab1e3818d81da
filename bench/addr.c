/* SPDX-License-Identifier: BSD-2-Clause */
#include "addr.h"

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum {
	BACKLOG = 4096,
};

static void parse_unix(struct addr *a, const char *s)
{
	struct sockaddr_un *sun = (struct sockaddr_un *)&a->sa;
	size_t n = strlen(s);

	if (n >= sizeof(sun->sun_path))
		errx(2, "%s: path too long", s);
	sun->sun_family = AF_UNIX;
	memcpy(sun->sun_path, s, n + 1);
	a->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
	if (s[0] == '@')
		sun->sun_path[0] = '\0';
	else
		a->len++;
}

void addr_parse(struct addr *a, const char *s)
{
	struct sockaddr_in *sin = (struct sockaddr_in *)&a->sa;
	char host[INET_ADDRSTRLEN];
	const char *colon = strrchr(s, ':');
	unsigned long port;
	char *end;

	*a = (struct addr){0};
	if (s[0] == '/' || s[0] == '@') {
		parse_unix(a, s);
		return;
	}
	if (colon == NULL || (size_t)(colon - s) >= sizeof(host))
		errx(2, "%s: want /path, @name or a.b.c.d:port", s);
	memcpy(host, s, (size_t)(colon - s));
	host[colon - s] = '\0';
	port = strtoul(colon + 1, &end, 10);
	if (*end != '\0' || end == colon + 1 || port > 65535 ||
	    inet_pton(AF_INET, host, &sin->sin_addr) != 1)
		errx(2, "%s: want /path, @name or a.b.c.d:port", s);
	sin->sin_family = AF_INET;
	sin->sin_port = htons((uint16_t)port);
	a->len = sizeof(*sin);
}

int addr_listen(const struct addr *a)
{
	const struct sockaddr_un *sun = (const struct sockaddr_un *)&a->sa;
	int family = a->sa.ss_family;
	struct stat st;
	int one = 1;
	int fd;

	if (family == AF_UNIX && sun->sun_path[0] != '\0' &&
	    lstat(sun->sun_path, &st) == 0 && S_ISSOCK(st.st_mode))
		unlink(sun->sun_path);
	fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		err(1, "socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (const struct sockaddr *)&a->sa, a->len) < 0)
		err(1, "bind");
	if (listen(fd, BACKLOG) < 0)
		err(1, "listen");
	return fd;
}

void addr_print_bound(int fd)
{
	struct addr a = {.len = sizeof(a.sa)};
	const struct sockaddr_in *sin = (const struct sockaddr_in *)&a.sa;
	const struct sockaddr_un *sun = (const struct sockaddr_un *)&a.sa;
	char host[INET_ADDRSTRLEN];

	if (getsockname(fd, (struct sockaddr *)&a.sa, &a.len) < 0)
		err(1, "getsockname");
	if (a.sa.ss_family == AF_INET)
		printf("%s:%u\n",
		       inet_ntop(AF_INET, &sin->sin_addr, host, sizeof(host)),
		       ntohs(sin->sin_port));
	else if (sun->sun_path[0] == '\0')
		printf("@%.*s\n",
		       (int)(a.len - offsetof(struct sockaddr_un, sun_path)) -
			       1,
		       sun->sun_path + 1);
	else
		printf("%s\n", sun->sun_path);
	fflush(stdout);
}

unsigned long addr_number(const char *s, unsigned long max)
{
	char *end;
	unsigned long n;

	errno = 0;
	n = strtoul(s, &end, 10);
	if (s[0] < '0' || s[0] > '9' || *end != '\0' || errno != 0 || n == 0 ||
	    n > max)
		errx(2, "%s: want a number from 1 to %lu", s, max);
	return n;
}
