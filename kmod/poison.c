// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: poison
 *
 * Memory that reports an error when it is read. One page fails then, and the rest goes on. What
 * is known of it is kept by page, in two places:
 *
 *   pool->bad    pages whose memory is bad, by their number on the pool. It outlives regions:
 *                an extent with such a page is not carved again.
 *   region->bad  HM_BAD_LOST: the page's data are lost, wherever they would be read;
 *                HM_BAD_NEAR: they are at home, and its near copy must not be read.
 *
 * A page fails when its data are lost, or when they are at home alone and that is bad. An extent
 * of which either set has a page is HM_EXTENT_BAD, and its folios are marked as the kernel marks
 * those with a bad page (has_hwpoisoned): they are mapped page by page. All of that changes under
 * the folio lock of the extent's home.
 *
 * poison_heard.c hears of bad memory and tells of it; this file says what it means for an extent.
 */
#define pr_fmt(fmt) "hmem: " fmt

#include <linux/mm.h>
#include <linux/pagemap.h>

#include "near.h"
#include "poison_private.h"
#include "store.h"
#include "trace.h"

static bool home_bad(struct hm_region *region, const struct hm_extent *extent, pgoff_t pgoff)
{
	return xa_load(&hm_extent_pool(region, extent)->bad, hm_home_page(extent, pgoff));
}

static bool any_bad(struct xarray *set, unsigned long extent)
{
	unsigned long page = extent * HM_EXTENT_PAGES;

	return xa_find(set, &page, page + HM_EXTENT_PAGES - 1, XA_PRESENT);
}

static void mark_folio(struct folio *folio, bool bad)
{
	if (bad)
		folio_set_has_hwpoisoned(folio);
	else if (folio_test_has_hwpoisoned(folio))
		folio_clear_has_hwpoisoned(folio);
}

/** hm_poison_in - whether memory of an extent of a pool is bad */
bool hm_poison_in(struct hm_pool *pool, u32 index)
{
	return any_bad(&pool->bad, index);
}

/**
 * hm_poison_refresh - what an extent and its folios say of bad pages
 *
 * After either set, or where the data are, has changed. The home is locked.
 */
void hm_poison_refresh(struct hm_region *region, struct hm_extent *extent, u32 index)
{
	bool bad = any_bad(&hm_extent_pool(region, extent)->bad, extent->index) ||
		   any_bad(&region->bad, index);

	extent->flags = (extent->flags & ~HM_EXTENT_BAD) | (bad ? HM_EXTENT_BAD : 0);
	/* A split extent is mapped page by page in any case: hm_split(). */
	mark_folio(extent->home, bad || hm_pages(extent));
	if (hm_near(extent))
		mark_folio(hm_near(extent), bad);
}

/** hm_poison_report - tell a region's users, and the log, that pages are bad */
void hm_poison_report(struct hm_region *region, pgoff_t pgoff, unsigned long pages)
{
	u64 offset = (u64)pgoff << PAGE_SHIFT, bytes = (u64)pages << PAGE_SHIFT;

	dev_err_ratelimited(&region->dev, "memory error at offset %#llx, %llu bytes\n", offset,
			    bytes);
	trace_hmem_poison(region, offset, bytes);
	hm_event(region, HMEM_EVENT_POISON, offset, bytes);
}

/* What lies in front of a page is not to be read; the home is locked. */
static bool give_up(struct hm_region *region, struct hm_extent *extent, u32 index, u32 page)
{
	if (hm_pages(extent))
		return hm_pages_discard(region, extent, index, page);
	return !(extent->flags & HM_EXTENT_MOVING) && hm_near_yield(region, extent, index);
}

/**
 * hm_poison_check - may a page be read, or stored to?
 *
 * The home is locked. What the home still has and its near copy has not goes home first.
 *
 * Return: 0; -EHWPOISON: no; -EAGAIN: somebody holds the near copy, to be tried again without
 * the lock.
 */
int hm_poison_check(struct hm_region *region, struct hm_extent *extent, pgoff_t pgoff, bool store)
{
	u32 index = pgoff >> HM_EXTENT_ORDER, page = pgoff % HM_EXTENT_PAGES;
	unsigned long bits = hm_bad_bits(region, pgoff);

	if (bits & HM_BAD_LOST)
		return -EHWPOISON;
	if (bits & HM_BAD_NEAR && hm_near_of(extent, page) &&
	    !give_up(region, extent, index, page))
		/* Not to be waited for: it has what another home could not take. */
		return !hm_pages(extent) && hm_poison_keeps(region, extent, index) ? -EHWPOISON :
										     -EAGAIN;
	/* A store goes to a persistent home, whatever is near. */
	if (hm_near_of(extent, page) && !(store && region->persistent))
		return 0;
	return home_bad(region, extent, pgoff) ? -EHWPOISON : 0;
}

