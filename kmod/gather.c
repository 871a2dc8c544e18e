// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: gathering
 *
 * A region that is on several persistent pools comes together when the last of them is attached.
 * share.c judges what their records say; here the region is made of them, or dropped. Where a
 * loss of power left the records of a change that is not complete, the region's pools are
 * written as it counts, and what other pools have of it is dropped after that. One that was on its
 * way from a pool to others is on its way again.
 */
#define pr_fmt(fmt) "hmem: " fmt

#include <linux/bitmap.h>
#include <linux/slab.h>
#include <linux/sort.h>

#include "layout.h"
#include "poison.h"
#include "share.h"
#include "store.h"

/* The records of one region. Too large for a stack: the only one, under hm_lock. */
static struct gathering {
	struct hm_share shares[HM_SHARE_MAX];
	struct hm_withheld *held[HM_SHARE_MAX];
	struct hm_pool *coming;
	u32 nr;
	u32 which;	/* the one that has size and pools */
	enum hm_share_way way;
} hm_gathering;

static bool is_shared(const struct hm_withheld *w)
{
	return w->record.flags & cpu_to_le32(HM_MEDIA_SHARED);
}

static bool is_of(const struct hm_withheld *w, const u8 uuid[UUID_SIZE])
{
	return is_shared(w) && !w->going && !memcmp(w->record.uuid, uuid, UUID_SIZE);
}

static void collect_from(struct gathering *g, struct hm_pool *pool, const u8 uuid[UUID_SIZE])
{
	struct hm_withheld *w;

	list_for_each_entry(w, &pool->withheld, node) {
		if (!is_of(w, uuid))
			continue;
		if (g->nr < HM_SHARE_MAX) {
			g->shares[g->nr] = (struct hm_share){ &w->record, w->slots };
			g->held[g->nr] = w;
		}
		g->nr++;
	}
}

static void collect(struct gathering *g, const u8 uuid[UUID_SIZE], struct hm_pool *coming)
{
	struct hm_pool *pool;

	g->nr = 0;
	g->coming = coming;
	if (coming)
		collect_from(g, coming, uuid);
	list_for_each_entry(pool, &hm_pools, node)
		if (!pool->gone)
			collect_from(g, pool, uuid);
}

static bool is_there(const u8 uuid[UUID_SIZE], const void *coming)
{
	return hm_pool_identified(uuid, (struct hm_pool *)coming);
}

static u32 nr_members(const struct gathering *g)
{
	return g->held[g->which]->record.nr_pools;
}

/* The record on one of the pools that count. */
static struct hm_withheld *member(const struct gathering *g, u32 number)
{
	const u8 *uuid = hm_withheld_pool(g->held[g->which], number);

	return g->held[hm_share_on(g->shares, g->nr, uuid)];
}

static bool is_incoming(const struct hm_media_run *run)
{
	return run->flags & cpu_to_le32(HM_MEDIA_RUN_INCOMING);
}

/* Whether one of its runs does not count as it is written. */
static bool has_idle_runs(const struct hm_withheld *w, enum hm_share_way way)
{
	for (u32 i = 0; way == HM_SHARE_STILL && i < le32_to_cpu(w->record.nr_runs); i++)
		if (is_incoming(&w->slots[i].run))
			return true;
	return false;
}

/* Whether a loss of power has left something to be put right. */
static bool is_unsettled(const struct gathering *g)
{
	const struct hm_share *counts = &g->shares[g->which];

	for (u32 i = 0; i < g->nr; i++)
		if (hm_share_total(&g->shares[i]) != hm_share_total(counts) ||
		    g->shares[i].record->nr_pools != counts->record->nr_pools ||
		    has_idle_runs(g->held[i], g->way))
			return true;
	return g->nr != nr_members(g);
}

/* All that is there is dropped. */
static void drop_all(struct gathering *g)
{
	for (u32 i = 0; i < min_t(u32, g->nr, HM_SHARE_MAX); i++) {
		struct hm_pool *pool = g->held[i]->pool;

		pr_info("pool %s: what it has of region %s does not count any more\n",
			dev_name(&pool->dev), g->held[i]->record.name);
		hm_withheld_drop(g->held[i]);
		hm_store_write(pool, false);
	}
}

