// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Provider "hmem": regions of hmem.ko, /dev/hmem/NAME.
 *
 * Opening, mapping and asking what an open region is go to its device, where file
 * permissions decide. What may be known without opening it comes from sysfs. Creating,
 * resizing and destroying go through /dev/hmem/control (kernel.c).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctx.h"
#include "descriptor.h"
#include "flush.h"
#include "kernel.h"
#include "mapping.h"
#include "name.h"
#include "provider.h"
#include "sysfs.h"

/* @persistent: does not change while the region is open */
struct device {
	int fd;
	bool writable;
	bool persistent;
	char name[HMEM_NAME_MAX + 1];
};

static unsigned int caps(struct hmem_ctx *ctx, bool persistent)
{
	return HMEM_CAP_RESIZE | HMEM_CAP_SHARED | (persistent ? HMEM_CAP_PERSISTENT : 0) |
	       (persistent && hmem_flush_cpu_possible(ctx) ? HMEM_CAP_FLUSH_CPU : 0);
}

static int is_withheld(void *name, const char *dir, const char *entry)
{
	const char *colon = strchr(entry, ':');

	(void)dir;
	return colon && !strcmp(colon + 1, name);
}

/* There is no device of that name: it may be that there is a region, and not all of it. */
static int not_there(struct hmem_ctx *ctx, const char *name)
{
	if (!hmem_kernel_loaded(ctx))
		return hmem_kernel_not_loaded(ctx);
	if (hmem_sysfs_each(ctx, "/sys/class/hmem_withheld", is_withheld, (void *)name) > 0)
		return hmem_fail(ctx, -ENOENT,
				 "region %s is withheld, which its pools do when one of them is not "
				 "attached; `hmemctl list` says why and what to do",
				 name);
	return hmem_fail(ctx, -ENOENT,
			 "there is no region %s; `hmemctl list` shows those that are there", name);
}

/* Say why @path could not be opened, in terms of modules, owners and modes. */
static int open_failed(struct hmem_ctx *ctx, const char *name, const char *path, int err)
{
	struct stat st;

	switch (-err) {
	case ENOENT:
	case ENOTDIR:
		return not_there(ctx, name);
	case EACCES:
		if (stat(path, &st))
			break;
		return hmem_fail(ctx, err,
				 "no access to region %s: it belongs to user %u and group %u, mode "
				 "%04o; this is user %u",
				 name, (unsigned int)st.st_uid, (unsigned int)st.st_gid,
				 (unsigned int)(st.st_mode & 07777), (unsigned int)geteuid());
	case ENODEV:
	case ENXIO:
		return hmem_fail(ctx, -ENODEV,
				 "region %s is just being destroyed, or the memory behind it is "
				 "gone, as its device was disabled or removed",
				 name);
	}
	return hmem_fail(ctx, err, "cannot open region %s: %s", name, strerror(-err));
}

