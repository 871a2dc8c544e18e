// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: draining
 *
 * A pool's regions move to other pools of its kind, under whoever uses them. First each region
 * gets a layout in which it has places elsewhere instead: from then on an extent that is
 * touched first is touched there. Then, a few at a time, with hm_lock let go in between, the homes
 * move that are here still; and when a region has none left here, what it had goes back.
 *
 * What was done stays done when the command ends early: called again it goes on from there. Pages
 * that somebody holds cannot be moved. Those of a read(2) or a fault are let go within the
 * second that is waited for them; what is held longer is named, all of it.
 */
#define pr_fmt(fmt) "hmem: " fmt

#include <linux/pagemap.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "held.h"
#include "layout.h"
#include "near.h"
#include "store.h"

/* Extents that are moved before hm_lock is let go for others. */
#define HM_DRAIN_BATCH	16

/**
 * struct sweep - a walk over all that is on a pool
 * @uuid: of the region that it is in
 * @next: extent of it that comes next
 * @batch: extents that may still be moved before hm_lock is let go
 * @moved: extents moved
 * @stayed: extents that could not be moved
 * @why: of the first of them
 * @where: and its offset
 * @region: and its region
 * @held: those that stayed as somebody holds pages of them
 */
struct sweep {
	u8 uuid[UUID_SIZE];
	u32 next;
	u32 batch;
	u32 moved;
	u32 stayed;
	enum hmem_moved why;
	u64 where;
	char region[HMEM_NAME_LEN];
	struct hm_held *held;
};

static struct hm_layout *layout_of(struct hm_region *region)
{
	return rcu_dereference_protected(region->layout, lockdep_is_held(&hm_lock));
}

static u8 number_of(const struct hm_part *part)
{
	return part - part->region->parts;
}

/* Extents that belong to a part, and have no place elsewhere yet. */
static u64 settled(const struct hm_part *part)
{
	const struct hm_layout *layout = layout_of(part->region);
	u64 extents = 0;

	for (u32 i = 0; i < layout->nr_runs; i++)
		if (layout->runs[i].part == number_of(part))
			extents += layout->runs[i].count;
	return extents;
}

/* What is persistent may be there though nobody has touched it since the pool was attached. */
static bool stored_there(const struct hm_part *part, u32 index)
{
	const struct hm_layout *layout = layout_of(part->region);
	const struct hm_pool *to;
	struct hm_place place, left;

	if (!hm_layout_left(layout, index, &left) || left.part != number_of(part) ||
	    !hm_layout_place(layout, index, &place))
		return false;
	to = part->region->parts[place.part].pool;
	return hm_store_tag((struct hm_pool *)to, &place) != HM_TAG_PREPARED &&
	       hm_store_tag(part->pool, &left) != HM_TAG_STALE;
}

/* Whether an extent that has a place elsewhere is there still. */
static bool is_there(const struct hm_part *part, u32 index)
{
	struct hm_extent *extent = hm_table_find(&part->region->table, index);
	struct hm_place place;

	/* With a damaged tag that cannot be told, and nothing that it may have is given up. */
	if (extent && extent->home && extent->state != HM_EXTENT_FAILED)
		return extent->part == number_of(part) &&
		       hm_layout_place(layout_of(part->region), index, &place) &&
		       place.part != extent->part;
	return part->region->persistent && stored_there(part, index);
}

/* Extents that are on their way, and are there still. */
static u64 on_the_way(const struct hm_part *part)
{
	const struct hm_layout *layout = layout_of(part->region);
	u64 extents = 0;

	for (u32 index = 0; layout->leaving && index < layout->nr_extents; index++) {
		extents += is_there(part, index);
		cond_resched();
	}
	return extents;
}

static u64 extents_left(struct hm_pool *pool)
{
	struct hm_part *part;
	u64 extents = 0;

	const struct hm_withheld *w;

	list_for_each_entry(part, &pool->parts, node)
		extents += settled(part) + on_the_way(part);
	list_for_each_entry(w, &pool->withheld, node)
		extents += le32_to_cpu(w->record.nr_extents);
	return extents;
}