/* What its extents are found to do. Return: 0 or -ENOMEM. */
static int find_way(struct gathering *g)
{
	u64 total = hm_share_total(&g->shares[g->which]), extents = 0;
	unsigned long *seen;

	g->way = HM_SHARE_APART;
	for (u32 i = 0; i < nr_members(g); i++)
		extents += le32_to_cpu(member(g, i)->record.nr_extents);
	/* Who lies about the size gets no memory for it. */
	if (extents < total)
		return 0;
	seen = kvcalloc(BITS_TO_LONGS(2 * total), sizeof(*seen), GFP_KERNEL);
	if (!seen)
		return -ENOMEM;
	g->way = hm_share_cover(g->shares, g->nr, g->which, seen);
	kvfree(seen);
	return 0;
}

/* How many extents of a pool's run are the region's. */
static u32 count_of(const struct gathering *g, const struct hm_withheld *w, u32 run)
{
	if (g->way == HM_SHARE_STILL && is_incoming(&w->slots[run].run))
		return 0;
	return hm_share_before(&w->slots[run].run, &hm_media_places(&w->record, w->slots)[run],
			       hm_share_total(&g->shares[g->which]));
}

/* What a record has that counts for nothing, beyond the end of the region or else, goes back. */
static void trim(const struct gathering *g, struct hm_withheld *w)
{
	struct hm_pool *pool = w->pool;

	for (u32 i = 0; i < le32_to_cpu(w->record.nr_runs); i++) {
		const struct hm_media_run *run = &w->slots[i].run;
		u32 keep = count_of(g, w, i), cut = le32_to_cpu(run->count) - keep;

		bitmap_clear(pool->used, le32_to_cpu(run->start) + keep, cut);
		pool->nr_free += cut;
		pool->nr_runs -= !keep;
	}
	hm_poison_retire(pool);
}

/* The runs that a pool has of the region: those that it leaves, or the others. */
static void add_runs(const struct gathering *g, struct hm_layout *layout, u8 part, bool leaving)
{
	const struct hm_withheld *w = member(g, part);
	const struct hm_media_place *places = hm_media_places(&w->record, w->slots);

	for (u32 i = 0; i < le32_to_cpu(w->record.nr_runs); i++) {
		bool going = w->slots[i].run.flags & cpu_to_le32(HM_MEDIA_RUN_OUTGOING);
		u32 count = count_of(g, w, i);
		struct hm_run *run;

		if (!count || going != leaving)
			continue;
		run = &layout->runs[layout->nr_runs++];
		*run = hm_store_run(&w->slots[i].run, part);
		run->first = le32_to_cpu(places[i].first);
		run->stride = le32_to_cpu(places[i].stride);
		run->count = count;
		run->coming &= g->way == HM_SHARE_MOVING;
	}
}

static int by_first(const void *a, const void *b)
{
	const struct hm_run *x = a, *y = b;

	return x->first < y->first ? -1 : x->first > y->first;
}

/* Where it belongs, or what leaves; without memory NULL. */
static struct hm_layout *make_one(const struct gathering *g, bool leaving)
{
	struct hm_layout *layout;
	u32 nr_runs = 0;

	for (u32 i = 0; i < nr_members(g); i++)
		nr_runs += le32_to_cpu(member(g, i)->record.nr_runs);
	layout = hm_layout_alloc(nr_runs);
	if (!layout)
		return NULL;
	for (u32 i = 0; i < nr_members(g); i++)
		add_runs(g, layout, i, leaving);
	layout->nr_extents = hm_share_total(&g->shares[g->which]);
	sort(layout->runs, layout->nr_runs, sizeof(layout->runs[0]), by_first, NULL);
	hm_layout_order(layout);
	return layout;
}

static struct hm_layout *make_layout(const struct gathering *g)
{
	struct hm_layout *layout = make_one(g, false);

	if (!layout || g->way != HM_SHARE_MOVING)
		return layout;
	layout->leaving = make_one(g, true);
	if (layout->leaving)
		return layout;
	hm_layout_free(layout);
	return NULL;
}

/** hm_region_identified - the region of an identity, of those that can be seen or are just made */
struct hm_region *hm_region_identified(const u8 uuid[UUID_SIZE])
{
	struct hm_region *region;

