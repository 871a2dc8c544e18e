// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Regions, whatever is behind the name: checks what can be checked for all providers,
 * and calls the one that the name selects.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "ctx.h"
#include "descriptor.h"
#include "file_space.h"
#include "mapping.h"
#include "name.h"
#include "provider.h"
#include "region.h"
#include "sized.h"
#include "uncancelled.h"

#include <hmem/region.h>

/* The first published versions: options up to pool, info up to uuid. */
#define OPTIONS_SIZE_V1 offsetof(struct hmem_region_options, pools)
#define INFO_SIZE_V1	sizeof(struct hmem_region_info)

#define POOLS_FLAGS  (HMEM_REGION_SPREAD | HMEM_REGION_FILL)
#define HMEM_FLAGS   (POOLS_FLAGS | HMEM_REGION_PINS)
#define CREATE_FLAGS (HMEM_CREATE_EXCLUSIVE | HMEM_FLAGS)
#define OPEN_FLAGS   HMEM_OPEN_READ_ONLY

/* @state: the provider's */
struct hmem_region {
	atomic_uint refs;
	struct hmem_ctx *ctx;
	const struct hmem_provider_ops *ops;
	void *state;
	unsigned int flags;
	struct region_sync sync;
	char name[HMEM_REGION_NAME_MAX + 1];
};

static int cannot(struct hmem_ctx *ctx, const struct hmem_provider_ops *ops, const char *verb)
{
	return hmem_fail(ctx, -EOPNOTSUPP, "regions of provider \"%s\" cannot be %s", ops->scheme,
			 verb);
}

/* Before the provider runs, as what it did could not be undone without memory. */
static struct hmem_region *region_new(struct hmem_ctx *ctx, const struct hmem_name *name,
				      unsigned int flags)
{
	struct hmem_region *region = calloc(1, sizeof(*region));

	if (!region) {
		hmem_fail(ctx, -ENOMEM, "no memory for a handle on %s", name->full);
		return NULL;
	}
	atomic_init(&region->refs, 1);
	region->ctx = hmem_ctx_ref(ctx);
	region->ops = name->ops;
	region->flags = flags;
	pthread_mutex_init(&region->sync.lock, NULL);
	snprintf(region->name, sizeof(region->name), "%s", name->full);
	return region;
}

/* Of a region that the provider has not opened, or has closed; NULL is legal. */
static void region_free(struct hmem_region *region)
{
	if (!region)
		return;
	hmem_ctx_unref(region->ctx);
	pthread_mutex_destroy(&region->sync.lock);
	free(region);
}

struct region_sync *hmem_region_sync(struct hmem_region *region)
{
	return &region->sync;
}

uint64_t hmem_region_sync_failures(struct hmem_region *region)
{
	uint64_t failures;

	pthread_mutex_lock(&region->sync.lock);
	failures = region->sync.failures;
	pthread_mutex_unlock(&region->sync.lock);
	return failures;
}

static int do_region_create(struct hmem_ctx *ctx, const char *name,
			    const struct hmem_region_options *options, struct hmem_region **out)
{
	struct hmem_region_options checked;
	struct hmem_region *region = NULL;
	struct hmem_name what;
	int err;

	err = hmem_name_resolve(ctx, name, &what);
	if (err)
		return err;
	if (!options)
		return hmem_fail(ctx, -EINVAL, "creating %s takes options, at least a size",
				 what.full);
	err = hmem_sized_read(ctx, "struct hmem_region_options", &checked, sizeof(checked),
			      OPTIONS_SIZE_V1, options);
	if (err)
		return err;
	if (checked.flags & ~CREATE_FLAGS)
		return hmem_fail(ctx, -EINVAL, "creating %s: unknown flags %#x", what.full,
				 checked.flags & ~CREATE_FLAGS);
	if (checked.mode & ~(mode_t)0777)
		return hmem_fail(ctx, -EINVAL,
				 "creating %s: mode %#o has more than permission bits", what.full,
				 (unsigned int)checked.mode);
	if (checked.bytes > INT64_MAX)
		return hmem_fail(ctx, -EINVAL,
				 "creating %s: %" PRIu64 " bytes is more than any memory has",
				 what.full, checked.bytes);
	if (!what.ops->create)
		return cannot(ctx, what.ops, "created");
	if ((checked.flags & HMEM_FLAGS || checked.nr_pools) && strcmp(what.ops->scheme, "hmem"))
		return hmem_fail(ctx, -EOPNOTSUPP,
				 "creating %s: only regions of hmem.ko have pools, or are made for "
				 "long-term pins", what.full);
	if (!checked.mode)
		checked.mode = 0600;

	if (out) {
		region = region_new(ctx, &what, 0);
		if (!region)
			return -ENOMEM;
	}
	err = what.ops->create(ctx, what.rest, &checked, region ? &region->state : NULL);
	if (err) {
		region_free(region);
		return err;
	}
	if (out)
		*out = region;
	return 0;
}

