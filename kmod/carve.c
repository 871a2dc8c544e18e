// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: carving
 *
 * Which extents of which pools belong to which region. Extents are taken first fit, as few
 * and as long runs as there are, so the work is in the number of runs and not in the
 * size of the region. Every run gets a generation of its own (media.h says why).
 *
 * A region fills its pools one after the other, or spreads over them: then extent n is on
 * the n-th of them, counted around, for as long as all have room, and a run is every so many
 * extents of the region.
 */
#include <linux/bitmap.h>
#include <linux/slab.h>

#include "layout.h"
#include "poison.h"
#include "store.h"

/* A layout that is being made: the runs of an old one, and those that were taken since. */
struct draft {
	struct hm_region *region;
	struct hm_pool *to;	/* all of it goes there; NULL: wherever there is room */
	struct hm_layout *layout;
	u32 room;
};

/* One more run in the draft; NULL: no memory. */
static struct hm_run *draft_add(struct draft *d)
{
	struct hm_layout *bigger;

	if (d->layout->nr_runs == d->room) {
		bigger = hm_layout_alloc(2 * d->room + 1);
		if (!bigger)
			return NULL;
		memcpy(bigger, d->layout, struct_size(bigger, runs, d->room));
		kvfree(d->layout);
		d->layout = bigger;
		d->room = 2 * d->room + 1;
	}
	return &d->layout->runs[d->layout->nr_runs++];
}

