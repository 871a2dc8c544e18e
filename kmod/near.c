// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: near copies
 *
 * A near copy is DRAM in front of an extent's home. While there is one it alone is mapped,
 * read and written; the home stays, and takes the data back when the copy is given up.
 * While there is none the home is.
 *
 * A copy is made in three steps. Begin, under the home's folio lock: every mapping is made
 * read-only, so that whoever stores comes through page_mkwrite, which takes the same lock;
 * HM_EXTENT_MOVING keeps other movers off. Copy, without a lock: readers go on. Finish, under
 * the lock: unless HM_EXTENT_STORED says that somebody stored, the mappings are zapped, and if
 * nobody but the module holds a reference then, the other folio takes over. Pins that were
 * there at the beginning are seen at the beginning, and new ones to store through need a fault.
 * In a region that somebody has mapped while it could have no near copies (file.c: plain)
 * mappings are zapped instead, and each fault of his counts as a store. With @force it is all
 * done under the lock and without a mapping, and who faults waits.
 *
 * In front of a persistent home a copy is for reading only: the home's lines are written back
 * before it is made, since a write-back of the application's would reach the copy from then
 * on; and the first store drops it.
 */
#define pr_fmt(fmt) "hmem: " fmt

#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/rmap.h>
#include <linux/uaccess.h>

#include "near.h"
#include "poison.h"
#include "trace.h"

static struct folio *alloc_near(struct hm_region *region, struct hm_extent *extent, u32 index)
{
	struct folio *near = hm_dram_get(region, HM_EXTENT_ORDER);
	struct hm_copy *copy;

	if (IS_ERR(near))
		return near;
	copy = hm_copy_alloc(region, extent, index);
	if (!copy) {
		hm_dram_put(region, near);
		return ERR_PTR(-ENOMEM);
	}
	near->private = copy;
	return near;
}

/* It is an ordinary folio again. */
static void mark_good(struct folio *near)
{
	if (folio_test_has_hwpoisoned(near))
		folio_clear_has_hwpoisoned(near);
}

static void free_near(struct hm_region *region, struct folio *near)
{
	hm_copy_free(near->private);
	mark_good(near);
	hm_dram_put(region, near);
}

/*
 * References are counted before the mappings: who unmaps takes the count of mappings down
 * before them. Who maps does so under the folio's lock, but for fork(2) in a mapping that is
 * registered with userfaultfd.
 */
static bool is_held(const struct folio *folio, int own)
{
	int before = folio_mapcount(folio), refs;

	smp_rmb();	/* in this order, as said above */
	refs = folio_ref_count(folio);
	smp_rmb();	/* and this again afterwards */
	return refs != own + before || before != folio_mapcount(folio);
}

/**
 * hm_pinned - whether somebody holds a folio besides its mappings and the module
 * @own: references that the module has
 *
 * Also what nobody holds may be said to be held, for a while: the core gives some references to
 * small folios back later (batches.c), and the fault that has mapped a folio its own when it has
 * let the lock go. So it is to be asked once more, and for small folios it is seen to that the
 * answer is another one then.
 */
bool hm_pinned(struct folio *folio, int own)
{
	if (likely(!is_held(folio, own)))
		return false;
	if (hm_batches_empty(folio) && !is_held(folio, own))
		return false;
	hm_batches_kick(folio);
	return true;
}

/* Pages that are in @skip are not copied; those whose memory reports an error are in @met then. */
static void copy_extent(struct hm_region *region, struct folio *to, struct folio *from,
			const unsigned long *skip, unsigned long *met)
{
	void *dst = folio_address(to), *src = folio_address(from);
	u64 began = ktime_get_ns();
	unsigned long i, pages = 0;

	for (i = 0; i < HM_EXTENT_PAGES; i++) {
		if (test_bit(i, skip))
			continue;
		if (copy_mc_to_kernel(dst + i * PAGE_SIZE, src + i * PAGE_SIZE, PAGE_SIZE))
			__set_bit(i, met);
		else
			pages++;
		if (i % 64 == 63)
			cond_resched();
	}
	atomic64_add(pages * PAGE_SIZE, &region->near.copied);
	atomic64_add(ktime_get_ns() - began, &region->near.copy_ns);
}

