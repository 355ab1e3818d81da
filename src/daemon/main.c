/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/instance.h"
#include "io/sockaddr.h"
#include "lua/vm.h"

/*
 * The command line, and the way from the script to a running daemon.
 */

#define DEFAULT_CONFIG "/etc/cm4all/qrelay/config.lua"

struct options {
	const char *config;
	bool check;
};

static void print_usage(FILE *f)
{
	fputs("Usage: cm4all-qrelay [OPTION]...\n"
	      "A QMQP server that forwards mails where a Lua script says.\n"
	      "\n"
	      "  --config PATH  the script (" DEFAULT_CONFIG ")\n"
	      "  --check        run the script, print what would listen, exit\n"
	      "  --version      print the version\n"
	      "  --help         print this\n",
	      f);
}

/* Exits for all but what starts the daemon. */
static struct options parse(int argc, char **argv)
{
	static const struct option long_options[] = {
		{"config", required_argument, NULL, 'c'},
		{"check", no_argument, NULL, 'k'},
		{"version", no_argument, NULL, 'v'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	struct options o = {.config = DEFAULT_CONFIG};
	int c;

	while ((c = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		switch (c) {
		case 'c':
			o.config = optarg;
			break;
		case 'k':
			o.check = true;
			break;
		case 'v':
			puts("cm4all-qrelay " QRELAY_VERSION);
			exit(EXIT_SUCCESS);
		case 'h':
			print_usage(stdout);
			exit(EXIT_SUCCESS);
		default:
			print_usage(stderr);
			exit(2);
		}
	}
	if (optind < argc) {
		fprintf(stderr, "cm4all-qrelay: unexpected argument '%s'\n",
			argv[optind]);
		print_usage(stderr);
		exit(2);
	}
	return o;
}

/*
 * Goes to the script's folder, so that it finds what lies beside it.  Returns the
 * script's absolute path, the caller's to free; NULL if there is no such file
 * (logged).
 */
static char *enter_directory(struct instance *i, const char *config)
{
	char *path = realpath(config, NULL);
	char *copy = path ? strdup(path) : NULL;
	const char *directory;

	if (copy == NULL) {
		log_printf(&i->log, "%s: %s", config, strerror(errno));
		free(path);
		return NULL;
	}
	directory = dirname(copy);
	i->config.directory = strdup(directory);
	if (i->config.directory == NULL || chdir(directory) < 0 ||
	    vm_set_directory(i->vm, directory) != 0) {
		log_printf(&i->log, "%s: %s", directory, strerror(errno));
		free(path);
		path = NULL;
	}
	free(copy);
	return path;
}

static void print_listeners(const struct config *c)
{
	char text[SOCKADDR_TEXT_MAX];

	for (size_t n = 0; n < c->n_listeners; n++)
		printf("would listen on %s (%s)\n",
		       listener_config_print(&c->listeners[n], text,
					     sizeof(text)),
		       c->listeners[n].where);
}

static bool serve(struct instance *i)
{
	if (chdir("/") < 0 || !instance_listen(i))
		return false;
	instance_run(i);
	return true;
}

/* A descriptor of 0 to 2 that is closed would be the next socket's, and take what
 * is meant for stdout and stderr. */
static void fill_stdio(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
	/* analyzer: those up to 2 stay open, that is the purpose */
}

int main(int argc, char **argv)
{
	struct options o = parse(argc, argv);
	struct instance i;
	bool success = false;
	char *path = NULL;
	int r;

	fill_stdio();
	setvbuf(stdout, NULL, _IOLBF, 0);
	r = instance_init(&i);
	if (r < 0)
		log_printf(&i.log, "cannot start: %s", strerror(-r));
	else
		path = enter_directory(&i, o.config);
	if (path != NULL && instance_run_script(&i, path)) {
		if (o.check)
			print_listeners(&i.config);
		success = o.check || serve(&i);
	} else if (path != NULL) {
		/* asked to stop before it was up: that is no failure */
		success = i.stopping;
	}
	instance_deinit(&i);
	free(path);
	return success ? EXIT_SUCCESS : EXIT_FAILURE;
}
