// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: extents
 *
 * An extent comes into being when it is touched: it gets its home, and is zeroed unless it
 * holds the region's data already. All of that happens under the folio
 * lock of its home, which is also what the core holds while it maps the page that a fault
 * returned. So whoever wants an extent away takes that lock, unmaps, clears
 * folio->mapping and lets go, in the order in which truncation does it: no mapping can
 * appear behind its back.
 *
 * hm_srcu keeps the layout and an extent's home in place for readers. Whoever takes them
 * has first made them unreachable (region->dead, or a smaller layout) and waited.
 */
#include <linux/pagemap.h>

#include "layout.h"
#include "near.h"
#include "poison.h"
#include "store.h"
#include "tier.h"
#include "trace.h"

static void zero_extent(struct hm_pool *pool, struct hm_extent *extent)
{
	const struct hm_place place = hm_extent_place(extent);
	void *address = hm_extent_address(extent);

	for (unsigned long i = 0; i < HM_EXTENT_PAGES; i++) {
		if (!hm_home_bad(pool, extent->index, i))
			clear_page(address + i * PAGE_SIZE);
		if (i % 64 == 63)
			cond_resched();
	}
	if (pool->persistent) {
		hm_home_write_back(pool, extent->index, 0, HM_EXTENT_BYTES);
		hm_store_set_tag(pool, &place);
	}
}

/* Find out what an extent holds, and make that the region's data. */
static int prepare_extent(struct hm_region *region, struct hm_extent *extent, u32 index)
{
	struct hm_pool *pool = region->parts[extent->part].pool;
	const struct hm_place place = hm_extent_place(extent);

	if (extent->state == HM_EXTENT_UNKNOWN && pool->persistent) {
		switch (hm_store_tag(pool, &place)) {
		case HM_TAG_PREPARED:
			extent->state = HM_EXTENT_READY;
			break;
		case HM_TAG_STALE:
			break;
		case HM_TAG_CORRUPT:
			dev_err(&region->dev, "the tag of the extent at %#llx is damaged\n",
				(u64)index << HM_EXTENT_SHIFT);
			extent->state = HM_EXTENT_FAILED;
			break;
		}
	}
	if (extent->state == HM_EXTENT_FAILED)
		return -EIO;
	if (extent->state == HM_EXTENT_UNKNOWN) {
		/* A bad page is not zeroed, and the tag would say so when it is good again. */
		if (pool->persistent && hm_poison_in(pool, extent->index))
			return -EHWPOISON;
		zero_extent(pool, extent);
		extent->state = HM_EXTENT_READY;
		trace_hmem_zero(region, index);
	}
	return 0;
}

static bool inside(struct hm_region *region, u32 index)
{
	return index < i_size_read(region->inode) >> HM_EXTENT_SHIFT;
}

/**
 * hm_extent_lock_home - lock the home of an extent, which may just be moving elsewhere
 *
 * Under hm_srcu, or when no extent of the region can be touched.
 *
 * Return: the home, locked; NULL when the extent has none.
 */
struct folio *hm_extent_lock_home(struct hm_extent *extent)
{
	struct folio *home;

	while ((home = smp_load_acquire(&extent->home))) {
		folio_lock(home);
		if (likely(extent->home == home))
			break;
		folio_unlock(home);
	}
	return home;
}

/* Whether an extent there is the region's to use, and its memory is there. */
static int usable(struct hm_region *region, u8 part, u32 index)
{
	/* A layout that grew counts when it is durable, and that is when i_size grows. */
	if (READ_ONCE(region->dead) || READ_ONCE(region->parts[part].lost))
		return -ENODEV;
	return inside(region, index) ? 0 : -ENXIO;
}

/* What is to be the home of an extent that has none, locked; or an error. */
static struct folio *lock_place(struct hm_region *region, u32 index, struct hm_place *place)
{
	const struct hm_layout *layout = srcu_dereference(region->layout, &hm_srcu);
	struct folio *home;

