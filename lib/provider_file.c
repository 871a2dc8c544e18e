// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Provider "file": a regular file, on whatever file system.
 *
 * Two promises shape it. A store into a mapping must never meet a full file system,
 * as that is SIGBUS: every byte is allocated by create and resize, which can say
 * -ENOSPC. And what create acknowledged is durable: the file and its name in the
 * directory are synced before it returns.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "ctx.h"
#include "descriptor.h"
#include "file_limit.h"
#include "file_space.h"
#include "flush.h"
#include "mapping.h"
#include "media_above.h"
#include "provider.h"
#include "sysfs.h"

/*
 * @sync_faults: MAP_SYNC works, so that CPU flushes alone make a store durable
 * @caches: and they need not be flushed, as the platform does that
 * @resizing: held while the size is read and changed
 */
struct file {
	int fd;
	bool writable;
	bool persistent;
	bool sync_faults;
	bool caches;
	pthread_mutex_t resizing;
	char path[HMEM_REGION_NAME_MAX + 1];
};

/* What to do about an errno, behind a colon. */
static const char *reason(int err)
{
	switch (-err) {
	case ENOENT:
		return "there is no such file or directory";
	case ENOTDIR:
		return "a part of the path is not a directory";
	case EISDIR:
		return "it is a directory";
	case EACCES:
		return "its permissions, or those of a directory on the way, do not allow it";
	case EROFS:
		return "its file system is mounted read-only";
	case ENOSPC:
		return "its file system is full; free some space or ask for less";
	case EDQUOT:
		return "the disk quota is used up";
	case EFBIG:
		return "larger than the file system, or ulimit -f of this process, allows";
	case ELOOP:
		return "too many symbolic links, they may form a loop";
	case EEXIST:
		return "it exists already";
	case ETXTBSY:
		return "it is a program that is being run";
	case EPERM:
		return "it is immutable or append-only, or belongs to somebody else";
	default:
		return strerror(-err);
	}
}

static int failed(struct hmem_ctx *ctx, const char *verb, const char *path, int err)
{
	return hmem_fail(ctx, err, "cannot %s file:%s: %s", verb, path, reason(err));
}

static int check_kind(struct hmem_ctx *ctx, const char *verb, const char *path, mode_t mode)
{
	if (S_ISREG(mode))
		return 0;
	if (S_ISDIR(mode))
		return failed(ctx, verb, path, -EISDIR);
	return hmem_fail(ctx, -EINVAL, "cannot %s file:%s: it is no regular file%s", verb, path,
			 S_ISCHR(mode) ? "; a device-dax device is written dax:PATH" : "");
}

/* File systems whose files are gone with the power. */
static bool survives_power_loss(const struct statfs *fs)
{
	switch ((unsigned long)fs->f_type) {
	case TMPFS_MAGIC:
	case RAMFS_MAGIC:
	case HUGETLBFS_MAGIC:
		return false;
	default:
		return true;
	}
}

/* Only the attempt tells; nothing is touched, so a file of any size will do. */
static bool map_sync_works(int fd, bool writable)
{
	size_t page = (size_t)hmem_page_size();
	void *at = mmap(NULL, page, PROT_READ | (writable ? PROT_WRITE : 0),
			MAP_SHARED_VALIDATE | MAP_SYNC, fd, 0);

	if (at == MAP_FAILED)
		return false;
	munmap(at, page);
	return true;
}

/* Of the disk that a file with DAX is on; one over several disks does not say, and is flushed. */
static bool caches_are_durable(struct hmem_ctx *ctx, const struct stat *st)
{
	struct media_above media;
	char dir[PATH_MAX];

	return !hmem_sysfs_path(ctx, dir, "/sys/dev/block/%u:%u", major(st->st_dev),
				minor(st->st_dev)) &&
	       !media_above(dir, &media) && media.caches;
}

