/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What tests of spaces of files look at: the files, and what is mapped of them.
 */
#ifndef SELFTESTS_HOST_SPACE_FILES_H
#define SELFTESTS_HOST_SPACE_FILES_H

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sysroot.h"

/* Files in a directory, hidden ones as well. */
static inline int files_in(const char *path)
{
	DIR *dir = opendir(path);
	int n = 0;

	if (!dir)
		tap_bail("no directory %s", path);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n - 2;
}

/* Whether this process has a file mapped whose path has @part. */
static inline bool is_mapped(const char *part)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[PATH_MAX + 128];
	bool found = false;

	if (!maps)
		tap_bail("no maps");
	while (fgets(line, sizeof(line), maps))
		found = found || strstr(line, part);
	fclose(maps);
	return found;
}

/* A file of so many bytes, each of them 0x5a. */
static inline const char *file_of(const char *name, size_t bytes)
{
	const char *path = scratch_path("%s", name);
	char *content = malloc(bytes + 1);
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (content)
		memset(content, 0x5a, bytes);
	if (fd < 0 || !content || write(fd, content, bytes) != (ssize_t)bytes)
		tap_bail("no file %s", path);
	close(fd);
	free(content);
	return path;
}

static inline char byte_of(const char *path, off_t at)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char byte = 0;

	if (fd < 0 || pread(fd, &byte, 1, at) != 1)
		tap_bail("no byte of %s", path);
	close(fd);
	return byte;
}

#endif
