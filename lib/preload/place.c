// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Where a space is. Names in full, as hmemctl run gives them, need no look at the layers of the
 * machine, which takes some 20 ms, in each program.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <hmem/pool.h>

#include "../ctx.h"
#include "../region.h"
#include "place.h"
#include "preload.h"

/* What is made for a program is taken in full at once: a quarter of what is free, up to so much. */
#define MADE_MAX (256ull << 20)
#define MADE_MIN SPACE_ALIGN

bool place_is_new;

static const char *after(const char *name, const char *scheme)
{
	size_t length = strlen(scheme);

	return strncmp(name, scheme, length) ? NULL : name + length;
}

/* The number of "dram:0", and others of system RAM; -1: it is none. */
static int node_of(const char *layer)
{
	static const char *const kinds[] = { "dram:", "hbm:", "cxl:", "pmem:" };

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		const char *number = after(layer, kinds[i]);
		unsigned long node;
		char *end;

		if (!number || *number < '0' || *number > '9')
			continue;
		node = strtoul(number, &end, 10);
		if (!*end && node <= INT32_MAX)
			return (int)node;
	}
	return -1;
}

static bool is_directory(const char *path)
{
	struct stat st;

	return !stat(path, &st) && S_ISDIR(st.st_mode);
}

static uint64_t made_size(uint64_t free)
{
	uint64_t bytes = free / 4 < MADE_MAX ? free / 4 : MADE_MAX;

	return bytes < MADE_MIN ? MADE_MIN : bytes;
}

/* --- system RAM ---------------------------------------------------------------------- */

static int map_node(struct hmem_space *space, const void *nid)
{
	struct space_part part = { .bytes = space->bytes, .weight = 1 };

	part.layer.nid = *(const int *)nid;
	return space_map_parts(space, &part, 1);
}

/* All that is free; it is taken as it is touched. */
static int size_of_layer(struct hmem_ctx *ctx, const char *layer, uint64_t *bytes)
{
	struct hmem_layer_info info = { .size = sizeof(info) };
	struct hmem_layer_wanted wanted = HMEM_LAYER_WANTED_INIT;
	size_t one = 1;
	int err;

	wanted.name = layer;
	err = hmem_layer_select(ctx, &wanted, &info, &one);
	if (err == -ENOENT)
		return hmem_fail(ctx, err, "there is no layer \"%s\"", layer);
	if (err)
		return err;
	*bytes = info.free.origin ? info.free.value : info.capacity.value;
	if (*bytes < MADE_MIN)
		*bytes = MADE_MIN;
	return 0;
}

/* Where the node has none left others' pages are taken: nothing here is worth ending a program. */
static int on_node(struct hmem_ctx *ctx, const char *layer, int nid, uint64_t bytes,
		   struct hmem_space **space)
{
	int err = bytes ? 0 : size_of_layer(ctx, layer, &bytes);

	place_is_new = true;
	return err ? err :
		     space_create_by(ctx, "malloc", layer, bytes, HMEM_SPACE_PREFER, map_node, &nid,
				     space);
}

/* --- made for the program ------------------------------------------------------------ */

static int map_file(struct hmem_space *space, const void *directory)
{
	int err = space_make_file(space, directory, space->bytes);

	return err ? err : space_map_region(space);
}

static int in_directory(struct hmem_ctx *ctx, const char *directory, uint64_t bytes,
			struct hmem_space **space)
{
	struct statvfs fs;

	if (!bytes) {
		if (statvfs(directory, &fs))
			return hmem_fail(ctx, -errno, "%s: %s", directory, strerror(errno));
		bytes = made_size((uint64_t)fs.f_bavail * fs.f_frsize);
	}
	place_is_new = true;
	return space_create_by(ctx, "malloc", directory, bytes, 0, map_file, directory, space);
}

static int map_pool(struct hmem_space *space, const void *pool)
{
	int err = space_make_region(space, "hmem", pool, space->bytes);

	return err ? err : space_map_region(space);
}

static int in_pool(struct hmem_ctx *ctx, const char *pool, uint64_t bytes,
		   struct hmem_space **space)
{
	struct hmem_pool_info info = { .size = sizeof(info) };
	char layer[HMEM_LAYER_NAME_MAX + 1];
	int err;

