/* SPDX-License-Identifier: BSD-2-Clause */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/attr.h"
#include "io/sockaddr.h"

/* Texts and what comes back; every output must be its own output. */
static const struct {
	const char *text, *printed;
} good[] = {
	{"192.0.2.1", "192.0.2.1:628"},
	{"192.0.2.1:1", "192.0.2.1:1"},
	{"192.0.2.1:65535", "192.0.2.1:65535"},
	{"0.0.0.0", "0.0.0.0:628"},
	{"255.255.255.255:628", "255.255.255.255:628"},
	{"::1", "[::1]:628"},
	{"::", "[::]:628"},
	{"[::1]", "[::1]:628"},
	{"[::1]:4321", "[::1]:4321"},
	{"2001:DB8:0:0:0:0:0:1", "[2001:db8::1]:628"},
	{"::ffff:192.0.2.1", "[::ffff:192.0.2.1]:628"},
	{"[::ffff:192.0.2.1]:25", "[::ffff:192.0.2.1]:25"},
	{"1:2:3:4:5:6:7:8", "[1:2:3:4:5:6:7:8]:628"},
	{"fe80::1%lo", "[fe80::1%lo]:628"},
	{"fe80::1%1", "[fe80::1%lo]:628"},
	{"[fe80::1%lo]:9", "[fe80::1%lo]:9"},
	{"fe80::1%4294967295", "[fe80::1%4294967295]:628"},
	{"/", "/"},
	{"/run/x.sock", "/run/x.sock"},
	{"/with space:628", "/with space:628"},
	{"/\xc3\xa9\x01", "/\xc3\xa9\x01"},
	{"@x", "@x"},
	{"@192.0.2.1:628", "@192.0.2.1:628"},
	{"@@", "@@"},
};

static const struct {
	const char *text;
	int error;
} bad[] = {
	{"", -EINVAL},
	{"@", -EINVAL},
	{"a", -EINVAL},
	{"server.example", -EINVAL},
	{"server.example:25", -EINVAL},
	{"server.example:0", -EINVAL},
	{"run/x.sock", -EINVAL},
	{"127.1", -EINVAL},
	{"0x7f.0.0.1", -EINVAL},
	{"010.0.0.1", -EINVAL},
	{"1.2.3.256", -EINVAL},
	{"1.2.3.4.5", -EINVAL},
	{"1.2.3.4 ", -EINVAL},
	{" 1.2.3.4", -EINVAL},
	{"1.2.3.4:", -EINVAL},
	{"1.2.3.4:x", -EINVAL},
	{"1.2.3.4:+1", -EINVAL},
	{"1.2.3.4: 1", -EINVAL},
	{"1.2.3.4:025", -EINVAL},
	{"1.2.3.4:00", -EINVAL},
	{"1.2.3.4:0", -ERANGE},
	{"1.2.3.4:65536", -ERANGE},
	{"1.2.3.4:99999999999999999999999999", -ERANGE},
	{":628", -EINVAL},
	{":", -EINVAL},
	{":::", -EINVAL},
	{"::1::", -EINVAL},
	{"::g", -EINVAL},
	{"1:2:3:4:5:6:7:8:9", -EINVAL},
	{"[", -EINVAL},
	{"[]", -EINVAL},
	{"[::1", -EINVAL},
	{"[::1]x", -EINVAL},
	{"[::1]:", -EINVAL},
	{"[::1]:0", -ERANGE},
	{"[::1]:65536", -ERANGE},
	{"[::1]]", -EINVAL},
	{"[[::1]]", -EINVAL},
	{"[192.0.2.1]", -EINVAL},
	{"::1]", -EINVAL},
	{"fe80::1%", -EINVAL},
	{"[fe80::1%]:1", -EINVAL},
	{"fe80::1%no-such-if", -ENODEV},
	{"fe80::1%0", -ENODEV},
	{"fe80::1%4294967296", -ENODEV},
	{"fe80::1%lo:25", -EINVAL},
	{"fe80::1%a-name-longer-than-interfaces-have", -ENODEV},
	{"fe80::1%a-name-that-is-much-much-longer-than-any-interface-has",
	 -EINVAL},
	{"192.0.2.1%lo", -EINVAL},
};

static int parse(const char *s, struct socket_address *ret)
{
	return sockaddr_parse(s, strlen(s), ret);
}

static void test_good(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		struct socket_address a, b;
		char text[SOCKADDR_TEXT_MAX], again[SOCKADDR_TEXT_MAX];

		assert_int_equal(parse(good[i].text, &a), 0);
		assert_ptr_equal(sockaddr_print(&a, text, sizeof(text)), text);
		assert_string_equal(text, good[i].printed);
		assert_int_equal(parse(text, &b), 0);
		assert_string_equal(sockaddr_print(&b, again, sizeof(again)),
				    text);
		assert_int_equal(a.size, b.size);
		assert_memory_equal(&a.sa, &b.sa, a.size);
	}
}