static void set_dirty(struct hm_region *region, struct hm_extent *extent, bool dirty)
{
	int pages = dirty ? (int)HM_EXTENT_PAGES : -(int)HM_EXTENT_PAGES;

	if (dirty == !!(extent->flags & HM_EXTENT_DIRTY))
		return;
	extent->flags ^= HM_EXTENT_DIRTY;
	hm_copy_count(hm_copy_of(extent), 0, pages);
	atomic_long_add(pages, &region->near.dirty);
}

/* The home takes over; the near copy is locked, clean and not mapped. */
static void retire(struct hm_region *region, struct hm_extent *extent)
{
	struct folio *near = hm_near(extent);

	set_dirty(region, extent, false);
	hm_copy_count(near->private, -(int)HM_EXTENT_PAGES, 0);
	extent->front = 0;
	near->mapping = NULL;
	near->index = 0;
	folio_clear_dirty(near);
	folio_unlock(near);
	free_near(region, near);
	atomic64_add(HM_EXTENT_PAGES, &region->near.demoted);
}

/**
 * hm_near_drop - forget an extent's near copy, whatever it holds
 *
 * The home is locked, and the extent out of reach and not mapped. Who still holds pages of
 * the copy keeps them; they are nobody else's.
 */
void hm_near_drop(struct hm_region *region, struct hm_extent *extent)
{
	struct folio *near = hm_near(extent);

	if (!near)
		return;
	folio_lock(near);
	retire(region, extent);
}

/**
 * hm_near_store - somebody is about to store to an extent
 * @held: a folio that the caller has a reference to, or NULL
 *
 * Under the home's folio lock. A copy that is being made counts no more.
 *
 * Return: 0, or -EAGAIN: the near copy has to go and is pinned; to be tried again without
 * the lock.
 */
int hm_near_store(struct hm_region *region, struct hm_extent *extent, u32 index,
		  const struct folio *held)
{
	struct folio *near = hm_near(extent);

	extent->flags |= HM_EXTENT_STORED;
	if (!near)
		return 0;
	if (!region->persistent) {
		set_dirty(region, extent, true);
		return 0;
	}
	folio_lock(near);
	hm_extent_unmap(region, index);
	if (hm_pinned(near, held == near ? 2 : 1)) {
		folio_unlock(near);
		return -EAGAIN;
	}
	retire(region, extent);
	hm_poison_home(region, extent, index);
	return 0;
}

/*
 * Under its lock, before a folio is copied: from now on whoever stores to it comes through a
 * fault. In a plain mapping only what is not mapped does, and folio_mkclean() must be sure to find
 * all through which anybody stores.
 */
static void quiesce(struct hm_region *region, struct folio *folio, u32 index, bool force)
{
	if (force || region->persistent || READ_ONCE(region->plain) || HM_TABLES_GO_FIRST)
		hm_extent_unmap(region, index);
	else
		folio_mkclean(folio);
}

/* Home is locked: may a near copy of it be made? It is ready to be copied if so. */
static enum hmem_moved begin_promotion(struct hm_region *region, struct hm_extent *extent,
				       u32 index, bool force)
{
	if (hm_near(extent))
		return HMEM_MOVED_ALREADY;
	if (extent->flags & HM_EXTENT_MOVING || hm_pages(extent))
		return HMEM_MOVED_BUSY;
	if (extent->flags & HM_EXTENT_KEEP_HOME)
		return HMEM_MOVED_KEPT;
	quiesce(region, extent->home, index, force);
	if (hm_pinned(extent->home, 1))
		return HMEM_MOVED_PINNED;
	/* Nobody stores to it any more: who held it has let go, and nobody has it mapped. */
	if (region->persistent)
		hm_home_write_back(hm_extent_pool(region, extent), extent->index, 0,
				   HM_EXTENT_BYTES);
	return HMEM_MOVED;
}

/* Nobody else moves the extent until end_copy(). Its home is locked. */
static void begin_copy(struct hm_extent *extent)
{
	extent->flags = (extent->flags & ~HM_EXTENT_STORED) | HM_EXTENT_MOVING;
}

/* Whether the copy is worth something: nobody stored, and the extent was not cut off. */
static bool end_copy(struct hm_extent *extent)
{
	bool good = extent->flags & HM_EXTENT_MOVING && !(extent->flags & HM_EXTENT_STORED);

	extent->flags &= ~HM_EXTENT_MOVING;
	return good;
}

