// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: regions
 *
 * A region's life: carved, recorded on the media, published as a device; resized;
 * unpublished, emptied, given back. What is on the media is always ahead of what can be
 * seen: a region is recorded before it appears, and its extents are free on the media
 * before anybody else gets them.
 */
#define pr_fmt(fmt) "hmem: " fmt

#include <linux/device/class.h>
#include <linux/idr.h>
#include <linux/slab.h>

#include "extent.h"
#include "layout.h"
#include "store.h"
#include "tier.h"
#include "trace.h"

#define HM_MINORS	(1U << MINORBITS)

static dev_t hm_devt;
static DEFINE_IDA(hm_minors);

static struct hm_layout *layout_of(struct hm_region *region)
{
	return rcu_dereference_protected(region->layout, lockdep_is_held(&hm_lock));
}

/**
 * hm_region_pool - the first pool that a region is on
 *
 * Under hm_srcu or hm_lock. Of a region that has lost all, one of those.
 */
struct hm_pool *hm_region_pool(const struct hm_region *region)
{
	struct hm_pool *pool = NULL;

	for (int i = 0; i < HM_MAX_PARTS; i++) {
		const struct hm_part *part = &region->parts[i];
		struct hm_pool *here = READ_ONCE(part->pool);

		if (here && READ_ONCE(part->nr_runs) && !READ_ONCE(part->lost))
			return here;
		pool = pool ?: here;
	}
	return pool;
}

/* The device */

static char *hm_region_devnode(const struct device *dev, umode_t *mode, kuid_t *uid, kgid_t *gid)
{
	const struct hm_region *region = container_of_const(dev, struct hm_region, dev);

	/* With the type, since devtmpfs takes 0 for "as usual". */
	if (mode)
		*mode = S_IFCHR | region->mode;
	if (uid)
		*uid = region->uid;
	if (gid)
		*gid = region->gid;
	/* Without a name from here the node would be /dev/NAME, whatever else is called so. */
	return kasprintf(GFP_KERNEL | __GFP_NOFAIL, "hmem/%s", dev_name(dev));
}

static void hm_region_release(struct device *dev)
{
	struct hm_region *region = to_hm_region(dev);

	hm_table_free(&region->table);
	xa_destroy(&region->bad);
	xa_destroy(&region->gone);
	kfree(region->events);
	if (dev->devt)
		ida_free(&hm_minors, MINOR(dev->devt));
	iput(region->inode);
	mem_cgroup_put(region->memcg);
	hm_layout_free(rcu_dereference_protected(region->layout, true));
	for (int i = 0; i < HM_MAX_PARTS; i++)
		if (region->parts[i].pool)
			put_device(&region->parts[i].pool->dev);
	kvfree(region);
}

static const struct device_type hm_region_type = {
	.name = "hmem_region",
	.devnode = hm_region_devnode,
	.release = hm_region_release,
	.groups = hm_region_groups,
};

static const struct class hm_region_class = {
	.name = "hmem",
};

/**
 * hm_region_add - a region may get extents of a pool
 *
 * Under hm_lock.
 *
 * Return: the number of the part, or -EMFILE.
 */
int hm_region_add(struct hm_region *region, struct hm_pool *pool)
{
	for (int i = 0; i < HM_MAX_PARTS; i++) {
		struct hm_part *part = &region->parts[i];

		if (part->pool)
			continue;
		get_device(&pool->dev);
		part->nr_runs = 0;
		part->lost = false;
		part->region = region;
		WRITE_ONCE(part->pool, pool);
		list_add_tail(&part->node, &pool->parts);
		return i;
	}
	return -EMFILE;
}

/** hm_region_leave - a region gets no extents of a pool any more, and has none */
void hm_region_leave(struct hm_part *part)
{
	struct hm_pool *pool = part->pool;

	list_del_init(&part->node);
	WRITE_ONCE(part->pool, NULL);
	synchronize_srcu(&hm_srcu);
	put_device(&pool->dev);
}

