/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/sockaddr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/*
 * Reads and writes the text of socket addresses.  It takes canonical numbers
 * only: the older forms of inet_aton(3) ("127.1", "0x7f.1", "010.0.0.1") mean
 * something else to whoever reads them, so they are neither addresses nor host
 * names here.
 */

#define PORT_MAX 65535
#define HOST_MAX 253 /* of a host name, RFC 1123 2.1 and RFC 1035 2.3.4 */
#define LABEL_MAX 63

/* "ADDRESS%INTERFACE" */
#define IP_TEXT_MAX (INET6_ADDRSTRLEN + IF_NAMESIZE)

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_hex(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* A decimal number without a leading zero: -EINVAL for other bytes, -ERANGE
 * above `max`. */
static int parse_number(const char *s, size_t size, uint64_t max,
			uint64_t *ret_value)
{
	uint64_t value = 0;

	if (size == 0 || (size > 1 && s[0] == '0'))
		return -EINVAL;
	for (size_t i = 0; i < size; i++)
		if (!is_digit(s[i]))
			return -EINVAL;
	for (size_t i = 0; i < size; i++) {
		value = 10 * value + (uint64_t)(s[i] - '0');
		if (value > max)
			return -ERANGE;
	}
	*ret_value = value;
	return 0;
}

static int parse_port(const char *s, size_t size, unsigned *ret_port)
{
	uint64_t value;
	int r = parse_number(s, size, PORT_MAX, &value);

	if (r < 0)
		return r;
	if (value == 0)
		return -ERANGE;
	*ret_port = (unsigned)value;
	return 0;
}

static int parse_unix(const char *s, size_t size, struct socket_address *ret)
{
	bool abstract = s[0] == '@';
	struct socket_address a = {.un.sun_family = AF_UNIX};

	if (abstract && size == 1) /* would let the kernel choose a name */
		return -EINVAL;
	/* The same room for both: a path has a NUL behind it. */
	if (size > sizeof(a.un.sun_path) - 1)
		return -ENAMETOOLONG;
	memcpy(a.un.sun_path, s, size);
	if (abstract)
		a.un.sun_path[0] = '\0';
	a.size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size +
			     (abstract ? 0 : 1));
	*ret = a;
	return 0;
}

static int parse_ipv4(const char *s, size_t size, unsigned port,
		      struct socket_address *ret)
{
	struct socket_address a = {.size = sizeof(a.in)};
	char text[INET_ADDRSTRLEN];

	if (size >= sizeof(text))
		return -EINVAL;
	memcpy(text, s, size);
	text[size] = '\0';
	a.in.sin_family = AF_INET;
	a.in.sin_port = htons((uint16_t)port);
	if (inet_pton(AF_INET, text, &a.in.sin_addr) != 1)
		return -EINVAL;
	*ret = a;
	return 0;
}

/* An interface's name or number (RFC 4007 11). */
static int parse_scope(const char *s, uint32_t *ret_scope)
{
	unsigned index;
	uint64_t value;

	/* if_nametoindex() would take the part before a colon. */
	if (s[0] == '\0' || strchr(s, ':') != NULL)
		return -EINVAL;
	index = if_nametoindex(s);
	if (index > 0) {
		*ret_scope = index;
		return 0;
	}
	if (parse_number(s, strlen(s), UINT32_MAX, &value) < 0 || value == 0)
		return -ENODEV;
	*ret_scope = (uint32_t)value;
	return 0;
}

static int parse_ipv6(const char *s, size_t size, unsigned port,
		      struct socket_address *ret)
{
	struct socket_address a = {.size = sizeof(a.in6)};
	char text[IP_TEXT_MAX], *scope;

	if (size >= sizeof(text))
		return -EINVAL;
	memcpy(text, s, size);
	text[size] = '\0';
	scope = strchr(text, '%');
	if (scope != NULL)
		*scope++ = '\0';
	a.in6.sin6_family = AF_INET6;
	a.in6.sin6_port = htons((uint16_t)port);
	if (inet_pton(AF_INET6, text, &a.in6.sin6_addr) != 1)
		return -EINVAL;
	if (scope != NULL) {
		int r = parse_scope(scope, &a.in6.sin6_scope_id);

		if (r < 0)
			return r;
	}
	*ret = a;
	return 0;
}

/* "[ADDRESS]" or "[ADDRESS]:PORT" */
static int parse_bracketed(const char *s, size_t size,
			   struct socket_address *ret)
{
	const char *end = memrchr(s, ']', size);
	unsigned port = SOCKADDR_QMQP_PORT;
	struct socket_address a;
	size_t rest;
	int r, bad_port = 0;

	if (end == NULL)
		return -EINVAL;
	rest = size - (size_t)(end + 1 - s);
	if (rest > 0 && end[1] != ':')
		return -EINVAL;
	if (rest > 0)
		bad_port = parse_port(end + 2, rest - 1, &port);
	r = parse_ipv6(s + 1, (size_t)(end - s) - 1, port, &a);
	if (r < 0 || bad_port < 0)
		return r < 0 ? r : bad_port;
	*ret = a;
	return 0;
}

