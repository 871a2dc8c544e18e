// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: tiering on request
 *
 * What a region's file answers about near copies: move a range, set how much DRAM the copies
 * may take, tell what was done.
 */
#include <linux/capability.h>
#include <linux/pagemap.h>
#include <linux/sched/signal.h>

#include "near.h"
#include "tier.h"

/* Copies that are made in vain before whoever stores to the extent is kept waiting. */
#define HM_TRIES	3
/* Ticks for which a page may be held before it is called pinned: most are for an instant. */
#define HM_LOOKS	3

/* A split extent is made whole first; @split: how many of its pages came home for that. */
static enum hmem_moved move_extent(struct hm_region *region, u32 index, u32 place, u32 *split)
{
	struct hm_extent *extent = hm_table_find(&region->table, index);
	enum hmem_moved result = HMEM_MOVED;

	*split = 0;
	if (extent && hm_pages(extent))
		result = hm_heat_make_whole(region, extent, index, split);
	if (result != HMEM_MOVED)
		return result;
	for (int tries = 1;; tries++) {
		bool force = tries >= HM_TRIES;

		result = place == HMEM_NEAR ? hm_near_promote(region, index, force) :
					      hm_near_demote(region, index, force);
		if (result != HMEM_MOVED_WRITTEN || force)
			return result;
	}
}

/**
 * hm_tier_move - move what is between arg->next and @end, and add up what became of it
 *
 * hm_srcu is let go after every extent, so that nobody who takes the region apart waits for
 * more than one copy.
 *
 * Return: 0, -ENODEV (the region is dead), or -ERESTARTSYS (a signal came before anything of the
 * request was dealt with).
 */
int hm_tier_move(struct hm_region *region, struct hmem_migrate *arg, u64 end)
{
	unsigned int looks = 0;
	enum hmem_moved result;
	u32 split;
	int srcu;

	while (arg->next < end) {
		if (signal_pending(current) && !(looks && task_sigpending(current)))
			return arg->next == arg->offset ? -ERESTARTSYS : 0;
		srcu = srcu_read_lock(&hm_srcu);
		if (READ_ONCE(region->dead)) {
			srcu_read_unlock(&hm_srcu, srcu);
			return -ENODEV;
		}
		result = move_extent(region, arg->next >> HM_EXTENT_SHIFT, arg->place, &split);
		srcu_read_unlock(&hm_srcu, srcu);
		/*
		 * A signal ends the looking: begun anew with every one of them it might never end.
		 * io_uring's work comes once, and may be what lets the page go.
		 */
		if (result == HMEM_MOVED_PINNED && looks++ < HM_LOOKS &&
		    !task_sigpending(current)) {
			schedule_timeout_interruptible(1);
			continue;
		}
		looks = 0;
		/* Some pages of an extent that was split are where they were to go. */
		if (result != HMEM_MOVED_ALREADY)
			split = 0;
		arg->pages[HMEM_MOVED] += split;
		arg->pages[result] += HM_EXTENT_PAGES - split;
		if (result == HMEM_MOVED_PINNED && arg->pinned == U64_MAX)
			arg->pinned = arg->next;
		arg->next += HM_EXTENT_BYTES;
		cond_resched();
	}
	return 0;
}

/** hm_tier_range - what of a region a request to move means, and that nothing is done of it yet */
int hm_tier_range(struct hm_region *region, struct hmem_migrate *arg)
{
	u64 size = i_size_read(region->inode);

	if (arg->offset > size || arg->bytes > size - arg->offset)
		return -ERANGE;
	if (!arg->bytes)
		arg->bytes = size - arg->offset;
	memset(arg->pages, 0, sizeof(arg->pages));
	arg->pinned = U64_MAX;
	arg->next = arg->offset;
	return 0;
}

/** hm_tier_moved - a request to move has come to its end; @tell: with an event */
void hm_tier_moved(struct hm_region *region, const struct hmem_migrate *arg, bool tell)
{
	hm_near_asked(region, arg->pages[HMEM_MOVED_OVER_BOUND]);
	if (tell)
		hm_event(region, HMEM_EVENT_MIGRATED, arg->offset, arg->next - arg->offset);
}

/** hm_tier_migrate - HMEM_REGION_MIGRATE that is waited for */
int hm_tier_migrate(struct hm_region *region, struct hmem_migrate *arg)
{
	u64 bytes = arg->bytes;
	int error = hm_tier_range(region, arg);

	if (error)
		return error;
	error = hm_tier_move(region, arg, arg->offset + arg->bytes);
	arg->bytes = bytes;
	hm_tier_moved(region, arg, false);
	return error;
}