/* A region gets places elsewhere for what it has there. */
static int relocate(struct hm_part *part)
{
	struct hm_region *region = part->region;
	struct hm_layout *old = layout_of(region), *new;
	u32 had = hm_used_parts(region), last = 1U << number_of(part);

	if (!settled(part))
		return 0;
	/* What its pools say of where a persistent region is they can say of one that it leaves. */
	if (region->persistent && old->leaving)
		return -EBUSY;
	new = hm_carve_away(region, old, number_of(part));
	if (IS_ERR(new))
		return PTR_ERR(new);
	rcu_assign_pointer(region->layout, new);
	synchronize_srcu(&hm_srcu);
	hm_layout_free(old);
	/* In this order: media.h. That it all fits was seen to. */
	return hm_record_parts(region, hm_used_parts(region) & ~had) ?:
	       hm_record_parts(region, had & ~last) ?: hm_record_parts(region, last);
}

/* Nothing is carved from the pool any more, and all that is there gets a place elsewhere. */
static int begin(struct hm_pool *pool)
{
	struct hm_part *part;
	u64 extents = 0;
	int error = 0;

	/* Half of a region is here, and where the rest of it is nobody knows now. */
	if (!list_empty(&pool->withheld))
		return -EBUSY;
	list_for_each_entry(part, &pool->parts, node) {
		/* Where it is all its pools say, and one that is not there cannot. */
		if (part->region->persistent && hm_lost_parts(part->region))
			return -ENODEV;
		extents += settled(part);
	}
	if (extents > hm_room_elsewhere(pool))
		return -ENOSPC;
	if (!pool->draining)
		pr_info("pool %s: is drained\n", dev_name(&pool->dev));
	WRITE_ONCE(pool->draining, true);
	list_for_each_entry(part, &pool->parts, node) {
		error = relocate(part);
		if (error)
			break;
	}
	return error;
}

/* One that cannot be moved now is counted, and the first of them named, and all that are held. */
static void count(struct sweep *s, const struct hm_region *region, u32 index,
		  enum hmem_moved result)
{
	if (result == HMEM_MOVED) {
		s->moved++;
		s->batch--;
		return;
	}
	if (result == HMEM_MOVED_ALREADY || result == HMEM_MOVED_UNTOUCHED)
		return;
	if (result == HMEM_MOVED_PINNED)
		hm_held_add(s->held, region, index);
	if (s->stayed++)
		return;
	s->why = result;
	s->where = (u64)index << HM_EXTENT_SHIFT;
	strscpy_pad(s->region, dev_name(&region->dev), sizeof(s->region));
}

/* What is there is moved; what is persistent and was not touched is touched first. */
static enum hmem_moved move_extent(struct hm_part *part, u32 index)
{
	struct hm_region *region = part->region;
	struct hm_extent *extent = hm_table_find(&region->table, index);
	struct hm_place place;
	int srcu;

	if (!extent || !extent->home) {
		srcu = srcu_read_lock(&hm_srcu);
		extent = hm_extent_lock(region, index);
		if (!IS_ERR(extent))
			folio_unlock(extent->home);
		srcu_read_unlock(&hm_srcu, srcu);
		if (IS_ERR(extent))
			return hm_extent_unmoved(extent, HMEM_MOVED_BUSY);
	}
	if (!hm_layout_place(layout_of(region), index, &place) || region->parts[place.part].lost)
		return HMEM_MOVED_BUSY;
	return hm_extent_rehome(region, extent, index, &place);
}

/* From where the sweep is: true when the end of the region was reached. */
static bool move_region(struct sweep *s, struct hm_part *part)
{
	struct hm_region *region = part->region;

	for (; s->next < layout_of(region)->nr_extents; s->next++) {
		cond_resched();
		if (!is_there(part, s->next))
			continue;
		if (!s->batch)
			return false;
		count(s, region, s->next, move_extent(part, s->next));
	}
	return true;
}

