// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Looking for the spaces of all processes, by what they show (space_shown.h). They are anybody's,
 * and who looks may be root.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctx.h"
#include "printable.h"
#include "space_shown.h"
#include "uncancelled.h"

/*
 * Who looks, and what for.
 *
 * @memfd: one of this process
 */
struct looking {
	struct hmem_ctx *ctx;
	int (*fn)(void *arg, const struct hmem_space_seen *seen);
	void *arg;
	size_t hidden;
	struct statx memfd;
};

static void command_of(int pid, char *command, size_t room)
{
	char path[32];
	ssize_t n;
	int fd;

	*command = '\0';
	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	n = read(fd, command, room - 1);
	close(fd);
	command[n > 0 ? n : 0] = '\0';
	command[strcspn(command, "\n")] = '\0';
	hmem_make_printable(command);
}

static bool look_up(int fd, struct statx *file)
{
	/* What is not memory may be on a server that does not answer. */
	return !statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, file);
}

/* Where the kernel has memfds, and nobody else has files. */
static int find_device(struct looking *looking)
{
	int fd = memfd_create("hmem-look", MFD_CLOEXEC), err = 0;

	if (fd < 0 || !look_up(fd, &looking->memfd))
		err = hmem_fail(looking->ctx, -errno, "a memfd, to know others by: %s",
				strerror(errno));
	if (fd >= 0)
		close(fd);
	return err;
}

/*
 * Any file can have that name, in a mount namespace of its owner's; to open one that is a FIFO or a
 * device would wait, or do something. So it is held first, by a descriptor that does not open it.
 */
static bool is_memfd(const struct looking *looking, int held)
{
	struct statx file;

	return look_up(held, &file) && S_ISREG(file.stx_mode) &&
	       file.stx_dev_major == looking->memfd.stx_dev_major &&
	       file.stx_dev_minor == looking->memfd.stx_dev_minor;
}

/* This process has no room to look; else, the file is gone, or is none to look at. */
static bool is_own_trouble(int err)
{
	return err == EMFILE || err == ENFILE || err == ENOMEM;
}

/* 1: the open file is a page that a library of this version shows; 0: it is not; -errno */
static int read_page(const struct looking *looking, int dir, const char *name,
		     struct space_shown *page)
{
	static const char expected[] = "/memfd:" SPACE_SHOWN_NAME;
	char target[PATH_MAX], path[32];
	ssize_t n = readlinkat(dir, name, target, sizeof(target));
	int held, fd = -1, err = 0;

	if (n < (ssize_t)strlen(expected) || memcmp(target, expected, strlen(expected)))
		return 0;
	held = openat(dir, name, O_PATH | O_CLOEXEC);
	if (held < 0)
		return is_own_trouble(errno) ? -errno : 0;
	if (is_memfd(looking, held)) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", held);
		/* Nor is it waited for its owner to give up a lease. */
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
		err = fd < 0 && is_own_trouble(errno) ? -errno : 0;
	}
	close(held);
	if (fd < 0)
		return err;
	n = pread(fd, page, sizeof(*page), 0);
	close(fd);
	return n == (ssize_t)sizeof(*page) && page->magic == SPACE_SHOWN_MAGIC &&
	       page->version == SPACE_SHOWN_VERSION;
}

static int tell(struct looking *looking, int pid, const struct space_shown *page)
{
	struct hmem_space_seen seen = { .size = sizeof(seen) };

	seen.pid = pid;
	seen.flags = page->flags;
	seen.nr_parts = page->nr_parts;
	seen.bytes = page->bytes;
	seen.limit = atomic_load(&page->limit);
	seen.used = atomic_load(&page->told.used) * page->granule;
	seen.peak = atomic_load(&page->told.peak) * page->granule;
	seen.granule = page->granule;
	seen.interfaces = atomic_load(&page->interfaces);
	snprintf(seen.name, sizeof(seen.name), "%.*s", HMEM_SPACE_NAME_MAX, page->name);
	snprintf(seen.layers, sizeof(seen.layers), "%.*s", HMEM_SPACE_LAYERS_MAX, page->layers);
	hmem_make_printable(seen.name);
	hmem_make_printable(seen.layers);
	command_of(pid, seen.command, sizeof(seen.command));
	return looking->fn(looking->arg, &seen);
}

/* @asked: it is this process that is asked for, so it says what is wrong. */
static int look_at(struct looking *looking, int pid, bool asked)
{
	struct space_shown page = { 0 };
	struct dirent *entry;
	char path[32];
	int err = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	dir = opendir(path);
	if (!dir) {
		err = -errno;
		/* The second where /proc is mounted with hidepid=1. */
		looking->hidden += err == -EACCES || err == -EPERM;
		if (!asked && !is_own_trouble(-err))
			return 0;
		if (err == -ENOENT)
			return hmem_fail(looking->ctx, -ESRCH, "there is no process %d", pid);
		return hmem_fail(looking->ctx, err, "process %d cannot be looked at: %s", pid,
				 strerror(-err));
	}
	while (!err && (entry = readdir(dir))) {
		int is_page = read_page(looking, dirfd(dir), entry->d_name, &page);

		if (is_page > 0)
			err = tell(looking, pid, &page);
		else if (is_page)
			err = hmem_fail(looking->ctx, is_page,
					"a file of process %d cannot be looked at: %s", pid,
					strerror(-is_page));
	}
	closedir(dir);
	return err;
}

static int compare(const void *a, const void *b)
{
	return *(const int *)a < *(const int *)b ? -1 : *(const int *)a > *(const int *)b;
}

/* All there are, by their numbers. */
static int list_processes(struct hmem_ctx *ctx, int **pids, size_t *n)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	size_t room = 0;

	*pids = NULL;
	*n = 0;
	if (!proc)
		return hmem_fail(ctx, -errno, "/proc: %s", strerror(errno));
	while ((entry = readdir(proc))) {
		int pid = atoi(entry->d_name), *more;

		if (pid <= 0)
			continue;
		if (*n == room) {
			room = room ? 2 * room : 256;
			more = realloc(*pids, room * sizeof(*more));
			if (!more) {
				free(*pids);
				closedir(proc);
				return hmem_fail(ctx, -ENOMEM, "no memory for a list of processes");
			}
			*pids = more;
		}
		(*pids)[(*n)++] = pid;
	}
	closedir(proc);
	if (*n)
		qsort(*pids, *n, sizeof(**pids), compare);
	return 0;
}

static int look(struct looking *looking, int pid)
{
	int *pids, err = find_device(looking);
	size_t n = 1;

	if (err)
		return err;
	if (pid)
		return look_at(looking, pid, true);
	err = list_processes(looking->ctx, &pids, &n);
	if (err)
		return err;
	for (size_t i = 0; !err && i < n; i++)
		err = look_at(looking, pids[i], false);
	free(pids);
	return err;
}

int hmem_space_iterate(struct hmem_ctx *ctx, int pid,
		       int (*fn)(void *arg, const struct hmem_space_seen *seen), void *arg,
		       size_t *hidden)
{
	struct looking looking = { .ctx = ctx, .fn = fn, .arg = arg };
	int err;

	if (!ctx)
		return -EINVAL;
	if (!fn || pid < 0)
		return hmem_fail(ctx, -EINVAL,
				 "looking for spaces takes a function, and a process or 0 for all");
	err = UNCANCELLED(look(&looking, pid));
	if (hidden)
		*hidden = looking.hidden;
	return err;
}