static void test_bad(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct socket_address a, untouched;
		int r;

		memset(&a, 0xa5, sizeof(a));
		untouched = a;
		r = parse(bad[i].text, &a);
		if (r != bad[i].error)
			print_error("%s: %d\n", bad[i].text, r);
		assert_int_equal(r, bad[i].error);
		assert_memory_equal(&a, &untouched, sizeof(a));
	}
}

static void test_contents(void **state)
{
	struct socket_address a;

	(void)state;
	assert_int_equal(parse("192.0.2.1:25", &a), 0);
	assert_int_equal(a.size, sizeof(struct sockaddr_in));
	assert_int_equal(a.in.sin_family, AF_INET);
	assert_int_equal(ntohl(a.in.sin_addr.s_addr), 0xc0000201);
	assert_int_equal(ntohs(a.in.sin_port), 25);
	assert_false(sockaddr_is_unix(&a));

	assert_int_equal(parse("[fe80::2%1]:26", &a), 0);
	assert_int_equal(a.size, sizeof(struct sockaddr_in6));
	assert_int_equal(a.in6.sin6_family, AF_INET6);
	assert_int_equal(a.in6.sin6_addr.s6_addr[0], 0xfe);
	assert_int_equal(a.in6.sin6_addr.s6_addr[15], 2);
	assert_int_equal(ntohs(a.in6.sin6_port), 26);
	assert_int_equal(a.in6.sin6_scope_id, 1);

	assert_int_equal(parse("/ab", &a), 0);
	assert_true(sockaddr_is_unix(&a));
	assert_int_equal(a.size, offsetof(struct sockaddr_un, sun_path) + 4);
	assert_string_equal(a.un.sun_path, "/ab");

	/* No NUL belongs to an abstract name but its first byte. */
	assert_int_equal(parse("@ab", &a), 0);
	assert_true(sockaddr_is_unix(&a));
	assert_int_equal(a.size, offsetof(struct sockaddr_un, sun_path) + 3);
	assert_memory_equal(a.un.sun_path, "\0ab", 3);
}

/* Bytes behind `size` do not count, and a NUL within is no end. */
static void test_size(void **state)
{
	struct socket_address a;
	char text[SOCKADDR_TEXT_MAX];

	(void)state;
	assert_int_equal(sockaddr_parse("192.0.2.1:25", 9, &a), 0);
	assert_string_equal(sockaddr_print(&a, text, sizeof(text)),
			    "192.0.2.1:628");
	assert_int_equal(sockaddr_parse("/ab\0c", 5, &a), -EINVAL);
	assert_int_equal(sockaddr_parse("@ab\0c", 5, &a), -EINVAL);
	assert_int_equal(sockaddr_parse("192.0.2.1\0", 10, &a), -EINVAL);
	assert_int_equal(sockaddr_parse("::1\0", 4, &a), -EINVAL);
}

static void test_unix_size(void **state)
{
	const size_t longest =
		sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1;
	char text[SOCKADDR_TEXT_MAX], printed[SOCKADDR_TEXT_MAX];
	struct socket_address a;

	(void)state;
	assert_int_equal(longest, 107);
	for (const char *first = "/@"; *first != '\0'; first++) {
		memset(text, 'x', sizeof(text));
		text[0] = *first;
		assert_int_equal(sockaddr_parse(text, longest, &a), 0);
		assert_true(a.size <= sizeof(struct sockaddr_un));
		sockaddr_print(&a, printed, sizeof(printed));
		assert_int_equal(strlen(printed), longest);
		assert_memory_equal(printed, text, longest);
		assert_int_equal(sockaddr_parse(text, longest + 1, &a),
				 -ENAMETOOLONG);
		assert_int_equal(sockaddr_parse(text, sizeof(text), &a),
				 -ENAMETOOLONG);
	}
}

