/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A scratch directory that a test fills with files, as a stand-in for / or as a place
 * for regions. It is removed when the process that made it exits.
 */
#ifndef SELFTESTS_HOST_SYSROOT_H
#define SELFTESTS_HOST_SYSROOT_H

#include <errno.h>
#include <ftw.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tap.h"

static char scratch_dir[PATH_MAX];
static pid_t scratch_owner;

static int scratch_remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static void scratch_remove(void)
{
	if (getpid() == scratch_owner)
		nftw(scratch_dir, scratch_remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* The directory, made at the first call. */
__attribute__((unused)) static const char *scratch(void)
{
	if (!*scratch_dir) {
		const char *above = getenv("TMPDIR");

		snprintf(scratch_dir, sizeof(scratch_dir), "%s/hmem-test.XXXXXX",
			 above ? above : "/tmp");
		if (!mkdtemp(scratch_dir))
			tap_bail("no scratch directory: %s", strerror(errno));
		/* Children that become another user pass through it, and what the runner made. */
		chmod(scratch_dir, 0755);
		if (above && getenv("HMEM_SOURCE"))
			chmod(above, 0711);
		scratch_owner = getpid();
		atexit(scratch_remove);
	}
	return scratch_dir;
}

/* A path below it; good until the eighth next call. */
__attribute__((format(printf, 1, 2), unused)) static const char *scratch_path(const char *format,
									      ...)
{
	static char paths[8][PATH_MAX];
	static unsigned int next;
	char *path = paths[next++ % 8];
	int length = snprintf(path, PATH_MAX, "%s/", scratch());
	va_list ap;

	va_start(ap, format);
	vsnprintf(path + length, (size_t)(PATH_MAX - length), format, ap);
	va_end(ap);
	return path;
}

/* Make the directories that lead to @path. */
__attribute__((unused)) static void scratch_make_way(const char *path)
{
	char part[PATH_MAX];

	snprintf(part, sizeof(part), "%s", path);
	for (char *slash = strchr(part + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdir(part, 0755);
		*slash = '/';
	}
}

/* A file below the directory, with the directories that lead to it. */
__attribute__((unused)) static void scratch_write(const char *name, const char *content)
{
	const char *path = scratch_path("%s", name);
	FILE *file;

	scratch_make_way(path);
	file = fopen(path, "w");
	if (!file || fputs(content, file) < 0 || fclose(file))
		tap_bail("cannot write %s: %s", path, strerror(errno));
}

/* A symbolic link below the directory. */
__attribute__((unused)) static void scratch_link(const char *name, const char *target)
{
	const char *path = scratch_path("%s", name);

	scratch_make_way(path);
	if (symlink(target, path))
		tap_bail("cannot link %s: %s", path, strerror(errno));
}

#endif