static int device_open(struct hmem_ctx *ctx, const char *name, unsigned int flags, void **state)
{
	bool writable = !(flags & HMEM_OPEN_READ_ONLY);
	struct hmem_kernel_region region;
	struct device *device;
	char path[PATH_MAX];
	int err;

	err = hmem_name_check(ctx, "region", name);
	if (!err)
		err = hmem_sysfs_path(ctx, path, "/dev/hmem/%s", name);
	if (err)
		return err;
	device = calloc(1, sizeof(*device));
	if (!device)
		return hmem_fail(ctx, -ENOMEM, "no memory for a handle on region %s", name);
	device->writable = writable;
	snprintf(device->name, sizeof(device->name), "%s", name);
	device->fd = hmem_descriptor_keep(open(path, (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC));
	if (device->fd < 0) {
		err = open_failed(ctx, name, path, -errno);
		free(device);
		return err;
	}
	err = hmem_kernel_region_info(ctx, device->fd, name, &region);
	if (err) {
		close(device->fd);
		free(device);
		return err;
	}
	device->persistent = region.persistent;
	*state = device;
	return 0;
}

static void device_close(struct hmem_ctx *ctx, void *state)
{
	struct device *device = state;

	(void)ctx;
	close(device->fd);
	free(device);
}

/* As many names as there are, and each one that could be a pool's. */
static int check_pools(struct hmem_ctx *ctx, const char *name,
		       const struct hmem_region_options *options)
{
	bool spread = options->flags & HMEM_REGION_SPREAD, fill = options->flags & HMEM_REGION_FILL;
	int err = 0;

	if (spread && fill)
		return hmem_fail(ctx, -EINVAL, "region %s: it is spread over pools, or fills them",
				 name);
	if (!options->nr_pools)
		return 0;
	if (options->nr_pools > 32 || !options->pools || options->pool || !(spread || fill))
		return hmem_fail(ctx, -EINVAL,
				 "region %s: several pools are at most 32, named in pools alone, "
				 "with HMEM_REGION_SPREAD or HMEM_REGION_FILL",
				 name);
	for (unsigned int i = 0; i < options->nr_pools && !err; i++)
		err = options->pools[i] ? hmem_name_check(ctx, "pool", options->pools[i]) :
					  hmem_fail(ctx, -EINVAL, "region %s: a pool is NULL", name);
	return err;
}

static int device_create(struct hmem_ctx *ctx, const char *name,
			 const struct hmem_region_options *options, void **state)
{
	struct hmem_region_options checked = *options;
	int err;

	checked.uid = options->uid == (uid_t)-1 ? geteuid() : options->uid;
	checked.gid = options->gid == (gid_t)-1 ? getegid() : options->gid;
	checked.pool = options->pool ? options->pool : "";
	err = hmem_name_check(ctx, "region", name);
	if (!err && *checked.pool)
		err = hmem_name_check(ctx, "pool", checked.pool);
	if (!err)
		err = check_pools(ctx, name, options);
	if (!err && !options->bytes)
		err = hmem_fail(ctx, -EINVAL, "region %s: a region has at least one byte", name);
	if (!err)
		err = hmem_kernel_region_create(ctx, name, &checked);
	if (err || !state)
		return err;
	err = device_open(ctx, name, 0, state);
	if (err) {
		/* Its message says why; ours about taking the region back must not hide it. */
		char why[512];

		snprintf(why, sizeof(why), "%s", hmem_last_error(ctx));
		hmem_kernel_region_destroy(ctx, name);
		return hmem_fail(ctx, err, "%s", why);
	}
	return 0;
}

static int device_map(struct hmem_ctx *ctx, void *state, uint64_t offset, size_t length,
		      void **address)
{
	struct device *device = state;
	int err = hmem_mapping_new(device->fd, offset, length,
				   PROT_READ | (device->writable ? PROT_WRITE : 0), MAP_SHARED,
				   HMEM_MAPPING_ALIGN, address);

	if (err == -ENODEV)
		return open_failed(ctx, device->name, "", err);
	if (err)
		return hmem_fail(ctx, err, "mapping %zu bytes of region %s: %s", length,
				 device->name, strerror(-err));
	return 0;
}

static int device_persist(struct hmem_ctx *ctx, void *state, const void *address, size_t length)
{
	struct device *device = state;

	if (!device->persistent)
		return 0;
	if (!hmem_flush_cpu_possible(ctx))
		return hmem_flush_msync(ctx, device->name, address, length);
	hmem_flush_cpu(ctx, address, length);
	return 0;
}

/* The name cannot have come to mean another region: an open one is not destroyed. */
static int device_resize(struct hmem_ctx *ctx, void *state, uint64_t bytes)
{
	struct device *device = state;

	return hmem_kernel_region_resize(ctx, device->name, bytes);
}

static int device_destroy(struct hmem_ctx *ctx, const char *name)
{
	int err = hmem_name_check(ctx, "region", name);

	return err ? err : hmem_kernel_region_destroy(ctx, name);
}

static int device_get_info(struct hmem_ctx *ctx, void *state, struct hmem_region_info *info)
{
	struct device *device = state;
	struct hmem_kernel_region region;
	int err = hmem_kernel_region_info(ctx, device->fd, device->name, &region);

	if (err)
		return err;
	info->bytes = region.bytes;
	info->granularity = region.extent_size;
	info->caps = caps(ctx, region.persistent);
	info->uid = region.uid;
	info->gid = region.gid;
	info->mode = region.mode;
	info->nid = region.nid;
	info->faults = region.faults;
	memcpy(info->pool, region.pool, sizeof(info->pool));
	memcpy(info->uuid, region.uuid, sizeof(info->uuid));
	return 0;
}

/* -ENOENT, without a last error, when there is no such region. */
static int read_sysfs(struct hmem_ctx *ctx, const char *dir, struct hmem_region_info *info)
{
	uint64_t uid, gid, mode, persistent;
	int err;

	err = hmem_sysfs_u64(dir, "size", 10, &info->bytes);
	if (!err)
		err = hmem_sysfs_u64(dir, "extent_size", 10, &info->granularity);
	if (!err)
		err = hmem_sysfs_u64(dir, "persistent", 10, &persistent);
	if (!err)
		err = hmem_sysfs_u64(dir, "uid", 10, &uid);
	if (!err)
		err = hmem_sysfs_u64(dir, "gid", 10, &gid);
	if (!err)
		err = hmem_sysfs_u64(dir, "mode", 8, &mode);
	if (!err)
		err = hmem_sysfs_int(dir, "numa_node", &info->nid);
	if (!err)
		err = hmem_sysfs_u64(dir, "faults", 10, &info->faults);
	if (!err)
		err = hmem_sysfs_text(dir, "pool", info->pool, sizeof(info->pool));
	if (!err)
		err = hmem_sysfs_uuid(dir, "uuid", info->uuid);
	if (err)
		return hmem_sysfs_broken(ctx, dir, err);
	info->caps = caps(ctx, persistent);
	info->uid = (uid_t)uid;
	info->gid = (gid_t)gid;
	info->mode = (mode_t)mode;
	return 0;
}

static int device_get_info_by_name(struct hmem_ctx *ctx, const char *name,
				   struct hmem_region_info *info)
{
	char dir[PATH_MAX];
	int err = hmem_name_check(ctx, "region", name);

	if (!err)
		err = hmem_sysfs_path(ctx, dir, "/sys/class/hmem/%s", name);
	if (err)
		return err;
	err = read_sysfs(ctx, dir, info);
	return err == -ENOENT ? open_failed(ctx, name, "", err) : err;
}

struct visit {
	struct hmem_ctx *ctx;
	int (*fn)(void *arg, const struct hmem_region_info *info);
	void *arg;
};

static int visit_region(void *arg, const char *dir, const char *name)
{
	struct hmem_region_info info = { .size = sizeof(info), .nid = -1 };
	struct visit *visit = arg;
	int err;

	if (hmem_name_check(visit->ctx, "region", name))
		return 0;
	snprintf(info.name, sizeof(info.name), "hmem:%.*s", HMEM_NAME_MAX, name);
	err = read_sysfs(visit->ctx, dir, &info);
	/* Destroyed since the directory was read. */
	if (err == -ENOENT)
		return 0;
	return err ? err : visit->fn(visit->arg, &info);
}

static int device_iterate(struct hmem_ctx *ctx,
			  int (*fn)(void *arg, const struct hmem_region_info *info), void *arg)
{
	struct visit visit = { ctx, fn, arg };

	return hmem_sysfs_each(ctx, "/sys/class/hmem", visit_region, &visit);
}

static int device_fd(struct hmem_ctx *ctx, void *state)
{
	struct device *device = state;

	(void)ctx;
	return device->fd;
}

static int device_map_at(struct hmem_ctx *ctx, void *state, uint64_t offset, size_t length,
		      void *address)
{
	struct device *device = state;
	int err = hmem_mapping_at(device->fd, offset, length, PROT_READ | (device->writable ? PROT_WRITE : 0), MAP_SHARED, address);

	if (err)
		return hmem_fail(ctx, err, "mapping %zu bytes of region %s: %s", length, device->name,
				 strerror(-err));
	return 0;
}

const struct hmem_provider_ops hmem_provider_hmem = {
	.size = sizeof(struct hmem_provider_ops),
	.scheme = "hmem",
	.create = device_create,
	.open = device_open,
	.close = device_close,
	.map = device_map,
	.persist = device_persist,
	.resize = device_resize,
	.destroy = device_destroy,
	.get_info = device_get_info,
	.get_info_by_name = device_get_info_by_name,
	.iterate = device_iterate,
	.fd = device_fd,
	.map_at = device_map_at,
};
