// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: split extents
 *
 * Where heat inside an extent is uneven, its pages of 4 KiB have near copies of their own. A
 * split extent has a table of one word for each page: the near copy's frame number, whether it
 * is dirty, and what the policy knows of the page's heat. Its pages are mapped one by one, each
 * from where it is.
 *
 * The home's folio lock covers all of it. A page is moved under that lock: nothing is gained by
 * letting it go, as a fault takes longer than the copy. Who stores is seen as with whole extents:
 * a page is mapped read-only until page_mkwrite was told, and nothing is mapped while a page moves.
 *
 * In front of a persistent home a near page is for reading only, and goes with the first store.
 */
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/uaccess.h>

#include "near.h"
#include "poison.h"
#include "store.h"
#include "trace.h"

/* Pages that are moved before whoever waits for the extent may go on. */
#define HM_BATCH	64U

static void *home_address(const struct hm_extent *extent, u32 page)
{
	return hm_extent_address(extent) + (size_t)page * PAGE_SIZE;
}

static void unmap_pages(struct hm_region *region, u32 index, u32 page, u32 count)
{
	unmap_mapping_range(region->inode->i_mapping,
			    ((loff_t)index << HM_EXTENT_SHIFT) + (loff_t)page * PAGE_SIZE,
			    (loff_t)count * PAGE_SIZE, 1);
}

/* The same with a near page, which is locked. */
static void unmap_near(struct hm_region *region, u32 index, u32 page, const struct folio *near)
{
	/* Afterwards it may say no more that it was. */
	if (unlikely(folio_test_mlocked(near)))
		hm_batches_expect();
	unmap_pages(region, index, page, 1);
}

/** hm_near_next - the first folio in front of an extent's home, at or after its page *@page */
struct folio *hm_near_next(const struct hm_extent *extent, u32 *page)
{
	const u64 *pages = hm_pages(extent);

	if (!pages)
		return *page ? NULL : hm_near(extent);
	for (; *page < HM_EXTENT_PAGES; (*page)++)
		if (hm_page_near(pages, *page))
			return hm_page_near(pages, *page);
	return NULL;
}

static void set_dirty(struct hm_region *region, struct hm_extent *extent, u32 page, bool dirty)
{
	u64 *word = &hm_pages(extent)[page];

	if (dirty == !!(*word & HM_PAGE_DIRTY))
		return;
	*word ^= HM_PAGE_DIRTY;
	hm_copy_count(hm_copy_of(extent), 0, dirty ? 1 : -1);
	atomic_long_add(dirty ? 1 : -1, &region->near.dirty);
}

/* The home takes over a page; its near copy is locked, clean and not mapped. */
static void retire(struct hm_region *region, struct hm_extent *extent, u32 page)
{
	struct folio *near = hm_page_near(hm_pages(extent), page);

	set_dirty(region, extent, page, false);
	hm_copy_count(hm_copy_of(extent), -1, 0);
	hm_pages(extent)[page] &= ~HM_PAGE_PFN;
	if (unlikely(extent->flags & HM_EXTENT_BAD))
		hm_poison_left(region, extent, page);
	near->mapping = NULL;
	near->index = 0;
	folio_clear_dirty(near);
	folio_unlock(near);
	hm_dram_put(region, near);
	atomic64_inc(&region->near.demoted);
}

static bool copy_page_mc(struct hm_region *region, void *to, const void *from)
{
	u64 began = ktime_get_ns();
	bool good = !copy_mc_to_kernel(to, from, PAGE_SIZE);

	atomic64_add(good ? PAGE_SIZE : 0, &region->near.copied);
	atomic64_add(ktime_get_ns() - began, &region->near.copy_ns);
	return good;
}

