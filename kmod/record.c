// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: records
 *
 * One region as it is on the media of a pool, and back. What is written follows from the layout:
 * a region that has extents on several persistent pools has a record on each of them, which
 * names them all and says where in the region these extents are.
 */
#include <linux/bitops.h>
#include <linux/slab.h>

#include "store.h"

static u32 parts_in(const struct hm_layout *layout)
{
	u32 parts = 0;

	for (u32 i = 0; layout && i < layout->nr_runs; i++)
		parts |= 1U << layout->runs[i].part;
	return parts;
}

static u64 extents_in(const struct hm_layout *layout)
{
	u64 extents = 0;

	for (u32 i = 0; i < layout->nr_runs; i++)
		extents += layout->runs[i].count;
	return extents;
}

/* hm_sharers() of a region that has that layout. */
static u32 sharers_in(const struct hm_region *region, const struct hm_layout *layout)
{
	const struct hm_layout *leaving;
	u32 parts;
	bool alone;

	if (!region->persistent || !layout)
		return 0;
	leaving = layout->leaving;
	parts = parts_in(layout) | parts_in(leaving);
	/* Without a place for each run they follow one another. */
	alone = hweight32(parts) == (leaving ? 2 : 1) && layout->ordered &&
		(!leaving || (leaving->ordered && extents_in(leaving) == layout->nr_extents));
	return alone ? 0 : parts;
}

static const struct hm_layout *layout_of(const struct hm_region *region)
{
	return rcu_dereference_protected(region->layout, lockdep_is_held(&hm_lock));
}

/**
 * hm_sharers - the parts of a persistent region that is on several pools
 *
 * Or that was, and whose runs do not follow one another now that all is on one.
 *
 * Return: one bit for each, those included whose memory is gone, and the one that it is moved away
 * from; 0: it is on one pool, or all of it is on its way from one to another, or volatile.
 */
u32 hm_sharers(const struct hm_region *region)
{
	return sharers_in(region, layout_of(region));
}

/**
 * hm_store_slots - how many slots a region's part takes in its pool's table
 * @layout: that the region has or gets
 */
u32 hm_store_slots(const struct hm_part *part, const struct hm_layout *layout)
{
	if (!part->nr_runs)
		return 0;
	return hm_media_slots(part->nr_runs, hweight32(sharers_in(part->region, layout)));
}

/**
 * hm_lost_parts - the parts of which a region lost what it had
 *
 * Return: one bit for each.
 */
u32 hm_lost_parts(const struct hm_region *region)
{
	u32 parts = 0;

	for (int i = 0; i < HM_MAX_PARTS; i++)
		if (region->parts[i].lost && region->parts[i].nr_runs)
			parts |= 1U << i;
	return parts;
}

/** hm_used_parts - the parts of a region that have extents, one bit for each */
u32 hm_used_parts(const struct hm_region *region)
{
	u32 parts = 0;

	for (int i = 0; i < HM_MAX_PARTS; i++)
		if (region->parts[i].pool && region->parts[i].nr_runs)
			parts |= 1U << i;
	return parts;
}

/** hm_record_fits - whether all pools of a region could say of it that it has that layout */
bool hm_record_fits(const struct hm_region *region, const struct hm_layout *layout)
{
	for (int i = 0; i < HM_MAX_PARTS; i++)
		if (region->parts[i].pool && !region->parts[i].lost &&
		    !hm_store_fits(region->parts[i].pool, region, layout))
			return false;
	return true;
}

/** hm_record_parts - make durable what these pools of a region know of it as it is in memory now */
int hm_record_parts(struct hm_region *region, u32 parts)
{
	int error = 0;

	for (int i = 0; i < HM_MAX_PARTS && !error; i++)
		if (parts & 1U << i && region->parts[i].pool && !region->parts[i].lost)
			error = hm_store_write(region->parts[i].pool, false);
	return error;
}

/**
 * hm_record - make durable what the pools of a region know of it: all of them or none
 * @first: parts that are written first: by the order it counts (media.h)
 *
 * Return: 0, or an error as hm_store_write().
 */
int hm_record(struct hm_region *region, u32 first)
{
	if (!hm_record_fits(region, layout_of(region)))
		return -EMFILE;
	return hm_record_parts(region, first) ?: hm_record_parts(region, ~first);
}

/** hm_store_run - a run as it is on the media; where it is in the region is not in there */
struct hm_run hm_store_run(const struct hm_media_run *run, u8 part)
{
	return (struct hm_run){ .start = le32_to_cpu(run->start), .count = le32_to_cpu(run->count),
				.gen = le32_to_cpu(run->gen), .part = part,
				.coming = le32_to_cpu(run->flags) & HM_MEDIA_RUN_INCOMING };
}

/**
 * hm_store_layout - the layout that runs on the media make, one after the other
 * @part: of the region, where they are
 */
struct hm_layout *hm_store_layout(const union hm_media_slot *slots, u32 nr_runs, u8 part)
{
	struct hm_layout *layout;
	u32 first = 0;

	layout = kvzalloc(struct_size(layout, runs, nr_runs), GFP_KERNEL);
	if (!layout)
		return NULL;
	layout->nr_runs = nr_runs;
	for (u32 i = 0; i < nr_runs; i++) {
		struct hm_run *run = &layout->runs[i];

		*run = hm_store_run(&slots[i].run, part);
		run->first = first;
		run->stride = 1;
		first += run->count;
	}
	layout->nr_extents = first;
	layout->ordered = true;
	return layout;
}

