// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: one bound for all regions
 *
 * The module's parameter near_max bounds the DRAM of all near copies together. Regions whose policy
 * is auto share what the others leave of it: once a second it is divided by heat
 * (hm_policy_divide()), and the share of each becomes its bound, below its own near_max; what it
 * has beyond it goes home, the coldest first, at the pace of its policy. The same is done, for ten
 * seconds, with what such regions of one cgroup have, when one of them finds no DRAM.
 *
 * Who asks for copies himself, in a region whose policy is not auto, comes first: what he could
 * not have is set aside (near_asked.c) as the others give it up.
 *
 * No copy is made over near_max in any case (dram.c). hm_near_share_lock is taken under a region's
 * tier_lock. Under it nobody waits for a tracker, whose worker may be at a long tick: who takes a
 * region apart waits for that lock. Heat is read beside the worker.
 */
#define pr_fmt(fmt) "hmem: " fmt

#include <linux/fs.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/overflow.h>
#include <linux/string.h>

#include "heat.h"
#include "near.h"

#define HM_NEAR_SHARE_PERIOD	HZ
/* For so long it is remembered that there was no DRAM. */
#define HM_NEAR_SHARE_MEMORY	(10 * HZ)

static DEFINE_MUTEX(hm_near_share_lock);
/* Of the trackers that move; like all but the atomics it is under hm_near_share_lock. */
static LIST_HEAD(hm_near_sharers);
static long hm_near_max;	/* pages, 0: no bound; read without the lock */
static atomic_long_t hm_near_used;

static void divide(struct work_struct *work);
static DECLARE_DELAYED_WORK(hm_near_share_work, divide);

/** hm_near_share_take - so many pages are to be near; false: all regions have what they may */
bool hm_near_share_take(struct hm_region *region, long pages)
{
	long max = READ_ONCE(hm_near_max), now = atomic_long_add_return(pages, &hm_near_used);

	if (max && now > max) {
		atomic_long_sub(pages, &hm_near_used);
		return false;
	}
	if (max && READ_ONCE(region->policy_mode) != HMEM_POLICY_AUTO)
		hm_near_asked_got(region, pages);
	return true;
}

/** hm_near_share_give - so many pages are near no more */
void hm_near_share_give(long pages)
{
	atomic_long_sub(pages, &hm_near_used);
}

/** hm_near_share_starved - there is no DRAM for a region; any locks may be held */
void hm_near_share_starved(struct hm_region *region)
{
	if (READ_ONCE(region->policy_mode) != HMEM_POLICY_AUTO)
		return;
	WRITE_ONCE(region->near.starved, jiffies | 1);
	queue_delayed_work(hm_wq, &hm_near_share_work, HM_NEAR_SHARE_PERIOD);
}

static bool starved(const struct hm_region *region)
{
	unsigned long when = READ_ONCE(region->near.starved);

	return when && time_before(jiffies, when + HM_NEAR_SHARE_MEMORY);
}

/* The next that is starved, of a cgroup that none before it is of; NULL: there is none. */
static struct hm_tracker *next_starved(const struct hm_tracker *last)
{
	struct hm_tracker *t, *before;

	list_for_each_entry(t, &hm_near_sharers, sharer) {
		if (last) {
			last = t == last ? NULL : last;
			continue;
		}
		if (!starved(t->region))
			continue;
		list_for_each_entry(before, &hm_near_sharers, sharer)
			if (before == t || (starved(before->region) &&
					    before->region->memcg == t->region->memcg))
				break;
		if (before == t)
			return t;
	}
	return NULL;
}

/* Those of one cgroup, or all, are divided between; returns what they use, in pages. */
static long link_up(struct hm_policy_share **first, const struct hm_tracker *with)
{
	struct hm_tracker *t;
	long used = 0;

	*first = NULL;
	list_for_each_entry(t, &hm_near_sharers, sharer) {
		if (with && with->region->memcg != t->region->memcg)
			continue;
		t->share.next = *first;
		*first = &t->share;
		used += t->share.used;
	}
	return used;
}

/* What there is for those who share: the others come first. */
static long for_sharers(long used_by_sharers)
{
	long others = max(0L, atomic_long_read(&hm_near_used) - used_by_sharers);

	return max(0L, READ_ONCE(hm_near_max) - others - hm_near_asked_aside());
}

/* What it has and may have, and how hot it is. */
static void look(struct hm_tracker *t, bool bounded)
{
	struct hm_near *near = &t->region->near;

	/* Without t->lock: of the hottest region the worker has it most of the time. */
	hm_policy_share(&t->share, &t->policy);
	/* A bound may be any number; what it is more than the region is of no use. */
	t->share.most = min_t(u64, READ_ONCE(near->max),
			      i_size_read(t->region->inode) >> PAGE_SHIFT);
	t->share.bound = bounded ? min_t(u64, hm_near_bound(near), t->share.most) : t->share.most;
	t->share.used = atomic_long_read(&near->pages);
}

