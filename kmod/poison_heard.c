// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: hearing of poison
 *
 * The kernel asks what to do about bad memory of a device, and tells those who trace it of any
 * other; commands and copies find it as well. Who hears of it marks it at once, so that nobody
 * meets it twice, and leaves it to a work item to tell the region, as that takes hm_lock.
 */
#define pr_fmt(fmt) "hmem: " fmt

#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/slab.h>
#include <linux/tracepoint.h>

#include "layout.h"
#include "near.h"
#include "poison_private.h"

/**
 * hm_poison_mark - the memory of a page of a pool is bad from now on
 * @page: its number on the pool
 *
 * Whoever has it mapped meets it at his next access.
 *
 * Return: 0, also when that was known; -ENOMEM; -EOPNOTSUPP: this kernel cannot map an extent
 * without a page.
 */
int hm_poison_mark(struct hm_pool *pool, unsigned long page)
{
	struct folio *home = hm_pool_folio(pool, page / HM_EXTENT_PAGES);
	struct hm_extent *extent;
	struct hm_region *region;
	int error = 0, srcu;
	u32 index;

	if (!HM_CAN_MARK)
		return -EOPNOTSUPP;
	srcu = srcu_read_lock(&hm_srcu);
	/* Also when it is known: who has just marked it may not have unmapped it yet. */
	folio_lock(home);
	if (xa_load(&pool->bad, page))
		goto unlock;
	error = xa_err(xa_store(&pool->bad, page, xa_mk_value(1), GFP_KERNEL));
	/* Whose region it is stays so, and there, for as long as this is locked. */
	if (!error && home->mapping) {
		region = home->mapping->host->i_private;
		index = home->index >> HM_EXTENT_ORDER;
		extent = hm_table_find(&region->table, index);
		extent->flags |= HM_EXTENT_STORED;	/* a copy that is being made may have it */
		hm_poison_refresh(region, extent, index);
		if (!hm_near(extent))
			hm_extent_unmap(region, index);
	}
unlock:
	folio_unlock(home);
	srcu_read_unlock(&hm_srcu, srcu);
	return error;
}

/**
 * hm_poison_retire - free extents with a bad page are not carved any more
 *
 * They count as taken, by nobody.
 */
void hm_poison_retire(struct hm_pool *pool)
{
	unsigned long page;
	void *entry;

	lockdep_assert_held(&hm_lock);
	xa_for_each(&pool->bad, page, entry)
		if (!__test_and_set_bit(page / HM_EXTENT_PAGES, pool->used))
			pool->nr_free--;
}

/* Pages of a pool that were just found bad; their region, if one has them, and where there. */
static void tell(struct hm_pool *pool, struct hm_region *region, u32 index, unsigned long page,
		 unsigned long pages)
{
	if (region)
		hm_poison_report(region, ((pgoff_t)index << HM_EXTENT_ORDER) + page % HM_EXTENT_PAGES,
			      pages);
	else
		dev_err_ratelimited(&pool->dev, "memory error in extent %lu, which nobody has\n",
				    page / HM_EXTENT_PAGES);
}

/**
 * hm_poison_tell - pages of an extent of a pool were marked: who has them learns of it, once
 * @page: the first one's number on the pool
 * @pages: how many, all in one extent
 *
 * Under hm_lock.
 *
 * Return: whether a region has them; if not, their extent is retired.
 */
bool hm_poison_tell(struct hm_pool *pool, unsigned long page, unsigned long pages)
{
	unsigned long extent = page / HM_EXTENT_PAGES, end = page + pages, told = page;
	struct hm_region *region;
	u32 index = 0;

	region = hm_place_owner(pool, extent, &index);
	for (; page < end; page++) {
		if (!xa_get_mark(&pool->bad, page, HM_TOLD)) {
			xa_set_mark(&pool->bad, page, HM_TOLD);
			continue;
		}
		if (page > told)
			tell(pool, region, index, told, page - told);
		told = page + 1;
	}
	if (end > told)
		tell(pool, region, index, told, end - told);
	if (!region && !__test_and_set_bit(extent, pool->used))
		pool->nr_free--;
	return region;
}

