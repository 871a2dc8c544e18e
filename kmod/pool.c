// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: pools
 *
 * A pool's life: claimed, judged (persistent ones), mapped, published; then detached on
 * request, or revoked because its memory goes away. Revocation cannot be refused: every
 * region dies, every mapping is zapped, pins are waited for, and only then does the
 * caller, the CXL bus, go on. While one thread revokes a pool, others that want the same
 * wait for it.
 */
#define pr_fmt(fmt) "hmem: " fmt

#include <linux/bitmap.h>
#include <linux/device/class.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "extent.h"
#include "layout.h"
#include "store.h"
#include "tier.h"
#include "trace.h"

/* The registry; core.h says what it covers. */
DEFINE_MUTEX(hm_lock);
DEFINE_SPINLOCK(hm_open_lock);
LIST_HEAD(hm_pools);
LIST_HEAD(hm_regions);

static void hm_pool_release_dev(struct device *dev)
{
	struct hm_pool *pool = to_hm_pool(dev);

	hm_withheld_free(pool);
	vfree(pool->image);
	bitmap_free(pool->used);
	xa_destroy(&pool->bad);
	kfree(pool);
}

static const struct device_type hm_pool_type = {
	.name = "hmem_pool",
	.release = hm_pool_release_dev,
	.groups = hm_pool_groups,
};

static const struct class hm_pool_class = {
	.name = "hmem_pool",
};

static const struct hm_pool_ops *const hm_providers[] = {
	[HMEM_PROVIDER_CXL] = &hm_cxl_ops,
	[HMEM_PROVIDER_RAM] = &hm_ram_ops,
};

struct hm_pool *hm_pool_find(const char *name)
{
	struct hm_pool *pool;

	lockdep_assert_held(&hm_lock);
	list_for_each_entry(pool, &hm_pools, node)
		if (!pool->gone && !strcmp(dev_name(&pool->dev), name))
			return pool;
	return NULL;
}

/**
 * hm_pool_identified - the persistent pool of an identity, of those that are there
 * @coming: one that is just being attached, or NULL
 */
struct hm_pool *hm_pool_identified(const u8 uuid[UUID_SIZE], struct hm_pool *coming)
{
	struct hm_pool *pool;

	lockdep_assert_held(&hm_lock);
	if (coming && !memcmp(coming->uuid, uuid, UUID_SIZE))
		return coming;
	list_for_each_entry(pool, &hm_pools, node)
		if (pool->persistent && !pool->gone && !memcmp(pool->uuid, uuid, UUID_SIZE))
			return pool;
	return NULL;
}

static struct hm_pool *pool_alloc(const char *name, const struct hm_pool_ops *ops)
{
	struct hm_pool *pool;

	pool = kzalloc(sizeof(*pool), GFP_KERNEL);
	if (!pool)
		return NULL;
	pool->ops = ops;
	pool->nid = NUMA_NO_NODE;
	pool->next_gen = 1;
	INIT_LIST_HEAD(&pool->node);
	INIT_LIST_HEAD(&pool->parts);
	INIT_LIST_HEAD(&pool->withheld);
	init_completion(&pool->released);
	xa_init(&pool->bad);
	device_initialize(&pool->dev);
	pool->dev.class = &hm_pool_class;
	pool->dev.type = &hm_pool_type;
	if (dev_set_name(&pool->dev, "%s", name)) {
		put_device(&pool->dev);
		return NULL;
	}
	return pool;
}

/*
 * All or none of a pool's regions are closed for good, unless @force: nobody has them open,
 * holds a page of them, or will.
 */
static int close_regions(struct hm_pool *pool, bool force)
{
	struct hm_part *part;
	int error = 0;

	if (!force)
		list_for_each_entry(part, &pool->parts, node)
			flush_delayed_work(&part->region->linger);
	spin_lock(&hm_open_lock);
	list_for_each_entry(part, &pool->parts, node)
		if (part->region->open)
			error = -EBUSY;
	if (!error && !pool->persistent && pool->nr_regions)
		error = -ENOTEMPTY;
	if (!error || force)
		list_for_each_entry(part, &pool->parts, node)
			part->region->dead = true;
	spin_unlock(&hm_open_lock);
	if (force) {
		list_for_each_entry(part, &pool->parts, node)
			hm_events_wake(part->region);
		return 0;
	}
	if (error)
		return error;

	synchronize_srcu(&hm_srcu);
	list_for_each_entry(part, &pool->parts, node)
		if (hm_extents_pinned(part->region, 0))
			error = -EBUSY;
	if (error) {
		spin_lock(&hm_open_lock);
		list_for_each_entry(part, &pool->parts, node)
			part->region->dead = false;
		spin_unlock(&hm_open_lock);
	}
	return error;
}