	if (!bytes) {
		err = hmem_pool_get_info(ctx, pool, &info);
		if (err)
			return err;
		bytes = made_size(info.free_bytes);
	}
	place_is_new = true;
	snprintf(layer, sizeof(layer), "pool:%s", pool);
	return space_create_by(ctx, "malloc", layer, bytes, 0, map_pool, pool, space);
}

/* --- there already ------------------------------------------------------------------- */

/*
 * Nobody else may have it, as it is memory of this process alone. The lock is that of an open file,
 * which a mapping keeps open: until this process ends, or executes another program, and no child
 * has it.
 */
static int keep_others_off(struct hmem_space *space)
{
	struct hmem_region_info info = { .size = sizeof(info) };
	struct hmem_region *region = space->regions[0].region;
	const char *name = hmem_region_name(region);
	int fd, err = hmem_region_get_info(region, &info);
	void *held;

	if (err)
		return err;
	err = hmem_region_lock_fd(region, &fd);
	if (err)
		return hmem_region_lock_failed(region, err);
	if (flock(fd, LOCK_EX | LOCK_NB)) {
		err = hmem_fail(space->ctx, -errno, "%s: %s", name,
				errno == EWOULDBLOCK ? "another process has it" : strerror(errno));
		close(fd);
		return err;
	}
	held = mmap(NULL, info.granularity, PROT_READ, MAP_SHARED, fd, 0);
	if (held == MAP_FAILED || madvise(held, info.granularity, MADV_DONTFORK)) {
		err = hmem_fail(space->ctx, -errno, "%s: keeping others off: %s", name,
				strerror(errno));
		if (held != MAP_FAILED)
			munmap(held, info.granularity);
	}
	close(fd);
	return err;
}

static int map_named(struct hmem_space *space, const void *name)
{
	int err = space_open_region(space, name, 0);

	return err ? err : space_map_region(space);
}

static int in_region(struct hmem_ctx *ctx, const char *name, struct hmem_space **space)
{
	int err = space_create_by(ctx, "malloc", name, 0, 0, map_named, name, space);

	if (err)
		return err;
	err = keep_others_off(*space);
	if (err) {
		hmem_space_unref(*space);
		*space = NULL;
	}
	return err;
}

/* --- by name ------------------------------------------------------------------------- */

static int make(struct hmem_ctx *ctx, const char *layer, uint64_t bytes, struct hmem_space **space)
{
	struct hmem_layer_info info = { .size = sizeof(info) };
	struct hmem_layer_wanted wanted = HMEM_LAYER_WANTED_INIT;
	int err, nid = node_of(layer);
	const char *rest;
	size_t one = 1;

	if (nid >= 0)
		return on_node(ctx, layer, nid, bytes, space);
	rest = after(layer, "fsdax:");
	if (!rest) {
		rest = after(layer, "file:");
		if (rest && !is_directory(rest))
			return in_region(ctx, layer, space);
	}
	if (rest)
		return in_directory(ctx, rest, bytes, space);
	rest = after(layer, "pool:");
	if (rest)
		return in_pool(ctx, rest, bytes, space);
	if (after(layer, "hmem:") || after(layer, "dax:"))
		return in_region(ctx, layer, space);
	/* A kind: the nearest one, whose name is in full. */
	wanted.name = layer;
	err = hmem_layer_select(ctx, &wanted, &info, &one);
	if (err == -ENOENT)
		return hmem_fail(ctx, err, "there is no layer \"%s\"", layer);
	if (err)
		return err;
	if (!strchr(info.name, ':') || !strcmp(info.name, layer))
		return hmem_fail(ctx, -EOPNOTSUPP, "layer \"%s\" has no memory for programs",
				 layer);
	return make(ctx, info.name, bytes, space);
}

int place_space(struct hmem_ctx *ctx, const char *layer, uint64_t bytes, struct hmem_space **space)
{
	int err = make(ctx, layer, bytes, space);

	if (!err)
		space_close_regions(*space);
	return err;
}

void place_end(struct hmem_space *space)
{
	if (space->nr_regions && space->regions[0].made && space->mapper == getpid() &&
	    children_evacuate(space))
		space_destroy_made(space);
}