/**
 * hm_poison_tell_leaving - an extent gets another home: its users learn of what is bad here
 *
 * Under hm_lock, with the home locked. Whoever was just going to tell would not find out any
 * more whose it was.
 */
void hm_poison_tell_leaving(struct hm_region *region, const struct hm_extent *extent, u32 index)
{
	struct xarray *bad = &hm_extent_pool(region, extent)->bad;
	unsigned long first = hm_home_page(extent, 0), page;
	void *entry;

	xa_for_each_range(bad, page, entry, first, first + HM_EXTENT_PAGES - 1) {
		if (xa_get_mark(bad, page, HM_TOLD))
			continue;
		xa_set_mark(bad, page, HM_TOLD);
		hm_poison_report(region, ((pgoff_t)index << HM_EXTENT_ORDER) + page - first, 1);
	}
}

/**
 * hm_poison_note_near - what a near copy has of a page is not to be read any more
 * @near: the copy, of the page or of its extent
 * @lost: nor has the home it
 *
 * The home is locked. Nobody has the copy mapped when the region's users are told.
 *
 * Return: false: that was known, or there is no memory to remember it; then the next who reads
 * the page is stopped by the hardware again.
 */
bool hm_poison_note_near(struct hm_region *region, struct hm_extent *extent, struct folio *near,
			 pgoff_t pgoff, bool lost)
{
	if (hm_bad_bits(region, pgoff) ||
	    !hm_poison_set(region, pgoff, lost ? HM_BAD_LOST : HM_BAD_NEAR, GFP_KERNEL))
		return false;
	folio_lock(near);
	extent->flags |= HM_EXTENT_STORED;
	hm_poison_refresh(region, extent, pgoff >> HM_EXTENT_ORDER);
	unmap_mapping_range(region->inode->i_mapping,
			    (loff_t)round_down(pgoff, folio_nr_pages(near)) << PAGE_SHIFT,
			    folio_size(near), 1);
	folio_unlock(near);
	if (lost)
		hm_poison_report(region, pgoff, 1);
	else
		dev_warn_ratelimited(&region->dev,
				     "memory error in the near copy of offset %#llx: nothing is lost\n",
				     (u64)pgoff << PAGE_SHIFT);
	return true;
}

/* A page of an extent's near copy is bad. The home is locked. */
static void mark_near(struct hm_region *region, struct hm_extent *extent, u32 index, u32 page)
{
	pgoff_t pgoff = ((pgoff_t)index << HM_EXTENT_ORDER) + page;

	/* What is held stays until somebody moves it. */
	if (hm_poison_note_near(region, extent, hm_near(extent), pgoff,
				extent->flags & HM_EXTENT_DIRTY) &&
	    !(extent->flags & HM_EXTENT_MOVING))
		hm_near_yield(region, extent, index);
}

static bool contains(struct folio *folio, unsigned long pfn)
{
	return folio && pfn - folio_pfn(folio) < HM_EXTENT_PAGES;
}

/* Whether the page lies in front of an extent; then that is dealt with. */
static bool mark_in(struct hm_region *region, struct hm_extent *extent, u32 index,
		    unsigned long pfn)
{
	struct folio *home;
	bool found;

	if (!hm_pages(extent) && !contains(hm_near(extent), pfn))
		return false;
	home = hm_extent_lock_home(extent);
	if (!home)
		return false;
	if (hm_pages(extent)) {
		found = hm_poison_in_pages(region, extent, index, pfn);
	} else {
		found = contains(hm_near(extent), pfn);
		if (found)
			mark_near(region, extent, index, pfn - folio_pfn(hm_near(extent)));
	}
	folio_unlock(home);
	return found;
}

