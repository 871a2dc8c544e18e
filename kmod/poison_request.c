// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: poison on request
 *
 * What a region's file and the control device answer about bad memory: report it and list
 * it. poison.c has what it is, poison_clear.c clears it.
 */
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>

#include "layout.h"
#include "near.h"
#include "poison_private.h"

/* Pages of one range that are looked at before anybody else who waits for hm_srcu may go on. */
#define HM_LONGEST	(64 * HM_EXTENT_PAGES)

/*
 * Pages of one extent of a pool are bad. Under hm_lock.
 *
 * Return: 1: a region has them; 0: nobody has; or -ENOMEM.
 */
static int report_pages(struct hm_pool *pool, unsigned long page, unsigned long pages)
{
	for (unsigned long i = 0; i < pages; i++) {
		int error = hm_poison_mark(pool, page + i);

		if (error)
			return error;
	}
	cond_resched();
	return hm_poison_tell(pool, page, pages);
}

/* Pages of the pool, counted from its first byte; those before @first are its own. */
static int report_to_pool(struct hm_pool *pool, u64 from, u64 end, struct hmem_pool_poison *arg)
{
	u64 first = (u64)pool->first * HM_EXTENT_PAGES, to;

	if (from < first) {
		arg->own = min(end, first) - from;
		from = first;
	}
	for (; from < end; from = to) {
		int rc;

		if (fatal_signal_pending(current))
			return -EINTR;
		to = min(end, (from | (HM_EXTENT_PAGES - 1)) + 1);
		rc = report_pages(pool, from - first, to - from);
		if (rc < 0)
			return rc;
		*(rc ? &arg->pages : &arg->free) += to - from;
	}
	return 0;
}

/** hm_pool_poison - HMEM_POOL_POISON */
int hm_pool_poison(struct hmem_pool_poison *arg)
{
	struct hm_pool *pool;
	int error;

	arg->pages = 0;
	arg->free = 0;
	arg->own = 0;
	error = mutex_lock_killable(&hm_lock);
	if (error)
		return error;
	pool = hm_pool_find(arg->name);
	if (!pool)
		error = -ENOENT;
	else if (arg->offset >= pool->bytes || arg->bytes > pool->bytes - arg->offset)
		error = -ERANGE;
	else
		error = report_to_pool(pool, arg->offset >> PAGE_SHIFT,
				       ((arg->offset + arg->bytes - 1) >> PAGE_SHIFT) + 1, arg);
	mutex_unlock(&hm_lock);
	return error;
}

/* The pool of a page of the region, and its number there; the layout has it. */
static struct hm_pool *page_on_pool(struct hm_region *region, const struct hm_layout *layout,
				    pgoff_t pgoff, unsigned long *page)
{
	struct hm_place now;

	hm_place_now(region, layout, pgoff >> HM_EXTENT_ORDER, &now);
	*page = hm_page_at(&now, pgoff);
	return hm_pool_at(region, &now);
}

/* Whether the memory is bad that the page is to come to. */
static bool bad_ahead(struct hm_region *region, const struct hm_layout *layout, pgoff_t pgoff)
{
	struct hm_place ahead;
	struct hm_pool *pool;

	if (!layout->leaving || !hm_layout_place(layout, pgoff >> HM_EXTENT_ORDER, &ahead))
		return false;
	pool = hm_pool_at(region, &ahead);
	return pool && xa_load(&pool->bad, hm_page_at(&ahead, pgoff));
}

/* Under hm_lock, which keeps the layout. */
static int report_range(struct hm_region *region, pgoff_t from, pgoff_t end,
			struct hmem_poison *arg)
{
	const struct hm_layout *layout =
		rcu_dereference_protected(region->layout, lockdep_is_held(&hm_lock));
	struct hm_pool *pool;
	unsigned long page;
	pgoff_t to;

	for (; from < end; from = to) {
		int rc;

		if (READ_ONCE(region->dead))
			return -ENODEV;
		if (from >> HM_EXTENT_ORDER >= layout->nr_extents)
			return -ERANGE;
		if (fatal_signal_pending(current))
			return -EINTR;
		to = min_t(pgoff_t, end, (from | (HM_EXTENT_PAGES - 1)) + 1);
		pool = page_on_pool(region, layout, from, &page);
		rc = pool ? report_pages(pool, page, to - from) : -ENODEV;
		if (rc < 0)
			return rc;
		arg->next = (u64)to << PAGE_SHIFT;
		arg->pages += to - from;
	}
	return 0;
}

/* The same of what one run has on its pool. */
static pgoff_t next_bad_in(struct hm_region *region, const struct hm_run *run, pgoff_t from,
			   pgoff_t end)
{
	unsigned long first = (unsigned long)run->start * HM_EXTENT_PAGES, page;
	struct hm_pool *pool = region->parts[run->part].pool;
	unsigned long skip = 0;
	pgoff_t pgoff;
	void *entry;

	if (READ_ONCE(region->parts[run->part].lost))
		return end;
	/* Those in extents that lie before @from. */
	if (from / HM_EXTENT_PAGES > run->first)
		skip = (from / HM_EXTENT_PAGES - run->first) / run->stride * HM_EXTENT_PAGES;
	xa_for_each_range(&pool->bad, page, entry, first + skip,
			  first + (unsigned long)run->count * HM_EXTENT_PAGES - 1) {
		pgoff = run->first + (page - first) / HM_EXTENT_PAGES * run->stride;
		pgoff = pgoff * HM_EXTENT_PAGES + page % HM_EXTENT_PAGES;
		if (pgoff >= from)
			return min(pgoff, end);
	}
	return end;
}