/**
 * hm_poison_room - how much of an extent can be read or written at once
 * @position: where in the region; that page is good
 * @bytes: how much is wanted, within the extent
 * @folio: which has the data; referenced
 */
size_t hm_poison_room(struct hm_region *region, loff_t position, size_t bytes,
		      const struct folio *folio)
{
	pgoff_t last = (position + bytes - 1) >> PAGE_SHIFT, pgoff;
	int srcu = srcu_read_lock(&hm_srcu);
	struct hm_extent *extent = hm_table_find(&region->table, position >> HM_EXTENT_SHIFT);
	bool near = folio != READ_ONCE(extent->home);

	for (pgoff = (position >> PAGE_SHIFT) + 1;
	     bytes && pgoff <= last && READ_ONCE(extent->flags) & HM_EXTENT_BAD; pgoff++) {
		if (hm_bad_bits(region, pgoff) || (!near && home_bad(region, extent, pgoff))) {
			bytes = ((loff_t)pgoff << PAGE_SHIFT) - position;
			break;
		}
	}
	srcu_read_unlock(&hm_srcu, srcu);
	return bytes;
}

/**
 * hm_home_bad - is the memory of a page on a pool bad?
 * @index: number of its extent on the pool
 * @page: of the page in it
 */
bool hm_home_bad(struct hm_pool *pool, u32 index, u32 page)
{
	return xa_load(&pool->bad, (unsigned long)index * HM_EXTENT_PAGES + page);
}

/**
 * hm_home_write_back - make part of a persistent home durable, but for bad pages
 * @index: number of the extent on the pool
 *
 * The kernel may have taken bad pages out of its own mapping.
 */
void hm_home_write_back(struct hm_pool *pool, u32 index, size_t from, size_t bytes)
{
	void *address = folio_address(hm_pool_folio(pool, index));
	size_t end = from + bytes, stop, next;

	for (; from < end; from = next) {
		unsigned long first = (unsigned long)index * HM_EXTENT_PAGES;
		unsigned long page = first + (from >> PAGE_SHIFT);

		stop = end;
		next = end;
		if (xa_find(&pool->bad, &page, first + ((end - 1) >> PAGE_SHIFT), XA_PRESENT)) {
			stop = max(from, (page - first) << PAGE_SHIFT);
			next = (page - first + 1) << PAGE_SHIFT;
		}
		if (stop > from)
			hm_write_back(address + from, stop - from);
	}
}

/* Moving */

/**
 * hm_poison_skip - pages that need not be copied, as nothing is there to be read
 * @place: where they would be read
 * @skip: HM_EXTENT_PAGES bits, all zero; out: one for each such page
 */
void hm_poison_skip(struct hm_region *region, const struct hm_extent *extent, u32 index,
		    enum hmem_place place, unsigned long *skip)
{
	pgoff_t first = (pgoff_t)index << HM_EXTENT_ORDER;

	if (likely(!(extent->flags & HM_EXTENT_BAD)))
		return;
	for (u32 i = 0; i < HM_EXTENT_PAGES; i++)
		if (hm_bad_bits(region, first + i) ||
		    (place == HMEM_HOME && home_bad(region, extent, first + i)))
			__set_bit(i, skip);
}

/** hm_poison_keeps - whether a near copy has data that its home could not take; home is locked */
bool hm_poison_keeps(struct hm_region *region, const struct hm_extent *extent, u32 index)
{
	pgoff_t first = (pgoff_t)index << HM_EXTENT_ORDER;

	if (likely(!(extent->flags & HM_EXTENT_BAD)))
		return false;
	for (u32 i = 0; i < HM_EXTENT_PAGES; i++)
		if (home_bad(region, extent, first + i) && !hm_bad_bits(region, first + i))
			return true;
	return false;
}

/** hm_poison_set - remember what is bad of a page of a region; false: that cannot be done */
bool hm_poison_set(struct hm_region *region, pgoff_t pgoff, unsigned long bits, gfp_t gfp)
{
	return HM_CAN_MARK &&
	       !xa_err(xa_store(&region->bad, pgoff, xa_mk_value(bits), gfp));
}

/**
 * hm_poison_note_home - a page of an extent reported an error when it was read at home
 *
 * The home is locked, and whoever has it is told by the caller.
 *
 * Return: false: no memory to remember it.
 */