/* Take over @fd; it is closed on failure. */
static int file_new(struct hmem_ctx *ctx, const char *path, int fd, bool writable, void **state)
{
	struct file *file = calloc(1, sizeof(*file));
	struct statfs fs;
	struct stat st;
	int err;

	if (!file) {
		close(fd);
		return hmem_fail(ctx, -ENOMEM, "no memory for a handle on file:%s", path);
	}
	if (fstatfs(fd, &fs) || fstat(fd, &st)) {
		err = failed(ctx, "examine", path, -errno);
		free(file);
		close(fd);
		return err;
	}
	file->fd = fd;
	file->writable = writable;
	file->persistent = survives_power_loss(&fs);
	file->sync_faults =
		file->persistent && hmem_flush_cpu_possible(ctx) && map_sync_works(fd, writable);
	file->caches = file->sync_faults && caches_are_durable(ctx, &st);
	pthread_mutex_init(&file->resizing, NULL);
	snprintf(file->path, sizeof(file->path), "%s", path);
	*state = file;
	return 0;
}

/*
 * Open a regular file: a descriptor or a negative errno. O_NONBLOCK: opening a FIFO
 * for reading would wait for a writer before we can see what it is.
 */
static int open_regular(struct hmem_ctx *ctx, const char *verb, const char *path, int flags)
{
	int fd = hmem_descriptor_keep(open(path, flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
	struct stat st;
	int err;

	if (fd < 0)
		return failed(ctx, verb, path, -errno);
	if (fstat(fd, &st))
		err = failed(ctx, verb, path, -errno);
	else
		err = check_kind(ctx, verb, path, st.st_mode);
	if (err) {
		close(fd);
		return err;
	}
	return fd;
}

/* Allocate every byte up to @bytes; the size is as before when that fails. */
static int allocate(int fd, uint64_t bytes, uint64_t before)
{
	int err;

	if (hmem_beyond_file_limit(bytes))
		return -EFBIG;
	do
		err = posix_fallocate(fd, 0, (off_t)bytes);
	while (err == EINTR);
	if (err) {
		/* What was refused is the news, not whether the part could be given back. */
		int undone = ftruncate(fd, (off_t)before);

		(void)undone;
	}
	return -err;
}

static int round_up(struct hmem_ctx *ctx, const char *path, uint64_t *bytes)
{
	uint64_t page = hmem_page_size();

	/* Bounded by INT64_MAX before, so that the sum cannot wrap. */
	*bytes = (*bytes + page - 1) & ~(page - 1);
	if (!*bytes)
		return hmem_fail(ctx, -EINVAL, "file:%s: a region has at least one byte", path);
	if (*bytes > INT64_MAX)
		return hmem_fail(ctx, -EINVAL,
				 "file:%s: %" PRIu64 " bytes is more than a file can have", path,
				 *bytes);
	return 0;
}

/* Give a file of our making its owner, size and mode, and see that all of it is on disk. */
static int fill_new(int fd, const char *path, const struct hmem_region_options *options,
		    uint64_t bytes)
{
	int err;

	/* First the owner, as changing it may clear bits of the mode. */
	if ((options->uid != (uid_t)-1 || options->gid != (gid_t)-1) &&
	    fchown(fd, options->uid, options->gid))
		return -errno;
	if (fchmod(fd, options->mode))
		return -errno;
	err = allocate(fd, bytes, 0);
	if (err)
		return err;
	if (fsync(fd))
		return -errno;
	return hmem_file_sync_entry(path, fd);
}

/* The file is there: at least @bytes long, and allocated so far. */
static int grow_existing(int fd, uint64_t bytes)
{
	struct stat st;
	int err;

	if (fstat(fd, &st))
		return -errno;
	err = allocate(fd, bytes, (uint64_t)st.st_size);
	if (err)
		return err;
	return fsync(fd) ? -errno : 0;
}

/*
 * A descriptor of the file, new (@made) or existing. A new one is made at exactly
 * @path, never at the far end of a symbolic link, so that its directory is known.
 */
static int create_or_open(struct hmem_ctx *ctx, const char *path, bool exclusive, bool *made)
{
	/* Somebody may remove it after we saw it, or make it after we did not. */
	for (int tries = 0; tries < 16; tries++) {
		int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

		*made = fd >= 0;
		fd = hmem_descriptor_keep(fd);
		if (fd >= 0)
			return fd;
		if (*made) {
			int err = -errno;

			unlink(path);
			return failed(ctx, "create", path, err);
		}
		if (errno != EEXIST || exclusive)
			return failed(ctx, "create", path, -errno);
		fd = open_regular(ctx, "create", path, O_RDWR);
		if (fd != -ENOENT)
			return fd;
	}
	return hmem_fail(ctx, -ENOENT,
			 "cannot create file:%s: it is a symbolic link to a file that is not there",
			 path);
}

static int file_create(struct hmem_ctx *ctx, const char *name,
		       const struct hmem_region_options *options, void **state)
{
	uint64_t bytes = options->bytes;
	bool made;
	int fd, err;

	if (!*name)
		return hmem_fail(ctx, -EINVAL, "file: needs a path behind the colon");
	err = round_up(ctx, name, &bytes);
	if (err)
		return err;
	fd = create_or_open(ctx, name, options->flags & HMEM_CREATE_EXCLUSIVE, &made);
	if (fd < 0)
		return fd;

	err = made ? fill_new(fd, name, options, bytes) : grow_existing(fd, bytes);
	if (err)
		failed(ctx, "create", name, err);
	if (err || !state)
		close(fd);
	else
		err = file_new(ctx, name, fd, true, state);
	if (err && made)
		unlink(name);
	return err;
}

static int file_open(struct hmem_ctx *ctx, const char *name, unsigned int flags, void **state)
{
	bool writable = !(flags & HMEM_OPEN_READ_ONLY);
	int fd;

	if (!*name)
		return hmem_fail(ctx, -EINVAL, "file: needs a path behind the colon");
	fd = open_regular(ctx, "open", name, writable ? O_RDWR : O_RDONLY);
	if (fd < 0)
		return fd;
	return file_new(ctx, name, fd, writable, state);
}

static void file_close(struct hmem_ctx *ctx, void *state)
{
	struct file *file = state;

	(void)ctx;
	pthread_mutex_destroy(&file->resizing);
	close(file->fd);
	free(file);
}

static int file_map(struct hmem_ctx *ctx, void *state, uint64_t offset, size_t length,
		    void **address)
{
	struct file *file = state;
	int err = hmem_mapping_new(file->fd, offset, length,
				   PROT_READ | (file->writable ? PROT_WRITE : 0),
				   file->sync_faults ? MAP_SHARED_VALIDATE | MAP_SYNC : MAP_SHARED,
				   HMEM_MAPPING_ALIGN, address);

	if (err)
		return hmem_fail(ctx, err, "mapping %zu bytes of file:%s: %s", length, file->path,
				 strerror(-err));
	return 0;
}

static int file_persist(struct hmem_ctx *ctx, void *state, const void *address, size_t length)
{
	struct file *file = state;

	if (!file->persistent)
		return 0;
	if (!file->sync_faults)
		return hmem_flush_msync(ctx, file->path, address, length);
	if (file->caches)
		hmem_flush_fence(ctx);
	else
		hmem_flush_cpu(ctx, address, length);
	return 0;
}

static int file_resize(struct hmem_ctx *ctx, void *state, uint64_t bytes)
{
	struct file *file = state;
	struct stat st;
	int err = round_up(ctx, file->path, &bytes);

	if (err)
		return err;
	pthread_mutex_lock(&file->resizing);
	if (fstat(file->fd, &st))
		err = -errno;
	else if (bytes > (uint64_t)st.st_size)
		err = allocate(file->fd, bytes, (uint64_t)st.st_size);
	else
		err = ftruncate(file->fd, (off_t)bytes) ? -errno : 0;
	if (!err && fsync(file->fd))
		err = -errno;
	pthread_mutex_unlock(&file->resizing);
	return err ? failed(ctx, "resize", file->path, err) : 0;
}

static int file_destroy(struct hmem_ctx *ctx, const char *name)
{
	struct stat st;
	int err;

	if (!*name)
		return hmem_fail(ctx, -EINVAL, "file: needs a path behind the colon");
	if (lstat(name, &st))
		return failed(ctx, "destroy", name, -errno);
	if (!S_ISLNK(st.st_mode)) {
		err = check_kind(ctx, "destroy", name, st.st_mode);
		if (err)
			return err;
	}
	if (unlink(name))
		return failed(ctx, "destroy", name, -errno);
	err = hmem_file_sync_entry(name, -1);
	if (err && err != -EACCES)
		return failed(ctx, "sync the directory after destroying", name, err);
	return 0;
}

static void describe(const struct stat *st, bool persistent, bool cpu_flush, bool caches,
		     struct hmem_region_info *info)
{
	info->bytes = (uint64_t)st->st_size;
	info->granularity = hmem_page_size();
	info->caps = HMEM_CAP_RESIZE | HMEM_CAP_SHARED | (persistent ? HMEM_CAP_PERSISTENT : 0) |
		     (cpu_flush ? HMEM_CAP_FLUSH_CPU : 0) | (caches ? HMEM_CAP_CACHES_DURABLE : 0);
	info->uid = st->st_uid;
	info->gid = st->st_gid;
	info->mode = st->st_mode & 0777;
}

static int file_get_info(struct hmem_ctx *ctx, void *state, struct hmem_region_info *info)
{
	struct file *file = state;
	struct stat st;

	if (fstat(file->fd, &st))
		return failed(ctx, "examine", file->path, -errno);
	describe(&st, file->persistent, file->sync_faults, file->caches, info);
	return 0;
}

static int file_get_info_by_name(struct hmem_ctx *ctx, const char *name,
				 struct hmem_region_info *info)
{
	bool persistent, dax = false;
	struct statfs fs;
	struct statx stx;
	struct stat st;
	int err;

	if (!*name)
		return hmem_fail(ctx, -EINVAL, "file: needs a path behind the colon");
	if (stat(name, &st) || statfs(name, &fs))
		return failed(ctx, "examine", name, -errno);
	err = check_kind(ctx, "examine", name, st.st_mode);
	if (err)
		return err;
	persistent = survives_power_loss(&fs);
	/* Whether MAP_SYNC works cannot be tried without opening; a DAX file says so. */
	if (!statx(AT_FDCWD, name, 0, 0, &stx))
		dax = stx.stx_attributes & stx.stx_attributes_mask & STATX_ATTR_DAX;
	dax = dax && persistent && hmem_flush_cpu_possible(ctx);
	describe(&st, persistent, dax, dax && caches_are_durable(ctx, &st), info);
	return 0;
}

static int file_fd(struct hmem_ctx *ctx, void *state)
{
	struct file *file = state;

	(void)ctx;
	return file->fd;
}

static int file_map_at(struct hmem_ctx *ctx, void *state, uint64_t offset, size_t length,
		    void *address)
{
	struct file *file = state;
	int err = hmem_mapping_at(file->fd, offset, length, PROT_READ | (file->writable ? PROT_WRITE : 0), file->sync_faults ? MAP_SHARED_VALIDATE | MAP_SYNC : MAP_SHARED, address);

	if (err)
		return hmem_fail(ctx, err, "mapping %zu bytes of file:%s: %s", length, file->path,
				 strerror(-err));
	return 0;
}

const struct hmem_provider_ops hmem_provider_file = {
	.size = sizeof(struct hmem_provider_ops),
	.scheme = "file",
	.create = file_create,
	.open = file_open,
	.close = file_close,
	.map = file_map,
	.persist = file_persist,
	.resize = file_resize,
	.destroy = file_destroy,
	.get_info = file_get_info,
	.get_info_by_name = file_get_info_by_name,
	.fd = file_fd,
	.map_at = file_map_at,
};
