// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: what is held
 *
 * Who waits for pages, or gives up waiting, names the ranges that somebody holds: extents of a
 * region that follow one another are one. They are copied to the caller, or go to the log, when no
 * lock is held any more.
 */
#include <linux/slab.h>

#include "held.h"

/* Ranges for which there is room at first. */
#define HM_HELD_FIRST	16U

/* For one more, if that is wanted. Without memory for it there is room for no more from then on. */
static void reserve(struct hm_held *held)
{
	u32 room = min(held->limit, max(HM_HELD_FIRST, held->room * 2));
	struct hmem_held_range *ranges;

	if (held->nr < held->room || held->room == held->limit)
		return;
	ranges = kvmalloc_array(room, sizeof(*ranges), GFP_KERNEL | __GFP_NOWARN);
	if (!ranges) {
		held->limit = held->room;
		return;
	}
	if (held->room)
		memcpy(ranges, held->ranges, held->room * sizeof(*ranges));
	kvfree(held->ranges);
	held->ranges = ranges;
	held->room = room;
}

/** hm_held_add - one more extent, which comes after those of the same region that are there */
void hm_held_add(struct hm_held *held, const struct hm_region *region, u32 index)
{
	struct hmem_held_range *last = &held->last;
	u64 offset = (u64)index << HM_EXTENT_SHIFT;

	if (held->nr && last->offset + last->bytes == offset &&
	    !strcmp(last->region, dev_name(&region->dev))) {
		last->bytes += HM_EXTENT_BYTES;
	} else {
		reserve(held);
		*last = (struct hmem_held_range){ .offset = offset, .bytes = HM_EXTENT_BYTES };
		strscpy_pad(last->region, dev_name(&region->dev), sizeof(last->region));
		held->nr++;
	}
	if (held->nr <= held->room)
		held->ranges[held->nr - 1] = *last;
}

/** hm_held_clear - there are none, and there is room for as many as before */
void hm_held_clear(struct hm_held *held)
{
	held->nr = 0;
}

void hm_held_free(struct hm_held *held)
{
	kvfree(held->ranges);
}
