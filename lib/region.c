// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Regions, whatever is behind the name: checks what can be checked for all providers,
 * and calls the one that the name selects.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "ctx.h"
#include "mapping.h"
#include "name.h"
#include "sized.h"

#include <hmem/region.h>

/* Every member up to pool, and up to uuid: the first published versions. */
#define OPTIONS_SIZE_V1 sizeof(struct hmem_region_options)
#define INFO_SIZE_V1	sizeof(struct hmem_region_info)

#define CREATE_FLAGS HMEM_CREATE_EXCLUSIVE
#define OPEN_FLAGS   HMEM_OPEN_READ_ONLY

/* @state: the provider's */
struct hmem_region {
	atomic_uint refs;
	struct hmem_ctx *ctx;
	const struct hmem_provider_ops *ops;
	void *state;
	unsigned int flags;
	char name[HMEM_REGION_NAME_MAX + 1];
};

static int cannot(struct hmem_ctx *ctx, const struct hmem_provider_ops *ops, const char *verb)
{
	return hmem_fail(ctx, -EOPNOTSUPP, "regions of provider \"%s\" cannot be %s", ops->scheme,
			 verb);
}

/* Before the provider runs, as what it did could not be undone without memory. */
static struct hmem_region *region_new(struct hmem_ctx *ctx, const struct hmem_provider_ops *ops,
				      unsigned int flags, const char *name)
{
	struct hmem_region *region = calloc(1, sizeof(*region));

	if (!region) {
		hmem_fail(ctx, -ENOMEM, "no memory for a handle on %s", name);
		return NULL;
	}
	atomic_init(&region->refs, 1);
	region->ctx = ctx;
	region->ops = ops;
	region->flags = flags;
	snprintf(region->name, sizeof(region->name), "%s", name);
	return region;
}

int hmem_region_create(struct hmem_ctx *ctx, const char *name,
		       const struct hmem_region_options *options, struct hmem_region **out)
{
	const struct hmem_provider_ops *ops;
	struct hmem_region_options checked;
	char full[HMEM_REGION_NAME_MAX + 1];
	struct hmem_region *region = NULL;
	const char *rest;
	int err;

	if (!ctx)
		return -EINVAL;
	err = hmem_name_resolve(ctx, name, &ops, &rest, full);
	if (err)
		return err;
	if (!options)
		return hmem_fail(ctx, -EINVAL, "creating %s takes options, at least a size", full);
	err = hmem_sized_read(ctx, "struct hmem_region_options", &checked, sizeof(checked),
			      OPTIONS_SIZE_V1, options);
	if (err)
		return err;
	if (checked.flags & ~CREATE_FLAGS)
		return hmem_fail(ctx, -EINVAL, "creating %s: unknown flags %#x", full,
				 checked.flags & ~CREATE_FLAGS);
	if (checked.mode & ~(mode_t)0777)
		return hmem_fail(ctx, -EINVAL,
				 "creating %s: mode %#o has more than permission bits", full,
				 (unsigned int)checked.mode);
	if (checked.bytes > INT64_MAX)
		return hmem_fail(ctx, -EINVAL,
				 "creating %s: %" PRIu64 " bytes is more than any memory has", full,
				 checked.bytes);
	if (!ops->create)
		return cannot(ctx, ops, "created");
	if (!checked.mode)
		checked.mode = 0600;

	if (out) {
		region = region_new(ctx, ops, 0, full);
		if (!region)
			return -ENOMEM;
	}
	err = ops->create(ctx, rest, &checked, region ? &region->state : NULL);
	if (err) {
		free(region);
		return err;
	}
	if (out) {
		hmem_ctx_ref(ctx);
		*out = region;
	}
	return 0;
}

int hmem_region_open(struct hmem_ctx *ctx, const char *name, unsigned int flags,
		     struct hmem_region **out)
{
	const struct hmem_provider_ops *ops;
	char full[HMEM_REGION_NAME_MAX + 1];
	struct hmem_region *region;
	const char *rest;
	int err;

	if (!ctx)
		return -EINVAL;
	err = hmem_name_resolve(ctx, name, &ops, &rest, full);
	if (err)
		return err;
	if (!out)
		return hmem_fail(ctx, -EINVAL, "opening %s: no place for the handle", full);
	if (flags & ~OPEN_FLAGS)
		return hmem_fail(ctx, -EINVAL, "opening %s: unknown flags %#x", full,
				 flags & ~OPEN_FLAGS);
	region = region_new(ctx, ops, flags, full);
	if (!region)
		return -ENOMEM;
	err = ops->open(ctx, rest, flags, &region->state);
	if (err) {
		free(region);
		return err;
	}
	hmem_ctx_ref(ctx);
	*out = region;
	return 0;
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
	region->ops->close(region->ctx, region->state);
	hmem_ctx_unref(region->ctx);
	free(region);
}

/* What the provider says, in a struct of ours. */
static int get_info(struct hmem_region *region, struct hmem_region_info *info)
{
	*info = (struct hmem_region_info){ .size = sizeof(*info), .nid = -1 };
	snprintf(info->name, sizeof(info->name), "%s", region->name);
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

int hmem_region_persist(struct hmem_region *region, const void *address, size_t length)
{
	if (!region)
		return -EINVAL;
	if (length > UINTPTR_MAX - (uintptr_t)address)
		return hmem_fail(region->ctx, -EINVAL,
				 "persisting %s: %zu bytes at %p wrap around the address space",
				 region->name, length, address);
	if (!length || !region->ops->persist)
		return 0;
	return region->ops->persist(region->ctx, region->state, address, length);
}

int hmem_region_resize(struct hmem_region *region, uint64_t bytes)
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

int hmem_region_destroy(struct hmem_ctx *ctx, const char *name)
{
	const struct hmem_provider_ops *ops;
	char full[HMEM_REGION_NAME_MAX + 1];
	const char *rest;
	int err;

	if (!ctx)
		return -EINVAL;
	err = hmem_name_resolve(ctx, name, &ops, &rest, full);
	if (err)
		return err;
	if (!ops->destroy)
		return cannot(ctx, ops, "destroyed");
	return ops->destroy(ctx, rest);
}

static int check_info(struct hmem_ctx *ctx, const struct hmem_region_info *info)
{
	if (!info)
		return hmem_fail(ctx, -EINVAL, "no place for what the region is");
	return hmem_sized_check(ctx, "struct hmem_region_info", info, INFO_SIZE_V1);
}

int hmem_region_get_info(struct hmem_region *region, struct hmem_region_info *info)
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

int hmem_region_get_info_by_name(struct hmem_ctx *ctx, const char *name,
				 struct hmem_region_info *info)
{
	struct hmem_region_info ours = { .size = sizeof(ours), .nid = -1 };
	const struct hmem_provider_ops *ops;
	const char *rest;
	int err;

	if (!ctx)
		return -EINVAL;
	err = check_info(ctx, info);
	if (!err)
		err = hmem_name_resolve(ctx, name, &ops, &rest, ours.name);
	if (err)
		return err;
	if (ops->get_info_by_name) {
		err = ops->get_info_by_name(ctx, rest, &ours);
	} else {
		void *state;

		err = ops->open(ctx, rest, HMEM_OPEN_READ_ONLY, &state);
		if (err)
			return err;
		err = ops->get_info(ctx, state, &ours);
		ops->close(ctx, state);
	}
	if (!err)
		hmem_sized_write(info, &ours, sizeof(ours));
	return err;
}

int hmem_region_iterate(struct hmem_ctx *ctx,
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
