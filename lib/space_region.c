// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Spaces of regions: those that are there, are made of pools, or are files without name.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ctx.h"
#include "region.h"
#include "space.h"

int space_keep_from_children(struct hmem_space *space, void *from, uint64_t bytes)
{
	int err;

	if (!madvise(from, bytes, MADV_DONTFORK))
		return 0;
	err = -errno;
	return hmem_fail(space->ctx, err, "%s: the kernel does not keep it from children: %s",
			 space->name, strerror(-err));
}

/* --- regions of its own -------------------------------------------------------------- */

/* Room for one more, before there is anything that would have to be undone. */
static int expect_region(struct hmem_space *space)
{
	if (!space->regions) {
		space->regions = calloc(SPACE_PARTS, sizeof(*space->regions));
		space->mapper = getpid();
	}
	return space->regions ? 0 :
				hmem_fail(space->ctx, -ENOMEM, "no memory for the regions of %s",
					  space->name);
}

int space_open_region(struct hmem_space *space, const char *name, uint64_t bytes)
{
	struct hmem_region_options options = HMEM_REGION_OPTIONS_INIT;
	struct hmem_region *region;
	int err = expect_region(space);

	options.bytes = bytes;
	if (!err)
		err = bytes ? hmem_region_create(space->ctx, name, &options, &region) :
			      hmem_region_open(space->ctx, name, 0, &region);
	if (!err)
		space->regions[space->nr_regions++] = (struct space_region){ region, NULL };
	return err;
}

/* Nobody finds it by its name any more. Where that fails, it is tried again when the space goes. */
static int hide(struct hmem_space *space, struct space_region *last)
{
	int err = hmem_region_destroy(space->ctx, last->made);

	if (!err) {
		free(last->made);
		last->made = NULL;
	}
	return err;
}

static int make(struct hmem_space *space, const char *name, const char *pool, uint64_t bytes)
{
	struct hmem_region_options options = HMEM_REGION_OPTIONS_INIT;
	struct hmem_region *region;
	char *made = strdup(name);
	int err = expect_region(space);

	options.bytes = bytes;
	options.flags = HMEM_CREATE_EXCLUSIVE;
	options.pool = pool;
	if (!err && !made)
		err = hmem_fail(space->ctx, -ENOMEM, "no memory for the name of %s", name);
	if (!err)
		err = hmem_region_create(space->ctx, name, &options, &region);
	if (err) {
		free(made);
		return err;
	}
	space->regions[space->nr_regions].region = region;
	space->regions[space->nr_regions++].made = made;
	return 0;
}

/*
 * A process that died leaves its names, and one in another container may have the same number:
 * what is taken is passed over, so often.
 */
#define TRIES 10000

int space_make_region(struct hmem_space *space, const char *scheme, const char *pool,
		      uint64_t bytes)
{
	static atomic_uint last;
	char name[HMEM_NAME_MAX + 1];
	int err = -EEXIST;

	for (int i = 0; err == -EEXIST && i < TRIES; i++) {
		snprintf(name, sizeof(name), "%s:space-%d-%u", scheme, getpid(),
			 atomic_fetch_add(&last, 1));
		err = make(space, name, pool, bytes);
	}
	return err;
}

int space_make_file(struct hmem_space *space, const char *directory, uint64_t bytes)
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
		err = make(space, name, NULL, bytes);
	}
	return err ? err : hide(space, &space->regions[space->nr_regions - 1]);
}

/* --- their memory -------------------------------------------------------------------- */

/* A child would write to the same memory, and take its parent's blocks for its own. */
int space_map_region(struct hmem_space *space)
{
	struct hmem_region *region = space->regions[0].region;
	size_t mapped;
	uint64_t before;
	void *at;
	int err = hmem_region_map(region, 0, 0, &at, &mapped);

	if (err)
		return err;
	space->mapped = at;
	space->mapped_bytes = mapped;
	/* A file may have been made without any memory. */
	err = hmem_region_allocate(region, 0, mapped);
	if (!err)
		err = space_keep_from_children(space, at, mapped);
	if (err)
		return err;
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

void space_close_regions(struct hmem_space *space)
{
	for (uint32_t i = 0; i < space->nr_regions; i++) {
		hmem_region_close(space->regions[i].region);
		space->regions[i].region = NULL;
	}
}

void space_destroy_made(struct hmem_space *space)
{
	for (uint32_t i = 0; i < space->nr_regions; i++)
		if (space->regions[i].made)
			hmem_region_destroy(space->ctx, space->regions[i].made);
}

void space_give_regions(struct hmem_space *space)
{
	bool mine = space->mapper == getpid();

	/* In a child something else may be there by now, and the regions are its parent's. */
	if (mine && space->mapped)
		hmem_region_unmap(space->regions[0].region, space->mapped, space->mapped_bytes);
	else if (mine && space->base)
		munmap(space->base, space->bytes);
	space_close_regions(space);
	if (mine)
		space_destroy_made(space);
	for (uint32_t i = 0; i < space->nr_regions; i++)
		free(space->regions[i].made);
	free(space->regions);
}
