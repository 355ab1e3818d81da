/* SPDX-License-Identifier: BSD-2-Clause */
#include "proto/address.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/attr.h"
#include "base/limits.h"
#include "support/mail_bytes.h"

/* Both must agree on everything but the empty address and VERP. */
static bool carried(const char *s, size_t size)
{
	char *copy = exact(s, size);
	bool sender = address_is_sender(copy, size);
	bool recipient = address_is_recipient(copy, size);

	free(copy);
	assert_int_equal(sender, recipient);
	return sender;
}

static void test_empty(void **state)
{
	(void)state;
	assert_true(address_is_sender(NULL, 0));
	assert_true(address_is_sender("", 0));
	assert_false(address_is_recipient(NULL, 0));
	assert_false(address_is_recipient("", 0));
}

static void test_carried(void **state)
{
	static const char *const good[] = {
		"a@b",
		"a",
		"root",
		"user@localhost",
		"user@ex_ample.org",
		"user@[192.0.2.1]",
		"user@[IPv6:2001:db8::1]",
		"#@[]",
		"list-@[]",
		"j\xc3\xbcrgen@ex\xc3\xa4mple.org",
		"\x80@\xff",
		"a..b@x",
		".a.@x",
		"user@example.org.",
		"-f@example.org",
		"-oQ/tmp",
		"SRS0=HHH=TT=example.org=user@example.net",
		"list+user=example.org@example.net",
		"a!b%c@d",
		"!#$%&'*+-/=?^_`{|}~@x",
		"(comment)@x",
		"a,b;c:d@x",
		"a\\b@x",
		/* quoted local parts */
		"\"\"@x",
		"\"a b\"@x",
		"\"a@b\"@x",
		"\"<a@b> \"@x",
		"\"a\\\"b c\"@x",
		"\"a b\\\\\"@x",
		"\"\\\"@\"@x",
		"\"j\xc3\xbcr gen\"@x",
		"\" \"@[]",
		/* no quoted local part, but nothing in them that needs one */
		"\"",
		"\"a",
		"\"a@x",
		"\"@x",
		"\"a\"",
		"a\"b\"@x",
		"\"a\"b@x",
		"\"a\"b\"@x",
		"\"a\\\"@x",
		"a@\"x\"",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		if (!carried(good[i], strlen(good[i])))
			fail_msg("refused: %s", good[i]);
	}
}

/* What qmail-inject -r sends: qmail-send puts the recipient in its middle. */
static void test_verp(void **state)
{
	static const char *const good[] = {
		"list-owner-@host-@[]",
		"a@b-@[]",
		"\"a b\"@c-@[]",
	};
	static const char *const bad[] = {
		"a@b@c-@[]", "@b-@[]",     "a@b-@[]-@[]", "a b@c-@[]",
		"a@b@[]",    "<a@b>-@[]",  "a@-@[]@",     "a@b-@[] ",
		"a@b-@[",    "a\tb@c-@[]", "a@b-@[]x",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		size_t size = strlen(good[i]);

		if (!address_is_sender(good[i], size))
			fail_msg("refused: %s", good[i]);
		assert_false(address_is_recipient(good[i], size));
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		if (carried(bad[i], strlen(bad[i])))
			fail_msg("carried: %s", bad[i]);
	}
}

static void test_refused(void **state)
{
	static const char *const bad[] = {
		"@",
		"a@",
		"@a",
		"@@",
		"a@b@c",
		"a@@b",
		"@a@b",
		"a@b@",
		" ",
		" a@b",
		"a@b ",
		"a b@c",
		"a@b c",
		"a b",
		"<a@b>",
		"<>",
		"a<b@c",
		"a@b>",
		"a@b\r\nDATA",
		"a@b\n",
		"\ta@b",
		"a\x7f@b",
		"a\x01@b",
		/* control characters do not get in by quotes */
		"\"a\tb\"@c",
		"\"a\nb\"@c",
		"\"a\\\nb\"@c",
		"\"a\x7f\"@c",
		/* quotes that end too early, too late, or not at all */
		"\"a b@c",
		"\"a b\"",
		"\"a b\\\"@c",
		"\"a b\\\\\\\"@c",
		"\"a b\"c@d",
		"\"a\" b\"@c",
		"\"a\"@b\"@c",
		"\"a\" <b>\"@c",
		"\"a\"\" \"@c",
		" \"a b\"@c",
		"x\"a b\"@c",
		"\"a b\" @c",
		/* behind the quotes the rules are those of everybody */
		"\"a b\"@",
		"\"a b\"@c@d",
		"\"a b\"@@c",
		"\"a b\"@c d",
		"\"a b\"@<c>",
		"\"a b\"@c ",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		if (carried(bad[i], strlen(bad[i])))
			fail_msg("carried: %s", bad[i]);
	}
	assert_false(carried("a\0b@c", 5));
	assert_false(carried("\0", 1));
	assert_false(carried("a@b\0", 4));
	assert_false(carried("\"\0\"@b", 5));
}

/* Every byte at every kind of place. */
static void test_bytes(void **state)
{
	(void)state;
	for (int c = 1; c < 256; c++) {
		bool control = c < 0x20 || c == 0x7f;
		bool bracket = c == '<' || c == '>' || c == ' ';
		char local[] = {'a', (char)c, 'b', '@', 'x'};
		char domain[] = {'a', '@', 'x', (char)c, 'y'};
		char alone[] = {'a', (char)c, 'b'};
		char quoted[] = {'"', 'a', (char)c, 'b', '"', '@', 'x'};

		assert_int_equal(carried(local, sizeof(local)),
				 !control && !bracket && c != '@');
		assert_int_equal(carried(domain, sizeof(domain)),
				 !control && !bracket && c != '@');
		assert_int_equal(carried(alone, sizeof(alone)),
				 !control && !bracket);
		assert_int_equal(carried(quoted, sizeof(quoted)), !control);
	}
}

static void test_length(void **state)
{
	char s[LIMIT_ADDRESS + 1];

	(void)state;
	memset(s, 'a', sizeof(s));
	assert_true(carried(s, LIMIT_ADDRESS));
	assert_false(carried(s, LIMIT_ADDRESS + 1));
	s[800] = '@';
	assert_true(carried(s, LIMIT_ADDRESS));
	assert_false(carried(s, LIMIT_ADDRESS + 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty), cmocka_unit_test(test_carried),
		cmocka_unit_test(test_verp),  cmocka_unit_test(test_refused),
		cmocka_unit_test(test_bytes), cmocka_unit_test(test_length),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