/* The regions are dead: take them from whoever still uses them, but for the pages that he holds. */
static void zap_regions(struct hm_pool *pool)
{
	struct hm_part *part;

	list_for_each_entry(part, &pool->parts, node)
		hm_tier_pause(part->region);
	synchronize_srcu(&hm_srcu);
	list_for_each_entry(part, &pool->parts, node)
		hm_extents_zap(part->region, 0);
}

static void quiet_regions(struct hm_pool *pool)
{
	zap_regions(pool);
	hm_extents_wait(&pool->parts, NULL);
}

/* Nobody uses the regions any more: leave the pool to its next owner. */
static void close_store(struct hm_pool *pool)
{
	struct hm_part *part;

	/* What fsync(2) would have written back: it knows nothing of it after the next attach. */
	if (pool->persistent)
		list_for_each_entry(part, &pool->parts, node)
			hm_extents_write_back(part->region);
	hm_store_write(pool, true);
}

/* Nobody holds a page of them any more. */
static void forget_regions(struct hm_pool *pool)
{
	struct hm_part *part, *next;

	list_for_each_entry_safe(part, next, &pool->parts, node) {
		hm_extents_forget(part->region, 0);
		hm_region_drop(part->region);
	}
}

static void empty_regions(struct hm_pool *pool)
{
	quiet_regions(pool);
	forget_regions(pool);
}

static int publish_regions(struct hm_pool *pool)
{
	struct hm_part *part;
	int error;

	list_for_each_entry(part, &pool->parts, node) {
		error = hm_region_publish(part->region);
		if (!error)
			continue;
		/* Those that could be seen may be open and mapped by now. */
		close_regions(pool, true);
		list_for_each_entry_continue_reverse(part, &pool->parts, node)
			hm_region_unpublish(part->region);
		return error;
	}
	return 0;
}

/* Format or restore a persistent pool, and record who has it now. */
static int open_store(struct hm_pool *pool, u32 state)
{
	int error;

	if (state & HMEM_POOL_FORMATTED)
		return hm_store_format(pool);
	error = hm_store_restore(pool);
	if (!error)
		error = hm_settle(pool);
	return error ?: hm_store_write(pool, false);
}

/* Under hm_lock, with the provider prepared. */
static int attach_locked(struct hm_pool *pool, struct hmem_pool_attach *arg)
{
	const struct hm_pool_ops *ops = pool->ops;
	const struct hm_media_header *h;
	u32 state = 0;
	int error;

	if (hm_pool_find(dev_name(&pool->dev))) {
		pr_err("pool %s: a pool of that name is attached already\n", dev_name(&pool->dev));
		return -EEXIST;
	}
	error = ops->claim(pool);
	if (error)
		return error;

	if (pool->persistent) {
		error = -ENOMEM;
		pool->image = vzalloc(HM_MEDIA_COPY_BYTES);
		if (!pool->image)
			goto unclaim;
		error = hm_store_probe(pool, arg, &state);
		if (!error && !(state & HMEM_POOL_FORMATTED) &&
		    hm_pool_identified(pool->uuid, NULL)) {
			pr_err("pool %s: a pool of its identity, %pUb, is attached; one of them is a copy\n",
			       dev_name(&pool->dev), pool->uuid);
			error = -EEXIST;
		}
	} else {
		error = pool->bytes < HM_EXTENT_BYTES ? -EINVAL : 0;
		pool->nr_extents = pool->bytes >> HM_EXTENT_SHIFT;
		pool->nr_free = pool->nr_extents;
		pool->used = bitmap_zalloc(pool->nr_extents, GFP_KERNEL);
		if (!error && !pool->used)
			error = -ENOMEM;
	}
	if (error)
		goto unclaim;

	arg->state = state | (pool->persistent ? HMEM_POOL_PERSISTENT : 0);
	arg->bytes = (u64)pool->nr_extents << HM_EXTENT_SHIFT;
	if (arg->flags & HMEM_ATTACH_CHECK) {
		h = pool->image;
		if (pool->persistent && !(state & HMEM_POOL_FORMATTED))
			arg->regions = le32_to_cpu(h->nr_regions);
		goto unclaim;
	}

	error = ops->map(pool);
	if (error)
		goto unclaim;
	memcpy(pool->host, arg->host, sizeof(pool->host));
	if (pool->persistent) {
		error = open_store(pool, state);
		if (error)
			goto unmap;
	}
	hm_measure(pool);
	error = device_add(&pool->dev);
	if (error)
		goto close_store;
	error = publish_regions(pool);
	if (error)
		goto del;
	list_add_tail(&pool->node, &hm_pools);
	hm_rejoin(pool);
	hm_withheld_review();
	arg->regions = pool->nr_regions;
	trace_hmem_pool_attach(pool);
	return 0;

del:
	device_del(&pool->dev);
close_store:
	/* A region that was published may have been stored to. */
	quiet_regions(pool);
	close_store(pool);
unmap:
	hm_withhold(pool);
	empty_regions(pool);
	hm_withheld_settled(pool);
	hm_withheld_review();
	ops->unmap(pool);
unclaim:
	ops->unclaim(pool);
	return error;
}