/* What the kernel hands out, though nobody can write it. */
static void test_print_foreign(void **state)
{
	struct socket_address a = {
		.un.sun_family = AF_UNIX,
		.size = offsetof(struct sockaddr_un, sun_path),
	};
	char text[SOCKADDR_TEXT_MAX], small[4];

	(void)state;
	assert_string_equal(sockaddr_print(&a, text, sizeof(text)), "@");
	memcpy(a.un.sun_path, "\0a\0b", 4);
	a.size += 4;
	assert_string_equal(sockaddr_print(&a, text, sizeof(text)), "@a@b");
	/* sun_path full, without a NUL */
	memset(a.un.sun_path, 'x', sizeof(a.un.sun_path));
	a.size = sizeof(a.un);
	assert_int_equal(strlen(sockaddr_print(&a, text, sizeof(text))), 108);
	assert_string_equal(sockaddr_print(&a, small, sizeof(small)), "xxx");
	a.un.sun_path[0] = '\0';
	assert_string_equal(sockaddr_print(&a, small, sizeof(small)), "@xx");
	a.sa.sa_family = AF_UNSPEC;
	assert_string_equal(sockaddr_print(&a, text, sizeof(text)), "?");
}

static const struct {
	const char *text, *host;
	unsigned port;
} hosts[] = {
	{"localhost", "localhost", 628},
	{"server.example:25", "server.example", 25},
	{"Server-1.example.", "Server-1.example.", 628},
	{"a:65535", "a", 65535},
	{"_dmarc.example", "_dmarc.example", 628},
	{"1.2.3.4.example", "1.2.3.4.example", 628},
	{"4u", "4u", 628},
	{"0xg", "0xg", 628},
	{"xn--bcher-kva.example", "xn--bcher-kva.example", 628},
	{"l23456789-123456789-123456789-123456789-123456789-123456789-123",
	 "l23456789-123456789-123456789-123456789-123456789-123456789-123",
	 628},
};

static const struct {
	const char *text;
	int error;
} bad_hosts[] = {
	{"", -EINVAL},
	{".", -EINVAL},
	{"..", -EINVAL},
	{":25", -EINVAL},
	{".a", -EINVAL},
	{"a..b", -EINVAL},
	{"a..", -EINVAL},
	{"-a", -EINVAL},
	{"a-", -EINVAL},
	{"a.-b", -EINVAL},
	{"a b", -EINVAL},
	{"a/b", -EINVAL},
	{"a@b", -EINVAL},
	{"\xc3\xa9", -EINVAL},
	{"[a]", -EINVAL},
	{"a:b:1", -EINVAL},
	/* getaddrinfo() would read these as addresses */
	{"1.2.3.4", -EINVAL},
	{"127.1", -EINVAL},
	{"1", -EINVAL},
	{"0x7f000001", -EINVAL},
	{"0x", -EINVAL},
	{"127.0X1", -EINVAL},
	{"1.2.3.4.", -EINVAL},
	{"a:", -EINVAL},
	{"a:0", -ERANGE},
	{"a:65536", -ERANGE},
	{"a:01", -EINVAL},
	{"a:x", -EINVAL},
	{"l23456789-123456789-123456789-123456789-123456789-123456789-1234",
	 -EINVAL},
};

static void test_split_host(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(hosts); i++) {
		char host[254];
		unsigned port;

		assert_int_equal(sockaddr_split_host(hosts[i].text,
						     strlen(hosts[i].text),
						     host, &port),
				 0);
		assert_string_equal(host, hosts[i].host);
		assert_int_equal(port, hosts[i].port);
	}
}

static void test_split_bad_host(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad_hosts); i++) {
		char host[254] = "untouched";
		unsigned port = 7;
		int r = sockaddr_split_host(bad_hosts[i].text,
					    strlen(bad_hosts[i].text), host,
					    &port);

		if (r != bad_hosts[i].error)
			print_error("%s: %d\n", bad_hosts[i].text, r);
		assert_int_equal(r, bad_hosts[i].error);
		assert_string_equal(host, "untouched");
		assert_int_equal(port, 7);
	}
}

static void test_split_host_size(void **state)
{
	char text[512], host[254];
	unsigned port;

	(void)state;
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = i % 2 == 0 ? 'a' : '.';
	memcpy(text + 253, ":25", 3);
	assert_int_equal(sockaddr_split_host(text, 253, host, &port), 0);
	assert_int_equal(strlen(host), 253);
	assert_int_equal(sockaddr_split_host(text, 256, host, &port), 0);
	assert_int_equal(port, 25);
	memcpy(text + 253, ".a", 2);
	assert_int_equal(sockaddr_split_host(text, 254, host, &port), -EINVAL);
	assert_int_equal(sockaddr_split_host(text, 255, host, &port), -EINVAL);
	assert_int_equal(sockaddr_split_host("a\0b", 3, host, &port), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_contents),
		cmocka_unit_test(test_size),
		cmocka_unit_test(test_unix_size),
		cmocka_unit_test(test_print_foreign),
		cmocka_unit_test(test_split_host),
		cmocka_unit_test(test_split_bad_host),
		cmocka_unit_test(test_split_host_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