/** hm_store_region - a region as a record has it, found by its name, without pools or extents */
struct hm_region *hm_store_region(const struct hm_media_region *record)
{
	struct hm_region *region = hm_region_alloc(record->name, true);

	if (IS_ERR(region))
		return region;
	list_add_tail(&region->node, &hm_regions);
	memcpy(region->uuid, record->uuid, sizeof(region->uuid));
	region->uid = make_kuid(&init_user_ns, le32_to_cpu(record->uid));
	region->gid = make_kgid(&init_user_ns, le32_to_cpu(record->gid));
	region->mode = le32_to_cpu(record->mode);
	region->pins = le32_to_cpu(record->flags) & HM_MEDIA_PINS;
	region->spread = le32_to_cpu(record->flags) & HM_MEDIA_SPREAD;
	return region;
}

/* The other pool of a region that is on its way, and what that makes of this part. */
static void write_move(struct hm_media_region *record, const struct hm_part *part, bool leaving)
{
	const struct hm_region *region = part->region;

	record->flags |= cpu_to_le32(leaving ? HM_MEDIA_OUTGOING : HM_MEDIA_INCOMING);
	for (int i = 0; i < HM_MAX_PARTS; i++) {
		const struct hm_part *other = &region->parts[i];

		if (other != part && other->pool && other->nr_runs)
			memcpy(record->peer, other->pool->uuid, sizeof(record->peer));
	}
}

/* The runs of a region that lies on one pool alone, in order. */
static u32 write_runs(union hm_media_slot *slots, const struct hm_layout *layout)
{
	for (u32 i = 0; i < layout->nr_runs; i++) {
		slots[i].run.start = cpu_to_le32(layout->runs[i].start);
		slots[i].run.count = cpu_to_le32(layout->runs[i].count);
		slots[i].run.gen = cpu_to_le32(layout->runs[i].gen);
	}
	return layout->nr_runs;
}

/*
 * Those of one part from the @n-th on, and where in the region they are. Return: how many there are
 * then.
 */
static u32 write_places(union hm_media_slot *slots, const struct hm_layout *layout, u32 n,
			const struct hm_part *part, bool leaving)
{
	for (u32 i = 0; layout && i < layout->nr_runs; i++) {
		const struct hm_run *run = &layout->runs[i];
		u32 flags = leaving ? HM_MEDIA_RUN_OUTGOING :
			    run->coming ? HM_MEDIA_RUN_INCOMING : 0;

		if (run->part != part - part->region->parts)
			continue;
		slots[n].run.start = cpu_to_le32(run->start);
		slots[n].run.count = cpu_to_le32(run->count);
		slots[n].run.gen = cpu_to_le32(run->gen);
		slots[n].run.flags = cpu_to_le32(flags);
		slots[part->nr_runs + n].place.first = cpu_to_le32(run->first);
		slots[part->nr_runs + n].place.stride = cpu_to_le32(run->stride);
		n++;
	}
	return n;
}

/* A region that is on other pools as well. */
static void write_shared(struct hm_media_region *record, union hm_media_slot *slots,
			 const struct hm_part *part, u32 sharers)
{
	const struct hm_region *region = part->region;
	const struct hm_layout *layout = layout_of(region);
	union hm_media_slot *pool = slots + 2 * part->nr_runs;
	u32 n, extents = 0;

	record->flags |= cpu_to_le32(HM_MEDIA_SHARED | (region->spread ? HM_MEDIA_SPREAD : 0));
	record->nr_runs = cpu_to_le32(part->nr_runs);
	n = write_places(slots, layout, 0, part, false);
	n = write_places(slots, layout->leaving, n, part, true);
	WARN_ON_ONCE(n != part->nr_runs);
	while (n--)
		extents += le32_to_cpu(slots[n].run.count);
	record->nr_extents = cpu_to_le32(extents);
	record->total = cpu_to_le32(layout->nr_extents);
	for (int i = 0; i < HM_MAX_PARTS; i++) {
		if (!(sharers & 1U << i))
			continue;
		if (&region->parts[i] == part)
			record->number = record->nr_pools;
		memcpy(pool[record->nr_pools++].pool.uuid, region->parts[i].pool->uuid, UUID_SIZE);
	}
}

/**
 * hm_store_record - what a region's part is on the media
 * @record: all zero
 * @slots: where its slots go; all zero
 *
 * Return: behind the last slot.
 */
union hm_media_slot *hm_store_record(struct hm_media_region *record, union hm_media_slot *slots,
				     const struct hm_part *part)
{
	struct hm_region *region = part->region;
	const struct hm_layout *layout = layout_of(region), *leaving = layout->leaving;
	u32 sharers = hm_sharers(region);

	strscpy_pad(record->name, dev_name(&region->dev), sizeof(record->name));
	memcpy(record->uuid, region->uuid, sizeof(record->uuid));
	record->uid = cpu_to_le32(from_kuid(&init_user_ns, region->uid));
	record->gid = cpu_to_le32(from_kgid(&init_user_ns, region->gid));
	record->mode = cpu_to_le32(region->mode);
	record->flags = cpu_to_le32(region->pins ? HM_MEDIA_PINS : 0);
	if (sharers) {
		write_shared(record, slots, part, sharers);
		return slots + hm_media_record_slots(record);
	}
	if (leaving) {
		bool here = leaving->nr_runs &&
			    leaving->runs[0].part == part - region->parts;

		write_move(record, part, here);
		layout = here ? leaving : layout;
	}
	record->nr_runs = cpu_to_le32(layout->nr_runs);
	record->nr_extents = cpu_to_le32(layout->nr_extents);
	return slots + write_runs(slots, layout);
}
