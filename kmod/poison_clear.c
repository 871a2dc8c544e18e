// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: clearing poison
 *
 * A bad page is used again: it gets zeroes, or what a good near copy has. Where memory was bad
 * the device must have been told before; that is between it and who has CAP_SYS_ADMIN.
 */
#include <linux/capability.h>
#include <linux/libnvdimm.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/sched/signal.h>
#include <linux/set_memory.h>

#include "layout.h"
#include "near.h"
#include "poison_private.h"

/*
 * What a page at home gets instead of what it had, by stores that do not read the line first.
 * Its folio is locked.
 */
static void overwrite(struct folio *home, u32 page, const void *data, bool bad)
{
	/* When the error was real the kernel has taken the page out of its own mapping. */
	if (bad)
		clear_mce_nospec(folio_pfn(home) + page);
	memcpy_flushcache(folio_address(home) + page * PAGE_SIZE, data, PAGE_SIZE);
	pmem_wmb();
}

/* The same of one of an extent: what is near of it, or zeroes. */
static void rewrite(struct hm_region *region, struct hm_extent *extent, u32 page)
{
	const void *data = page_address(ZERO_PAGE(0));

	if (hm_near(extent))
		data = folio_address(hm_near(extent)) + page * PAGE_SIZE;
	else if (hm_near_of(extent, page))
		data = folio_address(hm_near_of(extent, page));
	overwrite(extent->home, page, data,
		  hm_home_bad(hm_extent_pool(region, extent), extent->index, page));
}

/*
 * A page is not to be read in a near copy, which best goes home. One that cannot, as it has what
 * another home has not, or is held, may keep a page that is only lost there: with zeroes.
 */
static bool leave_near(struct hm_region *region, struct hm_extent *extent, pgoff_t pgoff)
{
	u32 page = pgoff % HM_EXTENT_PAGES;
	struct folio *near;

	if (hm_pages(extent))
		return hm_pages_discard(region, extent, pgoff >> HM_EXTENT_ORDER, page);
	if (extent->flags & HM_EXTENT_MOVING)
		return false;
	if (hm_near_yield(region, extent, pgoff >> HM_EXTENT_ORDER))
		return true;
	near = hm_near(extent);
	if (hm_bad_bits(region, pgoff) & HM_BAD_NEAR || PageHWPoison(folio_page(near, page)))
		return false;
	clear_page(folio_address(near) + page * PAGE_SIZE);
	return true;
}

/*
 * Bad pages of a pool, in one extent, whose folio is locked: nothing is there yet, and so they get
 * zeroes. Return: how many, or an error.
 */
static int clear_unused(struct hm_pool *pool, unsigned long first, unsigned long last)
{
	struct folio *folio = hm_pool_folio(pool, first / HM_EXTENT_PAGES);
	unsigned long page;
	void *entry;
	int pages = 0;

	xa_for_each_range(&pool->bad, page, entry, first, last) {
		if (PageHWPoison(folio_page(folio, page % HM_EXTENT_PAGES)))
			return -EIO;
		if (!capable(CAP_SYS_ADMIN))
			return -EPERM;
		overwrite(folio, page % HM_EXTENT_PAGES, page_address(ZERO_PAGE(0)), true);
		xa_erase(&pool->bad, page);
		pages++;
	}
	return pages;
}

/* All of an extent that could not be zeroed, since no page of it is of use before. */
static int clear_unprepared(struct hm_region *region, struct hm_extent *extent)
{
	unsigned long first = (unsigned long)extent->index * HM_EXTENT_PAGES;

	return clear_unused(hm_extent_pool(region, extent), first, first + HM_EXTENT_PAGES - 1);
}

/*
 * Pages where an extent is to come to, so that it can. Under the lock of its home, with which
 * nobody brings it there.
 */
static int clear_ahead(struct hm_region *region, const struct hm_extent *extent, pgoff_t from,
		       pgoff_t end)
{
	const struct hm_layout *layout = srcu_dereference(region->layout, &hm_srcu);
	const struct hm_place now = hm_extent_place(extent);
	struct hm_place ahead;
	struct hm_pool *pool;
	struct folio *folio;
	int rc;

	if (!layout->leaving || from >= end ||
	    !hm_layout_place(layout, from >> HM_EXTENT_ORDER, &ahead) ||
	    hm_place_same(&now, &ahead))
		return 0;
	pool = hm_pool_at(region, &ahead);
	if (!pool)
		return 0;
	folio = hm_pool_folio(pool, ahead.index);
	folio_lock(folio);
	rc = clear_unused(pool, hm_page_at(&ahead, from), hm_page_at(&ahead, end - 1));
	folio_unlock(folio);
	return rc;
}

