// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Provider "dax": a device-dax device as it is, /dev/daxN.M.
 *
 * The device is the region: it is there before create and after destroy, its size is
 * the device's, and only whole units of its alignment can be mapped.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "ctx.h"
#include "descriptor.h"
#include "flush.h"
#include "mapping.h"
#include "media_above.h"
#include "provider.h"
#include "sysfs.h"

/* What sysfs says about a device. */
struct attributes {
	uint64_t bytes;
	uint64_t align;
	int nid;
	struct media_above media;
};

struct dax {
	int fd;
	bool writable;
	struct attributes is;
	char path[HMEM_REGION_NAME_MAX + 1];
};

/* "dax0.0" is short for "/dev/dax0.0". */
static int device_path(struct hmem_ctx *ctx, const char *name, char path[PATH_MAX])
{
	if (!*name)
		return hmem_fail(ctx, -EINVAL,
				 "dax: needs a device behind the colon, such as "
				 "dax:/dev/dax0.0");
	return hmem_sysfs_path(ctx, path, "%s%s", strchr(name, '/') ? "" : "/dev/", name);
}

/* @dir: the device's directory in sysfs. -ENOENT without a last error: it is gone. */
static int read_attributes(struct hmem_ctx *ctx, const char *dir, struct attributes *is)
{
	int err;

	is->nid = -1;
	err = hmem_sysfs_u64(dir, "size", 10, &is->bytes);
	if (!err)
		err = hmem_sysfs_u64(dir, "align", 10, &is->align);
	if (!err && (!is->align || is->align & (is->align - 1)))
		err = -EIO;
	if (!err) {
		/* Older kernels do not say where a device is. */
		err = hmem_sysfs_int(dir, "numa_node", &is->nid);
		if (err == -ENOENT)
			err = 0;
	}
	/* Not being able to look is an error: persist must not be skipped for want of a descriptor. */
	if (!err)
		err = media_above(dir, &is->media);
	return err ? hmem_sysfs_broken(ctx, dir, err) : 0;
}

/* The directory of the device that @st describes, and whether it is one of device-dax. */
static int find_attributes(struct hmem_ctx *ctx, const char *path, const struct stat *st,
			   struct attributes *is)
{
	char dir[PATH_MAX], link[PATH_MAX], bus[PATH_MAX];
	ssize_t length = -1;
	const char *slash;
	int err;

	if (S_ISCHR(st->st_mode)) {
		err = hmem_sysfs_path(ctx, dir, "/sys/dev/char/%u:%u", major(st->st_rdev),
				      minor(st->st_rdev));
		if (!err)
			err = hmem_sysfs_path(ctx, link, "/sys/dev/char/%u:%u/subsystem",
					      major(st->st_rdev), minor(st->st_rdev));
		if (err)
			return err;
		length = readlink(link, bus, sizeof(bus) - 1);
	}
	bus[length < 0 ? 0 : length] = '\0';
	slash = strrchr(bus, '/');
	if (!slash || strcmp(slash, "/dax") != 0)
		return hmem_fail(ctx, -EINVAL,
				 "%s is no device-dax device; `daxctl list` shows those", path);
	err = read_attributes(ctx, dir, is);
	if (err == -ENOENT)
		return hmem_fail(ctx, -ENODEV, "%s has gone away", path);
	return err;
}

static int open_failed(struct hmem_ctx *ctx, const char *path, int err)
{
	switch (-err) {
	case ENOENT:
	case ENOTDIR:
		return hmem_fail(ctx, -ENOENT,
				 "there is no %s; `daxctl list` shows the devices",
				 path);
	case ENXIO:
	case ENODEV:
		return hmem_fail(ctx, -ENODEV,
				 "%s has no driver that maps it: it is system memory, or belongs to "
				 "a pool of hmem.ko; else `daxctl reconfigure-device -m devdax` "
				 "gives it device_dax",
				 path);
	case EACCES:
		return hmem_fail(ctx, err,
				 "no access to %s: its permissions do not allow it; such devices "
				 "belong to root unless a udev rule says otherwise",
				 path);
	default:
		return hmem_fail(ctx, err, "cannot open %s: %s", path, strerror(-err));
	}
}