	lockdep_assert_held(&hm_lock);
	list_for_each_entry(region, &hm_regions, node)
		if (!memcmp(region->uuid, uuid, UUID_SIZE))
			return region;
	return NULL;
}

/**
 * hm_withheld_kin - whether a record of a live region's identity has to do with that region
 *
 * Then it names a pool where the region is. If not, it was forged, or is of a copy of a pool.
 */
bool hm_withheld_kin(const struct hm_withheld *w, const struct hm_region *region)
{
	for (int i = 0; i < HM_MAX_PARTS; i++) {
		const struct hm_part *part = &region->parts[i];

		if (part->pool && part->nr_runs &&
		    hm_media_names(&w->record, w->slots, part->pool->uuid))
			return true;
	}
	return false;
}

/*
 * Whether those records that have nothing to do with a region of their identity count no more, as
 * the pools that they name are there and have none. It may have left all of these.
 */
static bool are_left(struct gathering *g, const struct hm_region *region)
{
	u32 nr = 0, which, missing;

	/* Whether a pool has none cannot be told when not all of them are known. */
	if (g->nr > HM_SHARE_MAX)
		return false;
	for (u32 i = 0; i < g->nr; i++) {
		struct hm_withheld *w = g->held[i];

		if (!hm_withheld_kin(w, region))
			g->shares[nr++] = (struct hm_share){ &w->record, w->slots };
	}
	return nr && hm_share_judge(g->shares, nr, is_there, g->coming, &which, &missing) ==
			     HM_SHARE_GONE;
}

/* The region is there already: with it is what it lost, anything else is of an older time. */
static void drop_old(struct gathering *g, struct hm_region *region)
{
	bool are_old = are_left(g, region);
	u32 left = 0;

	for (u32 i = 0; i < min_t(u32, g->nr, HM_SHARE_MAX); i++) {
		struct hm_withheld *w = g->held[i];

		if (!hm_withheld_kin(w, region) && !are_old)
			pr_err("pool %s: region %s has the identity of another one that is there, %s, so that it stays hidden\n",
			       dev_name(&w->pool->dev), w->record.name, dev_name(&region->dev));
		else if (!hm_lost_part(region, w->pool))
			g->held[left++] = w;
	}
	g->nr = left;
	drop_all(g);
}

/* Its pools know of the region as it is; then what others have of it can go. */
static void settle(struct gathering *g, struct hm_region *region)
{
	pr_info("region %s: a change of it that the power's loss cut short is undone or completed\n",
		dev_name(&region->dev));
	for (int i = 0; i < HM_MAX_PARTS; i++)
		if (region->parts[i].pool)
			hm_store_write(region->parts[i].pool, false);
	drop_old(g, region);
}

static void count_runs(struct hm_region *region, const struct hm_layout *layout)
{
	for (u32 i = 0; layout && i < layout->nr_runs; i++)
		region->parts[layout->runs[i].part].nr_runs++;
}

/* What is left in @g are the records of other pools. */
static void become_parts(struct gathering *g, struct hm_region *region,
			 const struct hm_layout *layout)
{
	u32 nr = nr_members(g), left = 0;
	struct hm_withheld *members[HM_MAX_PARTS];

	for (u32 i = 0; i < nr; i++)
		members[i] = member(g, i);
	for (u32 i = 0; i < g->nr; i++) {
		bool used = false;

		for (u32 j = 0; j < nr; j++)
			used |= g->held[i] == members[j];
		if (!used)
			g->held[left++] = g->held[i];
	}
	g->nr = left;
	/* The size of all of them is in one. */
	for (u32 i = 0; i < nr; i++)
		trim(g, members[i]);
	for (u32 i = 0; i < nr; i++)
		hm_withheld_forget(members[i]);
	count_runs(region, layout);
	count_runs(region, layout->leaving);
}

/* All of it is there: the region appears with the pool that is just attached. */
static int make_region(struct gathering *g)
{
	bool unsettled = is_unsettled(g);
	struct hm_region *region;
	struct hm_layout *layout;

	region = hm_store_region(&g->held[g->which]->record);
	if (IS_ERR(region))
		return PTR_ERR(region);
	for (u32 i = 0; i < nr_members(g); i++)
		hm_region_add(region, member(g, i)->pool);
	layout = make_layout(g);
	if (!layout || hm_table_reach(&region->table, layout->nr_extents)) {
		hm_layout_free(layout);
		hm_region_drop(region);
		return -ENOMEM;
	}
	rcu_assign_pointer(region->layout, layout);
	become_parts(g, region, layout);
	if (layout->leaving)
		pr_info("region %s was on its way; draining pool %s goes on with it\n",
			dev_name(&region->dev),
			dev_name(&region->parts[layout->leaving->runs[0].part].pool->dev));
	if (unsettled)
		settle(g, region);
	return 0;
}