/* Memory that no extent has any more, and somebody still looks at. Return: whether there is any. */
static bool looked_at(struct sweep *s, const struct hm_part *part, const struct hm_layout *leaving)
{
	bool found = false;

	for (u32 i = 0; leaving && i < leaving->nr_runs; i++) {
		const struct hm_run *run = &leaving->runs[i];

		for (u32 n = 0; n < run->count && run->part == number_of(part); n++) {
			if (folio_ref_count(hm_pool_folio(part->pool, run->start + n)) == 1)
				continue;
			count(s, part->region, run->first + n * run->stride, HMEM_MOVED_PINNED);
			found = true;
		}
	}
	return found;
}

/* The same of extents whose home is there. */
static bool has_homes(struct sweep *s, const struct hm_part *part)
{
	struct hm_extent *extent;
	bool found = false;
	u32 index;

	hm_table_for_each(&part->region->table, index, extent, 0) {
		if (extent->part != number_of(part))
			continue;
		count(s, part->region, index, HMEM_MOVED_PINNED);
		found = true;
	}
	return found;
}

static void put_back(struct hm_region *region, struct hm_layout *new, struct hm_layout *old)
{
	rcu_assign_pointer(region->layout, old);
	synchronize_srcu(&hm_srcu);
	hm_layout_free(new);
}

/*
 * A region that has no home there any more gives back what it had. Until the layout is another
 * one somebody may still touch an extent there first. What keeps it from that is counted, as
 * nobody waits for it for ever.
 */
static void finish(struct sweep *s, struct hm_part *part)
{
	struct hm_region *region = part->region;
	struct hm_layout *old = layout_of(region), *new;
	u8 number = number_of(part);
	struct hm_pool *pool = part->pool;
	u32 others;

	if (settled(part) || on_the_way(part))
		return;
	new = hm_layout_without(old, number);
	if (!new) {
		count(s, region, 0, HMEM_MOVED_NO_MEMORY);
		return;
	}
	rcu_assign_pointer(region->layout, new);
	synchronize_srcu(&hm_srcu);
	if (has_homes(s, part) || looked_at(s, part, old->leaving)) {
		put_back(region, new, old);
		return;
	}
	/* In this order: media.h. Without the one record the others are all that there is. */
	others = hm_used_parts(region) & ~(1U << number);
	if (hm_record_parts(region, others)) {
		put_back(region, new, old);
		hm_record_parts(region, others);
		count(s, region, 0, HMEM_MOVED_BUSY);
		return;
	}
	hm_uncarve_left(region, old, number);
	hm_layout_free(old);
	hm_region_leave(part);
	hm_store_write(pool, false);
}

/* A batch of the sweep. Return: whether it has come to the pool's end. */
static bool sweep_some(struct hm_pool *pool, struct sweep *s)
{
	struct hm_part *part, *next;

	s->batch = HM_DRAIN_BATCH;
	list_for_each_entry_safe(part, next, &pool->parts, node) {
		/* Those before it were dealt with, or are dealt with next time. */
		if (s->next && memcmp(s->uuid, part->region->uuid, UUID_SIZE))
			continue;
		memcpy(s->uuid, part->region->uuid, UUID_SIZE);
		if (!move_region(s, part))
			return false;
		s->next = 0;
		finish(s, part);
	}
	s->next = 0;
	return true;
}

static int stay_errno(enum hmem_moved why)
{
	switch (why) {
	case HMEM_MOVED_NO_MEMORY:
		return -ENOMEM;
	case HMEM_MOVED_POISONED:
		return -EIO;
	default:
		return -EBUSY;
	}
}

/* The pool of that name with hm_lock held; an error without it. */
static struct hm_pool *find_and_lock(const char *name)
{
	int error = mutex_lock_interruptible(&hm_lock);
	struct hm_pool *pool;

	if (error)
		return ERR_PTR(error);
	pool = hm_pool_find(name);
	if (pool)
		return pool;
	mutex_unlock(&hm_lock);
	return ERR_PTR(-ENOENT);
}

