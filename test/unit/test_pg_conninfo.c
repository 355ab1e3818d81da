/* SPDX-License-Identifier: BSD-2-Clause */

/* Hosts of a conninfo, and that no message of a failed connection tells its
 * secrets. */

#include "db/pg_conninfo.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "db/pg_identifier.h"

static void check_host(const struct pg_conninfo *c, size_t i, const char *name,
		       const char *address, const char *port)
{
	const char *is[] = {c->hosts[i].name, c->hosts[i].address,
			    c->hosts[i].port};
	const char *want[] = {name, address, port};

	for (int k = 0; k < 3; k++) {
		assert_string_equal(is[k] ? is[k] : "", want[k]);
		/* an empty one is NULL */
		assert_int_equal(is[k] == NULL, *want[k] == '\0');
	}
}

static void test_hosts(void **state)
{
	struct pg_conninfo c;

	assert_int_equal(pg_conninfo_init(&c, "dbname=foo"), 0);
	assert_int_equal(c.n_hosts, 1);
	check_host(&c, 0, "", "", "");
	assert_string_equal(pg_conninfo_get(&c, "dbname"), "foo");
	assert_null(pg_conninfo_get(&c, "password"));
	pg_conninfo_deinit(&c);
	pg_conninfo_deinit(&c);

	assert_int_equal(pg_conninfo_init(&c, "host=a,/b,,d port=1,2,,65535"),
			 0);
	assert_int_equal(c.n_hosts, 4);
	check_host(&c, 0, "a", "", "1");
	check_host(&c, 1, "/b", "", "2");
	check_host(&c, 2, "", "", "");
	check_host(&c, 3, "d", "", "65535");
	pg_conninfo_deinit(&c);

	assert_int_equal(pg_conninfo_init(&c, "postgresql://u@a:7,b:8/db?"
					      "hostaddr=192.0.2.1,192.0.2.2"),
			 0);
	check_host(&c, 0, "a", "192.0.2.1", "7");
	check_host(&c, 1, "b", "192.0.2.2", "8");
	pg_conninfo_deinit(&c);

	assert_int_equal(pg_conninfo_init(&c, "host=a,b port=7"), 0);
	check_host(&c, 1, "b", "", "7");
	pg_conninfo_deinit(&c);
}

static void test_malformed(void **state)
{
	static const char *const bad[] = {
		"x",
		"nonsense=1",
		"host='a",
		"port=0",
		"port=65536",
		"port=x",
		"port=1x",
		"port=-1",
		"port=123456",
		"host=a,b port=1,2,3",
		"host=a,b hostaddr=192.0.2.1",
		"postgresql://a:b:c@d:e/f",
	};
	struct pg_conninfo c;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(pg_conninfo_init(&c, bad[i]), -EINVAL);
}

/* The message that a failed connect leaves. */
static void message(const char *conninfo, const char *host, char *buf,
		    size_t size)
{
	struct pg_conninfo c;
	PGconn *pq;

	assert_int_equal(pg_conninfo_init(&c, conninfo), 0);
	pq = pg_conninfo_connect(&c, host, "", "");
	assert_non_null(pq);
	assert_int_equal(PQstatus(pq), CONNECTION_BAD);
	pg_conninfo_message(&c, pq, false, buf, size);
	PQfinish(pq);
	pg_conninfo_deinit(&c);
}

static void test_message(void **state)
{
	char buf[256];

	message("password=geheim", "/nonexistent", buf, sizeof(buf));
	assert_non_null(strstr(buf, "/nonexistent"));
	assert_null(strchr(buf, '\n'));
	/* it stands in the message, for whatever reason */
	message("password=nonexistent", "/nonexistent", buf, sizeof(buf));
	assert_null(strstr(buf, "nonexistent"));
	message("sslpassword=nonexistent", "/nonexistent", buf, sizeof(buf));
	assert_null(strstr(buf, "nonexistent"));
	/* the password was taken for an option's value */
	message("sslmode=geheim", "/nonexistent", buf, sizeof(buf));
	assert_null(strstr(buf, "geheim"));
	assert_non_null(strstr(buf, "refuses"));
	/* any size of the buffer */
	for (size_t n = 8; n < 40; n++) {
		message("dbname=x", "/nonexistent", buf, n);
		assert_true(strlen(buf) < n);
	}
}

static void test_identifier(void **state)
{
	char out[PG_IDENTIFIER_MAX(4)];

	assert_int_equal(pg_identifier_quote("a", out), 3);
	assert_string_equal(out, "\"a\"");
	assert_int_equal(pg_identifier_quote("\"\"\"\"", out), 10);
	assert_string_equal(out, "\"\"\"\"\"\"\"\"\"\"");
	assert_int_equal(pg_identifier_quote("", out), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hosts),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_message),
		cmocka_unit_test(test_identifier),
	};

	unsetenv("PGHOST");
	unsetenv("PGHOSTADDR");
	unsetenv("PGPORT");
	unsetenv("PGPASSWORD");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
