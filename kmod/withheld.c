// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: regions of which a pool is missing
 *
 * A persistent region that is on several pools can be used only while all are attached. One that is
 * attached without another withholds it: the record stays what it is, its extents stay taken, and
 * nobody sees the region but in sysfs (withheld_sysfs.c). When the last pool comes, the region
 * appears, or what does not count any more is dropped.
 *
 * While a region moves from one pool to another, both have a record of it, and each extent is on
 * one of them (media.h says how that is told): those are dealt with here. gather.c has those that
 * are on several pools, also when they leave one of these.
 */
#define pr_fmt(fmt) "hmem: " fmt

#include <linux/bitmap.h>
#include <linux/slab.h>

#include "layout.h"
#include "poison.h"
#include "store.h"

static u32 nr_runs(const struct hm_withheld *w)
{
	return le32_to_cpu(w->record.nr_runs);
}

static const struct hm_layout *layout_of(const struct hm_region *region)
{
	return rcu_dereference_protected(region->layout, lockdep_is_held(&hm_lock));
}

/* Whether a region is between two pools. */
bool hm_moving(const struct hm_region *region)
{
	return layout_of(region)->leaving;
}

static struct hm_withheld *withheld_alloc(struct hm_pool *pool, u32 nr_slots, gfp_t gfp)
{
	struct hm_withheld *w = kvzalloc(struct_size(w, slots, nr_slots), gfp);

	if (!w)
		return NULL;
	hm_withheld_begin(w, pool);
	list_add_tail(&w->node, &pool->withheld);
	return w;
}

/** hm_withhold_record - keep what a pool's superblock says of a region that is on others as well */
int hm_withhold_record(struct hm_pool *pool, const struct hm_media_region *record,
		       const union hm_media_slot *slots)
{
	u32 nr_slots = hm_media_record_slots(record);
	struct hm_withheld *w = withheld_alloc(pool, nr_slots, GFP_KERNEL);

	if (!w)
		return -ENOMEM;
	w->record = *record;
	memcpy(w->slots, slots, nr_slots * sizeof(*slots));
	pool->nr_regions++;
	pool->nr_runs += nr_runs(w);
	return 0;
}

/* One part of a region that is taken apart because another one's pool goes. */
static void withhold_part(const struct hm_part *part, const struct hm_pool *going)
{
	struct hm_withheld *w = withheld_alloc(part->pool, hm_store_slots(part, layout_of(part->region)),
					       GFP_KERNEL | __GFP_NOFAIL);

	hm_store_record(&w->record, w->slots, part);
	w->going = going;
}

static bool is_on_others(const struct hm_region *region)
{
	return rcu_access_pointer(region->layout) && (hm_moving(region) || hm_sharers(region));
}

/**
 * hm_withhold - a pool goes: what other pools have of its regions is withheld
 *
 * Under hm_lock, before the regions leave the pools' lists.
 */
void hm_withhold(struct hm_pool *pool)
{
	struct hm_part *part;

	if (!pool->persistent)
		return;
	list_for_each_entry(part, &pool->parts, node) {
		struct hm_part *other = part->region->parts;

		if (!is_on_others(part->region))
			continue;
		for (; other < part->region->parts + HM_MAX_PARTS; other++)
			if (other != part && other->pool && other->nr_runs && !other->lost)
				withhold_part(other, pool);
	}
}

/**
 * hm_withheld_unsettled - whether users of a region still have what is withheld of it
 *
 * Under hm_lock, which is let go while a region is taken apart whose other pool is revoked.
 */
bool hm_withheld_unsettled(const struct hm_pool *pool)
{
	const struct hm_withheld *w;

	list_for_each_entry(w, &pool->withheld, node)
		if (w->going)
			return true;
	return false;
}

/** hm_withheld_settled - nobody has anything of the regions of a pool that goes any more */
void hm_withheld_settled(const struct hm_pool *gone)
{
	struct hm_withheld *w;
	struct hm_pool *pool;

	lockdep_assert_held(&hm_lock);
	list_for_each_entry(pool, &hm_pools, node)
		list_for_each_entry(w, &pool->withheld, node)
			if (w->going == gone)
				w->going = NULL;
}

/** hm_withheld_forget - it is withheld no more; its extents are somebody else's business */
void hm_withheld_forget(struct hm_withheld *w)
{
	list_del(&w->node);
	if (w->shown)
		device_del(&w->dev);
	put_device(&w->dev);
}

void hm_withheld_free(struct hm_pool *pool)
{
	struct hm_withheld *w, *next;

	list_for_each_entry_safe(w, next, &pool->withheld, node)
		hm_withheld_forget(w);
}

/** hm_withheld_drop - it does not count any more: its extents go back */
void hm_withheld_drop(struct hm_withheld *w)
{
	struct hm_pool *pool = w->pool;

	for (u32 i = 0; i < nr_runs(w); i++) {
		u32 count = le32_to_cpu(w->slots[i].run.count);

		bitmap_clear(pool->used, le32_to_cpu(w->slots[i].run.start), count);
		pool->nr_free += count;
	}
	pool->nr_runs -= nr_runs(w);
	pool->nr_regions--;
	hm_poison_retire(pool);
	hm_withheld_forget(w);
}