static int keep_errno(enum hmem_moved result)
{
	switch (result) {
	case HMEM_MOVED:
	case HMEM_MOVED_ALREADY:
		return 0;
	case HMEM_MOVED_NO_MEMORY:
		return -ENOMEM;
	case HMEM_MOVED_OVER_BOUND:
		return -EDQUOT;
	case HMEM_MOVED_POISONED:
		return -EIO;
	default:
		return -EBUSY;
	}
}

/* Why an extent that was touched just now is untouched: its memory is gone, or it is cut off. */
static int untouched_errno(const struct hm_region *region, const struct hm_extent *extent)
{
	return READ_ONCE(region->dead) || hm_extent_lost(region, extent) ? -ENODEV : -ERANGE;
}

/* What an extent is kept for from now on; returns what it was. Its home is locked. */
static u8 set_keep(struct hm_extent *extent, u8 keep)
{
	u8 was = extent->flags & HM_EXTENT_KEEP;

	extent->flags = (extent->flags & ~HM_EXTENT_KEEP) | keep;
	return was;
}

/*
 * Under hm_srcu. First kept and then moved, so that nobody moves it back in between. @already: it
 * was kept there.
 */
static int keep_extent(struct hm_region *region, u32 index, u32 place, bool *already)
{
	u8 keep = place == HMEM_NEAR ? HM_EXTENT_KEEP_NEAR : HM_EXTENT_KEEP_HOME, was;
	struct hm_extent *extent = hm_extent_lock(region, index);
	enum hmem_moved result;
	struct folio *home;
	u32 split;
	int error;

	if (PTR_ERR(extent) == -EHWPOISON)
		return -EIO;
	if (IS_ERR(extent))
		return PTR_ERR(extent) == -ENXIO ? -ERANGE : PTR_ERR(extent);
	was = set_keep(extent, keep);
	folio_unlock(extent->home);
	result = move_extent(region, index, place, &split);
	*already = was == keep && result == HMEM_MOVED_ALREADY;
	error = result == HMEM_MOVED_UNTOUCHED ? untouched_errno(region, extent) :
						 keep_errno(result);
	if (error) {
		home = hm_extent_lock_home(extent);
		if (home) {
			set_keep(extent, was);
			folio_unlock(home);
		}
	}
	return error;
}

/* Returns whether it was let go already. */
static bool release_extent(struct hm_region *region, u32 index)
{
	struct hm_extent *extent = hm_table_find(&region->table, index);
	struct folio *home = extent ? hm_extent_lock_home(extent) : NULL;
	u8 was;

	if (!home)
		return true;
	was = set_keep(extent, 0);
	folio_unlock(home);
	return !was;
}

/** hm_tier_pin - HMEM_REGION_PIN */
int hm_tier_pin(struct hm_region *region, struct hmem_pin *arg)
{
	u64 size = i_size_read(region->inode), end;
	bool already = true, begun = false;
	int error = 0, srcu;

	if (arg->offset > size || arg->bytes > size - arg->offset)
		return -ERANGE;
	end = arg->bytes ? arg->offset + arg->bytes : size;
	while (arg->next < end && !error) {
		u32 index = arg->next >> HM_EXTENT_SHIFT;

		/*
		 * It begins anew, and what is kept already is passed over whatever signals come:
		 * so each time one extent more is kept, and it ends.
		 */
		if (fatal_signal_pending(current) || (begun && signal_pending(current)))
			return -ERESTARTSYS;
		srcu = srcu_read_lock(&hm_srcu);
		if (READ_ONCE(region->dead))
			error = -ENODEV;
		else if (arg->flags & HMEM_PIN_RELEASE)
			already = release_extent(region, index);
		else
			error = keep_extent(region, index, arg->place, &already);
		srcu_read_unlock(&hm_srcu, srcu);
		begun = begun || !already;
		if (!error)
			arg->next += HM_EXTENT_BYTES;
		cond_resched();
	}
	if (error == -EDQUOT)
		hm_near_asked(region, (end - arg->next) >> PAGE_SHIFT);
	return error;
}

/* Bring home what is over the bound. */
static void shrink_to_bound(struct hm_region *region)
{
	struct hm_extent *extent;
	u32 index, split;
	int srcu;

	for (index = 0; atomic_long_read(&region->near.pages) > READ_ONCE(region->near.max);
	     index++) {
		srcu = srcu_read_lock(&hm_srcu);
		extent = hm_table_next(&region->table, &index);
		if (extent && !READ_ONCE(region->dead) && READ_ONCE(extent->front))
			move_extent(region, index, HMEM_HOME, &split);
		srcu_read_unlock(&hm_srcu, srcu);
		if (!extent || fatal_signal_pending(current))
			break;
		cond_resched();
	}
}

