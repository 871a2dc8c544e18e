// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: layouts
 *
 * Where each extent of a region belongs, as runs. Runs that follow one another are found by
 * bisection; others one by one, which is done once for each extent, when it is touched first and
 * zeroed.
 */
#include <linux/slab.h>

#include "layout.h"

/** hm_layout_alloc - a layout with room for so many runs; or NULL: no memory */
struct hm_layout *hm_layout_alloc(u32 nr_runs)
{
	return kvzalloc(struct_size_t(struct hm_layout, runs, nr_runs), GFP_KERNEL);
}

/** hm_run_before - how many extents of a run lie before extent @end of the region */
u32 hm_run_before(const struct hm_run *run, u32 end)
{
	if (end <= run->first)
		return 0;
	return min(run->count, DIV_ROUND_UP(end - run->first, run->stride));
}

static bool holds(const struct hm_run *run, u32 index)
{
	return index >= run->first && (index - run->first) % run->stride == 0 &&
	       (index - run->first) / run->stride < run->count;
}

static const struct hm_run *find_ordered(const struct hm_layout *layout, u32 index)
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

static const struct hm_run *find_any(const struct hm_run *runs, u32 nr_runs, u32 index)
{
	for (u32 i = 0; i < nr_runs; i++)
		if (holds(&runs[i], index))
			return &runs[i];
	return NULL;
}

/**
 * hm_layout_left - where an extent is that is leaving
 *
 * Under hm_srcu or hm_lock. Return: false when it is not.
 */
bool hm_layout_left(const struct hm_layout *layout, u32 index, struct hm_place *place)
{
	return layout->leaving && hm_layout_place(layout->leaving, index, place);
}

/**
 * hm_layout_place - where an extent of a region belongs
 *
 * Return: false when the region has no such extent.
 */
bool hm_layout_place(const struct hm_layout *layout, u32 index, struct hm_place *place)
{
	const struct hm_run *run = layout->ordered ? find_ordered(layout, index) :
				   find_any(layout->runs, layout->nr_runs, index);

	if (run)
		*place = (struct hm_place){
			.index = run->start + (index - run->first) / run->stride,
			.gen = run->gen, .part = run->part };
	return run;
}

/** hm_layout_order - find out whether the runs of a layout follow one another */
void hm_layout_order(struct hm_layout *layout)
{
	u32 next = 0;

	layout->ordered = true;
	for (u32 i = 0; i < layout->nr_runs; i++) {
		if (layout->runs[i].first != next || layout->runs[i].stride != 1)
			layout->ordered = false;
		next += layout->runs[i].count;
	}
}

/** hm_layout_without - the same layout, without what leaves a part; or NULL: no memory */
struct hm_layout *hm_layout_without(const struct hm_layout *old, u8 from)
{
	struct hm_layout *layout = hm_layout_cut(old, old->nr_extents), *leaving;
	u32 kept = 0;

	leaving = layout ? layout->leaving : NULL;
	for (u32 i = 0; leaving && i < leaving->nr_runs; i++)
		if (leaving->runs[i].part != from)
			leaving->runs[kept++] = leaving->runs[i];
	if (leaving)
		leaving->nr_runs = kept;
	if (leaving && !kept) {
		layout->leaving = NULL;
		kvfree(leaving);
		for (u32 i = 0; i < layout->nr_runs; i++)
			layout->runs[i].coming = false;
	}
	return layout;
}

void hm_layout_free(struct hm_layout *layout)
{
	if (layout)
		kvfree(layout->leaving);
	kvfree(layout);
}

/**
 * hm_layout_cut - the first part of a layout
 *
 * Return: a new layout of @nr_extents extents, or NULL. The rest stays taken until
 * hm_uncarve().
 */
struct hm_layout *hm_layout_cut(const struct hm_layout *old, u32 nr_extents)
{
	struct hm_layout *layout = hm_layout_alloc(old->nr_runs);

	if (!layout)
		return NULL;
	if (old->leaving) {
		layout->leaving = hm_layout_cut(old->leaving, nr_extents);
		if (!layout->leaving) {
			kvfree(layout);
			return NULL;
		}
	}
	layout->nr_extents = nr_extents;
	for (u32 i = 0; i < old->nr_runs; i++) {
		u32 count = hm_run_before(&old->runs[i], nr_extents);

		if (!count)
			continue;
		layout->runs[layout->nr_runs] = old->runs[i];
		layout->runs[layout->nr_runs++].count = count;
	}
	hm_layout_order(layout);
	return layout;
}
