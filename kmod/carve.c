// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: carving
 *
 * Which extents of a pool belong to which region. Extents are taken first fit, as few
 * and as long runs as there are, so the work is in the number of runs and not in the
 * size of the region. Every run gets a generation of its own (media.h says why).
 */
#include <linux/bitmap.h>
#include <linux/slab.h>

#include "core.h"

const struct hm_run *hm_layout_find(const struct hm_layout *layout, u32 index)
{
	u32 low = 0, high = layout->nr_runs;

	while (low < high) {
		u32 middle = low + (high - low) / 2;
		const struct hm_run *run = &layout->runs[middle];

		if (index < run->first)
			high = middle;
		else if (index - run->first >= run->count)
			low = middle + 1;
		else
			return run;
	}
	return NULL;
}

static struct hm_layout *layout_alloc(u32 nr_runs)
{
	struct hm_layout *layout;

	layout = kvzalloc(struct_size(layout, runs, nr_runs), GFP_KERNEL);
	if (layout)
		layout->nr_runs = nr_runs;
	return layout;
}

/* The next run of free extents at or after @from, at most @want long; 0 when none. */
static u32 next_free(struct hm_pool *pool, u32 from, u32 want, u32 *start)
{
	unsigned long begin, end;

	begin = find_next_zero_bit(pool->used, pool->nr_extents, from);
	if (begin >= pool->nr_extents)
		return 0;
	end = find_next_bit(pool->used, min_t(u64, pool->nr_extents, (u64)begin + want), begin);
	*start = begin;
	return end - begin;
}

/**
 * hm_carve - take extents from a pool
 * @pool: pool
 * @old: layout to continue, or NULL
 * @nr_extents: how many the result has, more than @old
 *
 * Return: a new layout, or -ENOSPC, -EMFILE (no room to record it), -ENOMEM. Nothing is
 * durable before hm_store_write().
 */
struct hm_layout *hm_carve(struct hm_pool *pool, const struct hm_layout *old, u32 nr_extents)
{
	u32 had = old ? old->nr_extents : 0, had_runs = old ? old->nr_runs : 0;
	u32 missing = nr_extents - had;
	u32 nr_runs = 0, left = missing, from = 0, start = 0, count;
	struct hm_layout *layout;

	lockdep_assert_held(&hm_lock);
	if (missing > pool->nr_free)
		return ERR_PTR(-ENOSPC);

	/* One long run if there is one: it keeps tables short and mappings simple. */
	start = bitmap_find_next_zero_area(pool->used, pool->nr_extents, 0, missing, 0);
	if (start < pool->nr_extents) {
		nr_runs = 1;
		from = start;
	} else {
		for (from = 0; left; from = start + count, nr_runs++) {
			count = next_free(pool, from, left, &start);
			if (WARN_ON_ONCE(!count))
				return ERR_PTR(-ENOSPC);
			left -= count;
		}
		from = 0;
	}
	if (pool->persistent &&
	    (pool->nr_runs + nr_runs > HM_MEDIA_MAX_RUNS || pool->next_gen + nr_runs < nr_runs))
		return ERR_PTR(-EMFILE);

	layout = layout_alloc(had_runs + nr_runs);
	if (!layout)
		return ERR_PTR(-ENOMEM);
	layout->nr_extents = nr_extents;
	if (old)
		memcpy(layout->runs, old->runs, had_runs * sizeof(old->runs[0]));
	for (u32 i = had_runs, left = missing; left; i++) {
		struct hm_run *run = &layout->runs[i];

		run->count = next_free(pool, from, left, &run->start);
		run->first = nr_extents - left;
		run->gen = pool->next_gen++;
		bitmap_set(pool->used, run->start, run->count);
		from = run->start + run->count;
		left -= run->count;
	}
	pool->nr_free -= missing;
	pool->nr_runs += nr_runs;
	return layout;
}

/**
 * hm_layout_cut - the first part of a layout
 *
 * Return: a new layout of @nr_extents extents, or NULL. The rest stays taken until
 * hm_uncarve().
 */
struct hm_layout *hm_layout_cut(const struct hm_layout *old, u32 nr_extents)
{
	struct hm_layout *layout;
	u32 nr_runs = 0;

	while (nr_runs < old->nr_runs && old->runs[nr_runs].first < nr_extents)
		nr_runs++;
	layout = layout_alloc(nr_runs);
	if (!layout)
		return NULL;
	layout->nr_extents = nr_extents;
	memcpy(layout->runs, old->runs, nr_runs * sizeof(old->runs[0]));
	if (nr_runs) {
		struct hm_run *last = &layout->runs[nr_runs - 1];

		last->count = nr_extents - last->first;
	}
	return layout;
}

/**
 * hm_uncarve - give extents back
 * @from: first extent of the region that goes back, 0 for all
 */
void hm_uncarve(struct hm_pool *pool, const struct hm_layout *layout, u32 from)
{
	lockdep_assert_held(&hm_lock);
	for (u32 i = 0; i < layout->nr_runs; i++) {
		const struct hm_run *run = &layout->runs[i];
		u32 skip = from > run->first ? min(from - run->first, run->count) : 0;

		if (skip == run->count)
			continue;
		bitmap_clear(pool->used, run->start + skip, run->count - skip);
		if (!skip)
			pool->nr_runs--;
	}
	pool->nr_free += layout->nr_extents - from;
}
