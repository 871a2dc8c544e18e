// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: where extents are
 *
 * While a pool is drained, an extent of it has two places: one where it belongs, in the region's
 * layout, and one that it leaves. It is in one of them. A touched extent knows in which; of one
 * that nobody has touched since its pools were attached the tags tell (media.h), and what is
 * volatile then is nothing yet, and will be where it belongs.
 */
#include <linux/pagemap.h>

#include "extent.h"
#include "layout.h"
#include "store.h"

/**
 * hm_place_untouched - where an extent is that has no home yet
 *
 * Under hm_srcu.
 *
 * Return: false when the region has no such extent.
 */
bool hm_place_untouched(const struct hm_region *region, const struct hm_layout *layout, u32 index,
			struct hm_place *place)
{
	struct hm_place left;

	if (!hm_layout_place(layout, index, place))
		return false;
	/* Not when its tag is damaged where it belongs: it may have come there. */
	if (region->persistent && hm_layout_left(layout, index, &left) &&
	    !READ_ONCE(region->dead) &&
	    hm_store_tag(region->parts[place->part].pool, place) == HM_TAG_STALE)
		*place = left;
	return true;
}

/**
 * hm_place_now - where an extent is
 *
 * Under hm_srcu or hm_lock; under the former it may be elsewhere a moment later.
 *
 * Return: false when the region has no such extent.
 */
bool hm_place_now(struct hm_region *region, const struct hm_layout *layout, u32 index,
		  struct hm_place *place)
{
	struct hm_extent *extent;
	struct folio *home;
	bool found = true;
	int srcu;

	if (!layout->leaving)
		return hm_layout_place(layout, index, place);
	srcu = srcu_read_lock(&hm_srcu);
	extent = hm_table_find(&region->table, index);
	home = extent ? hm_extent_lock_home(extent) : NULL;
	if (home) {
		*place = hm_extent_place(extent);
		folio_unlock(home);
	} else {
		found = hm_place_untouched(region, layout, index, place);
	}
	srcu_read_unlock(&hm_srcu, srcu);
	return found;
}

/** hm_place_same - whether two places are one */
bool hm_place_same(const struct hm_place *a, const struct hm_place *b)
{
	return a->part == b->part && a->index == b->index;
}

/* Which extent of a region has a place in a layout of it; false: none. */
static bool find_index(const struct hm_layout *layout, const struct hm_place *place, u32 *index)
{
	for (u32 i = 0; layout && i < layout->nr_runs; i++) {
		const struct hm_run *run = &layout->runs[i];

		if (run->part != place->part || place->index < run->start ||
		    place->index - run->start >= run->count)
			continue;
		*index = run->first + (place->index - run->start) * run->stride;
		return true;
	}
	return false;
}

/**
 * hm_place_owner - the region that has an extent of a pool, also before it has come there
 * @extent: its number on the pool
 * @index: out: and its number in the region
 *
 * Under hm_lock.
 *
 * Return: NULL when nobody has it, or what was there has left.
 */
struct hm_region *hm_place_owner(struct hm_pool *pool, u32 extent, u32 *index)
{
	struct hm_part *part;

	list_for_each_entry(part, &pool->parts, node) {
		struct hm_region *region = part->region;
		const struct hm_layout *layout =
			rcu_dereference_protected(region->layout, lockdep_is_held(&hm_lock));
		const struct hm_place here = { .index = extent, .part = part - region->parts };
		struct hm_place now;

		if (find_index(layout, &here, index))
			return region;
		if (find_index(layout->leaving, &here, index) &&
		    hm_place_now(region, layout, *index, &now) && hm_place_same(&now, &here))
			return region;
	}
	return NULL;
}
