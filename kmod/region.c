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
#include <linux/sysfs.h>

#include "core.h"
#include "trace.h"

#define HM_MINORS	(1U << MINORBITS)

static dev_t hm_devt;
static DEFINE_IDA(hm_minors);

static struct hm_layout *layout_of(struct hm_region *region)
{
	return rcu_dereference_protected(region->layout, lockdep_is_held(&hm_lock));
}

/* sysfs */

static u32 nr_extents(struct hm_region *region)
{
	return i_size_read(region->inode) >> HM_EXTENT_SHIFT;
}

static ssize_t size_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%llu\n", (u64)nr_extents(to_hm_region(dev)) << HM_EXTENT_SHIFT);
}
static DEVICE_ATTR_RO(size);

static ssize_t pool_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%s\n", dev_name(&to_hm_region(dev)->pool->dev));
}
static DEVICE_ATTR_RO(pool);

static ssize_t persistent_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%d\n", to_hm_region(dev)->persistent);
}
static DEVICE_ATTR_RO(persistent);

static ssize_t uid_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%u\n", from_kuid(&init_user_ns, to_hm_region(dev)->uid));
}
static DEVICE_ATTR_RO(uid);

static ssize_t gid_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%u\n", from_kgid(&init_user_ns, to_hm_region(dev)->gid));
}
static DEVICE_ATTR_RO(gid);

static ssize_t mode_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%#o\n", to_hm_region(dev)->mode);
}
static DEVICE_ATTR_RO(mode);

static ssize_t uuid_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%pUb\n", to_hm_region(dev)->uuid);
}
static DEVICE_ATTR_RO(uuid);

static ssize_t numa_node_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%d\n", to_hm_region(dev)->pool->nid);
}
static DEVICE_ATTR_RO(numa_node);

static ssize_t extent_size_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%lu\n", HM_EXTENT_BYTES);
}
static DEVICE_ATTR_RO(extent_size);

static ssize_t faults_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%llu\n", atomic64_read(&to_hm_region(dev)->faults));
}
static DEVICE_ATTR_RO(faults);

static ssize_t extents_used_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%llu\n", atomic64_read(&to_hm_region(dev)->nr_touched));
}
static DEVICE_ATTR_RO(extents_used);

static struct attribute *hm_region_attrs[] = {
	&dev_attr_size.attr,
	&dev_attr_pool.attr,
	&dev_attr_persistent.attr,
	&dev_attr_uid.attr,
	&dev_attr_gid.attr,
	&dev_attr_mode.attr,
	&dev_attr_uuid.attr,
	&dev_attr_numa_node.attr,
	&dev_attr_extent_size.attr,
	&dev_attr_faults.attr,
	&dev_attr_extents_used.attr,
	NULL
};
ATTRIBUTE_GROUPS(hm_region);

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
	if (dev->devt)
		ida_free(&hm_minors, MINOR(dev->devt));
	iput(region->inode);
	mem_cgroup_put(region->memcg);
	kvfree(rcu_access_pointer(region->layout));
	put_device(&region->pool->dev);
	kfree(region);
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
 * hm_region_alloc - a region without extents, on no list, that nobody can see
 *
 * Return: the region, to be dropped with hm_region_drop(), or an error.
 */
struct hm_region *hm_region_alloc(struct hm_pool *pool, const char *name)
{
	struct hm_region *region;
	struct inode *inode;
	int minor, error;

	region = kzalloc(sizeof(*region), GFP_KERNEL);
	if (!region)
		return ERR_PTR(-ENOMEM);
	inode = hm_inode_new();
	if (IS_ERR(inode)) {
		kfree(region);
		return ERR_CAST(inode);
	}
	region->inode = inode;
	inode->i_private = region;
	region->pool = pool;
	region->persistent = pool->persistent;
	get_device(&pool->dev);
	INIT_LIST_HEAD(&region->node);
	INIT_DELAYED_WORK(&region->linger, hm_region_linger);
	mutex_init(&region->tier_lock);
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
	if (!error)
		error = hm_table_init(&region->table, pool->nr_extents);
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
	struct hm_pool *pool;

	lockdep_assert_held(&hm_lock);
	list_for_each_entry(pool, &hm_pools, node) {
		if (pool->gone)
			continue;
		list_for_each_entry(region, &pool->regions, node)
			if (!strcmp(dev_name(&region->dev), name))
				return region;
	}
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

static struct hm_pool *pick_pool(const char *name, u64 extents)
{
	struct hm_pool *pool, *persistent = NULL;
	bool any = false;

