// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Spaces of regions: one that is there, is made of a pool, or is a file without name.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ctx.h"
#include "region.h"
#include "space.h"

/* A child would write to the same memory, and take its parent's blocks for its own. */
static int map(struct hmem_space *space)
{
	size_t mapped;
	uint64_t before;
	void *at;
	int err = hmem_region_map(space->region, 0, 0, &at, &mapped);

	if (!err) {
		/* A file may have been made without any memory. */
		err = hmem_region_allocate(space->region, 0, mapped);
		if (err)
			hmem_region_unmap(space->region, at, mapped);
	}
	if (err)
		return err;
	if (madvise(at, mapped, MADV_DONTFORK)) {
		err = -errno;
		hmem_region_unmap(space->region, at, mapped);
		return hmem_fail(space->ctx, err, "%s: the kernel does not keep it from children: %s",
				 space->name, strerror(-err));
	}
	space->mapped = at;
	space->mapped_bytes = mapped;
	space->mapper = getpid();
	/* Processes that share it count from its first byte, wherever they have it. */
	if (space->flags & HMEM_SPACE_SHARED) {
		space->base = at;
		space->bytes = mapped;
		return 0;
	}
	/* Regions are mapped so that large pages fit; a small one may not be. */
	before = mapped >= 2 * SPACE_ALIGN ? -(uintptr_t)at % SPACE_ALIGN : 0;
	space->base = (char *)at + before;
	space->bytes = mapped - before;
	return 0;
}

static int map_new(struct hmem_space *space)
{
	int err = map(space);

	if (err) {
		hmem_region_close(space->region);
		space->region = NULL;
	}
	return err;
}

int space_map_region(struct hmem_space *space, const char *name, uint64_t bytes)
{
	struct hmem_region_options options = HMEM_REGION_OPTIONS_INIT;
	int err;

	options.bytes = bytes;
	err = bytes ? hmem_region_create(space->ctx, name, &options, &space->region) :
		      hmem_region_open(space->ctx, name, 0, &space->region);
	return err ? err : map_new(space);
}

/* @region: by this name, which nobody finds afterwards where @hide. */
static int make(struct hmem_space *space, const char *name, const char *pool, bool hide)
{
	struct hmem_region_options options = HMEM_REGION_OPTIONS_INIT;
	struct hmem_error why;
	int err;

	options.bytes = space->bytes;
	options.flags = HMEM_CREATE_EXCLUSIVE;
	options.pool = pool;
	err = hmem_region_create(space->ctx, name, &options, &space->region);
	if (err)
		return err;
	err = map_new(space);
	if (!err && !hide) {
		snprintf(space->made, sizeof(space->made), "%s", name);
		return 0;
	}
	hmem_error_keep(&why);
	hmem_region_destroy(space->ctx, name);
	hmem_error_restore(&why);
	return err;
}

/*
 * A process that died leaves its names, and one in another container may have the same number:
 * what is taken is passed over, so often.
 */
#define TRIES 10000

int space_make_region(struct hmem_space *space, const char *scheme, const char *pool)
{
	static atomic_uint last;
	char name[HMEM_NAME_MAX + 1];
	int err = -EEXIST;

	for (int i = 0; err == -EEXIST && i < TRIES; i++) {
		snprintf(name, sizeof(name), "%s:space-%d-%u", scheme, getpid(),
			 atomic_fetch_add(&last, 1));
		err = make(space, name, pool, false);
	}
	return err;
}

int space_make_file(struct hmem_space *space, const char *directory)
{
	static atomic_uint last;
	char name[HMEM_REGION_NAME_MAX + 1];
	int err = -EEXIST;

	for (int i = 0; err == -EEXIST && i < TRIES; i++) {
		if ((size_t)snprintf(name, sizeof(name), "file:%s/.hmem-space-%d-%u", directory,
				     getpid(), atomic_fetch_add(&last, 1)) >= sizeof(name))
			return hmem_fail(space->ctx, -ENAMETOOLONG,
					 "%s: the name of a file in %s has more than %d bytes",
					 space->name, directory, HMEM_REGION_NAME_MAX);
		err = make(space, name, NULL, true);
	}
	return err;
}

void space_unmap_region(struct hmem_space *space)
{
	bool mine = space->mapper == getpid();

	/* In a child something else may be there by now, and the region is its parent's. */
	if (mine)
		hmem_region_unmap(space->region, space->mapped, space->mapped_bytes);
	hmem_region_close(space->region);
	if (mine && space->made[0])
		hmem_region_destroy(space->ctx, space->made);
}