/** hm_regions_leave - regions that have no extents of a pool get none any more */
void hm_regions_leave(struct hm_pool *pool)
{
	struct hm_part *part, *next;

	lockdep_assert_held(&hm_lock);
	list_for_each_entry_safe(part, next, &pool->parts, node)
		if (!part->nr_runs)
			hm_region_leave(part);
}

/**
 * hm_region_withdraw - nobody finds a region any more that is dead
 * @but: the part whose pool takes it apart; it stays on that list
 */
void hm_region_withdraw(struct hm_region *region, const struct hm_part *but)
{
	lockdep_assert_held(&hm_lock);
	list_del_init(&region->node);
	for (int i = 0; i < HM_MAX_PARTS; i++) {
		struct hm_part *part = &region->parts[i];

		/* Those that are lost are on lists of their own. */
		if (part->pool && part != but && !part->lost)
			list_del_init(&part->node);
	}
}

/**
 * hm_region_alloc - a region without extents or pools, on no list, that nobody can see
 *
 * Return: the region, to be dropped with hm_region_drop(), or an error.
 */
struct hm_region *hm_region_alloc(const char *name, bool persistent)
{
	struct hm_region *region;
	struct inode *inode;
	int minor, error;

	region = kvzalloc(sizeof(*region), GFP_KERNEL);
	if (!region)
		return ERR_PTR(-ENOMEM);
	region->events = hm_events_alloc();
	inode = region->events ? hm_inode_new() : ERR_PTR(-ENOMEM);
	if (IS_ERR(inode)) {
		kfree(region->events);
		kvfree(region);
		return ERR_CAST(inode);
	}
	region->inode = inode;
	inode->i_private = region;
	region->persistent = persistent;
	spin_lock_init(&region->touch_lock);
	INIT_LIST_HEAD(&region->node);
	xa_init(&region->bad);
	xa_init(&region->gone);
	INIT_DELAYED_WORK(&region->linger, hm_region_linger);
	mutex_init(&region->tier_lock);
	region->near.share = LONG_MAX;
	hm_policy_defaults(&region->knobs);
	region->memcg = get_mem_cgroup_from_mm(current->mm);
	generate_random_uuid(region->uuid);

	device_initialize(&region->dev);
	region->dev.class = &hm_region_class;
	region->dev.type = &hm_region_type;
	/* No parent: below the pool's directory a region's name could meet an attribute's. */
	cdev_init(&region->cdev, &hm_region_fops);
	region->cdev.owner = THIS_MODULE;
	error = dev_set_name(&region->dev, "%s", name);
	if (error)
		goto put;
	minor = ida_alloc_max(&hm_minors, HM_MINORS - 1, GFP_KERNEL);
	if (minor < 0) {
		error = minor == -ENOSPC ? -EMFILE : minor;
		goto put;
	}
	region->dev.devt = MKDEV(MAJOR(hm_devt), minor);
	return region;
put:
	put_device(&region->dev);
	return ERR_PTR(error);
}

/** hm_region_drop - let go of a region that is not published */
void hm_region_drop(struct hm_region *region)
{
	list_del_init(&region->node);
	for (int i = 0; i < HM_MAX_PARTS; i++)
		if (region->parts[i].pool && !region->parts[i].lost)
			list_del_init(&region->parts[i].node);
	put_device(&region->dev);
}

/** hm_region_publish - make /dev/hmem/NAME appear */
int hm_region_publish(struct hm_region *region)
{
	struct hm_layout *layout = layout_of(region);

	i_size_write(region->inode, (loff_t)layout->nr_extents << HM_EXTENT_SHIFT);
	return cdev_device_add(&region->cdev, &region->dev);
}

/** hm_region_unpublish - make /dev/hmem/NAME disappear; who has it open keeps it */
void hm_region_unpublish(struct hm_region *region)
{
	cdev_device_del(&region->cdev, &region->dev);
}