	if (name[0]) {
		pool = hm_pool_find(name);
		return pool ?: ERR_PTR(-ENOENT);
	}
	list_for_each_entry(pool, &hm_pools, node) {
		if (pool->gone)
			continue;
		any = true;
		if (pool->nr_free < extents)
			continue;
		if (!pool->persistent)
			return pool;
		if (!persistent)
			persistent = pool;
	}
	if (persistent)
		return persistent;
	return ERR_PTR(any ? -ENOSPC : -ENOENT);
}

static u64 bytes_to_extents(u64 bytes)
{
	return DIV_ROUND_UP_ULL(bytes, HM_EXTENT_BYTES);
}

int hm_region_create(struct hmem_region_create *arg)
{
	u64 extents = bytes_to_extents(arg->bytes);
	struct hm_layout *layout;
	struct hm_region *region;
	struct hm_pool *pool;
	int error;

	error = mutex_lock_killable(&hm_lock);
	if (error)
		return error;
	error = -EEXIST;
	if (hm_region_find(arg->name))
		goto unlock;
	pool = pick_pool(arg->pool, extents);
	if (IS_ERR(pool)) {
		error = PTR_ERR(pool);
		goto unlock;
	}
	error = -ENOSPC;
	if (extents > pool->nr_free)
		goto unlock;
	error = -EMFILE;
	if (pool->nr_regions >= HM_MEDIA_MAX_REGIONS)
		goto unlock;

	region = hm_region_alloc(pool, arg->name);
	if (IS_ERR(region)) {
		error = PTR_ERR(region);
		goto unlock;
	}
	region->uid = make_kuid(&init_user_ns, arg->uid);
	region->gid = make_kgid(&init_user_ns, arg->gid);
	region->mode = arg->mode;
	layout = hm_carve(pool, NULL, extents);
	if (IS_ERR(layout)) {
		error = PTR_ERR(layout);
		goto drop;
	}
	rcu_assign_pointer(region->layout, layout);
	list_add_tail(&region->node, &pool->regions);
	pool->nr_regions++;
	error = hm_store_write(pool, false);
	if (error)
		goto uncarve;
	error = hm_region_publish(region);
	if (error)
		goto unwrite;

	arg->bytes = extents << HM_EXTENT_SHIFT;
	strscpy_pad(arg->pool, dev_name(&pool->dev), sizeof(arg->pool));
	trace_hmem_region_create(region);
	mutex_unlock(&hm_lock);
	return 0;

unwrite:
	spin_lock(&hm_open_lock);
	region->dead = true;
	spin_unlock(&hm_open_lock);
	/* Its device number answered already: somebody may have it open and mapped. */
	hm_tier_pause(region);
	synchronize_srcu(&hm_srcu);
	hm_extents_zap(region, 0);
	hm_extents_wait(region);
	hm_extents_forget(region, 0);
	list_del_init(&region->node);
	pool->nr_regions--;
	hm_uncarve(pool, layout, 0);
	hm_store_write(pool, false);
	goto drop;
uncarve:
	pool->nr_regions--;
	hm_uncarve(pool, layout, 0);
drop:
	hm_region_drop(region);
unlock:
	mutex_unlock(&hm_lock);
	return error;
}

static int grow(struct hm_region *region, u32 extents)
{
	struct hm_layout *old = layout_of(region), *new;
	struct hm_pool *pool = region->pool;
	int error;

	new = hm_carve(pool, old, extents);
	if (IS_ERR(new))
		return PTR_ERR(new);
	rcu_assign_pointer(region->layout, new);
	error = hm_store_write(pool, false);
	if (error) {
		rcu_assign_pointer(region->layout, old);
		synchronize_srcu(&hm_srcu);
		hm_uncarve(pool, new, old->nr_extents);
		kvfree(new);
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
	struct hm_pool *pool = region->pool;

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
		kvfree(new);
		return -EBUSY;
	}
	hm_extents_forget(region, extents);
	hm_uncarve(pool, old, extents);
	kvfree(old);
	return hm_store_write(pool, false);
}

int hm_region_resize(struct hmem_region_resize *arg)
{
	u64 extents = bytes_to_extents(arg->bytes);
	struct hm_region *region;
	int error = 0;
	u32 now;

	region = find_and_lock(arg->name);
	if (IS_ERR(region))
		return PTR_ERR(region);
	now = layout_of(region)->nr_extents;
	if (extents != now)
		hm_tier_pause(region);
	if (extents > now && extents - now > region->pool->nr_free)
		error = -ENOSPC;
	else if (extents > now)
		error = grow(region, extents);
	else if (extents < now)
		error = shrink(region, extents);
	if (extents != now && hm_tier_resume(region))
		dev_warn(&region->dev, "no memory to measure heat: its policy is off now\n");
	if (!error) {
		arg->bytes = extents << HM_EXTENT_SHIFT;
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
	struct hm_layout *layout;
	struct hm_pool *pool;
	int error;

	region = find_and_lock(arg->name);
	if (IS_ERR(region))
		return PTR_ERR(region);
	if (!close_for_good(region)) {
		error = -EBUSY;
		goto unlock;
	}
	trace_hmem_region_destroy(region);
	pool = region->pool;
	hm_region_unpublish(region);
	hm_tier_pause(region);
	hm_extents_zap(region, 0);
	hm_extents_forget(region, 0);
	list_del_init(&region->node);
	pool->nr_regions--;
	layout = layout_of(region);
	hm_uncarve(pool, layout, 0);
	error = hm_store_write(pool, false);
	hm_region_drop(region);
unlock:
	mutex_unlock(&hm_lock);
	return error;
}

int hm_region_query(struct hm_region *region, struct hmem_region_query *info)
{
	struct hm_pool *pool = region->pool;

	if (READ_ONCE(region->dead))
		return -ENODEV;
	info->bytes = i_size_read(region->inode);
	info->extent_size = HM_EXTENT_BYTES;
	info->state = region->persistent ? HMEM_REGION_PERSISTENT : 0;
	info->uid = from_kuid(&init_user_ns, region->uid);
	info->gid = from_kgid(&init_user_ns, region->gid);
	info->mode = region->mode;
	info->nid = pool->nid;
	info->faults = atomic64_read(&region->faults);
	info->extents_used = atomic64_read(&region->nr_touched);
	strscpy_pad(info->name, dev_name(&region->dev), sizeof(info->name));
	strscpy_pad(info->pool, dev_name(&pool->dev), sizeof(info->pool));
	memcpy(info->uuid, region->uuid, sizeof(info->uuid));
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