/* The page is at home and not mapped. @near: DRAM for it, which is given back if it does not come. */
static bool promote(struct hm_region *region, struct hm_extent *extent, u32 page,
		    struct folio *near)
{
	if (hm_pinned(extent->home, 1)) {
		hm_dram_put(region, near);
		return false;
	}
	/* Nobody stores to it any more: who held it has let go, and nobody has it mapped. */
	if (region->persistent)
		hm_write_back(home_address(extent, page), PAGE_SIZE);
	if (!copy_page_mc(region, folio_address(near), home_address(extent, page))) {
		hm_dram_put(region, near);
		hm_poison_met_page(region, extent, page, HMEM_HOME);
		return false;
	}
	near->index = extent->home->index + page;
	near->mapping = region->inode->i_mapping;
	hm_pages(extent)[page] |= folio_pfn(near);
	hm_copy_count(hm_copy_of(extent), 1, 0);
	atomic64_inc(&region->near.promoted);
	return true;
}

/*
 * The near copy of the page is locked, and what it has goes home, if the page there is good; or
 * it was lost, and there is nothing to go.
 */
static enum hmem_moved send_home(struct hm_region *region, struct hm_extent *extent, u32 page)
{
	struct folio *near = hm_page_near(hm_pages(extent), page);
	unsigned int bad = 0;

	if (unlikely(extent->flags & HM_EXTENT_BAD))
		bad = hm_poison_of_page(region, extent, page);
	if (bad & (HM_BAD_LOST | HM_BAD_NEAR))
		return HMEM_MOVED;
	if (bad)
		return HMEM_MOVED_POISONED;
	if (hm_pages(extent)[page] & HM_PAGE_DIRTY &&
	    !copy_page_mc(region, home_address(extent, page), folio_address(near)) &&
	    !hm_poison_met_page(region, extent, page, HMEM_NEAR))
		return HMEM_MOVED_NO_MEMORY;
	return HMEM_MOVED;
}

/* The near copy of the page is locked, and goes unless somebody holds it. */
static enum hmem_moved demote(struct hm_region *region, struct hm_extent *extent, u32 index,
			      u32 page)
{
	struct folio *near = hm_page_near(hm_pages(extent), page);
	enum hmem_moved result;

	unmap_near(region, index, page, near);
	result = hm_pinned(near, 1) ? HMEM_MOVED_PINNED : send_home(region, extent, page);
	if (result == HMEM_MOVED)
		retire(region, extent, page);
	else
		folio_unlock(near);
	return result;
}

static bool wanted(const u64 *map, u32 page)
{
	return map[page / 64] >> page % 64 & 1;
}

static bool can_come(struct hm_region *region, struct hm_extent *extent, u32 page)
{
	if (hm_page_near(hm_pages(extent), page))
		return false;
	return likely(!(extent->flags & HM_EXTENT_BAD)) || !hm_poison_of_page(region, extent, page);
}

/*
 * Pages that are to be promoted from @page on, up to the first that cannot come or for which there
 * is no DRAM, have that, in @room, and are not mapped then. First the one, then the other: a page
 * that stays at home is not to fault for it.
 */
static u32 begin_run(struct hm_region *region, struct hm_extent *extent, u32 index,
		     const u64 *promote, u32 page, u32 end, struct folio **room, bool *full)
{
	u32 last = page;

	while (last < end && wanted(promote, last) && can_come(region, extent, last)) {
		struct folio *near = hm_dram_get(region, 0);

		*full = IS_ERR(near);
		if (*full)
			break;
		room[last++ % HM_BATCH] = near;
	}
	if (last > page)
		unmap_pages(region, index, page, last - page);
	return last;
}

static void move_batch(struct hm_region *region, struct hm_extent *extent, u32 index, u32 page,
		       struct hm_policy_pages *asked, struct hm_policy_pages *done)
{
	struct folio *room[HM_BATCH];
	u32 end = page + HM_BATCH, ready = page;
	bool full = false;

	for (; page < end; page++) {
		struct folio *near = hm_page_near(hm_pages(extent), page);

		if (wanted(asked->demote, page) && near) {
			folio_lock(near);
			if (demote(region, extent, index, page) == HMEM_MOVED) {
				done->demote[page / 64] |= 1ULL << page % 64;
				full = false;
			}
		} else if (wanted(asked->promote, page) && !near) {
			if (page >= ready && !full)
				ready = begin_run(region, extent, index, asked->promote, page, end,
						  room, &full);
			if (page >= ready)
				asked->promote[page / 64] &= ~(1ULL << page % 64);
			else if (promote(region, extent, page, room[page % HM_BATCH]))
				done->promote[page / 64] |= 1ULL << page % 64;
		}
	}
}

