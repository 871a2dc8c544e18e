// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: what is told of heat
 *
 * HMEM_REGION_HEAT, and the part of HMEM_REGION_STATS that is about tracking.
 */
#include <linux/math64.h>
#include <linux/pagemap.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>

#include "extent.h"
#include "heat.h"
#include "tier.h"

/* Pages @first to @end of an extent: how hot the hottest is, and how many are near. */
static void look(const struct hm_extent *extent, u32 first, u32 end, struct hmem_heat_cell *cell,
		 u64 *near)
{
	const struct hm_heat *heat = &extent->heat;
	u16 hot = max(heat->brief, heat->lasting);

	cell->heat = max(cell->heat, heat->seen ? max_t(u16, hot, 1) : 0);
	if (hm_near(extent))
		*near += end - first;
}

/* The same of a split extent, which may be made whole unless its home is locked. */
static void look_at_pages(struct hm_extent *extent, u32 first, u32 end,
			  struct hmem_heat_cell *cell, u64 *near)
{
	struct folio *home = hm_extent_lock_home(extent);
	const u64 *pages;

	if (!home)
		return;
	pages = hm_pages(extent);
	for (u32 i = first; pages && i < end; i++) {
		cell->heat = max(cell->heat, hm_policy_page_heat(pages[i]));
		*near += !!(pages[i] & HM_PAGE_PFN);
	}
	if (!pages)
		look(extent, first, end, cell, near);
	folio_unlock(home);
}

/* The part of bytes @from to @to that lies in one extent; returns where it ends. */
static u64 look_at_extent(struct hm_region *region, u64 from, u64 to, struct hmem_heat_cell *cell,
			  u64 *near)
{
	u32 index = from >> HM_EXTENT_SHIFT, first = from % HM_EXTENT_BYTES >> PAGE_SHIFT;
	u64 end = min(to, ((u64)index + 1) << HM_EXTENT_SHIFT);
	u32 last = (end - 1) % HM_EXTENT_BYTES >> PAGE_SHIFT;
	int srcu = srcu_read_lock(&hm_srcu);
	struct hm_extent *extent = hm_table_find(&region->table, index);

	if (extent && READ_ONCE(extent->home) && hm_pages(extent))
		look_at_pages(extent, first, last + 1, cell, near);
	else if (extent && READ_ONCE(extent->home))
		look(extent, first, last + 1, cell, near);
	srcu_read_unlock(&hm_srcu, srcu);
	return end;
}

static struct hmem_heat_cell fill_cell(struct hm_region *region, u64 from, u64 to)
{
	u64 pages = (to - from) >> PAGE_SHIFT, near = 0;
	struct hmem_heat_cell cell = {};

	while (from < to && !fatal_signal_pending(current)) {
		from = look_at_extent(region, from, to, &cell, &near);
		cond_resched();
	}
	cell.near = div64_u64(near * 255, pages);
	return cell;
}

static int fill_map(struct hm_region *region, struct hmem_heat *arg, u64 end)
{
	struct hmem_heat_cell __user *cells = u64_to_user_ptr(arg->cells);
	u64 from = arg->offset, n = 0;

	while (arg->cell && from < end && n < arg->nr_cells) {
		u64 to = end - from > arg->cell ? from + arg->cell : end;
		struct hmem_heat_cell cell = fill_cell(region, from, to);

		if (copy_to_user(cells + n, &cell, sizeof(cell)))
			return -EFAULT;
		if (fatal_signal_pending(current))
			return -EINTR;
		n++;
		from = to;
		cond_resched();
	}
	arg->nr_cells = n;
	return 0;
}

/** hm_heat_stats - the part of HMEM_REGION_STATS that is about tracking */
void hm_heat_stats(struct hm_region *region, struct hmem_stats *arg)
{
	int srcu = srcu_read_lock(&hm_srcu);
	const struct hm_tracker *t = srcu_dereference(region->tracker, &hm_srcu);

	arg->probes = t ? t->policy.count.probes : 0;
	arg->touches = t ? t->policy.count.touches : 0;
	arg->pingpongs = t ? t->policy.count.pingpongs : 0;
	arg->track_ns = t ? t->policy.count.cost_ns : 0;
	arg->window_ns = t ? t->policy.window_ns : 0;
	arg->scanned = t ? t->policy.count.scanned : 0;
	arg->seen = t ? t->policy.count.seen : 0;
	arg->splits = t ? t->policy.count.splits : 0;
	arg->collapses = t ? t->policy.count.collapses : 0;
	arg->touches_near = t ? t->policy.count.touches_near : 0;
	arg->seen_near = t ? t->policy.count.seen_near : 0;
	arg->look_ns = t ? READ_ONCE(t->look_ns) : 0;
	srcu_read_unlock(&hm_srcu, srcu);
}

/** hm_heat_get - HMEM_REGION_HEAT; arg->offset and arg->bytes lie in the region */
int hm_heat_get(struct hm_region *region, struct hmem_heat *arg)
{
	u64 size = i_size_read(region->inode), end;
	const struct hm_tracker *t;
	int srcu;

	BUILD_BUG_ON(HM_POLICY_BINS / 4 > HMEM_HEAT_BINS);
	if (READ_ONCE(region->dead))
		return -ENODEV;
	if (arg->offset > size || arg->bytes > size - arg->offset)
		return -ERANGE;
	end = arg->bytes ? arg->offset + arg->bytes : size;
	memset(arg->near, 0, sizeof(arg->near));
	memset(arg->home, 0, sizeof(arg->home));
	srcu = srcu_read_lock(&hm_srcu);
	t = srcu_dereference(region->tracker, &hm_srcu);
	for (u32 i = 0; t && i < HM_POLICY_BINS; i++) {
		arg->near[i / 4] += READ_ONCE(t->policy.near[i]);
		arg->home[i / 4] += READ_ONCE(t->policy.home_whole[i]) +
				    READ_ONCE(t->policy.home_page[i]);
	}
	srcu_read_unlock(&hm_srcu, srcu);
	return fill_map(region, arg, end);
}