/* Home is locked and a copy was made: may it take over? */
static enum hmem_moved finish_promotion(struct hm_region *region, struct hm_extent *extent,
					struct folio *near, u32 index)
{
	hm_extent_unmap(region, index);
	if (hm_pinned(extent->home, 1))
		return HMEM_MOVED_PINNED;
	/* A bound that was lowered meanwhile has not seen this one. */
	if (atomic_long_read(&region->near.pages) > hm_near_bound(&region->near))
		return HMEM_MOVED_OVER_BOUND;
	/* Whoever hears of a page of it from now on finds it in the extent. */
	if (hm_folio_bad(near))
		return HMEM_MOVED_NO_MEMORY;
	near->index = extent->home->index;
	near->mapping = region->inode->i_mapping;
	extent->front = (unsigned long)near;
	hm_copy_count(near->private, HM_EXTENT_PAGES, 0);
	if (unlikely(extent->flags & HM_EXTENT_BAD))
		hm_poison_refresh(region, extent, index);
	atomic64_add(HM_EXTENT_PAGES, &region->near.promoted);
	return HMEM_MOVED;
}

/* What was not copied is nobody's data, and must be none of whoever had the memory before. */
static void wipe(struct folio *near, const unsigned long *skip, const unsigned long *met)
{
	unsigned long i;

	for (i = 0; i < HM_EXTENT_PAGES; i++)
		if (test_bit(i, skip) || test_bit(i, met))
			clear_page(folio_address(near) + i * PAGE_SIZE);
}

/* Under the lock again: the pages that could not be copied are lost, alone. */
static bool settle(struct hm_region *region, struct hm_extent *extent, u32 index,
		   enum hmem_place from, const unsigned long *skip, const unsigned long *met)
{
	if (likely(bitmap_empty(skip, HM_EXTENT_PAGES) && bitmap_empty(met, HM_EXTENT_PAGES)))
		return true;
	return hm_poison_met(region, extent, index, from, skip, met);
}

static enum hmem_moved promote(struct hm_region *region, u32 index, struct folio *near,
			       bool force)
{
	DECLARE_BITMAP(skip, HM_EXTENT_PAGES) = {};
	DECLARE_BITMAP(met, HM_EXTENT_PAGES) = {};
	struct hm_extent *extent = hm_extent_lock(region, index);
	enum hmem_moved result;
	struct folio *home;

	if (IS_ERR(extent))
		return hm_extent_unmoved(extent, HMEM_MOVED_UNTOUCHED);
	home = extent->home;
	result = begin_promotion(region, extent, index, force);
	if (result != HMEM_MOVED)
		goto unlock;
	begin_copy(extent);
	hm_poison_skip(region, extent, index, HMEM_HOME, skip);
	if (!force)
		folio_unlock(home);
	copy_extent(region, near, home, skip, met);
	wipe(near, skip, met);
	if (!force)
		folio_lock(home);
	if (!end_copy(extent))
		result = HMEM_MOVED_WRITTEN;
	else if (!settle(region, extent, index, HMEM_HOME, skip, met))
		result = HMEM_MOVED_POISONED;
	else
		result = finish_promotion(region, extent, near, index);
unlock:
	folio_unlock(home);
	return result;
}

/**
 * hm_near_promote - make a near copy of an extent
 * @index: number of the extent in the region
 * @force: keep whoever wants the extent waiting while it is copied
 *
 * Under hm_srcu. An extent that nobody has touched stays so.
 */
enum hmem_moved hm_near_promote(struct hm_region *region, u32 index, bool force)
{
	struct hm_extent *extent = hm_table_find(&region->table, index);
	enum hmem_moved result;
	struct folio *near;

	if (!extent || !READ_ONCE(extent->home))
		return HMEM_MOVED_UNTOUCHED;
	if (hm_near(extent))
		return HMEM_MOVED_ALREADY;
	if (READ_ONCE(extent->flags) & HM_EXTENT_KEEP_HOME)
		return HMEM_MOVED_KEPT;
	near = alloc_near(region, extent, index);
	if (IS_ERR(near))
		return PTR_ERR(near) == -EDQUOT ? HMEM_MOVED_OVER_BOUND : HMEM_MOVED_NO_MEMORY;
	result = promote(region, index, near, force);
	if (result == HMEM_MOVED_WRITTEN)
		atomic64_add(HM_EXTENT_PAGES, &region->near.aborted);
	if (result != HMEM_MOVED)
		free_near(region, near);
	trace_hmem_move(region, index, HMEM_NEAR, result);
	return result;
}

