/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * How fast programs can be run at all: posix_spawn(3) and waitpid(2), one after
 * the other, nothing else.
 *
 *	spawn COUNT PROGRAM
 *
 * Prints one JSON object: how many, and how many microseconds it took.
 */

#include <err.h>
#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>

static double now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void run_once(char *program)
{
	char *argv[] = {program, NULL}, *envp[] = {NULL};
	int status;
	pid_t pid;

	errno = posix_spawn(&pid, program, NULL, NULL, argv, envp);
	if (errno != 0)
		err(1, "%s", program);
	if (waitpid(pid, &status, 0) != pid)
		err(1, "waitpid");
	if (status != 0)
		errx(1, "%s: wait status %d", program, status);
}

int main(int argc, char **argv)
{
	long count = argc == 3 ? strtol(argv[1], NULL, 10) : 0;
	double start;

	if (count < 1)
		errx(2, "usage: spawn COUNT PROGRAM");
	start = now_us();
	for (long i = 0; i < count; i++)
		run_once(argv[2]);
	printf("{\"n\": %ld, \"us\": %.0f}\n", count, now_us() - start);
	return 0;
}
