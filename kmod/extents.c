// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: extents are taken from their users
 *
 * Of a region that goes, shrinks or loses a pool: out of every process, waited for until nobody
 * holds a page of them, and then forgotten. Nobody reaches them any more when that begins
 * (extent.c).
 *
 * A pool's memory may go away while another one takes the region apart, and waits for hm_srcu
 * alone: so whoever looks at an extent's home here is under it until it has let go of that.
 */
#define pr_fmt(fmt) "hmem: " fmt

#include <linux/delay.h>
#include <linux/mm.h>
#include <linux/pagemap.h>

#include "held.h"
#include "layout.h"
#include "near.h"
#include "poison.h"
#include "store.h"

/* References to a folio that nobody has mapped or pinned: the module's. */
#define HM_BASE_REFS	1

/* Under the home's lock; the other one may just be about to be mapped under its own. */
static void zap_folio(struct address_space *mapping, struct folio *folio)
{
	if (folio->mapping != mapping)
		return;
	if (folio_mapped(folio))
		unmap_mapping_range(mapping, folio_pos(folio), folio_size(folio), 1);
	folio->mapping = NULL;
	folio->index = 0;
	folio_clear_dirty(folio);
}

/* Under the home's lock. */
static void zap_extent(struct address_space *mapping, struct hm_extent *extent)
{
	struct folio *near;
	u32 page;

	hm_near_for_each(extent, near, page) {
		folio_lock(near);
		zap_folio(mapping, near);
		folio_unlock(near);
	}
	zap_folio(mapping, extent->home);
}

/**
 * hm_extents_zap - take extents out of every process
 * @from: first extent; it and all behind it go
 *
 * They can no longer be reached through the region when this is called, and hm_srcu has
 * been waited for. Pins remain, and near copies.
 */
void hm_extents_zap(struct hm_region *region, u32 from)
{
	struct address_space *mapping = region->inode->i_mapping;
	struct hm_extent *extent;
	u32 index;

	/* In one sweep what is mapped now, then one by one what a fault was just mapping. */
	unmap_mapping_range(mapping, (loff_t)from << HM_EXTENT_SHIFT, 0, 1);
	hm_table_for_each(&region->table, index, extent, from) {
		int srcu = srcu_read_lock(&hm_srcu);
		struct folio *home = hm_extent_lock_home(extent);

		if (home) {
			zap_extent(mapping, extent);
			folio_unlock(home);
		}
		srcu_read_unlock(&hm_srcu, srcu);
		cond_resched();
	}
}

static bool home_pinned(const struct hm_extent *extent)
{
	int srcu = srcu_read_lock(&hm_srcu);
	const struct folio *home = READ_ONCE(extent->home);
	bool pinned = home && folio_ref_count(home) != HM_BASE_REFS;

	srcu_read_unlock(&hm_srcu, srcu);
	return pinned;
}

/* The home is locked. */
static bool near_pinned(struct hm_extent *extent)
{
	struct folio *near;
	bool pinned = false;
	u32 page;

	hm_near_for_each(extent, near, page)
		pinned |= hm_pinned(near, HM_BASE_REFS);
	return pinned;
}

/* Under the home's lock the near copies stay what they are. */
static bool extent_pinned(struct hm_extent *extent)
{
	struct folio *home = READ_ONCE(extent->home);
	bool pinned = false;

	if (!home || home_pinned(extent) || !READ_ONCE(extent->front))
		return home && home_pinned(extent);
	home = hm_extent_lock_home(extent);
	if (!home)
		return false;
	/* Who makes a copy has a reference too, and has looked. */
	if (!(extent->flags & HM_EXTENT_MOVING))
		pinned = near_pinned(extent) &&
			 !(hm_pages(extent) && hm_batches_wait() && !near_pinned(extent));
	folio_unlock(home);
	return pinned;
}

