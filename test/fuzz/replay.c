/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Feeds each file of the folders named on the command line to a fuzz target, for
 * compilers without libFuzzer.  Finding no file is an error.
 */

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

static void die(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	exit(1);
}

static void replay(const char *path)
{
	FILE *f = fopen(path, "rb");
	uint8_t *data = NULL, *exact;
	size_t size = 0, n;

	if (f == NULL)
		die(path);
	do {
		data = realloc(data, size + 4096);
		if (data == NULL)
			die(path);
		n = fread(data + size, 1, 4096, f);
		size += n;
	} while (n > 0);
	if (ferror(f))
		die(path);
	fclose(f);

	/* memory that ends with the input */
	exact = malloc(size ? size : 1);
	if (exact == NULL)
		die(path);
	memcpy(exact, data, size);
	fprintf(stderr, "%s\n", path);
	LLVMFuzzerTestOneInput(exact, size);
	free(exact);
	free(data);
}

static int replay_folder(const char *folder)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;
	int files = 0;

	if (dir == NULL)
		die(folder);
	while ((entry = readdir(dir)) != NULL) {
		char *path;

		if (entry->d_name[0] == '.')
			continue;
		if (asprintf(&path, "%s/%s", folder, entry->d_name) < 0)
			die(folder);
		replay(path);
		free(path);
		files++;
	}
	closedir(dir);
	return files;
}

int main(int argc, char **argv)
{
	int files = 0;

	for (int i = 1; i < argc; i++)
		files += replay_folder(argv[i]);
	fprintf(stderr, "%d inputs\n", files);
	return files > 0 ? 0 : 1;
}
