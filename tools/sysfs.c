// SPDX-License-Identifier: GPL-2.0-only
#include "sysfs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int path_of(char *out, const char *format, va_list args)
{
	int n = vsnprintf(out, PATH_MAX, format, args);

	return n < 0 || n >= PATH_MAX ? -ENAMETOOLONG : 0;
}

static int read_whole(const char *path, char *buffer, size_t size)
{
	size_t used = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC), rc = 0;

	if (fd < 0)
		return -errno;
	while (used < size - 1) {
		ssize_t n = read(fd, buffer + used, size - 1 - used);

		if (n < 0) {
			rc = -errno;
			break;
		}
		if (n == 0)
			break;
		used += (size_t)n;
	}
	close(fd);
	while (used && buffer[used - 1] == '\n')
		used--;
	buffer[used] = '\0';
	return rc;
}

int sysfs_read(char *buffer, size_t size, const char *path, ...)
{
	char full[PATH_MAX];
	va_list args;
	int rc;

	va_start(args, path);
	rc = path_of(full, path, args);
	va_end(args);
	return rc ? rc : read_whole(full, buffer, size);
}

int sysfs_read_u64(uint64_t *value, const char *path, ...)
{
	char full[PATH_MAX], text[64], *end;
	unsigned long long number;
	va_list args;
	int rc;

	va_start(args, path);
	rc = path_of(full, path, args);
	va_end(args);
	if (!rc)
		rc = read_whole(full, text, sizeof(text));
	if (rc)
		return rc;
	errno = 0;
	number = strtoull(text, &end, 0);
	if (errno || end == text || *end)
		return -EINVAL;
	*value = number;
	return 0;
}

int sysfs_write(const char *text, const char *path, ...)
{
	char full[PATH_MAX];
	va_list args;
	int fd, rc;

	va_start(args, path);
	rc = path_of(full, path, args);
	va_end(args);
	if (rc)
		return rc;
	fd = open(full, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		rc = -errno;
	close(fd);
	return rc;
}

int sysfs_link(char *buffer, size_t size, const char *path, ...)
{
	char full[PATH_MAX], target[PATH_MAX];
	const char *last;
	va_list args;
	ssize_t n;
	int rc;

	va_start(args, path);
	rc = path_of(full, path, args);
	va_end(args);
	if (rc)
		return rc;
	n = readlink(full, target, sizeof(target) - 1);
	if (n < 0)
		return -errno;
	target[n] = '\0';
	last = strrchr(target, '/');
	if ((size_t)snprintf(buffer, size, "%s", last ? last + 1 : target) >= size)
		return -ENAMETOOLONG;
	return 0;
}

static int by_version(const void *a, const void *b)
{
	return strverscmp(*(char *const *)a, *(char *const *)b);
}

int sysfs_names(struct names *names, const char *prefix, const char *path, ...)
{
	struct names found = { NULL, 0 };
	char full[PATH_MAX];
	struct dirent *entry;
	va_list args;
	DIR *dir;
	int rc;

	*names = found;
	va_start(args, path);
	rc = path_of(full, path, args);
	va_end(args);
	if (rc)
		return rc;
	dir = opendir(full);
	if (!dir)
		return -errno;
	while ((entry = readdir(dir))) {
		char **grown;

		if (entry->d_name[0] == '.' || strncmp(entry->d_name, prefix, strlen(prefix)))
			continue;
		grown = realloc(found.name, (found.n + 1) * sizeof(*grown));
		if (!grown || !(found.name = grown, grown[found.n] = strdup(entry->d_name))) {
			rc = -ENOMEM;
			break;
		}
		found.n++;
	}
	closedir(dir);
	if (rc) {
		names_free(&found);
		return rc;
	}
	if (found.n)
		qsort(found.name, found.n, sizeof(*found.name), by_version);
	*names = found;
	return 0;
}

void names_free(struct names *names)
{
	size_t i;

	for (i = 0; i < names->n; i++)
		free(names->name[i]);
	free(names->name);
	names->name = NULL;
	names->n = 0;
}
