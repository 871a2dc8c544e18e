// SPDX-License-Identifier: GPL-2.0-only
/*
 * Files get their name when all is in them and on the disk; until then a file of that name stays
 * what it is.
 */
#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "report.h"

/* Does @st tell of the file or the device that @region is? */
static bool is_region(const struct stat *st, struct hmem_region *region)
{
	struct hmem_region_info info = { .size = sizeof(info) };
	char path[sizeof(info.name) + sizeof("/dev/hmem/")];
	const char *behind;
	struct stat its;

	if (hmem_region_get_info(region, &info))
		return false;
	behind = strchr(info.name, ':');
	if (!behind)
		return false;
	snprintf(path, sizeof(path), "%s%s", strncmp(info.name, "hmem:", 5) ? "" : "/dev/hmem/",
		 behind + 1);
	if (stat(path, &its))
		return false;
	/* A device has as many files as somebody makes. */
	if (S_ISCHR(its.st_mode))
		return S_ISCHR(st->st_mode) && st->st_rdev == its.st_rdev;
	return st->st_dev == its.st_dev && st->st_ino == its.st_ino;
}

/* The file that @file leads to; one that is not there yet has its own name. */
static bool follow(const char *file, char path[PATH_MAX])
{
	struct stat st;

	if (!lstat(file, &st) && S_ISLNK(st.st_mode))
		return realpath(file, path);
	if (snprintf(path, PATH_MAX, "%s", file) < PATH_MAX)
		return true;
	errno = ENAMETOOLONG;
	return false;
}

/* A file without a name in the directory of @path. */
static int open_nameless(const char *path)
{
	char directory[PATH_MAX];
	char *slash;

	snprintf(directory, sizeof(directory), "%s", path);
	slash = strrchr(directory, '/');
	if (!slash)
		snprintf(directory, sizeof(directory), ".");
	else
		slash[slash == directory] = '\0';
	return open(directory, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666);
}

/* Where file systems have only files with names. */
static int open_named(struct output *out)
{
	mode_t mask = umask(0);
	int fd;

	umask(mask);
	if (snprintf(out->temporary, PATH_MAX, "%s.XXXXXX", out->path) >= PATH_MAX) {
		errno = ENAMETOOLONG;
		return -1;
	}
	fd = mkostemp(out->temporary, O_CLOEXEC);
	if (fd < 0)
		*out->temporary = '\0';
	else
		fchmod(fd, 0666 & ~mask);
	return fd;
}

/* What replaces a file is whose that was, as far as we may say so. */
static void take_after(int fd, const struct stat *old)
{
	mode_t mode = old->st_mode & 0777;

	/* Another group gets no more than everybody. */
	if (fchown(fd, old->st_uid, old->st_gid) && fchown(fd, (uid_t)-1, old->st_gid))
		mode &= ~(mode_t)070 | (mode & 07) << 3;
	fchmod(fd, mode);
}

/* @old: what is there, or NULL */
static void open_beside(struct output *out, const char *file, const struct stat *old)
{
	/* Who may not write to it could still replace it. */
	if (!follow(file, out->path) ||
	    (old && faccessat(AT_FDCWD, out->path, W_OK, AT_EACCESS)))
		return;
	out->fd = open_nameless(out->path);
	if (out->fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR))
		out->fd = open_named(out);
	if (out->fd >= 0 && old)
		take_after(out->fd, old);
}

int output_open(const struct session *s, const char *file, struct hmem_region *region,
		struct output *out)
{
	struct stat st;
	bool there = !(file ? stat(file, &st) : fstat(STDOUT_FILENO, &st));

	*out = (struct output){ .s = s, .name = file ? file : "stdout", .fd = -1 };
	if (there && is_region(&st, region)) {
		report_error(s, "%s is the region itself, and its shelves would be lost", out->name);
		return EXIT_FAILED;
	}
	/* The name of one that was removed, such as /dev/fd/3, is no longer its own. */
	out->direct = !file || (there && (!S_ISREG(st.st_mode) || !st.st_nlink));
	if (!file)
		out->fd = STDOUT_FILENO;
	else if (out->direct)
		out->fd = open(file, O_WRONLY | O_CLOEXEC | (S_ISREG(st.st_mode) ? O_TRUNC : 0));
	else
		open_beside(out, file, there ? &st : NULL);
	return out->fd < 0 ? report_system(s, "open", file, errno) : EXIT_DONE;
}

/* A name cannot be taken from another file but by one that has a name. */
static bool give_name(struct output *out)
{
	char self[64];

	snprintf(self, sizeof(self), "/proc/self/fd/%d", out->fd);
	for (unsigned int i = 0; i < 10000; i++) {
		if (snprintf(out->temporary, PATH_MAX, "%s.%u.%u", out->path,
			     (unsigned int)getpid(), i) >= PATH_MAX) {
			errno = ENAMETOOLONG;
			break;
		}
		if (!linkat(AT_FDCWD, self, AT_FDCWD, out->temporary, AT_SYMLINK_FOLLOW))
			return true;
		if (errno != EEXIST)
			break;
	}
	*out->temporary = '\0';
	return false;
}

int output_close(struct output *out, int code)
{
	if (!code && !out->direct && fsync(out->fd))
		code = report_system(out->s, "write", out->name, errno);
	if (!code && !out->direct && !*out->temporary && !give_name(out))
		code = report_system(out->s, "name", out->name, errno);
	if (out->fd != STDOUT_FILENO && close(out->fd) && !code)
		code = report_system(out->s, "write", out->name, errno);
	if (!code && !out->direct && rename(out->temporary, out->path))
		code = report_system(out->s, "name", out->name, errno);
	if (code && *out->temporary)
		unlink(out->temporary);
	return code;
}
