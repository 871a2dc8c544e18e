// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: heat
 *
 * The tracker drives the policy engine (policy.h) for one region: it takes mappings away and
 * tells the engine how long it took until somebody came back, asks it what to move, and moves
 * that. It is there as long as the region's policy is not off; without it a region has no
 * thread, no scan and no cost but one look at a pointer in a fault.
 *
 * hm_tracker.lock serialises the worker with who changes the policy or asks for heat; it is
 * taken outside the folio locks, and never by a fault. What a fault tells the engine it tells
 * under the lock of the extent's home, as policy.h wants it.
 */
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/slab.h>

#include "heat.h"
#include "near.h"
#include "tier.h"

/* For so long the policy takes no more DRAM after it was short. */
#define HM_PRESSURE_SECONDS	10

/* Home is locked. What was moved without the engine is told to it. False: leave it alone. */
static bool meet(struct hm_tracker *t, struct hm_extent *extent, u32 index)
{
	struct hm_heat *heat = &extent->heat;

	if (!(extent->flags & HM_EXTENT_RANKED)) {
		if (hm_pages(extent) && !hm_heat_discard_pages(t->region, extent, index))
			return false;
		hm_policy_add(&t->policy, heat, hm_near(extent));
		extent->flags |= HM_EXTENT_RANKED;
	} else if (!(heat->flags & (HM_HEAT_MOVING | HM_HEAT_SPLIT)) &&
		   !!hm_near(extent) != !!(heat->flags & HM_HEAT_NEAR)) {
		hm_policy_placed(&t->policy, heat, ktime_get_ns());
	}
	return true;
}

static enum hm_policy_result outcome(enum hmem_moved result)
{
	switch (result) {
	case HMEM_MOVED:
	case HMEM_MOVED_ALREADY:
		return HM_POLICY_DONE;
	case HMEM_MOVED_WRITTEN:
		return HM_POLICY_ABORTED;
	default:
		return HM_POLICY_FAILED;
	}
}

/*
 * Home is locked. From now on the next touch is a fault: also what a fault has returned, and
 * is about to be mapped under its own lock, is waited for.
 */
static void probe(struct hm_tracker *t, struct hm_extent *extent, u32 index)
{
	struct folio *near = hm_near(extent);

	if (near)
		folio_lock(near);
	hm_extent_unmap(t->region, index);
	hm_policy_zapped(&t->policy, &extent->heat, ktime_get_ns());
	if (near)
		folio_unlock(near);
}

/** hm_heat_pressed - memory was short not long ago, and what was given up is not asked for again */
bool hm_heat_pressed(const struct hm_region *region)
{
	unsigned long when = READ_ONCE(region->near.pressed);

	return when && time_before(jiffies, when + HM_PRESSURE_SECONDS * HZ);
}

static void move(struct hm_tracker *t, struct hm_extent *extent, u32 index, u32 what)
{
	bool force = what & HM_POLICY_WAIT;
	enum hmem_moved result = HMEM_MOVED_BUSY;
	u64 began = ktime_get_ns();
	struct folio *home;

	if (t->moves && !(what & HM_POLICY_PROMOTE && hm_heat_pressed(t->region)))
		result = what & HM_POLICY_PROMOTE ? hm_near_promote(t->region, index, force) :
						    hm_near_demote(t->region, index, force);
	t->move_ns += ktime_get_ns() - began;
	home = hm_extent_lock_home(extent);
	if (!home)
		return;
	hm_policy_moved(&t->policy, &extent->heat, what, outcome(result), ktime_get_ns());
	folio_unlock(home);
}

/* Under hm_srcu: the extent stays what it is. */
static void visit(struct hm_tracker *t, u32 index)
{
	struct hm_region *region = t->region;
	struct hm_extent *extent = hm_table_find(&region->table, index);
	struct folio *home = extent ? hm_extent_lock_home(extent) : NULL;
	u32 what;

	if (!home)
		return;
	what = !meet(t, extent, index) || extent->flags & HM_EXTENT_KEEP ? 0 :
	       hm_policy_visit(&t->policy, &extent->heat, index, ktime_get_ns());
	if (what & HM_POLICY_PROBE)
		probe(t, extent, index);
	if (what & HM_POLICY_CLEAR)
		hm_heat_clear(t, extent, index);
	if (what & HM_POLICY_SCAN)
		hm_heat_scan(t, extent, index);
	/* While it was let go the home may have become another one. */
	folio_unlock(extent->home);
	if (what & (HM_POLICY_PROMOTE | HM_POLICY_DEMOTE))
		move(t, extent, index, what);
	if (what & HM_POLICY_SPLIT)
		hm_heat_split(t, extent, index);
}