	if (!hm_place_untouched(region, layout, index, place))
		return ERR_PTR(-ENXIO);
	if (READ_ONCE(region->parts[place->part].lost) || xa_load(&region->gone, index))
		return ERR_PTR(-ENODEV);
	home = hm_pool_folio(region->parts[place->part].pool, place->index);
	folio_lock(home);
	return home;
}

/* Give an extent its home, which is locked; false when it has one already. */
static bool touch_extent(struct hm_region *region, struct hm_extent *extent, u32 index,
			 const struct hm_place *place, struct folio *home)
{
	bool first;

	spin_lock(&region->touch_lock);
	first = !extent->home;
	if (first) {
		extent->index = place->index;
		extent->gen = place->gen;
		extent->part = place->part;
		extent->state = HM_EXTENT_UNKNOWN;
		smp_store_release(&extent->home, home);
		atomic64_inc(&region->nr_touched);
	}
	spin_unlock(&region->touch_lock);
	return first;
}

/*
 * The home of an extent that is the region's to use, locked; the extent gets it if it has none.
 * Killed, cut off or lost while we waited: the one who did has yet to take this lock.
 */
static struct folio *lock_usable(struct hm_region *region, struct hm_extent *extent, u32 index)
{
	struct hm_place place;
	struct folio *home;
	bool first;
	int error;

	do {
		home = hm_extent_lock_home(extent);
		first = !home;
		if (first)
			home = lock_place(region, index, &place);
		if (IS_ERR(home))
			return home;
		error = usable(region, first ? place.part : extent->part, index);
		if (error) {
			folio_unlock(home);
			return ERR_PTR(error);
		}
		if (!first || touch_extent(region, extent, index, &place, home))
			return home;
		folio_unlock(home);
	} while (1);
}

/**
 * hm_extent_lock_as_is - an extent with its home locked, whatever that holds
 * @region: region
 * @index: number of the extent in the region
 *
 * Under hm_srcu. The caller unlocks extent->home.
 *
 * Return: the extent; -ENODEV (the memory is gone), -ENXIO (beyond the end), -ENOMEM.
 */
struct hm_extent *hm_extent_lock_as_is(struct hm_region *region, u32 index)
{
	const struct hm_layout *layout = srcu_dereference(region->layout, &hm_srcu);
	struct hm_extent *extent;
	struct folio *home;

	if (READ_ONCE(region->dead))
		return ERR_PTR(-ENODEV);
	if (index >= layout->nr_extents || !inside(region, index))
		return ERR_PTR(-ENXIO);
	extent = hm_table_find(&region->table, index) ?: hm_table_make(&region->table, index);
	if (!extent)
		return ERR_PTR(-ENOMEM);
	home = lock_usable(region, extent, index);
	return IS_ERR(home) ? ERR_CAST(home) : extent;
}

/**
 * hm_extent_lock - an extent that holds the region's data, with its home locked
 *
 * Return: as hm_extent_lock_as_is(); or -EIO (its tag is damaged), -EHWPOISON (its memory reports
 * an error, and what is there cannot be made zeroes).
 */
struct hm_extent *hm_extent_lock(struct hm_region *region, u32 index)
{
	struct hm_extent *extent = hm_extent_lock_as_is(region, index);
	struct folio *home;
	int error;

	if (IS_ERR(extent))
		return extent;
	home = extent->home;
	if (unlikely(extent->state != HM_EXTENT_READY)) {
		error = prepare_extent(region, extent, index);
		if (error) {
			folio_unlock(home);
			return ERR_PTR(error);
		}
	}
	if (home->mapping != region->inode->i_mapping) {
		home->index = (pgoff_t)index << HM_EXTENT_ORDER;
		home->mapping = region->inode->i_mapping;
		/* Who found memory bad before could not know whose it is. */
		if (unlikely(!xa_empty(&hm_extent_pool(region, extent)->bad)))
			hm_poison_refresh(region, extent, index);
	}
	return extent;
}