/* Its worker follows at its next tick. */
static void set_share(struct hm_tracker *t, long pages)
{
	WRITE_ONCE(t->region->near.share, pages);
}

/* Without a bound for all, who has his own follows it when it changes. */
static void settle(struct hm_tracker *t, bool bounded)
{
	bool own = !bounded && t->share.bound >= t->share.most;

	set_share(t, own ? LONG_MAX : t->share.bound);
}

static void divide_all(void)
{
	struct hm_policy_share *first;
	long used = link_up(&first, NULL), total = for_sharers(used);

	hm_policy_divide(first, total);
	hm_policy_shift(first, total);
}

/* None is given more than the bound of all regions allows. */
static void divide_scarce(const struct hm_tracker *with)
{
	struct hm_policy_share *first, *share;
	long used = link_up(&first, with);

	/* One alone has it all. */
	if (!first->next)
		return;
	for (share = first; share; share = share->next)
		share->most = share->bound;
	hm_policy_divide(first, used);
	hm_policy_ration(first, used);
}

static void divide(struct work_struct *work)
{
	struct hm_tracker *t, *with = NULL;
	bool bounded, scarce = false;

	mutex_lock(&hm_near_share_lock);
	bounded = hm_near_max;
	list_for_each_entry(t, &hm_near_sharers, sharer)
		look(t, bounded);
	if (bounded && !list_empty(&hm_near_sharers))
		divide_all();
	while ((with = next_starved(with))) {
		divide_scarce(with);
		scarce = true;
	}
	list_for_each_entry(t, &hm_near_sharers, sharer)
		settle(t, bounded);
	if ((bounded || scarce) && !list_empty(&hm_near_sharers))
		queue_delayed_work(hm_wq, &hm_near_share_work, HM_NEAR_SHARE_PERIOD);
	mutex_unlock(&hm_near_share_lock);
}

/** hm_near_share_join - a region's policy moves; under region->tier_lock */
void hm_near_share_join(struct hm_tracker *t)
{
	mutex_lock(&hm_near_share_lock);
	if (list_empty(&t->sharer)) {
		list_add_tail(&t->sharer, &hm_near_sharers);
		/* What it has, until it is known what it is to have. */
		if (hm_near_max)
			set_share(t, atomic_long_read(&t->region->near.pages));
	}
	mod_delayed_work(hm_wq, &hm_near_share_work, 0);
	mutex_unlock(&hm_near_share_lock);
}

/** hm_near_share_leave - it does so no more, and its bound is its own; under region->tier_lock */
void hm_near_share_leave(struct hm_tracker *t)
{
	mutex_lock(&hm_near_share_lock);
	list_del_init(&t->sharer);
	set_share(t, LONG_MAX);
	mutex_unlock(&hm_near_share_lock);
}

/** hm_near_share_exit - no region is left */
void hm_near_share_exit(void)
{
	cancel_delayed_work_sync(&hm_near_share_work);
}

/* memparse() would take what does not fit into 64 bits for something less. */
static int parse_bytes(const char *value, u64 *bytes)
{
	static const char units[] = "KMGTkmgt";
	unsigned long long number;
	char text[32], *unit;
	u32 shift = 0;
	int error;

	if (strscpy(text, value, sizeof(text)) < 0)
		return -EINVAL;
	unit = strpbrk(strim(text), units);
	if (unit) {
		shift = 10 * ((strchr(units, *unit) - units) % 4 + 1);
		if (unit[1])
			return -EINVAL;
		*unit = 0;
	}
	error = kstrtoull(strim(text), 0, &number);
	if (error)
		return error;
	return check_shl_overflow(number, shift, bytes) ? -ERANGE : 0;
}

static int near_max_set(const char *value, const struct kernel_param *param)
{
	u64 bytes;
	int error = parse_bytes(value, &bytes);

	if (error) {
		pr_err("near_max is a number of bytes, K, M, G or T after it, or 0 for no bound\n");
		return error;
	}
	if (bytes && bytes < HM_EXTENT_BYTES) {
		pr_err("near_max is at least %lu, one extent, or 0 for no bound\n",
		       HM_EXTENT_BYTES);
		return -EINVAL;
	}
	mutex_lock(&hm_near_share_lock);
	WRITE_ONCE(hm_near_max, bytes >> HM_EXTENT_SHIFT << HM_EXTENT_ORDER);
	if (!list_empty(&hm_near_sharers))
		mod_delayed_work(hm_wq, &hm_near_share_work, 0);
	mutex_unlock(&hm_near_share_lock);
	return 0;
}

static int near_max_get(char *buffer, const struct kernel_param *param)
{
	return sysfs_emit(buffer, "%llu\n", (u64)READ_ONCE(hm_near_max) << PAGE_SHIFT);
}

static const struct kernel_param_ops near_max_ops = {
	.set = near_max_set,
	.get = near_max_get,
};

module_param_cb(near_max, &near_max_ops, NULL, 0644);
MODULE_PARM_DESC(near_max, "bytes of DRAM for the near copies of all regions, 0: no bound");