/*
 * What a sweep goes by: an extent that is not there, or is kept where it is, is none that it is to
 * move, whatever its heat.
 */
static const struct hm_heat *swept(const struct hm_extent *extent)
{
	static const struct hm_heat untouched;

	return !extent || READ_ONCE(extent->flags) & HM_EXTENT_KEEP ? &untouched : &extent->heat;
}

/* Under hm_srcu: the next extent to visit. Those that a sweep passes over are not locked. */
static bool find(struct hm_tracker *t, u32 *index)
{
	struct hm_extent *extent;

	do {
		if (!hm_policy_next(&t->policy, index))
			return false;
		extent = hm_table_find(&t->region->table, *index);
		cond_resched();		/* it may pass all of them */
	} while (hm_policy_passes(&t->policy, swept(extent)));
	return true;
}

static void track(struct work_struct *work)
{
	struct hm_tracker *t = container_of(work, struct hm_tracker, work.work);
	u64 began, moved, now, next;
	bool more = true;
	int srcu;
	u32 index;

	mutex_lock(&t->lock);
	began = now = ktime_get_ns();
	moved = t->move_ns;
	hm_policy_resize(&t->policy, hm_near_bound(&t->region->near));
	next = hm_policy_tick(&t->policy, now);
	while (more && !READ_ONCE(t->stop)) {
		srcu = srcu_read_lock(&hm_srcu);
		more = !READ_ONCE(t->region->dead) && find(t, &index);
		if (more)
			visit(t, index);
		srcu_read_unlock(&hm_srcu, srcu);
		cond_resched();
	}
	hm_scan_flush(&t->scanned);
	now = ktime_get_ns();
	WRITE_ONCE(t->look_ns, t->look_ns + (now - began) - (t->move_ns - moved));
	if (!READ_ONCE(t->stop))
		queue_delayed_work(hm_wq, &t->work,
				   nsecs_to_jiffies(next > now ? next - now : 0) + 1);
	mutex_unlock(&t->lock);
}

/**
 * hm_heat_touched - somebody came to an extent whose mapping was taken away
 * @page: of the extent's
 *
 * Under hm_srcu and the home's folio lock.
 */
void hm_heat_touched(struct hm_region *region, struct hm_extent *extent, u32 index, u32 page)
{
	struct hm_tracker *t = srcu_dereference(region->tracker, &hm_srcu);

	if (t)
		hm_policy_touched(&t->policy, &extent->heat, index, page, ktime_get_ns());
}

static void set_knobs(struct hm_tracker *t, enum hmem_policy_mode mode)
{
	struct hm_policy_costs costs;
	int srcu = srcu_read_lock(&hm_srcu);

	hm_measured(t->region, &costs);
	srcu_read_unlock(&hm_srcu, srcu);
	t->policy.knob = t->region->knobs;
	hm_policy_fill(&t->policy.knob, &costs);
	t->moves = mode == HMEM_POLICY_AUTO;
	/* Who is split faults for each page, and is to have something from it. */
	if (!t->moves || !hm_can_scan())
		t->policy.knob.split = 0;
	/* Without a rate nothing is ever to be moved. */
	if (!t->moves)
		t->policy.knob.rate_mib = 0;
}

static struct hm_tracker *tracker_of(struct hm_region *region)
{
	return rcu_dereference_protected(region->tracker, lockdep_is_held(&region->tier_lock));
}

/* So that what is near counts from the beginning. */
static void meet_all(struct hm_tracker *t)
{
	struct hm_extent *extent;
	u32 index;
	int srcu = srcu_read_lock(&hm_srcu);

	hm_table_for_each(&t->region->table, index, extent, 0) {
		struct folio *home = hm_extent_lock_home(extent);

		if (!home)
			continue;
		meet(t, extent, index);
		folio_unlock(home);
		cond_resched();
	}
	srcu_read_unlock(&hm_srcu, srcu);
}

