/* SPDX-License-Identifier: GPL-2.0-only */
/* What a fuzzer found worth keeping, for tests that throw dice. */
#ifndef SELFTESTS_CORPUS_H
#define SELFTESTS_CORPUS_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#define CORPUS_MOST	4096	/* bytes of an input */

/* Tries each; how many there are. HMEM_CORPUS names another folder than fuzz/corpus/@target. */
static inline unsigned int corpus_each(const char *target,
				       void (*try)(const unsigned char *input, size_t bytes))
{
	static unsigned char data[CORPUS_MOST];
	const char *path = getenv("HMEM_CORPUS");
	char file[4096], folder[64];
	struct dirent *entry;
	unsigned int nr = 0;
	size_t bytes;
	FILE *in;
	DIR *dir;

	snprintf(folder, sizeof(folder), "fuzz/corpus/%s", target);
	path = path ? path : folder;
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		snprintf(file, sizeof(file), "%s/%s", path, entry->d_name);
		in = entry->d_name[0] == '.' ? NULL : fopen(file, "r");
		if (!in)
			continue;
		bytes = fread(data, 1, sizeof(data), in);
		fclose(in);
		try(data, bytes);
		nr++;
	}
	if (dir)
		closedir(dir);
	return nr;
}

#endif
