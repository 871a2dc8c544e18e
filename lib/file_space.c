// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What parts of a file take of its file system, and the entry by which it is found there.
 */
#include "file_space.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int hmem_file_sync_entry(const char *path, int fd)
{
	char directory[PATH_MAX];
	char *slash;
	int dir, err = 0;

	if (snprintf(directory, sizeof(directory), "%s", path) >= (int)sizeof(directory))
		return -ENAMETOOLONG;
	slash = strrchr(directory, '/');
	if (!slash)
		snprintf(directory, sizeof(directory), ".");
	else
		slash[slash == directory] = '\0';
	dir = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0) {
		/* A directory that may be written and not read: sync all that there is. */
		if (errno != EACCES || fd < 0)
			return -errno;
		return syncfs(fd) ? -errno : 0;
	}
	/* EINVAL: a file system whose directories need no sync. */
	if (fsync(dir) && errno != EINVAL)
		err = -errno;
	close(dir);
	return err;
}

/* The path is what it was opened by, maybe a symbolic link, and the file may have moved since. */
static int sync_entry_of(int fd)
{
	char link[32], path[PATH_MAX];
	struct stat file, there;
	ssize_t bytes;

	if (fstat(fd, &file))
		return -errno;
	/* It has been removed. */
	if (!file.st_nlink)
		return 0;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	bytes = readlink(link, path, sizeof(path) - 1);
	if (bytes > 0) {
		path[bytes] = '\0';
		if (!lstat(path, &there) && file.st_ino == there.st_ino &&
		    file.st_dev == there.st_dev)
			return hmem_file_sync_entry(path, fd);
	}
	/* Without /proc, or under a name that is another's here. */
	return syncfs(fd) ? -errno : 0;
}

int hmem_file_allocate(int fd, uint64_t offset, uint64_t length)
{
	struct stat before, after;
	int err;

	if (fstat(fd, &before))
		return -errno;
	/* It would grow, and what it held would be zeroes. */
	if ((uint64_t)before.st_size < offset + length)
		return -EIO;
	do
		err = posix_fallocate(fd, (off_t)offset, (off_t)length);
	while (err == EINTR);
	if (err)
		return -err;
	if (fstat(fd, &after))
		return -errno;
	/* Most files have been allocated when they were made. */
	if (after.st_blocks != before.st_blocks && fsync(fd))
		return -errno;
	return sync_entry_of(fd);
}

void hmem_file_discard(int fd, uint64_t offset, uint64_t length)
{
	/* What cannot be given back is used by whoever gets it next. */
	int given = fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset,
			      (off_t)length);

	(void)given;
}