int hm_pool_attach(struct hmem_pool_attach *arg)
{
	const char *name = arg->name[0] ? arg->name : arg->source;
	struct hm_pool *pool;
	int error;

	arg->regions = 0;
	if (arg->provider >= ARRAY_SIZE(hm_providers) || arg->state ||
	    !hm_media_name_ok(name))
		return -EINVAL;
	pool = pool_alloc(name, hm_providers[arg->provider]);
	if (!pool)
		return -ENOMEM;
	error = pool->ops->prepare(pool, arg);
	if (error)
		goto put;
	error = mutex_lock_killable(&hm_lock);
	if (error) {
		pool->ops->unprepare(pool);
		goto free;
	}
	error = attach_locked(pool, arg);
	strscpy_pad(arg->name, dev_name(&pool->dev), sizeof(arg->name));
	pool->ops->unprepare(pool);
	/* From here on an attached pool may be revoked and gone. */
	mutex_unlock(&hm_lock);
	if (!error && !(arg->flags & HMEM_ATTACH_CHECK))
		return 0;
free:
	pool->ops->free(pool);
put:
	put_device(&pool->dev);
	return error;
}

/* They are dead: nobody finds them any more. */
static void unpublish_regions(struct hm_pool *pool)
{
	struct hm_part *part;

	hm_withhold(pool);
	hm_withheld_hide(pool);
	list_for_each_entry(part, &pool->parts, node) {
		hm_region_withdraw(part->region, part);
		hm_region_unpublish(part->region);
	}
}

/* The pool is closed for good; under hm_lock. */
static void release_pool(struct hm_pool *pool)
{
	trace_hmem_pool_detach(pool);
	close_store(pool);
	unpublish_regions(pool);
	device_del(&pool->dev);
	empty_regions(pool);
	hm_withheld_settled(pool);
	pool->ops->unmap(pool);
	pool->ops->unclaim(pool);
	list_del(&pool->node);
	hm_withheld_review();
	pool->ops->free(pool);
	put_device(&pool->dev);
}

int hm_pool_detach(const struct hmem_pool_detach *arg)
{
	struct hm_pool *pool;
	int error;

	error = mutex_lock_killable(&hm_lock);
	if (error)
		return error;
	pool = hm_pool_find(arg->name);
	if (pool)
		hm_regions_leave(pool);
	if (pool && hm_withheld_unsettled(pool))
		error = -EBUSY;
	else
		error = pool ? close_regions(pool, false) : -ENOENT;
	if (!error) {
		release_pool(pool);
		hm_withheld_retry();
	}
	mutex_unlock(&hm_lock);
	return error;
}

/* Whether a region has extents elsewhere than on a pool that goes. */
static bool survives(const struct hm_part *part)
{
	const struct hm_region *region = part->region;

	if (!part->nr_runs)
		return true;
	/* Which of its extents are where, only both pools together know. */
	if (region->persistent && hm_moving(region))
		return false;
	for (int i = 0; i < HM_MAX_PARTS; i++) {
		const struct hm_part *other = &region->parts[i];

		if (other != part && other->nr_runs && !other->lost)
			return true;
	}
	return false;
}

/*
 * A pool goes, under hm_lock: its regions die, but for those that have extents elsewhere.
 * These lose the part, which goes to @lost with a reference to the region.
 */
