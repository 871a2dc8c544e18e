// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The shelves of a region, as seen by somebody who has none of them open: what there is,
 * and taking one away.
 *
 * One that is being opened was looked up in the rack first. So whoever destroys it does
 * that under its "opening" byte, and leaves superblocks that nobody can open.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "region.h"
#include "shelf.h"
#include "shelf_lock.h"
#include "shelf_rack.h"
#include "shelf_super.h"
#include "uncancelled.h"

/*
 * @shown: as much of an open shelf as its superblock and its locks take
 */
struct inventory {
	struct hmem_shelf shown;
	struct persist persist;
	struct rack rack;
	void *mapped;
	size_t mapped_bytes;
};

static int inventory_open(struct hmem_region *region, struct inventory **out)
{
	struct hmem_region_info info = { .size = sizeof(info) };
	struct hmem_ctx *ctx = hmem_region_ctx(region);
	struct inventory *inventory = calloc(1, sizeof(*inventory));
	int err;

	if (!inventory)
		return hmem_fail(ctx, -ENOMEM, "no memory for the table of shelves");
	inventory->shown.ctx = ctx;
	inventory->shown.region = region;
	/* It stands among those that are open, and no thread has a writer in it. */
	inventory->shown.closing = true;
	err = hmem_region_get_info(region, &info);
	if (!err)
		err = shelf_lock_open(&inventory->shown);
	if (err) {
		free(inventory);
		return err;
	}
	inventory->shown.persist_kind = shelf_persist_kind(ctx, info.caps, 0);
	inventory->shown.sync_failures = hmem_region_sync_failures(region);
	shelf_persist_init(&inventory->shown, &inventory->persist);
	inventory->shown.wait_ms = SHELF_WAIT_MS;
	err = rack_open(region, inventory->shown.lock_fd, &inventory->persist, SHELF_WAIT_MS,
			&inventory->rack);
	if (err) {
		shelf_lock_close(&inventory->shown);
		free(inventory);
		return err;
	}
	*out = inventory;
	return 0;
}

static void inventory_close(struct inventory *inventory)
{
	rack_close(&inventory->rack);
	shelf_lock_close(&inventory->shown);
	free(inventory);
}

/* Map the superblocks of an entry: the beginning of its first run. */
static int super_map(struct inventory *inventory, unsigned int entry)
{
	struct rack *rack = &inventory->rack;
	struct rack_shelf *shelf = &rack->shelves[entry];
	const struct rack_run *run = rack_runs(rack, entry);
	uint64_t unit = 1ull << rack->header.unit_shift;
	int err;

	inventory->shown.name = shelf->name;
	inventory->shown.rack_entry = entry;
	if (!shelf->nr_runs || run->at)
		return hmem_fail(rack->ctx, -EUCLEAN, "shelf %s has no beginning", shelf->name);
	err = hmem_region_map(rack->region, run->unit * unit, unit, &inventory->mapped,
			      &inventory->mapped_bytes);
	if (err)
		return err;
	inventory->shown.base = inventory->mapped;
	return 0;
}

static void super_unmap(struct inventory *inventory)
{
	hmem_region_unmap(inventory->rack.region, inventory->mapped, inventory->mapped_bytes);
}

/* --- what there is ------------------------------------------------------------------- */

static void describe(struct inventory *inventory, unsigned int entry, struct hmem_shelf_info *info)
{
	struct rack *rack = &inventory->rack;
	const struct rack_shelf *shelf = &rack->shelves[entry];
	const struct rack_run *run = rack_runs(rack, entry);
	struct shelf_super super;

	*info = (struct hmem_shelf_info){ .size = sizeof(*info), .max_bytes = shelf->max_heap };
	memcpy(info->name, shelf->name, RACK_NAME_BYTES);
	memcpy(info->uuid, shelf->uuid, sizeof(info->uuid));
	/* One whose superblocks are damaged is there all the same. */
	if (super_map(inventory, entry))
		return;
	if (super_read(&inventory->shown, shelf->uuid, &super)) {
		super_unmap(inventory);
		return;
	}
	info->ordered = super.flags & SHELF_ORDERED;
	info->dirty_shutdowns = super.dirty_shutdowns;
	for (uint32_t i = 0; i < shelf->nr_runs; i++)
		if ((uint64_t)run[i].at << rack->header.unit_shift >= super.heap_offset)
			info->bytes += (uint64_t)run[i].count << rack->header.unit_shift;
	super_unmap(inventory);
}