/* A page of an extent whose home is locked. 0, 1: it was bad; or an error. */
static int clear_page_of(struct hm_region *region, struct hm_extent *extent, pgoff_t pgoff)
{
	u32 page = pgoff % HM_EXTENT_PAGES;
	bool bad = hm_home_bad(hm_extent_pool(region, extent), extent->index, page);
	unsigned long bits = hm_bad_bits(region, pgoff);

	if (!bad && !bits)
		return 0;
	if (PageHWPoison(folio_page(extent->home, page)))
		return -EIO;
	/* Stores to memory that is still bad may take the machine down. */
	if (bad && !capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (bits && hm_near_of(extent, page) && !leave_near(region, extent, pgoff))
		return -EBUSY;
	/* Nothing was lost: only the near copy was bad, which has gone home. */
	if (!bad && bits == HM_BAD_NEAR) {
		xa_erase(&region->bad, pgoff);
		return 0;
	}
	extent->flags |= HM_EXTENT_STORED;
	rewrite(region, extent, page);
	xa_erase(&region->bad, pgoff);
	xa_erase(&hm_extent_pool(region, extent)->bad, hm_home_page(extent, page));
	return 1;
}

/*
 * Pages of an extent whose home is locked. While a near copy has what a bad home could not take it
 * stays, and so does what is bad in it: those pages come first.
 */
static int clear_bad(struct hm_region *region, struct hm_extent *extent, pgoff_t from, pgoff_t end,
		     u64 *pages)
{
	int rc = 0;

	/* One that cannot be is met again, in its turn. */
	for (pgoff_t pgoff = from; pgoff < end; pgoff++)
		if (!hm_bad_bits(region, pgoff))
			*pages += max(clear_page_of(region, extent, pgoff), 0);
	for (; from < end && rc >= 0; from++) {
		rc = clear_page_of(region, extent, from);
		*pages += max(rc, 0);
	}
	return rc;
}

/*
 * An extent with its home locked, which may be one that cannot be zeroed before it is cleared. Who
 * clears it meanwhile, and touches it, has made it one that has data: then it is locked as such.
 */
static struct hm_extent *lock_to_clear(struct hm_region *region, u32 index)
{
	struct hm_extent *extent;

	for (;;) {
		extent = hm_extent_lock(region, index);
		if (PTR_ERR(extent) != -EHWPOISON)
			return extent;
		extent = hm_extent_lock_as_is(region, index);
		if (IS_ERR(extent) || extent->state == HM_EXTENT_UNKNOWN)
			return extent;
		folio_unlock(extent->home);
	}
}

static int clear_extent(struct hm_region *region, pgoff_t from, pgoff_t end, u64 *pages)
{
	u32 index = from >> HM_EXTENT_ORDER;
	struct hm_extent *extent = lock_to_clear(region, index);
	int rc = 0;

	if (!IS_ERR(extent) && extent->state == HM_EXTENT_UNKNOWN)
		rc = clear_unprepared(region, extent);
	if (IS_ERR(extent))
		return PTR_ERR(extent) == -ENXIO ? -ERANGE : PTR_ERR(extent);
	*pages += max(rc, 0);
	if (rc >= 0) {
		rc = clear_ahead(region, extent, from, end);
		*pages += max(rc, 0);
	}
	if (extent->flags & HM_EXTENT_BAD) {
		if (rc >= 0)
			rc = clear_bad(region, extent, from, end, pages);
		hm_poison_refresh(region, extent, index);
	}
	folio_unlock(extent->home);
	return min(rc, 0);
}

/** hm_poison_clear - HMEM_POISON_CLEAR of pages @from to @end */
int hm_poison_clear(struct hm_region *region, pgoff_t from, pgoff_t end, struct hmem_poison *arg)
{
	pgoff_t limit = round_up(end, HM_EXTENT_PAGES), to;
	int error, srcu;

	for (; from < end; from = to) {
		pgoff_t bad;

		if (signal_pending(current))
			return -EINTR;
		srcu = srcu_read_lock(&hm_srcu);
		/* All of an extent fails that could not be zeroed, not just its bad pages. */
		bad = hm_poison_next(region, srcu_dereference(region->layout, &hm_srcu),
			       round_down(from, HM_EXTENT_PAGES), limit);
		to = min_t(pgoff_t, end, (bad | (HM_EXTENT_PAGES - 1)) + 1);
		error = bad < limit ? clear_extent(region, max(bad, from), to, &arg->pages) : 0;
		srcu_read_unlock(&hm_srcu, srcu);
		if (error)
			return error;
		arg->next = (u64)to << PAGE_SHIFT;
		cond_resched();
	}
	return READ_ONCE(region->dead) ? -ENODEV : 0;
}