static struct hm_withheld *find_withheld(struct hm_pool *pool, const u8 uuid[UUID_SIZE])
{
	struct hm_withheld *w;

	list_for_each_entry(w, &pool->withheld, node)
		if (!memcmp(w->record.uuid, uuid, UUID_SIZE))
			return w;
	return NULL;
}

/* What a part of a new region has; a layout of it. */
static struct hm_layout *join(struct hm_region *region, struct hm_pool *pool,
			      const struct hm_withheld *w)
{
	int number = hm_region_add(region, pool);

	region->parts[number].nr_runs = nr_runs(w);
	return hm_store_layout(w->slots, nr_runs(w), number);
}

/* Both halves are there: the region appears with the pool that is just attached. */
static int combine(struct hm_pool *to, struct hm_withheld *in, struct hm_pool *from,
		   struct hm_withheld *out)
{
	struct hm_layout *layout, *leaving;
	struct hm_region *region;

	if (hm_region_find(in->record.name)) {
		pr_err("pool %s: there is another region %s, so that the one that was moved stays hidden\n",
		       dev_name(&to->dev), in->record.name);
		return 0;
	}
	if (hm_region_identified(in->record.uuid)) {
		pr_err("pool %s: another region has the identity of %s, so that this stays hidden\n",
		       dev_name(&to->dev), in->record.name);
		return 0;
	}
	region = hm_store_region(&in->record);
	if (IS_ERR(region))
		return PTR_ERR(region);
	layout = join(region, to, in);
	leaving = join(region, from, out);
	if (!layout || !leaving || hm_table_reach(&region->table, layout->nr_extents)) {
		kvfree(layout);
		kvfree(leaving);
		hm_region_drop(region);
		return -ENOMEM;
	}
	layout->leaving = leaving;
	rcu_assign_pointer(region->layout, layout);
	pr_info("region %s was on its way from pool %s to %s; draining %s goes on with it\n",
		in->record.name, dev_name(&from->dev), dev_name(&to->dev), dev_name(&from->dev));
	hm_withheld_forget(in);
	hm_withheld_forget(out);
	return 0;
}

static bool is_incoming(const struct hm_withheld *w)
{
	return w->record.flags & cpu_to_le32(HM_MEDIA_INCOMING);
}

/* The other half of one that moves. */
static struct hm_withheld *other_half(const struct hm_withheld *w, struct hm_pool *other)
{
	struct hm_withheld *match = find_withheld(other, w->record.uuid);

	/* Not when that is between other two: an older move of the region, which was given up. */
	if (match && (memcmp(match->record.peer, w->pool->uuid, UUID_SIZE) ||
		      is_incoming(w) == is_incoming(match)))
		match = NULL;
	return match;
}

static int combine_halves(struct hm_withheld *w, struct hm_withheld *match)
{
	return is_incoming(w) ? combine(w->pool, w, match->pool, match) :
				combine(match->pool, match, w->pool, w);
}

/* Return: 1 when it was dropped, 0, or an error. */
static int meet(struct hm_pool *pool, struct hm_withheld *w, struct hm_pool *coming)
{
	struct hm_pool *other = hm_pool_identified(w->record.peer, coming);
	struct hm_withheld *match;

	if (!other) {
		pr_warn("pool %s: region %s is half on another pool, %pUb, and appears when that is attached\n",
			dev_name(&pool->dev), w->record.name, w->record.peer);
		return 0;
	}
	match = other_half(w, other);
	if (match)
		return combine_halves(w, match);
	hm_withheld_drop(w);
	return 1;
}

/* All that a pool withholds and that is about @coming. Return: as meet(). */
static int meet_all(struct hm_pool *pool, struct hm_pool *coming)
{
	struct hm_withheld *w, *next;
	int result = 0, one;

	list_for_each_entry_safe(w, next, &pool->withheld, node) {
		if (!(w->record.flags & cpu_to_le32(HM_MEDIA_MOVING)) ||
		    (pool != coming && memcmp(w->record.peer, coming->uuid, UUID_SIZE)))
			continue;
		one = meet(pool, w, coming);
		if (one < 0)
			return one;
		result |= one;
	}
	return result;
}

/**
 * hm_settle - a pool is being attached: regions on it and others come together
 *
 * Its own superblock is written afterwards by the caller.
 *
 * Return: 0 or -ENOMEM.
 */
int hm_settle(struct hm_pool *coming)
{
	struct hm_pool *pool;
	int result;

	lockdep_assert_held(&hm_lock);
	list_for_each_entry(pool, &hm_pools, node) {
		if (pool->gone || !pool->persistent)
			continue;
		result = meet_all(pool, coming);
		if (result < 0)
			return result;
		if (result)
			hm_store_write(pool, false);
	}
	result = meet_all(coming, coming);
	return result < 0 ? result : hm_gather(coming);
}

