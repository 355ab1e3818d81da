/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_TEST_SUPPORT_COVERAGE_EXIT_H
#define QRELAY_TEST_SUPPORT_COVERAGE_EXIT_H

/*
 * Included before all else in the coverage build: a child that a test ends by
 * _exit() would lose its counters.
 */

#include <stdlib.h>
#include <unistd.h>

/* NOLINTNEXTLINE(bugprone-reserved-identifier): the name is gcc's */
void __gcov_dump(void);

_Noreturn static inline void coverage_exit(int status)
{
	__gcov_dump();
	_Exit(status);
}

#define _exit coverage_exit

#endif