/*
 * The near copy's data go home. Both are locked, and again afterwards; in between they are
 * not unless @force.
 */
static enum hmem_moved copy_home(struct hm_region *region, struct hm_extent *extent,
				 struct folio *near, u32 index, bool force)
{
	DECLARE_BITMAP(skip, HM_EXTENT_PAGES) = {};
	DECLARE_BITMAP(met, HM_EXTENT_PAGES) = {};
	struct folio *home = extent->home;

	begin_copy(extent);
	hm_poison_skip(region, extent, index, HMEM_NEAR, skip);
	if (!force) {
		folio_unlock(near);
		folio_unlock(home);
	}
	copy_extent(region, home, near, skip, met);
	if (!force) {
		folio_lock(home);
		folio_lock(near);
	}
	if (!end_copy(extent))
		return HMEM_MOVED_WRITTEN;
	if (!settle(region, extent, index, HMEM_NEAR, skip, met))
		return HMEM_MOVED_POISONED;
	set_dirty(region, extent, false);
	return HMEM_MOVED;
}

/* Home and near copy are locked, and the caller has a reference to the latter. */
static enum hmem_moved demote(struct hm_region *region, struct hm_extent *extent,
			      struct folio *near, u32 index, bool force)
{
	enum hmem_moved result;

	if (hm_poison_keeps(region, extent, index))
		return HMEM_MOVED_POISONED;
	if (extent->flags & HM_EXTENT_DIRTY) {
		quiesce(region, near, index, force);
		if (hm_pinned(near, 2))
			return HMEM_MOVED_PINNED;
		result = copy_home(region, extent, near, index, force);
		if (result != HMEM_MOVED)
			return result;
	}
	hm_extent_unmap(region, index);
	if (hm_pinned(near, 2))
		return HMEM_MOVED_PINNED;
	retire(region, extent);
	hm_poison_home(region, extent, index);
	return HMEM_MOVED;
}

/**
 * hm_near_demote - give up the near copy of an extent
 * @index: number of the extent in the region
 * @force: keep whoever wants the extent waiting while it is copied
 *
 * Under hm_srcu.
 */
enum hmem_moved hm_near_demote(struct hm_region *region, u32 index, bool force)
{
	struct hm_extent *extent = hm_table_find(&region->table, index);
	struct folio *home, *near;
	enum hmem_moved result;

	if (!extent || !READ_ONCE(extent->home))
		return HMEM_MOVED_UNTOUCHED;
	if (!hm_near(extent))
		return HMEM_MOVED_ALREADY;
	home = hm_extent_lock_home(extent);
	if (!home)
		return HMEM_MOVED_UNTOUCHED;
	near = hm_extent_lost(region, extent) ? NULL : hm_near(extent);
	if (!near) {
		folio_unlock(home);
		return HMEM_MOVED_ALREADY;
	}
	if (extent->flags & (HM_EXTENT_MOVING | HM_EXTENT_KEEP_NEAR)) {
		result = extent->flags & HM_EXTENT_MOVING ? HMEM_MOVED_BUSY : HMEM_MOVED_KEPT;
		folio_unlock(home);
		return result;
	}
	folio_get(near);
	folio_lock(near);
	result = demote(region, extent, near, index, force);
	if (result != HMEM_MOVED)
		folio_unlock(near);
	folio_put(near);
	folio_unlock(home);
	if (result == HMEM_MOVED_WRITTEN)
		atomic64_add(HM_EXTENT_PAGES, &region->near.aborted);
	trace_hmem_move(region, index, HMEM_HOME, result);
	return result;
}

/**
 * hm_near_yield - give up the near copy of an extent because memory is short
 *
 * The home is locked. Waits for no folio's lock.
 *
 * Return: pages that were given up.
 */
unsigned int hm_near_yield(struct hm_region *region, struct hm_extent *extent, u32 index)
{
	struct folio *near = hm_near(extent);
	enum hmem_moved result;

	if (!folio_trylock(near))
		return 0;
	folio_get(near);
	result = demote(region, extent, near, index, true);
	if (result != HMEM_MOVED)
		folio_unlock(near);
	folio_put(near);
	trace_hmem_move(region, index, HMEM_HOME, result);
	return result == HMEM_MOVED ? HM_EXTENT_PAGES : 0;
}