static bool find_near(struct hm_region *region, unsigned long pfn)
{
	struct hm_extent *extent;
	bool found = false;
	u32 index;
	int srcu;

	srcu = srcu_read_lock(&hm_srcu);
	hm_table_for_each(&region->table, index, extent, 0) {
		found = mark_in(region, extent, index, pfn);
		if (found)
			break;
	}
	srcu_read_unlock(&hm_srcu, srcu);
	return found;
}

/**
 * struct hm_failure - memory that the kernel says is bad
 * @work: deals with it
 * @pfn: which page
 */
struct hm_failure {
	struct work_struct work;
	unsigned long pfn;
};

static bool failure_in_pool(struct hm_pool *pool, unsigned long pfn)
{
	struct hm_part *part;
	long page = pool->ops->find(pool, pfn) - (long)pool->first * (long)HM_EXTENT_PAGES;

	if (page >= 0) {
		/* Device memory was marked at once, and may have been cleared since. */
		if (PageHWPoison(pfn_to_page(pfn)))
			hm_poison_mark(pool, page);
		if (xa_load(&pool->bad, page))
			hm_poison_tell(pool, page, 1);
		return true;
	}
	list_for_each_entry(part, &pool->parts, node)
		if (find_near(part->region, pfn))
			return true;
	return false;
}

static void failure_work(struct work_struct *work)
{
	struct hm_failure *failure = container_of(work, struct hm_failure, work);
	struct hm_pool *pool;

	mutex_lock(&hm_lock);
	list_for_each_entry(pool, &hm_pools, node)
		if (!pool->gone && failure_in_pool(pool, failure->pfn))
			break;
	mutex_unlock(&hm_lock);
	kfree(failure);
}

/* The kernel has dealt with bad memory as it can; called wherever that may be. */
static void hear(void *unused, unsigned long pfn, int type, int result)
{
	struct hm_failure *failure = kmalloc(sizeof(*failure), GFP_ATOMIC);

	if (!failure)
		return;
	INIT_WORK(&failure->work, failure_work);
	failure->pfn = pfn;
	queue_work(hm_wq, &failure->work);
}

/**
 * hm_poison_failure - the kernel asks what to do about bad memory of a pool
 * @page: its number, counted from the pool's first byte
 *
 * May be called while the pool is being taken apart, and keeps it from that: no hm_lock here.
 * hear() follows.
 *
 * Return: 0: nobody reads it from now on; or an error.
 */
int hm_poison_failure(struct hm_pool *pool, unsigned long page)
{
	unsigned long first = (unsigned long)pool->first * HM_EXTENT_PAGES;

	if (page < first) {
		dev_err(&pool->dev, "memory error in the superblock, at %#lx\n",
			page << PAGE_SHIFT);
		return -EIO;
	}
	return hm_poison_mark(pool, page - first);
}

static struct tracepoint *hm_memory_failure;

static void find_tracepoint(struct tracepoint *tp, void *unused)
{
	if (!strcmp(tp->name, "memory_failure_event"))
		hm_memory_failure = tp;
}

/**
 * hm_poison_init - hear of bad memory
 *
 * Near copies and pools of system RAM are ordinary memory, of which the kernel tells nobody but
 * those who trace it.
 */
int hm_poison_init(void)
{
	for_each_kernel_tracepoint(find_tracepoint, NULL);
	if (!hm_memory_failure) {
		pr_info("this kernel does not tell of memory failures\n");
		return 0;
	}
	return tracepoint_probe_register(hm_memory_failure, hear, NULL);
}

/** hm_poison_exit - hear no more; what was heard is on hm_wq */
void hm_poison_exit(void)
{
	if (!hm_memory_failure)
		return;
	tracepoint_probe_unregister(hm_memory_failure, hear, NULL);
	tracepoint_synchronize_unregister();
}