struct hm_region *hm_region_find(const char *name)
{
	struct hm_region *region;

	lockdep_assert_held(&hm_lock);
	list_for_each_entry(region, &hm_regions, node)
		if (!strcmp(dev_name(&region->dev), name))
			return region;
	return NULL;
}

/* Commands */

/* The region with hm_lock held; an error without it. */
static struct hm_region *find_and_lock(const char *name)
{
	struct hm_region *region;
	int error;

	error = mutex_lock_killable(&hm_lock);
	if (error)
		return ERR_PTR(error);
	region = hm_region_find(name);
	if (region)
		return region;
	mutex_unlock(&hm_lock);
	return ERR_PTR(-ENOENT);
}

static u64 bytes_to_extents(u64 bytes)
{
	return DIV_ROUND_UP_ULL(bytes, HM_EXTENT_BYTES);
}

/* A region that nobody can see yet gets its extents. */
static int carve_new(struct hm_region *region, u64 extents)
{
	struct hm_layout *layout;
	int error;

	if (extents > U32_MAX)
		return -ENOSPC;
	error = hm_table_reach(&region->table, extents);
	if (error)
		return error;
	layout = hm_carve(region, NULL, extents);
	if (IS_ERR(layout))
		return PTR_ERR(layout);
	rcu_assign_pointer(region->layout, layout);
	error = hm_record(region, 0);
	if (error) {
		hm_uncarve(region, layout, 0);
		hm_record(region, 0);
	}
	return error;
}

/**
 * hm_region_close - a region that could not be published is taken from everybody
 *
 * Its device number answered already: somebody may have it open and mapped.
 */
void hm_region_close(struct hm_region *region)
{
	struct hm_part all = { .region = region };
	LIST_HEAD(parts);

	list_add(&all.node, &parts);
	spin_lock(&hm_open_lock);
	region->dead = true;
	spin_unlock(&hm_open_lock);
	hm_events_wake(region);
	hm_tier_pause(region);
	synchronize_srcu(&hm_srcu);
	hm_extents_zap(region, 0);
	hm_extents_wait(&parts, NULL);
	if (region->persistent)
		hm_extents_write_back(region);
	hm_extents_forget(region, 0);
}

static void take_back(struct hm_region *region)
{
	hm_region_close(region);
	hm_uncarve(region, layout_of(region), 0);
	hm_record(region, 0);
}

static struct hm_region *new_region(const struct hmem_region_create *arg,
				    const struct hm_choice *choice)
{
	struct hm_region *region = hm_region_alloc(arg->name, choice->pools[0]->persistent);

	if (IS_ERR(region))
		return region;
	region->uid = make_kuid(&init_user_ns, arg->uid);
	region->gid = make_kgid(&init_user_ns, arg->gid);
	region->mode = arg->mode;
	region->spread = arg->flags & HMEM_CREATE_SPREAD;
	region->pins = arg->flags & HMEM_CREATE_LONG_TERM_PINS;
	for (u32 i = 0; i < choice->nr_pools; i++)
		hm_region_add(region, choice->pools[i]);
	return region;
}

int hm_region_create(struct hmem_region_create *arg, const char (*names)[HMEM_NAME_LEN])
{
	u64 extents = bytes_to_extents(arg->bytes);
	struct hm_choice choice = {};
	struct hm_region *region;
	int error;

	error = mutex_lock_killable(&hm_lock);
	if (error)
		return error;
	error = hm_region_find(arg->name) || hm_withheld_named(arg->name) ? -EEXIST :
		hm_choose(&choice, arg, names, extents);
	if (error)
		goto unlock;
	region = new_region(arg, &choice);
	if (IS_ERR(region)) {
		error = PTR_ERR(region);
		goto unlock;
	}
	error = carve_new(region, extents);
	if (error)
		goto drop;
	list_add_tail(&region->node, &hm_regions);
	error = hm_region_publish(region);
	if (error)
		goto take_back;

	arg->bytes = extents << HM_EXTENT_SHIFT;
	strscpy_pad(arg->pool, dev_name(&hm_region_pool(region)->dev), sizeof(arg->pool));
	trace_hmem_region_create(region);
	mutex_unlock(&hm_lock);
	return 0;

take_back:
	take_back(region);
drop:
	hm_region_drop(region);
unlock:
	mutex_unlock(&hm_lock);
	return error;
}