static int do_shelf_iterate(struct hmem_region *region,
			    int (*fn)(void *arg, const struct hmem_shelf_info *info), void *arg)
{
	struct inventory *inventory;
	struct hmem_shelf_info *infos;
	uint32_t nr = 0;
	int err;

	if (!region)
		return -EINVAL;
	if (!fn)
		return hmem_fail(hmem_region_ctx(region), -EINVAL, "nobody to tell about the shelves");
	infos = calloc(RACK_MAX_SHELVES, sizeof(*infos));
	if (!infos)
		return hmem_fail(hmem_region_ctx(region), -ENOMEM, "no memory to list shelves");
	err = inventory_open(region, &inventory);
	if (!err) {
		for (uint32_t i = 0; i < inventory->rack.header.nr_shelves; i++)
			if (inventory->rack.shelves[i].name[0])
				describe(inventory, i, &infos[nr++]);
		inventory_close(inventory);
	}
	for (uint32_t i = 0; i < nr && !err; i++)
		err = fn(arg, &infos[i]);
	free(infos);
	return err;
}

int hmem_shelf_iterate(struct hmem_region *region,
		       int (*fn)(void *arg, const struct hmem_shelf_info *info), void *arg)
{
	return UNCANCELLED(do_shelf_iterate(region, fn, arg));
}

/* --- taking one away ----------------------------------------------------------------- */

static int lock_byte(struct inventory *inventory, int byte)
{
	return byte_lock(inventory->shown.lock_fd,
			 byte + (int)inventory->shown.rack_entry * SHELF_BYTES_EACH);
}

/* Not with the descriptor: somebody made by clone(2) may have a share in that. */
static void unlock_byte(struct inventory *inventory, int byte)
{
	byte_unlock(inventory->shown.lock_fd,
		    byte + (int)inventory->shown.rack_entry * SHELF_BYTES_EACH);
}

static int remove_mapped(struct inventory *inventory, const uint8_t uuid[16])
{
	struct hmem_shelf *shown = &inventory->shown;
	struct shelf_super super = { 0 }, us = { 0 };
	int err;

	/* A damaged one can be removed, one of a newer version only by that. */
	err = super_read(shown, uuid, &super);
	if (err && err != -EUCLEAN)
		return err;
	err = super_identify(shown, &us);
	if (err)
		return err;
	if (super_other_host(&super, &us))
		return shelf_fail(shown, -EBUSY,
				  "shelf %s: another host has it open, or did not close it; if that is "
				  "gone for good, open it with HMEM_SHELF_TAKE_OVER and close it",
				  shown->name);
	err = lock_byte(inventory, SHELF_BYTE_OPENING);
	if (!err)
		err = lock_byte(inventory, SHELF_BYTE_PRESENT);
	if (err)
		return shelf_fail(shown, err == -EAGAIN ? -EBUSY : err,
				  "shelf %s: somebody has it open; have all close it", shown->name);
	rack_remove(&inventory->rack, shown->rack_entry);
	err = rack_write(&inventory->rack);
	if (err)
		return err;
	memset(inventory->mapped, 0, SHELF_SLOTS_OFFSET);
	persist_write_back(&inventory->persist, inventory->mapped, SHELF_SLOTS_OFFSET);
	err = persist_fence(&inventory->persist);
	if (err)
		return hmem_fail(shown->ctx, -EIO, "erasing a superblock: %s", strerror(-err));
	return 0;
}

static int destroy(struct inventory *inventory, const char *name)
{
	int entry = rack_find(&inventory->rack, name), err;

	if (entry < 0)
		return hmem_fail(inventory->rack.ctx, -ENOENT, "%s has no shelf %s",
				 hmem_region_name(inventory->rack.region), name);
	err = super_map(inventory, (unsigned int)entry);
	if (err)
		return err;
	err = remove_mapped(inventory, inventory->rack.shelves[entry].uuid);
	super_unmap(inventory);
	unlock_byte(inventory, SHELF_BYTE_PRESENT);
	unlock_byte(inventory, SHELF_BYTE_OPENING);
	return err;
}

static int do_shelf_destroy(struct hmem_region *region, const char *name)
{
	struct inventory *inventory;
	int err;

	if (!region)
		return -EINVAL;
	if (!name || !*name)
		return hmem_fail(hmem_region_ctx(region), -EINVAL, "destroying a shelf takes its name");
	if (hmem_region_flags(region) & HMEM_OPEN_READ_ONLY)
		return hmem_fail(hmem_region_ctx(region), -EROFS, "%s was opened read-only",
				 hmem_region_name(region));
	err = inventory_open(region, &inventory);
	if (err)
		return err;
	err = destroy(inventory, name);
	inventory_close(inventory);
	return err;
}

int hmem_shelf_destroy(struct hmem_region *region, const char *name)
{
	return UNCANCELLED(do_shelf_destroy(region, name));
}