/* Which extent a page is in; what lies beyond every region has the last number. */
static u32 extent_of(pgoff_t pgoff)
{
	return min_t(pgoff_t, pgoff >> HM_EXTENT_ORDER, U32_MAX);
}

/* Of an extent whose home is locked: the page that has the data, and its folio alone locked. */
static struct page *current_page(struct hm_region *region, struct hm_extent *extent, pgoff_t pgoff,
				 bool *alone)
{
	struct folio *home = extent->home, *near = hm_near(extent);
	const u64 *pages = hm_pages(extent);
	u32 page = pgoff % HM_EXTENT_PAGES;

	if (unlikely(extent->heat.flags & HM_HEAT_ARMED))
		hm_heat_touched(region, extent, extent_of(pgoff), page);
	*alone = pages;
	if (pages)
		near = hm_page_near(pages, page);
	if (!near) {
		folio_get(home);
		return folio_page(home, page);
	}
	folio_get(near);
	folio_lock(near);
	if (near->mapping != region->inode->i_mapping) {
		near->index = pages ? pgoff : home->index;
		near->mapping = region->inode->i_mapping;
	}
	folio_unlock(home);
	return folio_page(near, pages ? 0 : page);
}

/* Whether a page of a locked extent is good; if not, the extent is unlocked. */
static int check_page(struct hm_region *region, struct hm_extent *extent, pgoff_t pgoff, bool store)
{
	int error = 0;

	if (unlikely(extent->flags & HM_EXTENT_BAD))
		error = hm_poison_check(region, extent, pgoff, store);
	if (error)
		folio_unlock(extent->home);
	return error;
}

/**
 * hm_extent_get - the page that has a page's data now, its folio locked and referenced
 * @region: region
 * @pgoff: number of the page in the region
 * @alone: the extent is split: of that folio this page is the place of data, and no other
 *
 * Under hm_srcu. What is found stays the place of the data for as long as it is locked, and
 * while it is referenced nothing is moved.
 *
 * Return: the page, or as hm_extent_lock(), with -EHWPOISON if its own memory reports an error; or
 * -EAGAIN: somebody holds what has to go first, and it is to be tried again a little later.
 */
struct page *hm_extent_get(struct hm_region *region, pgoff_t pgoff, bool *alone)
{
	struct hm_extent *extent = hm_extent_lock(region, extent_of(pgoff));
	int error;

	if (IS_ERR(extent))
		return ERR_CAST(extent);
	error = check_page(region, extent, pgoff, false);
	return error ? ERR_PTR(error) : current_page(region, extent, pgoff, alone);
}

/**
 * hm_extent_get_to_store - the same, for who is about to store to it
 * @held: a folio that the caller has a reference to, or NULL
 *
 * Return: as hm_extent_get(). After -EAGAIN it is to be tried without @held.
 */
struct page *hm_extent_get_to_store(struct hm_region *region, pgoff_t pgoff,
				    const struct folio *held, bool *alone)
{
	struct hm_extent *extent = hm_extent_lock(region, extent_of(pgoff));
	int error;

	if (IS_ERR(extent))
		return ERR_CAST(extent);
	error = check_page(region, extent, pgoff, true);
	if (error)
		return ERR_PTR(error);
	error = hm_pages(extent) ? hm_pages_store(region, extent, pgoff, held) :
				   hm_near_store(region, extent, extent_of(pgoff), held);
	if (error) {
		folio_unlock(extent->home);
		return ERR_PTR(error);
	}
	return current_page(region, extent, pgoff, alone);
}

/** hm_extent_unmap - take an extent out of every process; a fault maps it again */
void hm_extent_unmap(struct hm_region *region, u32 index)
{
	unmap_mapping_range(region->inode->i_mapping, (loff_t)index << HM_EXTENT_SHIFT,
			    HM_EXTENT_BYTES, 1);
}