static int dax_open(struct hmem_ctx *ctx, const char *name, unsigned int flags, void **state)
{
	char path[PATH_MAX];
	struct dax *dax;
	struct stat st;
	int err = device_path(ctx, name, path);

	if (err)
		return err;
	dax = calloc(1, sizeof(*dax));
	if (!dax)
		return hmem_fail(ctx, -ENOMEM, "no memory for a handle on %s", path);
	snprintf(dax->path, sizeof(dax->path), "%s", name);
	dax->writable = !(flags & HMEM_OPEN_READ_ONLY);
	dax->fd = hmem_descriptor_keep(open(path, (dax->writable ? O_RDWR : O_RDONLY) | O_CLOEXEC |
						  O_NOCTTY | O_NONBLOCK));
	if (dax->fd < 0) {
		err = open_failed(ctx, path, -errno);
		free(dax);
		return err;
	}
	if (fstat(dax->fd, &st))
		err = open_failed(ctx, path, -errno);
	else
		err = find_attributes(ctx, path, &st, &dax->is);
	if (err) {
		close(dax->fd);
		free(dax);
		return err;
	}
	*state = dax;
	return 0;
}

static void dax_close(struct hmem_ctx *ctx, void *state)
{
	struct dax *dax = state;

	(void)ctx;
	close(dax->fd);
	free(dax);
}

static int dax_create(struct hmem_ctx *ctx, const char *name,
		      const struct hmem_region_options *options, void **state)
{
	void *opened = NULL;
	int err = dax_open(ctx, name, 0, &opened);
	struct dax *dax = opened;

	if (!dax)
		return err;
	if (options->flags & HMEM_CREATE_EXCLUSIVE)
		err = hmem_fail(ctx, -EEXIST, "%s: a device exists before it is created", name);
	else if (options->bytes > dax->is.bytes)
		err = hmem_fail(ctx, -ENOSPC,
				"%s has %" PRIu64 " bytes, %" PRIu64 " were asked for", name,
				dax->is.bytes, options->bytes);
	if (err || !state)
		dax_close(ctx, dax);
	else
		*state = dax;
	return err;
}

static int dax_map(struct hmem_ctx *ctx, void *state, uint64_t offset, size_t length,
		   void **address)
{
	struct dax *dax = state;
	uint64_t align = dax->is.align;
	int err;

	if (offset & (align - 1) || length & (align - 1))
		return hmem_fail(ctx, -EINVAL,
				 "mapping %zu bytes at offset %" PRIu64
				 " of %s: it maps in units of %" PRIu64 " bytes only",
				 length, offset, dax->path, align);
	err = hmem_mapping_new(dax->fd, offset, length,
			       PROT_READ | (dax->writable ? PROT_WRITE : 0), MAP_SHARED,
			       align < HMEM_MAPPING_ALIGN ? HMEM_MAPPING_ALIGN : align, address);
	if (err)
		return hmem_fail(ctx, err, "mapping %zu bytes of %s: %s", length, dax->path,
				 strerror(-err));
	return 0;
}

/* device-dax has no msync: where the CPU cannot flush from here, nothing can. */
static int dax_persist(struct hmem_ctx *ctx, void *state, const void *address, size_t length)
{
	struct dax *dax = state;

	if (!dax->is.media.persistent)
		return 0;
	if (!hmem_flush_cpu_possible(ctx))
		return hmem_fail(ctx, -EOPNOTSUPP,
				 "persisting %s: this CPU cannot write its caches back from here",
				 dax->path);
	if (dax->is.media.caches)
		hmem_flush_fence(ctx);
	else
		hmem_flush_cpu(ctx, address, length);
	return 0;
}

static void describe(struct hmem_ctx *ctx, const struct attributes *is, const struct stat *st,
		     struct hmem_region_info *info)
{
	bool persistent = is->media.persistent && hmem_flush_cpu_possible(ctx);