/* Give a run's extents back from its @keep-th on; all of them, and it is none any more. */
static void untake(struct hm_region *region, const struct hm_run *run, u32 keep)
{
	struct hm_part *part = &region->parts[run->part];
	struct hm_pool *pool = part->pool;

	bitmap_clear(pool->used, run->start + keep, run->count - keep);
	pool->nr_free += run->count - keep;
	hm_poison_retire(pool);
	if (keep)
		return;
	pool->nr_runs--;
	part->nr_runs--;
	if (!part->nr_runs)
		pool->nr_regions--;
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

/*
 * Whether the pool's table may take one more run, of that region. Records of regions on several
 * pools take more than a slot for each: hm_store_fits() has the last word.
 */
static bool recordable(const struct hm_pool *pool, const struct hm_part *part)
{
	if (!part->nr_runs && pool->nr_regions >= HM_MEDIA_MAX_REGIONS)
		return false;
	return !pool->persistent ||
	       (pool->nr_runs < HM_MEDIA_MAX_SLOTS && pool->next_gen < U32_MAX);
}

/* Every @stride-th extent of the region from @first on, @count of them, comes to a part. */
static int take(struct draft *d, u8 number, u32 first, u32 stride, u32 count)
{
	struct hm_part *part = &d->region->parts[number];
	struct hm_pool *pool = part->pool;
	unsigned long from;

	/* One long run if there is one: it keeps tables short and mappings simple. */
	from = bitmap_find_next_zero_area(pool->used, pool->nr_extents, 0, count, 0);
	if (from >= pool->nr_extents)
		from = 0;
	while (count) {
		struct hm_run *run;
		u32 start, n;

		if (!recordable(pool, part))
			return -EMFILE;
		n = next_free(pool, from, count, &start);
		if (!n)
			return -ENOSPC;
		run = draft_add(d);
		if (!run)
			return -ENOMEM;
		*run = (struct hm_run){ .first = first, .stride = stride, .start = start,
					.count = n, .gen = pool->next_gen++, .part = number,
					.taken = true };
		bitmap_set(pool->used, start, n);
		pool->nr_free -= n;
		pool->nr_runs++;
		if (!part->nr_runs++)
			pool->nr_regions++;
		from = start + n;
		first += n * stride;
		count -= n;
	}
	return 0;
}

/** hm_part_room - how many extents a region may get there now */
u32 hm_part_room(const struct hm_part *part)
{
	return part->pool && !part->lost && !part->pool->draining ? part->pool->nr_free : 0;
}

static int fill(struct draft *d, u32 first, u32 left)
{
	int error = 0;

	for (u8 i = 0; i < HM_MAX_PARTS && left && !error; i++) {
		u32 n;

		n = min(left, hm_part_room(&d->region->parts[i]));
		if (!n)
			continue;
		error = take(d, i, first, 1, n);
		first += n;
		left -= n;
	}
	return error ?: left ? -ENOSPC : 0;
}

static int spread(struct draft *d, u32 first, u32 left)
{
	while (left) {
		u32 n = 0, rows = left, now;
		u8 lanes[HM_MAX_PARTS];

		for (u8 i = 0; i < HM_MAX_PARTS; i++) {
			u32 room = hm_part_room(&d->region->parts[i]);

			if (!room)
				continue;
			lanes[n++] = i;
			rows = min(rows, room);
		}
		if (!n)
			return -ENOSPC;
		rows = clamp(left / n, 1U, rows);
		now = min(n, left);
		for (u32 i = 0; i < now; i++) {
			/* A region that grows goes on where it was. */
			int error = take(d, lanes[(first + i) % n], first + i,
					 rows > 1 ? n : 1, rows);

			if (error)
				return error;
		}
		first += now * rows;
		left -= now * rows;
	}
	return 0;
}

static bool draft_begin(struct draft *d, struct hm_region *region, u32 nr_extents, u32 nr_runs)
{
	*d = (struct draft){ .region = region, .room = nr_runs + 1,
			     .layout = hm_layout_alloc(nr_runs + 1) };
	if (d->layout)
		d->layout->nr_extents = nr_extents;
	return d->layout;
}

/* The layout that was made, or an error; then what was taken goes back. */
static struct hm_layout *draft_end(struct draft *d, int error)
{
	if (!error) {
		hm_layout_order(d->layout);
		return d->layout;
	}
	for (u32 i = 0; i < d->layout->nr_runs; i++)
		if (d->layout->runs[i].taken)
			untake(d->region, &d->layout->runs[i], 0);
	kvfree(d->layout);
	return ERR_PTR(error);
}

static int draft_copy(struct draft *d, const struct hm_run *old)
{
	struct hm_run *run = draft_add(d);

	if (!run)
		return -ENOMEM;
	*run = *old;
	run->taken = false;
	return 0;
}

/**
 * hm_carve - take extents from a region's pools
 * @old: layout to continue, or NULL
 * @nr_extents: how many the result has, more than @old
 *
 * Return: a new layout, or -ENOSPC, -EMFILE (no room to record it), -ENOMEM. Nothing is
 * durable before hm_store_write().
 */
struct hm_layout *hm_carve(struct hm_region *region, const struct hm_layout *old, u32 nr_extents)
{
	u32 had = old ? old->nr_extents : 0, nr_old = old ? old->nr_runs : 0;
	struct draft d;
	int error = 0;

	lockdep_assert_held(&hm_lock);
	if (!draft_begin(&d, region, nr_extents, nr_old))
		return ERR_PTR(-ENOMEM);
	d.layout->leaving = old ? old->leaving : NULL;
	for (u32 i = 0; i < nr_old && !error; i++)
		error = draft_copy(&d, &old->runs[i]);
	if (!error)
		error = region->spread ? spread(&d, had, nr_extents - had) :
					 fill(&d, had, nr_extents - had);
	return draft_end(&d, error);
}

/* Whether what is on a pool may go to another one. */
static bool may_take(const struct hm_pool *other, const struct hm_pool *pool)
{
	return other != pool && !other->gone && !other->draining && other->nr_free &&
	       other->persistent == pool->persistent;
}

/** hm_room_elsewhere - how many extents other pools of its kind have room for */
u64 hm_room_elsewhere(const struct hm_pool *pool)
{
	struct hm_pool *other;
	u64 room = 0;

	lockdep_assert_held(&hm_lock);
	list_for_each_entry(other, &hm_pools, node)
		if (may_take(other, pool))
			room += other->nr_free;
	return room;
}

/*
 * Of those that may take a region's extents the one with most room. A pool's table has each name
 * and identity once: one that withholds another region of either is none of them.
 */
static struct hm_pool *roomiest(const struct hm_region *region, const struct hm_pool *pool)
{
	struct hm_pool *other, *best = NULL;

	list_for_each_entry(other, &hm_pools, node)
		if (may_take(other, pool) && (!best || other->nr_free > best->nr_free) &&
		    !hm_withheld_alike(other, region))
			best = other;
	return best;
}

static int part_of(struct hm_region *region, struct hm_pool *pool)
{
	for (int i = 0; i < HM_MAX_PARTS; i++)
		if (region->parts[i].pool == pool && !region->parts[i].lost)
			return i;
	return hm_region_add(region, pool);
}

/* The extents of a run get places elsewhere. */
static int take_elsewhere(struct draft *d, const struct hm_run *run)
{
	u32 first = run->first, left = run->count;
	int error = 0;

	while (left && !error) {
		struct hm_pool *to = d->to ?: roomiest(d->region,
						       d->region->parts[run->part].pool);
		int part = to ? part_of(d->region, to) : -ENOSPC;
		u32 n = to ? min(left, to->nr_free) : 0;

		error = part < 0 ? part : take(d, part, first, run->stride, n);
		first += n * run->stride;
		left -= n;
	}
	return error;
}

/* What leaves, with what was leaving before; an error pointer when there is no memory. */
static struct hm_layout *gather_leaving(struct hm_region *region, const struct hm_layout *old,
					u8 from)
{
	const struct hm_layout *before = old->leaving;
	struct draft d;
	int error = 0;

	if (!draft_begin(&d, region, old->nr_extents, before ? before->nr_runs : 0))
		return ERR_PTR(-ENOMEM);
	for (u32 i = 0; before && i < before->nr_runs && !error; i++)
		error = draft_copy(&d, &before->runs[i]);
	for (u32 i = 0; i < old->nr_runs && !error; i++)
		if (old->runs[i].part == from)
			error = draft_copy(&d, &old->runs[i]);
	return draft_end(&d, error);
}

/**
 * hm_carve_away - take extents elsewhere for those on a pool that is drained
 * @from: the part that is to have none any more
 *
 * Return: a new layout, with what leaves as its own; or an error as hm_carve(). Then no more
 * has changed than that the region may have parts without extents.
 */
struct hm_layout *hm_carve_away(struct hm_region *region, const struct hm_layout *old, u8 from)
{
	struct hm_layout *leaving;
	struct draft d;
	int error = 0;

	lockdep_assert_held(&hm_lock);
	leaving = gather_leaving(region, old, from);
	if (IS_ERR(leaving))
		return leaving;
	if (!draft_begin(&d, region, old->nr_extents, old->nr_runs)) {
		kvfree(leaving);
		return ERR_PTR(-ENOMEM);
	}
	/* What is on one persistent pool goes to one, if it can. */
	if (region->persistent && !hm_sharers(region))
		d.to = roomiest(region, region->parts[from].pool);
	if (d.to && d.to->nr_free < old->nr_extents)
		d.to = NULL;
	for (u32 i = 0; i < old->nr_runs && !error; i++)
		error = old->runs[i].part == from ? take_elsewhere(&d, &old->runs[i]) :
						    draft_copy(&d, &old->runs[i]);
	d.layout->leaving = leaving;
	for (u32 i = 0; i < d.layout->nr_runs; i++)
		d.layout->runs[i].coming |= d.layout->runs[i].taken;
	/* Before anybody relies on the new places: they can be recorded. */
	if (!error && !hm_record_fits(region, d.layout))
		error = -EMFILE;
	if (error)
		kvfree(leaving);
	return draft_end(&d, error);
}

/**
 * hm_uncarve_left - give back what is left behind on a pool that is drained
 *
 * No extent has its home there any more, and @layout is in use no more.
 */
void hm_uncarve_left(struct hm_region *region, const struct hm_layout *layout, u8 from)
{
	const struct hm_layout *leaving = layout->leaving;

	lockdep_assert_held(&hm_lock);
	for (u32 i = 0; leaving && i < leaving->nr_runs; i++)
		if (leaving->runs[i].part == from)
			untake(region, &leaving->runs[i], 0);
}

/**
 * hm_uncarve - give extents back
 * @from: first extent of the region that goes back, 0 for all
 */
void hm_uncarve(struct hm_region *region, const struct hm_layout *layout, u32 from)
{
	lockdep_assert_held(&hm_lock);
	for (u32 i = 0; i < layout->nr_runs; i++) {
		u32 keep = hm_run_before(&layout->runs[i], from);

		if (keep < layout->runs[i].count)
			untake(region, &layout->runs[i], keep);
	}
	if (layout->leaving)
		hm_uncarve(region, layout->leaving, from);
}