static int grow(struct hm_region *region, u32 extents)
{
	struct hm_layout *old = layout_of(region), *new;
	u32 had = hm_used_parts(region);
	int error;

	error = hm_table_reach(&region->table, extents);
	if (error)
		return error;
	new = hm_carve(region, old, extents);
	if (IS_ERR(new))
		return PTR_ERR(new);
	rcu_assign_pointer(region->layout, new);
	error = hm_record(region, ~had);
	if (error) {
		rcu_assign_pointer(region->layout, old);
		synchronize_srcu(&hm_srcu);
		hm_uncarve(region, new, old->nr_extents);
		kvfree(new);
		hm_record(region, had);
		return error;
	}
	i_size_write(region->inode, (loff_t)extents << HM_EXTENT_SHIFT);
	synchronize_srcu(&hm_srcu);
	kvfree(old);
	return 0;
}

/* Short pins (a read(2) under way) pass; longer ones are the caller's to end. */
static bool pins_stay(struct hm_region *region, u32 from)
{
	unsigned long deadline = jiffies + HZ;

	while (hm_extents_pinned(region, from)) {
		if (time_after(jiffies, deadline))
			return true;
		schedule_timeout_uninterruptible(1);
	}
	return false;
}

static int shrink(struct hm_region *region, u32 extents)
{
	struct hm_layout *old = layout_of(region), *new;

	new = hm_layout_cut(old, extents);
	if (!new)
		return -ENOMEM;
	i_size_write(region->inode, (loff_t)extents << HM_EXTENT_SHIFT);
	rcu_assign_pointer(region->layout, new);
	synchronize_srcu(&hm_srcu);
	hm_extents_zap(region, extents);
	if (pins_stay(region, extents)) {
		rcu_assign_pointer(region->layout, old);
		i_size_write(region->inode, (loff_t)old->nr_extents << HM_EXTENT_SHIFT);
		synchronize_srcu(&hm_srcu);
		hm_layout_free(new);
		return -EBUSY;
	}
	hm_extents_forget(region, extents);
	hm_uncarve(region, old, extents);
	hm_layout_free(old);
	return hm_record(region, hm_used_parts(region));
}

/* What a region's pools have left. */
static u64 room(const struct hm_region *region)
{
	u64 extents = 0;

	for (int i = 0; i < HM_MAX_PARTS; i++)
		extents += hm_part_room(&region->parts[i]);
	return extents;
}

/* What is on the media says the same on all pools of a region, or follows from the order. */
static int may_resize(const struct hm_region *region)
{
	if (!region->persistent)
		return 0;
	if (hm_moving(region))
		return -EBUSY;
	return hm_lost_parts(region) ? -ENODEV : 0;
}

/* What is known of the heat of what stays is kept. Under region->tier_lock. */
static int resize(struct hm_region *region, u32 now, u64 extents)
{
	int error;

	if (extents < now) {
		hm_heat_resize(region, extents);
		error = shrink(region, extents);
	} else {
		error = extents - now > room(region) ? -ENOSPC : grow(region, extents);
	}
	hm_heat_resize(region, layout_of(region)->nr_extents);
	return error;
}