static int start(struct hm_region *region, enum hmem_policy_mode mode)
{
	struct hm_tracker *t = kvzalloc(sizeof(*t), GFP_KERNEL);

	if (!t)
		return -ENOMEM;
	t->region = region;
	mutex_init(&t->lock);
	INIT_LIST_HEAD(&t->sharer);
	INIT_DELAYED_WORK(&t->work, track);
	hm_policy_init(&t->policy, &region->knobs, i_size_read(region->inode) >> HM_EXTENT_SHIFT,
		       hm_near_bound(&region->near), ktime_get_ns());
	set_knobs(t, mode);
	meet_all(t);
	rcu_assign_pointer(region->tracker, t);
	/* Who has seen that there was none may be making an extent whole without its lock. */
	synchronize_srcu(&hm_srcu);
	queue_delayed_work(hm_wq, &t->work, 1);
	if (t->moves)
		hm_near_share_join(t);
	return 0;
}

/* The heat of every extent is forgotten: nobody tells the engine of it any more. */
static void forget(struct hm_region *region)
{
	struct hm_extent *extent;
	u32 index;
	int srcu = srcu_read_lock(&hm_srcu);

	hm_table_for_each(&region->table, index, extent, 0) {
		struct folio *home = hm_extent_lock_home(extent);

		if (!home)
			continue;
		extent->flags &= ~HM_EXTENT_RANKED;
		memset(&extent->heat, 0, sizeof(extent->heat));
		hm_heat_forget_pages(hm_pages(extent));
		folio_unlock(home);
		cond_resched();
	}
	srcu_read_unlock(&hm_srcu, srcu);
}

/**
 * hm_heat_stop - end the tracking of a region's heat; what is near stays so
 *
 * Under region->tier_lock.
 */
void hm_heat_stop(struct hm_region *region)
{
	struct hm_tracker *t = tracker_of(region);

	if (!t)
		return;
	/* It ends after the extent that it is at, and may just be queueing itself once more. */
	WRITE_ONCE(t->stop, true);
	hm_near_share_leave(t);
	mutex_lock(&t->lock);
	mutex_unlock(&t->lock);
	cancel_delayed_work_sync(&t->work);
	RCU_INIT_POINTER(region->tracker, NULL);
	synchronize_srcu(&hm_srcu);
	forget(region);
	kvfree(t);
}

/**
 * hm_heat_resize - a region has, or is about to have, so many extents
 *
 * What is known of those below stays; of the others nothing does, also when they are not cut off in
 * the end. Under region->tier_lock.
 */
void hm_heat_resize(struct hm_region *region, u32 nr_extents)
{
	struct hm_tracker *t = tracker_of(region);
	struct hm_extent *extent;
	u32 index;
	int srcu;

	if (!t)
		return;
	mutex_lock(&t->lock);
	srcu = srcu_read_lock(&hm_srcu);
	hm_table_for_each(&region->table, index, extent, nr_extents) {
		struct folio *home = hm_extent_lock_home(extent);

		if (!home)
			continue;
		if (extent->flags & HM_EXTENT_RANKED)
			hm_heat_drop(t, extent);
		folio_unlock(home);
		cond_resched();
	}
	hm_policy_extents(&t->policy, nr_extents);
	srcu_read_unlock(&hm_srcu, srcu);
	mutex_unlock(&t->lock);
}

/**
 * hm_heat_set - make the tracker do as a region's mode, bound and knobs say
 *
 * Under region->tier_lock.
 *
 * Return: 0 or -ENOMEM.
 */
int hm_heat_set(struct hm_region *region, enum hmem_policy_mode mode)
{
	struct hm_tracker *t = tracker_of(region);

	if (mode == HMEM_POLICY_OFF || region->paused) {
		hm_heat_stop(region);
		return 0;
	}
	if (!t)
		return start(region, mode);
	mutex_lock(&t->lock);
	set_knobs(t, mode);
	hm_policy_resize(&t->policy, hm_near_bound(&region->near));
	mutex_unlock(&t->lock);
	if (t->moves)
		hm_near_share_join(t);
	else
		hm_near_share_leave(t);
	return 0;
}
