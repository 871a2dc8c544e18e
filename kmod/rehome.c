// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: another home
 *
 * An extent's home moves to another pool of the same kind, under whoever uses it. It is done
 * under the lock of the old home, with every mapping taken away: who touches the extent
 * waits for that lock, and finds that the home is another one then. Nobody can know the new
 * one before, so that its lock is taken under the old one's.
 *
 * What lies in front of the home stays what it is, with its pins: it is what is mapped, and just
 * stands before another home. What it has comes from there, since the old home may be bad; what
 * is dirty need not come. A page that neither can be read of is lost, as it was before.
 */
#include <linux/pagemap.h>
#include <linux/uaccess.h>

#include "layout.h"
#include "near.h"
#include "poison_private.h"
#include "store.h"
#include "trace.h"

static bool is_dirty(const struct hm_extent *extent, u32 page)
{
	const u64 *pages = hm_pages(extent);

	return pages ? pages[page] & HM_PAGE_DIRTY : extent->flags & HM_EXTENT_DIRTY;
}

static void *near_address(const struct hm_extent *extent, u32 page)
{
	return folio_address(hm_near_of(extent, page)) + (hm_pages(extent) ? 0 : page * PAGE_SIZE);
}

/*
 * A page of the new home gets what the region has there. False: it is lost, and there is no
 * memory to remember that.
 */
static bool copy_one(struct hm_region *region, const struct hm_extent *extent, void *to,
		     struct folio *old, pgoff_t pgoff)
{
	u32 page = pgoff % HM_EXTENT_PAGES;
	unsigned long bits = hm_bad_bits(region, pgoff);
	bool known = hm_home_bad(hm_extent_pool(region, extent), extent->index, page);

	if (bits & HM_BAD_LOST) {
		clear_page(to);
		return true;
	}
	if (hm_near_of(extent, page) && !(bits & HM_BAD_NEAR) &&
	    (is_dirty(extent, page) ||
	     !copy_mc_to_kernel(to, near_address(extent, page), PAGE_SIZE)))
		return true;
	if (!known && !copy_mc_to_kernel(to, folio_address(old) + page * PAGE_SIZE, PAGE_SIZE))
		return true;
	/* That extent is not carved again then. */
	if (!known && !hm_poison_note_home(region, extent, page, GFP_KERNEL))
		return false;
	if (!hm_poison_set(region, pgoff, HM_BAD_LOST, GFP_KERNEL))
		return false;
	/* That it is lost is not on the media, and what was there before is somebody else's. */
	clear_page(to);
	if (!known)
		hm_poison_report(region, pgoff, 1);
	return true;
}

static bool copy_home(struct hm_region *region, const struct hm_extent *extent, u32 index,
		      struct folio *to, struct folio *from)
{
	pgoff_t first = (pgoff_t)index << HM_EXTENT_ORDER;

	for (unsigned long i = 0; i < HM_EXTENT_PAGES; i++) {
		if (!copy_one(region, extent, folio_address(to) + i * PAGE_SIZE, from, first + i))
			return false;
		if (i % 64 == 63)
			cond_resched();
	}
	return true;
}

/* Both are locked. */
static void switch_home(struct hm_extent *extent, struct folio *old, struct folio *new,
			const struct hm_place *place)
{
	new->index = old->index;
	new->mapping = old->mapping;
	old->mapping = NULL;
	old->index = 0;
	folio_clear_dirty(old);
	extent->index = place->index;
	extent->gen = place->gen;
	extent->part = place->part;
	smp_store_release(&extent->home, new);
}

/* The old home is locked. */
static enum hmem_moved rehome(struct hm_region *region, struct hm_extent *extent, u32 index,
			      struct folio *old, const struct hm_place *place)
{
	const struct hm_place now = hm_extent_place(extent);
	struct hm_pool *to = region->parts[place->part].pool;
	struct folio *new;

	if (extent->state == HM_EXTENT_FAILED)
		return HMEM_MOVED_POISONED;
	if (hm_place_same(&now, place))
		return HMEM_MOVED_ALREADY;
	if (extent->flags & HM_EXTENT_MOVING)
		return HMEM_MOVED_BUSY;
	hm_extent_unmap(region, index);
	if (hm_pinned(old, 1))
		return HMEM_MOVED_PINNED;
	new = hm_pool_folio(to, place->index);
	folio_lock(new);
	/* It has gone bad since it was chosen. */
	if (hm_poison_in(to, place->index)) {
		folio_unlock(new);
		return HMEM_MOVED_POISONED;
	}
	if (extent->state == HM_EXTENT_READY && !copy_home(region, extent, index, new, old)) {
		hm_poison_refresh(region, extent, index);
		folio_unlock(new);
		return HM_CAN_MARK ? HMEM_MOVED_NO_MEMORY : HMEM_MOVED_POISONED;
	}
	/* From then on it is there, also after a loss of power. */
	if (region->persistent && extent->state == HM_EXTENT_READY) {
		hm_home_write_back(to, place->index, 0, HM_EXTENT_BYTES);
		hm_store_set_tag(to, place);
	}
	if (extent->flags & HM_EXTENT_BAD)
		hm_poison_tell_leaving(region, extent, index);
	switch_home(extent, old, new, place);
	if (folio_test_has_hwpoisoned(old))
		folio_clear_has_hwpoisoned(old);
	hm_poison_refresh(region, extent, index);
	folio_unlock(new);
	return HMEM_MOVED;
}

/**
 * hm_extent_rehome - move an extent's home
 * @place: where to; it is the region's, and nobody else's
 *
 * Under hm_lock. Who wants the extent waits while it is copied.
 */
enum hmem_moved hm_extent_rehome(struct hm_region *region, struct hm_extent *extent, u32 index,
				 const struct hm_place *place)
{
	struct folio *old = hm_extent_lock_home(extent);
	enum hmem_moved result;

	lockdep_assert_held(&hm_lock);
	if (!old)
		return HMEM_MOVED_UNTOUCHED;
	result = rehome(region, extent, index, old, place);
	folio_unlock(old);
	trace_hmem_move(region, index, HMEM_HOME, result);
	return result;
}