int hm_region_resize(struct hmem_region_resize *arg)
{
	u64 extents = bytes_to_extents(arg->bytes);
	struct hm_region *region;
	u32 now;
	int error;

	region = find_and_lock(arg->name);
	if (IS_ERR(region))
		return PTR_ERR(region);
	error = may_resize(region);
	if (error) {
		mutex_unlock(&hm_lock);
		return error;
	}
	now = layout_of(region)->nr_extents;
	if (extents != now) {
		mutex_lock(&region->tier_lock);
		error = resize(region, now, extents);
		mutex_unlock(&region->tier_lock);
	}
	if (!error) {
		arg->bytes = extents << HM_EXTENT_SHIFT;
		if (extents != now)
			hm_event(region, HMEM_EVENT_RESIZED, (u64)now << HM_EXTENT_SHIFT,
				 arg->bytes);
		trace_hmem_region_resize(region);
	}
	mutex_unlock(&hm_lock);
	return error;
}

/*
 * Claim the right to take a region apart: nobody has it open or holds a page of it, and
 * nobody will.
 */
static bool close_for_good(struct hm_region *region)
{
	bool closed;

	flush_delayed_work(&region->linger);
	spin_lock(&hm_open_lock);
	closed = !region->open;
	if (closed)
		region->dead = true;
	spin_unlock(&hm_open_lock);
	if (!closed)
		return false;

	synchronize_srcu(&hm_srcu);
	if (!hm_extents_pinned(region, 0))
		return true;
	spin_lock(&hm_open_lock);
	region->dead = false;
	spin_unlock(&hm_open_lock);
	return false;
}

int hm_region_destroy(const struct hmem_region_destroy *arg)
{
	struct hm_region *region;
	int error;

	error = mutex_lock_killable(&hm_lock);
	if (error)
		return error;
	region = hm_region_find(arg->name);
	if (hm_withheld_ambiguous(arg->name, region)) {
		error = -EEXIST;
		goto unlock;
	}
	if (!region) {
		error = hm_withheld_destroy(arg->name);
		goto unlock;
	}
	if (!close_for_good(region)) {
		error = -EBUSY;
		goto unlock;
	}
	trace_hmem_region_destroy(region);
	hm_region_unpublish(region);
	hm_tier_pause(region);
	hm_extents_zap(region, 0);
	hm_extents_forget(region, 0);
	hm_uncarve(region, layout_of(region), 0);
	error = hm_record(region, 0);
	hm_region_drop(region);
	hm_withheld_retry();
unlock:
	mutex_unlock(&hm_lock);
	return error;
}

int hm_region_query(struct hm_region *region, struct hmem_region_query *info)
{
	int srcu;

	if (READ_ONCE(region->dead))
		return -ENODEV;
	info->bytes = i_size_read(region->inode);
	info->extent_size = HM_EXTENT_BYTES;
	info->state = (region->persistent ? HMEM_REGION_PERSISTENT : 0) |
		      (region->pins ? HMEM_REGION_LONG_TERM_PINS : 0);
	info->uid = from_kuid(&init_user_ns, region->uid);
	info->gid = from_kgid(&init_user_ns, region->gid);
	info->mode = region->mode;
	info->nid = hm_region_nid(region);
	info->faults = atomic64_read(&region->faults);
	info->extents_used = atomic64_read(&region->nr_touched);
	strscpy_pad(info->name, dev_name(&region->dev), sizeof(info->name));
	memcpy(info->uuid, region->uuid, sizeof(info->uuid));
	srcu = srcu_read_lock(&hm_srcu);
	strscpy_pad(info->pool, dev_name(&hm_region_pool(region)->dev), sizeof(info->pool));
	srcu_read_unlock(&hm_srcu, srcu);
	return 0;
}

int hm_regions_init(void)
{
	int error;

	error = alloc_chrdev_region(&hm_devt, 0, HM_MINORS, "hmem");
	if (error)
		return error;
	error = class_register(&hm_region_class);
	if (error)
		unregister_chrdev_region(hm_devt, HM_MINORS);
	return error;
}

void hm_regions_exit(void)
{
	class_unregister(&hm_region_class);
	unregister_chrdev_region(hm_devt, HM_MINORS);
	ida_destroy(&hm_minors);
}