bool hm_poison_note_home(struct hm_region *region, const struct hm_extent *extent, u32 page,
			 gfp_t gfp)
{
	struct xarray *bad = &hm_extent_pool(region, extent)->bad;

	if (!HM_CAN_MARK || xa_err(xa_store(bad, hm_home_page(extent, page), xa_mk_value(1), gfp)))
		return false;
	xa_set_mark(bad, hm_home_page(extent, page), HM_TOLD);
	return true;
}

/* One page that was perhaps not copied, because it was @skipped, or @met; false: no memory. */
static bool note_uncopied(struct hm_region *region, struct hm_extent *extent, pgoff_t pgoff,
			  enum hmem_place place, bool skipped, bool met)
{
	const gfp_t gfp = GFP_NOWAIT | __GFP_NOWARN;

	if (met && place == HMEM_HOME &&
	    !hm_poison_note_home(region, extent, pgoff % HM_EXTENT_PAGES, gfp))
		return false;
	/* At home there may still be what a near copy that went bad has not. */
	if (!met && !(skipped && place == HMEM_HOME))
		return true;
	return hm_poison_set(region, pgoff, HM_BAD_LOST, gfp);
}

/**
 * hm_poison_met - a copy of an extent was made, but for some pages
 * @place: from where
 * @skip: pages that were not copied
 * @met: pages that reported an error
 *
 * The home is locked. What was not copied is lost where the copy is; when it was copied from
 * home, that is bad. Nobody has the extent mapped when its users are told.
 *
 * Return: false: no memory to remember it; then the copy must not be used.
 */
bool hm_poison_met(struct hm_region *region, struct hm_extent *extent, u32 index,
		   enum hmem_place place, const unsigned long *skip, const unsigned long *met)
{
	pgoff_t first = (pgoff_t)index << HM_EXTENT_ORDER;
	bool noted = true;
	u32 i;

	for (i = 0; i < HM_EXTENT_PAGES && noted; i++)
		noted = note_uncopied(region, extent, first + i, place, test_bit(i, skip),
				      test_bit(i, met));
	hm_poison_refresh(region, extent, index);
	if (bitmap_empty(met, HM_EXTENT_PAGES))
		return noted;
	hm_extent_unmap(region, index);
	for_each_set_bit(i, met, HM_EXTENT_PAGES)
		if (hm_bad_bits(region, first + i) || home_bad(region, extent, first + i))
			hm_poison_report(region, first + i, 1);
	return noted;
}

/** hm_poison_home - the near copy of an extent is given up: what it had is of no interest */
void hm_poison_home(struct hm_region *region, struct hm_extent *extent, u32 index)
{
	unsigned long first = (unsigned long)index << HM_EXTENT_ORDER, pgoff;
	void *entry;

	if (likely(!(extent->flags & HM_EXTENT_BAD)))
		return;
	xa_for_each_range(&region->bad, pgoff, entry, first, first + HM_EXTENT_PAGES - 1)
		if (xa_to_value(entry) == HM_BAD_NEAR)
			xa_erase(&region->bad, pgoff);
	hm_poison_refresh(region, extent, index);
}

/** hm_poison_forget - what was lost of extents @from to @last is no matter any more */
void hm_poison_forget(struct hm_region *region, u32 from, u32 last)
{
	unsigned long first = (unsigned long)from << HM_EXTENT_ORDER, pgoff;
	void *entry;

	xa_for_each_range(&region->bad, pgoff, entry, first,
			  ((unsigned long)last << HM_EXTENT_ORDER) + HM_EXTENT_PAGES - 1)
		xa_erase(&region->bad, pgoff);
}

/** hm_folio_bad - whether the kernel holds a page of a DRAM folio for bad */
bool hm_folio_bad(struct folio *folio)
{
	for (long i = 0; i < folio_nr_pages(folio); i++)
		if (PageHWPoison(folio_page(folio, i)))
			return true;
	return false;
}

/**
 * hm_folio_free - give DRAM of one extent, or of a page, back
 *
 * The kernel does not look at each page of a large folio that is freed, and would give a bad
 * one to somebody else: such a folio is kept for ever.
 */
void hm_folio_free(struct folio *folio)
{
	if (folio_test_large(folio) && hm_folio_bad(folio))
		pr_warn("2 MiB of DRAM at %#llx are not given back: a page is bad\n",
			(u64)PFN_PHYS(folio_pfn(folio)));
	else
		folio_put(folio);
}