/** hm_withheld_alike - whether a pool withholds a region of the name or identity of another one */
bool hm_withheld_alike(const struct hm_pool *pool, const struct hm_region *region)
{
	const struct hm_withheld *w;

	list_for_each_entry(w, &pool->withheld, node)
		if (!strcmp(w->record.name, dev_name(&region->dev)) ||
		    !memcmp(w->record.uuid, region->uuid, UUID_SIZE))
			return true;
	return false;
}

/** hm_withheld_named - whether any pool withholds a region of that name */
bool hm_withheld_named(const char *name)
{
	const struct hm_withheld *w;
	struct hm_pool *pool;

	list_for_each_entry(pool, &hm_pools, node)
		list_for_each_entry(w, &pool->withheld, node)
			if (!pool->gone && !strcmp(w->record.name, name))
				return true;
	return false;
}

/**
 * hm_withheld_ambiguous - whether a name is that of two regions, of which one is withheld at least
 * @region: one of that name that can be seen, or NULL
 */
bool hm_withheld_ambiguous(const char *name, const struct hm_region *region)
{
	const u8 *uuid = region ? region->uuid : NULL;
	const struct hm_withheld *w;
	const struct hm_pool *pool;

	lockdep_assert_held(&hm_lock);
	list_for_each_entry(pool, &hm_pools, node) {
		list_for_each_entry(w, &pool->withheld, node) {
			if (pool->gone || strcmp(w->record.name, name))
				continue;
			if (uuid && memcmp(uuid, w->record.uuid, UUID_SIZE))
				return true;
			/* Of its identity, and on other pools: another region all the same. */
			if (region && !hm_withheld_kin(w, region))
				return true;
			uuid = w->record.uuid;
		}
	}
	return false;
}

/* All of a region that is there goes, and is written so. One of its identity is another region. */
static int destroy_all(const char *name, const u8 uuid[UUID_SIZE])
{
	struct hm_withheld *w;
	struct hm_pool *pool;
	int error = 0;

	list_for_each_entry(pool, &hm_pools, node) {
		w = pool->gone ? NULL : find_withheld(pool, uuid);
		if (!w || strcmp(w->record.name, name))
			continue;
		hm_withheld_drop(w);
		error = hm_store_write(pool, false) ?: error;
	}
	hm_withheld_review();
	return error;
}

/**
 * hm_withheld_destroy - give up what there is of such a region
 *
 * What other pools have goes when they come. Its name is not ambiguous.
 *
 * Return: 0, -ENOENT, -EBUSY or -EMFILE.
 */
int hm_withheld_destroy(const char *name)
{
	u8 uuid[UUID_SIZE];
	struct hm_withheld *w;
	struct hm_pool *pool;

	lockdep_assert_held(&hm_lock);
	list_for_each_entry(pool, &hm_pools, node) {
		list_for_each_entry(w, &pool->withheld, node) {
			if (pool->gone || strcmp(w->record.name, name))
				continue;
			if (w->going)
				return -EBUSY;
			memcpy(uuid, w->record.uuid, UUID_SIZE);
			return destroy_all(name, uuid);
		}
	}
	return -ENOENT;
}

/* It could not be published: all is as it was. */
static void withhold_again(struct hm_region *region)
{
	hm_region_close(region);
	for (int i = 0; i < HM_MAX_PARTS; i++)
		if (region->parts[i].pool && region->parts[i].nr_runs)
			withhold_part(&region->parts[i], NULL);
	hm_region_drop(region);
}

/* Return: the region, which nobody sees yet; NULL: it is still withheld. */
static struct hm_region *make_again(struct hm_withheld *w)
{
	struct hm_withheld *match;
	u8 uuid[UUID_SIZE];

	memcpy(uuid, w->record.uuid, UUID_SIZE);
	if (w->record.flags & cpu_to_le32(HM_MEDIA_SHARED)) {
		hm_gather_again(uuid);
	} else {
		match = other_half(w, hm_pool_identified(w->record.peer, NULL));
		if (match)
			combine_halves(w, match);
	}
	return hm_region_identified(uuid);
}

/* One that nothing keeps, and that was not looked at; NULL: there is none. */
static struct hm_withheld *next_ready(void)
{
	struct hm_withheld *w;
	struct hm_pool *pool;
	u32 missing;

	list_for_each_entry(pool, &hm_pools, node)
		list_for_each_entry(w, &pool->withheld, node)
			if (!pool->gone && !w->going && !w->looked &&
			    hm_withheld_reason(w, &missing) == HM_WITHHELD_READY)
				return w;
	return NULL;
}

/**
 * hm_withheld_retry - a region has gone: a withheld one of its name or identity can appear
 */
void hm_withheld_retry(void)
{
	struct hm_region *region;
	struct hm_withheld *w;
	struct hm_pool *pool;

	lockdep_assert_held(&hm_lock);
	list_for_each_entry(pool, &hm_pools, node)
		list_for_each_entry(w, &pool->withheld, node)
			w->looked = false;
	while ((w = next_ready())) {
		w->looked = true;
		region = make_again(w);
		if (region && hm_region_publish(region)) {
			withhold_again(region);
			break;
		}
		cond_resched();
	}
	hm_withheld_review();
}