/* The number of the knob that is meant, or an error; one past the last: none is. */
static int find_knob(const struct hmem_policy *arg, u32 *number)
{
	const struct hm_policy_knob *knob;
	u32 i;

	if (arg->flags & HMEM_POLICY_KNOB_INDEX) {
		*number = arg->knob_index;
		return hm_policy_knob(*number) ? 0 : -ENOENT;
	}
	for (i = 0; (knob = hm_policy_knob(i)); i++)
		if (!strcmp(knob->name, arg->knob))
			break;
	*number = i;
	return knob || !arg->knob[0] ? 0 : -ENOENT;
}

static int set_policy(struct hm_region *region, const struct hmem_policy *arg, u32 number)
{
	long max = arg->near_max >> HM_EXTENT_SHIFT << HM_EXTENT_ORDER;
	struct hm_policy_knobs knobs = region->knobs;
	struct hm_near *near = &region->near;
	enum hmem_policy_mode mode = region->policy_mode;
	int error;

	if (!(arg->flags & HMEM_POLICY_NEAR_MAX))
		max = near->max;
	/* What takes more of the machine than its owner was given. */
	if ((max > near->max || arg->flags & HMEM_POLICY_KNOB) && !capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (arg->flags & HMEM_POLICY_KNOB &&
	    (arg->value > U32_MAX || !hm_policy_set(&knobs, number, arg->value)))
		return -EINVAL;
	if (arg->flags & HMEM_POLICY_MODE)
		mode = arg->mode;
	swap(region->knobs, knobs);
	swap(max, near->max);
	error = hm_heat_set(region, mode);
	if (error) {
		region->knobs = knobs;
		near->max = max;
		return error;
	}
	region->policy_mode = mode;
	return 0;
}

/** hm_tier_policy - HMEM_REGION_POLICY */
int hm_tier_policy(struct hm_region *region, struct hmem_policy *arg)
{
	const struct hm_policy_knob *knob;
	u32 number;
	int error;

	error = find_knob(arg, &number);
	if (error)
		return error;
	error = mutex_lock_killable(&region->tier_lock);
	if (error)
		return error;
	error = READ_ONCE(region->dead) ? -ENODEV : set_policy(region, arg, number);
	arg->near_max = (u64)region->near.max << PAGE_SHIFT;
	arg->mode = region->policy_mode;
	knob = hm_policy_knob(number);
	if (knob) {
		strscpy_pad(arg->knob, knob->name, sizeof(arg->knob));
		arg->value = ((u32 *)&region->knobs)[number];
		arg->least = knob->least;
		arg->most = knob->most;
	}
	mutex_unlock(&region->tier_lock);
	if (!error && arg->flags & HMEM_POLICY_NEAR_MAX)
		shrink_to_bound(region);
	return error;
}

/**
 * hm_tier_pause - nothing is done by itself to a region until hm_tier_resume()
 *
 * For who takes it or a part of it away, under hm_lock or with the region dead. What was
 * known of its heat is forgotten.
 */
void hm_tier_pause(struct hm_region *region)
{
	mutex_lock(&region->tier_lock);
	region->paused++;
	hm_heat_stop(region);
	mutex_unlock(&region->tier_lock);
}

/** hm_tier_resume - go on as the region's mode says; 0, or -ENOMEM: then it is off */
int hm_tier_resume(struct hm_region *region)
{
	int error;

	mutex_lock(&region->tier_lock);
	region->paused--;
	error = hm_heat_set(region, region->policy_mode);
	if (error)
		region->policy_mode = HMEM_POLICY_OFF;
	mutex_unlock(&region->tier_lock);
	return error;
}

/** hm_tier_stats - HMEM_REGION_STATS */
int hm_tier_stats(struct hm_region *region, struct hmem_stats *arg)
{
	struct hm_near *near = &region->near;

	if (READ_ONCE(region->dead))
		return -ENODEV;
	arg->near = (u64)atomic_long_read(&near->pages) << PAGE_SHIFT;
	arg->near_max = (u64)READ_ONCE(near->max) << PAGE_SHIFT;
	arg->near_share = (u64)hm_near_bound(near) << PAGE_SHIFT;
	arg->dirty = (u64)atomic_long_read(&near->dirty) << PAGE_SHIFT;
	arg->promotions = atomic64_read(&near->promoted);
	arg->demotions = atomic64_read(&near->demoted);
	arg->aborted = atomic64_read(&near->aborted);
	arg->copied = atomic64_read(&near->copied);
	arg->copy_ns = atomic64_read(&near->copy_ns);
	hm_heat_stats(region, arg);
	return 0;
}