/**
 * hm_pages_move - move pages of a split extent
 * @index: of the extent in the region
 * @asked: which, and where to; less those that cannot come or have no DRAM, which stay as they are
 * @done: those that were
 *
 * The home is locked, and let go now and then so that nobody waits for long: the caller sees to
 * it that the extent stays split meanwhile. It may get another home.
 */
void hm_pages_move(struct hm_region *region, struct hm_extent *extent, u32 index,
		   struct hm_policy_pages *asked, struct hm_policy_pages *done)
{
	memset(done, 0, sizeof(*done));
	for (u32 page = 0; page < HM_EXTENT_PAGES; page += HM_BATCH) {
		if (!asked->promote[page / 64] && !asked->demote[page / 64])
			continue;
		move_batch(region, extent, index, page, asked, done);
		folio_unlock(extent->home);
		cond_resched();
		hm_extent_lock_home(extent);
	}
	trace_hmem_pages(region, index, asked, done);
}

/**
 * hm_pages_store - somebody is about to store to a page of a split extent
 * @held: a folio that the caller has a reference to, or NULL
 *
 * Under the home's folio lock.
 *
 * Return: as hm_near_store().
 */
int hm_pages_store(struct hm_region *region, struct hm_extent *extent, pgoff_t pgoff,
		   const struct folio *held)
{
	u32 page = pgoff % HM_EXTENT_PAGES;
	struct folio *near = hm_page_near(hm_pages(extent), page);

	if (!near)
		return 0;
	if (!region->persistent) {
		set_dirty(region, extent, page, true);
		return 0;
	}
	folio_lock(near);
	unmap_near(region, pgoff >> HM_EXTENT_ORDER, page, near);
	if (hm_pinned(near, held == near ? 2 : 1)) {
		folio_unlock(near);
		return -EAGAIN;
	}
	retire(region, extent, page);
	return 0;
}

static enum hmem_moved demote_all(struct hm_region *region, struct hm_extent *extent, u32 index)
{
	enum hmem_moved all = HMEM_MOVED, one;
	struct folio *near;
	u32 page;

	hm_near_for_each(extent, near, page) {
		folio_lock(near);
		one = demote(region, extent, index, page);
		if (one != HMEM_MOVED)
			all = one;
	}
	return all;
}

/**
 * hm_pages_go_home - give up all near pages of a split extent
 *
 * The home is locked, also while batches that may hold some of them are emptied. Not in reclaim.
 *
 * Return: HMEM_MOVED: none is left; or what became of one that is.
 */
enum hmem_moved hm_pages_go_home(struct hm_region *region, struct hm_extent *extent, u32 index)
{
	enum hmem_moved result = demote_all(region, extent, index);

	if (result == HMEM_MOVED_PINNED && hm_batches_wait())
		result = demote_all(region, extent, index);
	return result;
}

/**
 * hm_pages_discard - give up a near page of a split extent with what it has
 *
 * The home is locked.
 *
 * Return: false when somebody holds it.
 */
bool hm_pages_discard(struct hm_region *region, struct hm_extent *extent, u32 index, u32 page)
{
	struct folio *near = hm_page_near(hm_pages(extent), page);

	folio_lock(near);
	unmap_near(region, index, page, near);
	if (hm_pinned(near, 1)) {
		folio_unlock(near);
		return false;
	}
	retire(region, extent, page);
	return true;
}

/**
 * hm_pages_yield - give up near pages of a split extent because memory is short
 * @dirty: also those that were stored to
 *
 * The home is locked. Waits for no folio's lock.
 *
 * Return: how many were given up.
 */