int sockaddr_parse(const char *s, size_t size,
		   struct socket_address *ret_address)
{
	unsigned port = SOCKADDR_QMQP_PORT;
	struct socket_address a;
	const char *colon;
	size_t host;
	int r, bad_port = 0;

	if (size == 0 || memchr(s, '\0', size) != NULL)
		return -EINVAL;
	if (s[0] == '/' || s[0] == '@')
		return parse_unix(s, size, ret_address);
	if (s[0] == '[')
		return parse_bracketed(s, size, ret_address);

	colon = memchr(s, ':', size);
	if (colon != NULL && colon != memrchr(s, ':', size))
		return parse_ipv6(s, size, SOCKADDR_QMQP_PORT, ret_address);
	host = colon != NULL ? (size_t)(colon - s) : size;
	if (colon != NULL)
		bad_port = parse_port(colon + 1, size - host - 1, &port);
	/* The host first: a host name's port is not judged here. */
	r = parse_ipv4(s, host, port, &a);
	if (r < 0 || bad_port < 0)
		return r < 0 ? r : bad_port;
	*ret_address = a;
	return 0;
}

/* Whether getaddrinfo(3) might take the label for the last part of an IPv4
 * address: digits, or "0x" and hexadecimal digits. */
static bool is_number(const char *s, size_t size)
{
	size_t i = 0;

	if (size >= 2 && s[0] == '0' && (s[1] == 'x' || s[1] == 'X')) {
		for (i = 2; i < size && is_hex(s[i]); i++)
			;
		return i == size;
	}
	while (i < size && is_digit(s[i]))
		i++;
	return i == size;
}

/* A label and the dot or end behind it: its size, or 0 if it is none. */
static size_t label_size(const char *s, size_t size)
{
	size_t n = 0;

	while (n < size && (is_letter(s[n]) || is_digit(s[n]) || s[n] == '-' ||
			    s[n] == '_'))
		n++;
	if (n == 0 || n > LABEL_MAX || s[0] == '-' || s[n - 1] == '-')
		return 0;
	return n == size || s[n] == '.' ? n : 0;
}

static bool is_host(const char *s, size_t size)
{
	if (size > 0 && s[size - 1] == '.') /* fully qualified */
		size--;
	for (;;) {
		size_t n = label_size(s, size);

		if (n == 0)
			return false;
		if (n == size)
			return !is_number(s, n);
		s += n + 1;
		size -= n + 1;
	}
}

int sockaddr_split_host(const char *s, size_t size, char *ret_host,
			unsigned *ret_port)
{
	const char *colon = memchr(s, ':', size);
	size_t host = colon != NULL ? (size_t)(colon - s) : size;
	unsigned port = SOCKADDR_QMQP_PORT;

	if (host > HOST_MAX || !is_host(s, host))
		return -EINVAL;
	if (colon != NULL) {
		int r = parse_port(colon + 1, size - host - 1, &port);

		if (r < 0)
			return r;
	}
	memcpy(ret_host, s, host);
	ret_host[host] = '\0';
	*ret_port = port;
	return 0;
}

static void print_unix(const struct socket_address *a, char *buf, size_t size)
{
	size_t start = offsetof(struct sockaddr_un, sun_path);
	size_t n = a->size > start ? a->size - start : 0;
	const char *path = a->un.sun_path;

	if (n > sizeof(a->un.sun_path))
		n = sizeof(a->un.sun_path);
	if (n > 0 && path[0] != '\0') {
		snprintf(buf, size, "%.*s", (int)strnlen(path, n), path);
		return;
	}
	/* An abstract name, whose NULs are written as '@', as ss(8) does; or "@"
	 * for a socket without a name. */
	snprintf(buf, size, "@");
	for (size_t i = 1; i < n && i + 1 < size; i++) {
		buf[i] = path[i] == '\0' ? '@' : path[i];
		buf[i + 1] = '\0';
	}
}

static void print_ipv6(const struct sockaddr_in6 *in6, char *buf, size_t size)
{
	char text[INET6_ADDRSTRLEN], name[IF_NAMESIZE] = "";
	unsigned port = ntohs(in6->sin6_port);

	inet_ntop(AF_INET6, &in6->sin6_addr, text, sizeof(text));
	if (in6->sin6_scope_id == 0) {
		snprintf(buf, size, "[%s]:%u", text, port);
		return;
	}
	if (if_indextoname(in6->sin6_scope_id, name) == NULL)
		snprintf(name, sizeof(name), "%u", in6->sin6_scope_id);
	snprintf(buf, size, "[%s%%%s]:%u", text, name, port);
}

const char *sockaddr_print(const struct socket_address *a, char *buf,
			   size_t size)
{
	char text[INET_ADDRSTRLEN];

	switch (a->sa.sa_family) {
	case AF_UNIX:
		print_unix(a, buf, size);
		break;
	case AF_INET:
		inet_ntop(AF_INET, &a->in.sin_addr, text, sizeof(text));
		snprintf(buf, size, "%s:%u", text, ntohs(a->in.sin_port));
		break;
	case AF_INET6:
		print_ipv6(&a->in6, buf, size);
		break;
	default:
		snprintf(buf, size, "?");
	}
	return buf;
}