static pgoff_t next_bad_of(struct hm_region *region, const struct hm_layout *layout, pgoff_t from,
			   pgoff_t end)
{
	for (u32 i = 0; i < layout->nr_runs && from < end; i++)
		end = next_bad_in(region, &layout->runs[i], from, end);
	return end;
}

/*
 * The same of what has another place, and has not come there yet. It may have left several; where
 * it is not any more nothing of it is bad.
 */
static pgoff_t next_bad_left(struct hm_region *region, const struct hm_layout *layout, pgoff_t from,
			     pgoff_t end)
{
	for (; from < end; from++) {
		struct hm_pool *pool;
		unsigned long page;

		from = next_bad_of(region, layout->leaving, from, end);
		if (from >= end)
			break;
		pool = page_on_pool(region, layout, from, &page);
		if (pool && xa_load(&pool->bad, page))
			return from;
	}
	return end;
}

/**
 * hm_poison_next - the next page that either set has, of where it is or is to come to
 * @from: at or after this one, and before @end
 *
 * Under hm_srcu. Return: @end when there is none.
 */
pgoff_t hm_poison_next(struct hm_region *region, const struct hm_layout *layout, pgoff_t from,
			pgoff_t end)
{
	unsigned long found = from;

	if (from < end && xa_find(&region->bad, &found, end - 1, XA_PRESENT))
		end = found;
	end = next_bad_of(region, layout, from, end);
	return layout->leaving ? next_bad_left(region, layout, from, end) : end;
}

/* Under the lock of its home, or a split extent could be made whole while it is looked at. */
static bool is_near(struct hm_extent *extent, u32 page)
{
	struct folio *home = hm_extent_lock_home(extent);
	bool near;

	if (!home)
		return false;
	near = hm_near_of(extent, page);
	folio_unlock(home);
	return near;
}

/* HMEM_POISONED_* of a page */
static u32 state_of(struct hm_region *region, const struct hm_layout *layout, pgoff_t pgoff)
{
	struct hm_extent *extent = hm_table_find(&region->table, pgoff >> HM_EXTENT_ORDER);
	bool lost = hm_bad_bits(region, pgoff) & HM_BAD_LOST;
	bool near = extent && is_near(extent, pgoff % HM_EXTENT_PAGES);
	unsigned long page;
	struct hm_pool *pool = page_on_pool(region, layout, pgoff, &page);
	bool bad = pool && xa_load(&pool->bad, page);

	return (lost || (bad && !near) ? HMEM_POISONED_DATA : 0) |
	       (bad || bad_ahead(region, layout, pgoff) ? HMEM_POISONED_HOME : 0);
}

/* The next range of pages that are alike; its length is 0 when there is none before @end. */
static void next_range(struct hm_region *region, const struct hm_layout *layout, pgoff_t *pgoff,
		       pgoff_t end, struct hmem_poison_range *range)
{
	pgoff_t from = hm_poison_next(region, layout, *pgoff, end), to = from;
	u32 state = from < end ? state_of(region, layout, from) : 0;

	while (to < end && to - from < HM_LONGEST && hm_poison_next(region, layout, to, end) == to &&
	       state_of(region, layout, to) == state)
		to++;
	*range = (struct hmem_poison_range){ .offset = (u64)from << PAGE_SHIFT,
					     .bytes = (u64)(to - from) << PAGE_SHIFT,
					     .state = state };
	*pgoff = to;
}

static int list_range(struct hm_region *region, pgoff_t from, pgoff_t end,
		      struct hmem_poison *arg)
{
	struct hmem_poison_range __user *user = u64_to_user_ptr(arg->ranges);
	struct hmem_poison_range range;
	const struct hm_layout *layout;
	u32 n = 0;
	int srcu;

	while (from < end && n < arg->nr_ranges) {
		srcu = srcu_read_lock(&hm_srcu);
		layout = srcu_dereference(region->layout, &hm_srcu);
		next_range(region, layout, &from,
			   min(end, (pgoff_t)layout->nr_extents << HM_EXTENT_ORDER), &range);
		srcu_read_unlock(&hm_srcu, srcu);
		if (READ_ONCE(region->dead))
			return -ENODEV;
		if (!range.bytes) {
			from = end;
			break;
		}
		/* What only a near copy has lost is no loss. */
		if (range.state) {
			if (copy_to_user(user + n, &range, sizeof(range)))
				return -EFAULT;
			arg->pages += range.bytes >> PAGE_SHIFT;
			n++;
		}
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	arg->nr_ranges = n;
	arg->next = (u64)from << PAGE_SHIFT;
	return 0;
}

/** hm_region_poison - HMEM_REGION_POISON */
int hm_region_poison(struct hm_region *region, struct hmem_poison *arg)
{
	u64 size = i_size_read(region->inode), end;
	int error;

	if (arg->offset > size || arg->bytes > size - arg->offset)
		return -ERANGE;
	end = arg->bytes ? arg->offset + arg->bytes : size;
	arg->pages = 0;
	arg->next = arg->offset;
	if (READ_ONCE(region->dead))
		return -ENODEV;
	switch (arg->op) {
	case HMEM_POISON_LIST:
		return list_range(region, arg->offset >> PAGE_SHIFT, end >> PAGE_SHIFT, arg);
	case HMEM_POISON_CLEAR:
		return hm_poison_clear(region, arg->offset >> PAGE_SHIFT, end >> PAGE_SHIFT, arg);
	}
	error = mutex_lock_killable(&hm_lock);
	if (error)
		return error;
	error = report_range(region, arg->offset >> PAGE_SHIFT, end >> PAGE_SHIFT, arg);
	mutex_unlock(&hm_lock);
	return error;
}