/* What sysfs has to say of it, unless something else comes first. */
static void set_broken(struct gathering *g, bool broken)
{
	for (u32 i = 0; i < min_t(u32, g->nr, HM_SHARE_MAX); i++)
		g->held[i]->broken = broken;
}

static int gather_one(const u8 uuid[UUID_SIZE], struct hm_pool *coming)
{
	struct gathering *g = &hm_gathering;
	struct hm_region *region = hm_region_identified(uuid);
	u32 missing;
	int error;

	collect(g, uuid, coming);
	set_broken(g, false);
	if (region) {
		drop_old(g, region);
		return 0;
	}
	switch (hm_share_judge(g->shares, g->nr, is_there, coming, &g->which, &missing)) {
	case HM_SHARE_GONE:
		drop_all(g);
		return 0;
	case HM_SHARE_WHOLE:
		break;
	case HM_SHARE_MISSING:
		pr_warn("pool %s: region %s is on pools that are not there, and appears when they are attached\n",
			dev_name(&g->held[g->which]->pool->dev), g->held[g->which]->record.name);
		return 0;
	case HM_SHARE_BROKEN:
		pr_err("pool %s: what its pools say of a region contradicts each other, so that it stays hidden\n",
		       dev_name(&g->held[0]->pool->dev));
		set_broken(g, true);
		return 0;
	}
	/* Who publishes it is the pool that comes. */
	if (coming && !hm_media_names(&g->held[g->which]->record, g->held[g->which]->slots,
				      coming->uuid))
		return 0;
	if (hm_region_find(g->held[g->which]->record.name)) {
		pr_err("pool %s: there is another region %s, so that the one on several pools stays hidden\n",
		       dev_name(&g->held[g->which]->pool->dev), g->held[g->which]->record.name);
		return 0;
	}
	error = find_way(g);
	if (error)
		return error;
	if (g->way == HM_SHARE_APART) {
		pr_err("region %s: what its pools have of it does not add up, so that it stays hidden\n",
		       g->held[g->which]->record.name);
		set_broken(g, true);
		return 0;
	}
	return make_region(g);
}

/**
 * hm_gather_again - a region whose pools are all there may come together now
 *
 * Return: 0 or -ENOMEM. It is published by the caller.
 */
int hm_gather_again(const u8 uuid[UUID_SIZE])
{
	return gather_one(uuid, NULL);
}

/* One that has to do with @coming, and was not looked at; NULL: there is none. */
static struct hm_withheld *next_of(struct hm_pool *pool, struct hm_pool *coming)
{
	struct hm_withheld *w;

	list_for_each_entry(w, &pool->withheld, node)
		if (is_shared(w) && !w->going && !w->looked &&
		    (pool == coming || hm_media_names(&w->record, w->slots, coming->uuid)))
			return w;
	return NULL;
}

static int gather_on(struct hm_pool *pool, struct hm_pool *coming)
{
	struct hm_withheld *w;
	int error = 0;

	list_for_each_entry(w, &pool->withheld, node)
		w->looked = false;
	while (!error && (w = next_of(pool, coming))) {
		u8 uuid[UUID_SIZE];

		memcpy(uuid, w->record.uuid, UUID_SIZE);
		w->looked = true;
		error = gather_one(uuid, coming);
		cond_resched();
	}
	return error;
}

/**
 * hm_gather - a pool is being attached: regions that are on it and on others come together
 *
 * Return: 0 or -ENOMEM.
 */
int hm_gather(struct hm_pool *coming)
{
	struct hm_pool *pool;
	int error;

	lockdep_assert_held(&hm_lock);
	error = gather_on(coming, coming);
	list_for_each_entry(pool, &hm_pools, node)
		if (!error && !pool->gone && pool->persistent)
			error = gather_on(pool, coming);
	return error;
}