static void part_with(struct hm_pool *pool, struct list_head *lost)
{
	struct hm_part *part, *next;

	list_for_each_entry_safe(part, next, &pool->parts, node) {
		if (!survives(part))
			continue;
		dev_warn(&part->region->dev, "lost what it had in pool %s\n", dev_name(&pool->dev));
		get_device(&part->region->dev);
		WRITE_ONCE(part->lost, true);
		list_move_tail(&part->node, lost);
	}
	close_regions(pool, true);
	unpublish_regions(pool);
	hm_withheld_review();
	device_del(&pool->dev);
}

/* Without hm_lock: nobody but the one who revokes has these parts. */
static void zap_lost(struct list_head *lost)
{
	struct hm_part *part;

	list_for_each_entry(part, lost, node)
		hm_tier_pause(part->region);
	synchronize_srcu(&hm_srcu);
	list_for_each_entry(part, lost, node)
		hm_extents_leave(part->region, part - part->region->parts);
}

/* Nobody holds a page of them any more. */
static void forget_lost(struct list_head *lost)
{
	struct hm_part *part, *next;

	list_for_each_entry(part, lost, node)
		hm_extents_lose(part->region, part - part->region->parts);
	list_for_each_entry_safe(part, next, lost, node) {
		struct hm_region *region = part->region;

		list_del_init(&part->node);
		if (hm_tier_resume(region))
			dev_warn(&region->dev, "no memory to measure heat: its policy is off now\n");
		put_device(&region->dev);
	}
}

/*
 * Everybody loses all of it at once, and whatever is held of it then is named together. Nobody else
 * looks at the regions of a pool that is gone.
 */
static void empty_gone(struct hm_pool *pool, struct list_head *lost)
{
	zap_lost(lost);
	zap_regions(pool);
	hm_extents_wait(lost, &pool->parts);
	forget_lost(lost);
	hm_extents_wait(&pool->parts, NULL);
	forget_regions(pool);
}

/**
 * hm_pool_revoke - take pools away from under their users
 * @match: says whether the memory of a pool is going
 * @data: for @match
 *
 * When it returns, no process maps any of their memory, nobody holds a page of it, and
 * the claim is given back. May sleep for as long as somebody pins pages.
 */
void hm_pool_revoke(bool (*match)(struct hm_pool *pool, const void *data), const void *data)
{
	struct hm_pool *pool, *found;
	LIST_HEAD(lost);
	bool first;

	do {
		found = NULL;
		mutex_lock(&hm_lock);
		list_for_each_entry(pool, &hm_pools, node) {
			if (match(pool, data)) {
				found = pool;
				break;
			}
		}
		if (!found) {
			mutex_unlock(&hm_lock);
			return;
		}
		/* Its memory is still in use by a region that another one takes apart just now. */
		if (!found->gone && hm_withheld_unsettled(found)) {
			mutex_unlock(&hm_lock);
			schedule_timeout_uninterruptible(1);
			continue;
		}
		get_device(&found->dev);
		first = !found->gone;
		if (first) {
			trace_hmem_pool_revoke(found);
			pr_info("pool %s: its memory is going away\n", dev_name(&found->dev));
			found->gone = true;
			part_with(found, &lost);
		}
		mutex_unlock(&hm_lock);

		if (first) {
			empty_gone(found, &lost);
			mutex_lock(&hm_lock);
			hm_withheld_settled(found);
			hm_withheld_retry();
			mutex_unlock(&hm_lock);
			found->ops->unmap(found);
			found->ops->unclaim(found);
			mutex_lock(&hm_lock);
			list_del(&found->node);
			mutex_unlock(&hm_lock);
			found->ops->free(found);
			complete_all(&found->released);
			put_device(&found->dev);
		} else {
			wait_for_completion(&found->released);
		}
		put_device(&found->dev);
	} while (1);
}

/* Return: whether some are left, which go just now, or another one of whose regions does. */
static bool release_some(void)
{
	struct hm_pool *pool, *next;
	bool left;

	mutex_lock(&hm_lock);
	list_for_each_entry_safe(pool, next, &hm_pools, node) {
		if (pool->gone || hm_withheld_unsettled(pool))
			continue;
		close_regions(pool, true);
		release_pool(pool);
	}
	left = !list_empty(&hm_pools);
	mutex_unlock(&hm_lock);
	return left;
}

/** hm_pools_release - give every pool back; nothing is open any more, and nothing comes */
void hm_pools_release(void)
{
	while (release_some())
		schedule_timeout_uninterruptible(1);
}

int hm_pools_init(void)
{
	return class_register(&hm_pool_class);
}

void hm_pools_exit(void)
{
	class_unregister(&hm_pool_class);
}