int hmem_region_create(struct hmem_ctx *ctx, const char *name,
		       const struct hmem_region_options *options, struct hmem_region **out)
{
	return UNCANCELLED(do_region_create(ctx, name, options, out));
}

static int do_region_open(struct hmem_ctx *ctx, const char *name, unsigned int flags,
			  struct hmem_region **out)
{
	struct hmem_region *region;
	struct hmem_name what;
	int err;

	err = hmem_name_resolve(ctx, name, &what);
	if (err)
		return err;
	if (!out)
		return hmem_fail(ctx, -EINVAL, "opening %s: no place for the handle", what.full);
	if (flags & ~OPEN_FLAGS)
		return hmem_fail(ctx, -EINVAL, "opening %s: unknown flags %#x", what.full,
				 flags & ~OPEN_FLAGS);
	region = region_new(ctx, &what, flags);
	if (!region)
		return -ENOMEM;
	err = what.ops->open(ctx, what.rest, flags, &region->state);
	if (err) {
		region_free(region);
		return err;
	}
	*out = region;
	return 0;
}

int hmem_region_open(struct hmem_ctx *ctx, const char *name, unsigned int flags,
		     struct hmem_region **out)
{
	return UNCANCELLED(do_region_open(ctx, name, flags, out));
}

struct hmem_region *hmem_region_ref(struct hmem_region *region)
{
	if (region)
		atomic_fetch_add_explicit(&region->refs, 1, memory_order_relaxed);
	return region;
}

void hmem_region_close(struct hmem_region *region)
{
	/* acq_rel: whoever frees sees everything that the others did before letting go */
	if (!region || atomic_fetch_sub_explicit(&region->refs, 1, memory_order_acq_rel) != 1)
		return;
	(void)UNCANCELLED((region->ops->close(region->ctx, region->state), 0));
	region_free(region);
}

/* As a provider finds it. */
static void info_init(struct hmem_region_info *info, const char *name)
{
	*info = (struct hmem_region_info){ .size = sizeof(*info), .nid = -1 };
	snprintf(info->name, sizeof(info->name), "%s", name);
}

/* What the provider says, in a struct of ours. */
static int get_info(struct hmem_region *region, struct hmem_region_info *info)
{
	info_init(info, region->name);
	return region->ops->get_info(region->ctx, region->state, info);
}

int hmem_region_map(struct hmem_region *region, uint64_t offset, size_t length, void **address,
		    size_t *mapped)
{
	struct hmem_region_info info;
	uint64_t page, rest;
	void *at;
	int err;

	if (!region)
		return -EINVAL;
	if (!address)
		return hmem_fail(region->ctx, -EINVAL, "mapping %s: no place for the address",
				 region->name);
	err = get_info(region, &info);
	if (err)
		return err;
	page = hmem_page_size();
	if (offset & (page - 1))
		return hmem_fail(region->ctx, -EINVAL,
				 "mapping %s: offset %" PRIu64
				 " is no multiple of the page size, %" PRIu64,
				 region->name, offset, page);
	if (offset >= info.bytes)
		return hmem_fail(region->ctx, -EINVAL,
				 "mapping %s: offset %" PRIu64 " is past its end, it has %" PRIu64
				 " bytes",
				 region->name, offset, info.bytes);
	rest = info.bytes - offset;
	if (!length) {
		if (rest > SIZE_MAX)
			return hmem_fail(region->ctx, -EINVAL,
					 "mapping %s: %" PRIu64 " bytes do not fit in this process",
					 region->name, rest);
		length = (size_t)rest;
	}
	if (length > rest)
		return hmem_fail(region->ctx, -EINVAL,
				 "mapping %s: %zu bytes at offset %" PRIu64
				 " go past its end, it has %" PRIu64 " bytes",
				 region->name, length, offset, info.bytes);
	if ((length & (page - 1)) && length != rest)
		return hmem_fail(region->ctx, -EINVAL,
				 "mapping %s: length %zu is no multiple of the page size, "
				 "%" PRIu64,
				 region->name, length, page);

	err = region->ops->map(region->ctx, region->state, offset, length, &at);
	if (err)
		return err;
	*address = at;
	if (mapped)
		*mapped = length;
	return 0;
}