unsigned int hm_pages_yield(struct hm_region *region, struct hm_extent *extent, u32 index,
			    bool dirty)
{
	unsigned int freed = 0;
	struct folio *near;
	u32 page;

	hm_near_for_each(extent, near, page) {
		if ((dirty || !(hm_pages(extent)[page] & HM_PAGE_DIRTY)) && folio_trylock(near))
			freed += demote(region, extent, index, page) == HMEM_MOVED;
	}
	return freed;
}

/** hm_pages_drop - hm_near_drop() of a split extent, which is whole afterwards */
void hm_pages_drop(struct hm_region *region, struct hm_extent *extent)
{
	struct folio *near;
	u32 page;

	hm_near_for_each(extent, near, page) {
		folio_lock(near);
		retire(region, extent, page);
	}
	hm_pages_free(hm_pages_detach(extent));
}

static u64 *alloc_table(struct hm_region *region, struct hm_extent *extent, u32 index)
{
	struct mem_cgroup *before = hm_charge_to(region->memcg);
	u64 *pages = (u64 *)get_zeroed_page(HM_GFP_SPARE);

	BUILD_BUG_ON(HM_EXTENT_PAGES * sizeof(u64) > PAGE_SIZE);
	/* All that is kept of an extent: 0.2 % of it. */
	BUILD_BUG_ON((sizeof(*extent) + sizeof(struct hm_copy) + PAGE_SIZE) * 500 > HM_EXTENT_BYTES);
	hm_charge_to(before);
	if (!pages)
		return NULL;
	set_page_private(virt_to_page(pages),
			 (unsigned long)hm_copy_alloc(region, extent, index));
	if (page_private(virt_to_page(pages)))
		return pages;
	free_page((unsigned long)pages);
	return NULL;
}

/** hm_pages_free - a table that hm_pages_detach() returned */
void hm_pages_free(u64 *pages)
{
	struct page *table = virt_to_page(pages);

	hm_copy_free((struct hm_copy *)page_private(table));
	set_page_private(table, 0);
	__free_page(table);
}

/** hm_pages_detach - a split extent without near pages is whole from now on; its home is locked */
u64 *hm_pages_detach(struct hm_extent *extent)
{
	u64 *pages = hm_pages(extent);

	WRITE_ONCE(extent->front, 0);
	if (!(extent->flags & HM_EXTENT_BAD) && folio_test_has_hwpoisoned(extent->home))
		folio_clear_has_hwpoisoned(extent->home);
	return pages;
}

/* What keeps an extent, whose home is locked, from being split. */
static enum hmem_moved may_split(const struct hm_extent *extent)
{
	if (hm_pages(extent))
		return HMEM_MOVED_ALREADY;
	if (extent->front || extent->flags & HM_EXTENT_MOVING)
		return HMEM_MOVED_BUSY;
	return extent->flags & HM_EXTENT_KEEP ? HMEM_MOVED_KEPT : HMEM_MOVED;
}

/**
 * hm_split - split an extent, which is at home then
 * @index: number of the extent in the region
 *
 * Under hm_srcu. Nobody but the caller splits extents of the region.
 */
enum hmem_moved hm_split(struct hm_region *region, u32 index)
{
	enum hmem_moved result = hm_near_demote(region, index, true);
	struct hm_extent *extent;
	u64 *pages;

	if (result != HMEM_MOVED && result != HMEM_MOVED_ALREADY)
		return result;
	pages = alloc_table(region, hm_table_find(&region->table, index), index);
	if (!pages)
		return HMEM_MOVED_NO_MEMORY;
	extent = hm_extent_lock(region, index);
	if (IS_ERR(extent)) {
		hm_pages_free(pages);
		return hm_extent_unmoved(extent, HMEM_MOVED_UNTOUCHED);
	}
	result = may_split(extent);
	if (result == HMEM_MOVED) {
		/* No process maps more than a page at once from now on, whoever makes its tables. */
		folio_set_has_hwpoisoned(extent->home);
		hm_extent_unmap(region, index);
		WRITE_ONCE(extent->front, (unsigned long)pages | HM_FRONT_PAGES);
	} else {
		hm_pages_free(pages);
	}
	folio_unlock(extent->home);
	return result;
}