/* One sweep over the pool. Return: whether anything is left there, or an error. */
static s64 sweep(struct hmem_pool_drain *arg, struct sweep *s, struct hm_held *held)
{
	struct hm_pool *pool;
	u32 moved;
	bool ended;
	s64 left;

	*s = (struct sweep){ .held = held };
	hm_held_clear(held);
	do {
		if (signal_pending(current))
			return -EINTR;
		pool = find_and_lock(arg->name);
		if (IS_ERR(pool))	/* it was there when this began */
			return pool == ERR_PTR(-ENOENT) ? -ENODEV : PTR_ERR(pool);
		if (!pool->draining) {	/* HMEM_DRAIN_STOP came in between */
			mutex_unlock(&hm_lock);
			return -ECANCELED;
		}
		if (!list_empty(&pool->withheld)) {
			/* Another pool went: what is here of a region nobody sees, and it stays. */
			arg->left = extents_left(pool) << HM_EXTENT_SHIFT;
			mutex_unlock(&hm_lock);
			return -EBUSY;
		}
		moved = s->moved;
		ended = sweep_some(pool, s);
		moved = s->moved - moved;
		arg->moved += (u64)moved << HM_EXTENT_SHIFT;
		arg->left -= min(arg->left, (u64)moved << HM_EXTENT_SHIFT);
		left = !list_empty(&pool->parts);
		/* All of them are looked at for that, so not after each batch. */
		if (ended && left)
			arg->left = (u64)extents_left(pool) << HM_EXTENT_SHIFT;
		mutex_unlock(&hm_lock);
		cond_resched();
	} while (!ended && left);
	return left;
}

/* Sweeps until nothing is left, or somebody does not let go within a second. */
static int sweep_all(struct hmem_pool_drain *arg, struct hm_held *held)
{
	unsigned long patience = jiffies + HZ;
	struct sweep s;

	do {
		s64 left = sweep(arg, &s, held);

		if (left <= 0)
			return left;
		if (s.moved)
			patience = jiffies + HZ;
		if (s.stayed && time_after(jiffies, patience)) {
			arg->held = s.where;
			strscpy_pad(arg->region, s.region, sizeof(arg->region));
			arg->nr_ranges = hm_held_kept(held);
			arg->nr_held = held->nr;
			return stay_errno(s.why);
		}
		/* Time is left if a signal came, and as well if anything else woke it. */
		schedule_timeout_interruptible(1);
		if (signal_pending(current))
			return -EINTR;
	} while (1);
}

static int look(struct hmem_pool_drain *arg, bool stop)
{
	struct hm_pool *pool = find_and_lock(arg->name);

	if (IS_ERR(pool))
		return PTR_ERR(pool);
	if (stop)
		WRITE_ONCE(pool->draining, false);
	arg->left = extents_left(pool) << HM_EXTENT_SHIFT;
	arg->state = pool->draining ? HMEM_DRAIN_DRAINING : 0;
	mutex_unlock(&hm_lock);
	return 0;
}

/** hm_pool_drain - HMEM_POOL_DRAIN; @room: ranges that the caller's array has room for */
int hm_pool_drain(struct hmem_pool_drain *arg, u32 room)
{
	struct hm_held held = { .limit = room };
	struct hm_pool *pool;
	int error;

	if (arg->flags)
		return look(arg, arg->flags & HMEM_DRAIN_STOP);
	pool = find_and_lock(arg->name);
	if (IS_ERR(pool))
		return PTR_ERR(pool);
	hm_regions_leave(pool);
	error = begin(pool);
	arg->left = extents_left(pool) << HM_EXTENT_SHIFT;
	arg->state = pool->draining ? HMEM_DRAIN_DRAINING : 0;
	mutex_unlock(&hm_lock);
	if (error)
		return error;
	error = sweep_all(arg, &held);
	if (copy_to_user(u64_to_user_ptr(arg->ranges), held.ranges,
			 arg->nr_ranges * sizeof(*held.ranges)))
		error = -EFAULT;
	hm_held_free(&held);
	return error;
}