/** hm_extents_pinned - whether anybody holds pages at or behind @from; none is mapped */
bool hm_extents_pinned(struct hm_region *region, u32 from)
{
	struct hm_extent *extent;
	u32 index;
	bool pinned = false;
	int srcu;

	srcu = srcu_read_lock(&hm_srcu);
	hm_table_for_each(&region->table, index, extent, from) {
		pinned = extent_pinned(extent);
		if (pinned)
			break;
	}
	srcu_read_unlock(&hm_srcu, srcu);
	return pinned;
}

/* Lock the home of an extent if it is on that part. */
static bool lock_on(struct hm_extent *extent, u8 part)
{
	struct folio *home = hm_extent_lock_home(extent);

	if (home && extent->part != part) {
		folio_unlock(home);
		return false;
	}
	return home;
}

/*
 * The next extent that is on a part, its home locked; NULL: there is none. The table may grow
 * meanwhile, its extents stay where they are.
 */
static struct hm_extent *next_on(struct hm_region *region, u32 *index, u8 part)
{
	int srcu = srcu_read_lock(&hm_srcu);
	struct hm_extent *extent;

	while ((extent = hm_table_next(&region->table, index)) && !lock_on(extent, part))
		(*index)++;
	srcu_read_unlock(&hm_srcu, srcu);
	return extent;
}

/*
 * The next extent that is waited for of what a region had with a pool; NULL: there is none. Of a
 * region that lives on that is what is on the part, else all. The table of the former may grow
 * meanwhile, its extents stay where they are.
 */
static struct hm_extent *next_waited(const struct hm_part *part, u32 *index)
{
	struct hm_region *region = part->region;
	struct hm_extent *extent;

	if (!part->lost)
		return hm_table_next(&region->table, index);
	extent = next_on(region, index, part - region->parts);
	if (extent)
		folio_unlock(extent->home);
	return extent;
}

static void find_held(const struct list_head *parts, struct hm_held *held)
{
	struct hm_extent *extent;
	struct hm_part *part;
	u32 index;

	list_for_each_entry(part, parts, node) {
		for (index = 0; (extent = next_waited(part, &index)); index++) {
			if (home_pinned(extent))
				hm_held_add(held, part->region, index);
			cond_resched();
		}
	}
}

/* So many of them are named at once. */
#define HM_HELD_LINES	8

/* Name what is held of the regions of a pool, in one list and in the other. */
static void report_held(const struct list_head *parts, const struct list_head *more)
{
	struct hmem_held_range ranges[HM_HELD_LINES];
	struct hm_held held = { .ranges = ranges, .room = HM_HELD_LINES, .limit = HM_HELD_LINES };

	find_held(parts, &held);
	if (more)
		find_held(more, &held);
	for (u32 i = 0; i < hm_held_kept(&held); i++)
		pr_warn("region %s: waiting for whoever holds pages at offset %#llx, %llu bytes\n",
			ranges[i].region, ranges[i].offset, ranges[i].bytes);
	if (held.nr > HM_HELD_LINES)
		pr_warn("waiting for whoever holds pages of %u more ranges\n",
			held.nr - HM_HELD_LINES);
}

/**
 * hm_extents_wait - wait until nobody holds pages of homes any more
 * @parts: what regions had with a pool; nobody reaches it any more
 * @more: what others had, which is named as well, but not waited for; or NULL
 *
 * Near copies are not the pool's: whoever holds one keeps it. There is no event for that:
 * device pages tell nobody when their count falls back to one. Says once in ten seconds which
 * ranges are held.
 */
void hm_extents_wait(const struct list_head *parts, const struct list_head *more)
{
	unsigned long next_report = jiffies + 10 * HZ;
	struct hm_extent *extent;
	struct hm_part *part;
	u32 index;

	list_for_each_entry(part, parts, node) {
		for (index = 0; (extent = next_waited(part, &index)); index++) {
			unsigned int delay_ms = 1;

			while (home_pinned(extent)) {
				msleep(delay_ms);
				delay_ms = min(delay_ms * 2, 100U);
				if (time_before(jiffies, next_report))
					continue;
				report_held(parts, more);
				next_report = jiffies + 10 * HZ;
			}
			cond_resched();
		}
	}
}