	info->bytes = is->bytes;
	info->granularity = is->align;
	info->caps = HMEM_CAP_SHARED | (persistent ? HMEM_CAP_PERSISTENT | HMEM_CAP_FLUSH_CPU : 0) |
		     (persistent && is->media.caches ? HMEM_CAP_CACHES_DURABLE : 0);
	info->nid = is->nid;
	info->uid = st->st_uid;
	info->gid = st->st_gid;
	info->mode = st->st_mode & 0777;
}

static int dax_get_info(struct hmem_ctx *ctx, void *state, struct hmem_region_info *info)
{
	struct dax *dax = state;
	struct stat st;

	if (fstat(dax->fd, &st))
		return open_failed(ctx, dax->path, -errno);
	describe(ctx, &dax->is, &st, info);
	return 0;
}

static int dax_get_info_by_name(struct hmem_ctx *ctx, const char *name,
				struct hmem_region_info *info)
{
	struct attributes is = { 0 };
	char path[PATH_MAX];
	struct stat st;
	int err = device_path(ctx, name, path);

	if (err)
		return err;
	if (stat(path, &st))
		return open_failed(ctx, path, -errno);
	err = find_attributes(ctx, path, &st, &is);
	if (!err)
		describe(ctx, &is, &st, info);
	return err;
}

struct visit {
	struct hmem_ctx *ctx;
	int (*fn)(void *arg, const struct hmem_region_info *info);
	void *arg;
};

/*
 * device_dax has it. Others have a node in /dev as well, which cannot be opened: kmem made system
 * memory of them, or no driver has them because a pool of hmem.ko has the memory.
 */
static bool is_mapped_by_driver(const char *dir)
{
	char link[PATH_MAX], driver[PATH_MAX];
	ssize_t length = -1;

	if (snprintf(link, sizeof(link), "%s/driver", dir) < (int)sizeof(link))
		length = readlink(link, driver, sizeof(driver) - 1);
	driver[length < 0 ? 0 : length] = '\0';
	return !strcmp(basename(driver), "device_dax");
}

static int visit_device(void *arg, const char *dir, const char *name)
{
	struct hmem_region_info info = { .size = sizeof(info), .nid = -1 };
	struct visit *visit = arg;
	struct attributes is = { 0 };
	char path[PATH_MAX];
	struct stat st;
	int err;

	if (snprintf(info.name, sizeof(info.name), "dax:/dev/%s", name) >= (int)sizeof(info.name))
		return 0;
	err = hmem_sysfs_path(visit->ctx, path, "/dev/%s", name);
	if (err)
		return err;
	if (stat(path, &st) || !is_mapped_by_driver(dir))
		return 0;
	err = read_attributes(visit->ctx, dir, &is);
	if (err == -ENOENT)
		return 0;
	if (err)
		return err;
	describe(visit->ctx, &is, &st, &info);
	return visit->fn(visit->arg, &info);
}

static int dax_iterate(struct hmem_ctx *ctx,
		       int (*fn)(void *arg, const struct hmem_region_info *info), void *arg)
{
	struct visit visit = { ctx, fn, arg };

	return hmem_sysfs_each(ctx, "/sys/bus/dax/devices", visit_device, &visit);
}

static int dax_fd(struct hmem_ctx *ctx, void *state)
{
	struct dax *dax = state;

	(void)ctx;
	return dax->fd;
}

static int dax_map_at(struct hmem_ctx *ctx, void *state, uint64_t offset, size_t length,
		   void *address)
{
	struct dax *dax = state;
	int err = hmem_mapping_at(dax->fd, offset, length, PROT_READ | (dax->writable ? PROT_WRITE : 0), MAP_SHARED, address);

	if (err)
		return hmem_fail(ctx, err, "mapping %zu bytes of dax:%s: %s", length, dax->path,
				 strerror(-err));
	return 0;
}

const struct hmem_provider_ops hmem_provider_dax = {
	.size = sizeof(struct hmem_provider_ops),
	.scheme = "dax",
	.create = dax_create,
	.open = dax_open,
	.close = dax_close,
	.map = dax_map,
	.persist = dax_persist,
	.get_info = dax_get_info,
	.get_info_by_name = dax_get_info_by_name,
	.iterate = dax_iterate,
	.fd = dax_fd,
	.map_at = dax_map_at,
};