struct hmem_ctx *hmem_region_ctx(const struct hmem_region *region)
{
	return region->ctx;
}

const char *hmem_region_name(const struct hmem_region *region)
{
	return region->name;
}

unsigned int hmem_region_flags(const struct hmem_region *region)
{
	return region->flags;
}

int hmem_region_lock_fd(struct hmem_region *region, int *fd)
{
	char path[64];

	if (!region->ops->fd || !region->ops->map_at)
		return -EOPNOTSUPP;
	snprintf(path, sizeof(path), "/proc/self/fd/%d",
		 region->ops->fd(region->ctx, region->state));
	*fd = hmem_descriptor_keep(
		open(path, (region->flags & HMEM_OPEN_READ_ONLY ? O_RDONLY : O_RDWR) | O_CLOEXEC));
	return *fd < 0 ? -errno : 0;
}

bool hmem_region_is_same(struct hmem_region *region, struct hmem_region *other)
{
	struct stat a, b;

	if (!strcmp(region->name, other->name))
		return true;
	if (!region->ops->fd || !other->ops->fd ||
	    fstat(region->ops->fd(region->ctx, region->state), &a) ||
	    fstat(other->ops->fd(other->ctx, other->state), &b))
		return false;
	return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

int hmem_region_lock_failed(struct hmem_region *region, int err)
{
	if (err == -EOPNOTSUPP)
		return cannot(region->ctx, region->ops, "used for shelves");
	return hmem_fail(region->ctx, err, "opening %s once more, through /proc/self/fd: %s%s",
			 region->name, strerror(-err), err == -ENOENT ? "; is /proc mounted?" : "");
}

/* Files of file systems only: memory without a name is there to be taken up as it is used. */
static int space_fd(struct hmem_region *region)
{
	return strcmp(region->ops->scheme, "file") ? -1 :
						      region->ops->fd(region->ctx, region->state);
}

int hmem_region_allocate(struct hmem_region *region, uint64_t offset, uint64_t length)
{
	int fd = space_fd(region), err = fd < 0 ? 0 : hmem_file_allocate(fd, offset, length);

	if (!err)
		return 0;
	return hmem_fail(region->ctx, err, "allocating %" PRIu64 " bytes of %s: %s%s", length,
			 region->name, strerror(-err),
			 err == -ENOSPC ? "; free some space on its file system or ask for less" :
			 err == -EIO ? "; was the file truncated?" : "");
}

void hmem_region_discard(struct hmem_region *region, uint64_t offset, uint64_t length)
{
	int fd = space_fd(region);

	if (fd >= 0)
		hmem_file_discard(fd, offset, length);
}

int hmem_region_device(struct hmem_region *region, int *fd, const char **name)
{
	if (strcmp(region->ops->scheme, hmem_provider_hmem.scheme))
		return hmem_fail(region->ctx, -EOPNOTSUPP,
				 "%s is of provider \"%s\": only regions of hmem.ko have near copies, "
				 "events and a list of bad memory", region->name, region->ops->scheme);
	*fd = region->ops->fd(region->ctx, region->state);
	*name = region->name + strlen("hmem:");
	return 0;
}

int hmem_region_map_at(struct hmem_region *region, uint64_t offset, size_t length, void *address)
{
	if (!region->ops->map_at)
		return cannot(region->ctx, region->ops, "mapped beside others");
	return region->ops->map_at(region->ctx, region->state, offset, length, address);
}

int hmem_region_unmap(struct hmem_region *region, void *address, size_t length)
{
	int err;

	if (region && region->ops->unmap)
		return region->ops->unmap(region->ctx, region->state, address, length);
	if (!munmap(address, length))
		return 0;
	err = -errno;
	if (!region)
		return err;
	return hmem_fail(region->ctx, err, "unmapping %zu bytes at %p of %s: %s", length, address,
			 region->name, strerror(-err));
}

static int do_region_persist(struct hmem_region *region, const void *address, size_t length)
{
	int err;

	if (!region)
		return -EINVAL;
	if (length > UINTPTR_MAX - (uintptr_t)address)
		return hmem_fail(region->ctx, -EINVAL,
				 "persisting %s: %zu bytes at %p wrap around the address space",
				 region->name, length, address);
	if (!length || !region->ops->persist)
		return 0;
	pthread_mutex_lock(&region->sync.lock);
	err = region->ops->persist(region->ctx, region->state, address, length);
	region->sync.failures += err == -EIO;
	pthread_mutex_unlock(&region->sync.lock);
	return err;
}

int hmem_region_persist(struct hmem_region *region, const void *address, size_t length)
{
	return UNCANCELLED(do_region_persist(region, address, length));
}

static int do_region_resize(struct hmem_region *region, uint64_t bytes)
{
	if (!region)
		return -EINVAL;
	if (!region->ops->resize)
		return cannot(region->ctx, region->ops, "resized");
	if (!bytes || bytes > INT64_MAX)
		return hmem_fail(region->ctx, -EINVAL,
				 "resizing %s: %" PRIu64 " bytes is no size for a region",
				 region->name, bytes);
	if (region->flags & HMEM_OPEN_READ_ONLY)
		return hmem_fail(region->ctx, -EPERM, "resizing %s: it was opened read-only",
				 region->name);
	return region->ops->resize(region->ctx, region->state, bytes);
}

int hmem_region_resize(struct hmem_region *region, uint64_t bytes)
{
	return UNCANCELLED(do_region_resize(region, bytes));
}

static int do_region_destroy(struct hmem_ctx *ctx, const char *name)
{
	struct hmem_name what;
	int err = hmem_name_resolve(ctx, name, &what);

	if (err)
		return err;
	if (!what.ops->destroy)
		return cannot(ctx, what.ops, "destroyed");
	return what.ops->destroy(ctx, what.rest);
}

int hmem_region_destroy(struct hmem_ctx *ctx, const char *name)
{
	return UNCANCELLED(do_region_destroy(ctx, name));
}

static int check_info(struct hmem_ctx *ctx, const struct hmem_region_info *info)
{
	if (!info)
		return hmem_fail(ctx, -EINVAL, "no place for what the region is");
	return hmem_sized_check(ctx, "struct hmem_region_info", info, INFO_SIZE_V1);
}

static int do_region_get_info(struct hmem_region *region, struct hmem_region_info *info)
{
	struct hmem_region_info ours;
	int err;

	if (!region)
		return -EINVAL;
	err = check_info(region->ctx, info);
	if (!err)
		err = get_info(region, &ours);
	if (!err)
		hmem_sized_write(info, &ours, sizeof(ours));
	return err;
}

int hmem_region_get_info(struct hmem_region *region, struct hmem_region_info *info)
{
	return UNCANCELLED(do_region_get_info(region, info));
}

static int do_region_get_info_by_name(struct hmem_ctx *ctx, const char *name,
				      struct hmem_region_info *info)
{
	const struct hmem_provider_ops *ops;
	struct hmem_region_info ours;
	struct hmem_name what;
	int err;

	err = hmem_name_resolve(ctx, name, &what);
	if (!err)
		err = check_info(ctx, info);
	if (err)
		return err;
	ops = what.ops;
	info_init(&ours, what.full);
	if (ops->get_info_by_name) {
		err = ops->get_info_by_name(ctx, what.rest, &ours);
	} else {
		void *state;

		err = ops->open(ctx, what.rest, HMEM_OPEN_READ_ONLY, &state);
		if (err)
			return err;
		err = ops->get_info(ctx, state, &ours);
		ops->close(ctx, state);
	}
	if (!err)
		hmem_sized_write(info, &ours, sizeof(ours));
	return err;
}

int hmem_region_get_info_by_name(struct hmem_ctx *ctx, const char *name,
				 struct hmem_region_info *info)
{
	return UNCANCELLED(do_region_get_info_by_name(ctx, name, info));
}

static int do_region_iterate(struct hmem_ctx *ctx,
			     int (*fn)(void *arg, const struct hmem_region_info *info), void *arg)
{
	const struct hmem_provider_entry *provider;

	if (!ctx)
		return -EINVAL;
	if (!fn)
		return hmem_fail(ctx, -EINVAL, "nobody to tell about the regions");
	for (provider = hmem_provider_first(ctx); provider;
	     provider = hmem_provider_next(ctx, provider)) {
		int err = provider->ops.iterate ? provider->ops.iterate(ctx, fn, arg) : 0;

		if (err)
			return err;
	}
	return 0;
}

int hmem_region_iterate(struct hmem_ctx *ctx,
			int (*fn)(void *arg, const struct hmem_region_info *info), void *arg)
{
	return UNCANCELLED(do_region_iterate(ctx, fn, arg));
}