/** hm_extents_write_back - make all that was stored in a persistent region durable */
void hm_extents_write_back(struct hm_region *region)
{
	struct hm_extent *extent;
	u32 index;

	hm_table_for_each(&region->table, index, extent, 0) {
		int srcu = srcu_read_lock(&hm_srcu);

		if (!hm_extent_lost(region, extent))
			hm_home_write_back(hm_extent_pool(region, extent), extent->index, 0,
					   HM_EXTENT_BYTES);
		srcu_read_unlock(&hm_srcu, srcu);
		cond_resched();
	}
}

/* The home is locked, and let go. */
static void forget_extent(struct hm_region *region, struct hm_extent *extent)
{
	struct folio *home = extent->home;

	if (hm_pages(extent))
		hm_pages_drop(region, extent);
	else
		hm_near_drop(region, extent);
	if (extent->flags & HM_EXTENT_BAD)
		folio_clear_has_hwpoisoned(home);
	extent->flags = 0;
	memset(&extent->heat, 0, sizeof(extent->heat));
	WRITE_ONCE(extent->home, NULL);
	folio_unlock(home);
	atomic64_dec(&region->nr_touched);
}

/* What was lost of extents from @from on is no matter any more. */
static void forget_gone(struct hm_region *region, u32 from)
{
	unsigned long index;
	void *entry;

	xa_for_each_start(&region->gone, index, entry, from)
		xa_erase(&region->gone, index);
}

/**
 * hm_extents_forget - untouch extents
 * @from: first of them
 *
 * They are neither mapped nor pinned and can no longer be reached through the region.
 */
void hm_extents_forget(struct hm_region *region, u32 from)
{
	struct hm_extent *extent;
	u32 index;

	hm_table_for_each(&region->table, index, extent, from) {
		int srcu = srcu_read_lock(&hm_srcu);

		if (hm_extent_lock_home(extent))
			forget_extent(region, extent);
		srcu_read_unlock(&hm_srcu, srcu);
	}
	hm_poison_forget(region, from, U32_MAX);
	forget_gone(region, from);
	/* fsync(2) and the like walk what is there without asking the layout. */
	synchronize_srcu(&hm_srcu);
}

/*
 * An extent that is not where it belongs has a place elsewhere, where there is nothing of what it
 * had: who finds that it has no home finds this. Also of one that is just being cut off, which may
 * be given up yet. The home is locked.
 */
static void remember_gone(struct hm_region *region, const struct hm_extent *extent, u32 index)
{
	const struct hm_place now = hm_extent_place(extent);
	int srcu = srcu_read_lock(&hm_srcu);
	struct hm_place place;

	if (!region->persistent &&
	    !(hm_layout_place(srcu_dereference(region->layout, &hm_srcu), index, &place) &&
	      hm_place_same(&now, &place)))
		xa_store(&region->gone, index, xa_mk_value(1), GFP_KERNEL | __GFP_NOFAIL);
	srcu_read_unlock(&hm_srcu, srcu);
}

/**
 * hm_extents_leave - take extents whose home is gone out of every process; the region lives on
 * @part: which are there; nobody reaches them any more
 *
 * Nothing is moved by itself until hm_extents_lose().
 */
void hm_extents_leave(struct hm_region *region, u8 part)
{
	struct address_space *mapping = region->inode->i_mapping;
	struct hm_extent *extent;
	u32 index;

	for (index = 0; (extent = next_on(region, &index, part)); index++) {
		hm_extent_unmap(region, index);
		zap_extent(mapping, extent);
		remember_gone(region, extent, index);
		folio_unlock(extent->home);
		cond_resched();
	}
}

/**
 * hm_extents_lose - untouch extents that were left
 * @part: which are there; nobody holds pages of them any more
 *
 * What only a near copy had is lost with them, and what was known of bad pages there: when their
 * pool comes back it says what is bad.
 */
void hm_extents_lose(struct hm_region *region, u8 part)
{
	struct hm_extent *extent;
	u32 index;

	for (index = 0; (extent = next_on(region, &index, part)); index++) {
		hm_poison_forget(region, index, index);
		forget_extent(region, extent);
	}
	synchronize_srcu(&hm_srcu);
}
