// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: what sysfs says of a region
 *
 * Removing a region's device waits for whoever reads an attribute, under hm_lock: so none of these
 * takes it.
 */
#include <linux/sysfs.h>

#include "extent.h"
#include "layout.h"

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
	int srcu = srcu_read_lock(&hm_srcu);
	const struct hm_pool *pool = hm_region_pool(to_hm_region(dev));
	ssize_t length = sysfs_emit(buf, "%s\n", dev_name(&pool->dev));

	srcu_read_unlock(&hm_srcu, srcu);
	return length;
}
static DEVICE_ATTR_RO(pool);

/* Those where it has extents, in the order of its parts. */
static ssize_t pools_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	const struct hm_region *region = to_hm_region(dev);
	int srcu = srcu_read_lock(&hm_srcu);
	ssize_t length = 0;

	for (int i = 0; i < HM_MAX_PARTS; i++) {
		const struct hm_part *part = &region->parts[i];
		const struct hm_pool *pool = READ_ONCE(part->pool);

		if (pool && READ_ONCE(part->nr_runs) && !READ_ONCE(part->lost))
			length += sysfs_emit_at(buf, length, "%s%s", length ? " " : "",
						dev_name(&pool->dev));
	}
	srcu_read_unlock(&hm_srcu, srcu);
	return length + sysfs_emit_at(buf, length, "\n");
}
static DEVICE_ATTR_RO(pools);

static ssize_t spread_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%d\n", to_hm_region(dev)->spread);
}
static DEVICE_ATTR_RO(spread);

static ssize_t long_term_pins_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%d\n", to_hm_region(dev)->pins);
}
static DEVICE_ATTR_RO(long_term_pins);

/* Extents that belong to pools that are gone. */
static u64 belong_to_lost(struct hm_region *region, const struct hm_layout *layout)
{
	u64 extents = 0;

	for (u32 i = 0; i < layout->nr_runs; i++)
		if (READ_ONCE(region->parts[layout->runs[i].part].lost))
			extents += layout->runs[i].count;
	return extents;
}

/* Of those, what had not come there yet: it is where it was. */
static u64 left_behind(struct hm_region *region, const struct hm_layout *layout)
{
	struct hm_extent *extent;
	struct hm_place place;
	u64 extents = 0;
	u32 index;

	if (!layout->leaving || !belong_to_lost(region, layout))
		return 0;
	hm_table_for_each(&region->table, index, extent, 0) {
		extents += !hm_extent_lost(region, extent) &&
			   hm_layout_place(layout, index, &place) &&
			   READ_ONCE(region->parts[place.part].lost);
		cond_resched();
	}
	return extents;
}

/* What was lost with a pool; it lives on without. */
static ssize_t lost_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct hm_region *region = to_hm_region(dev);
	int srcu = srcu_read_lock(&hm_srcu);
	const struct hm_layout *layout = srcu_dereference(region->layout, &hm_srcu);
	struct hm_place place;
	unsigned long index;
	/* First, as pools may go meanwhile: never more than is counted next. */
	u64 behind = left_behind(region, layout);
	u64 extents = belong_to_lost(region, layout) - behind;
	void *entry;

	/* And those that belong to another one by now. */
	xa_for_each(&region->gone, index, entry)
		extents += hm_layout_place(layout, index, &place) &&
			   !READ_ONCE(region->parts[place.part].lost);
	srcu_read_unlock(&hm_srcu, srcu);
	return sysfs_emit(buf, "%llu\n", extents << HM_EXTENT_SHIFT);
}
static DEVICE_ATTR_RO(lost);

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

/** hm_region_nid - NUMA node of the first pool that a region is on */
int hm_region_nid(const struct hm_region *region)
{
	int srcu = srcu_read_lock(&hm_srcu), nid = hm_region_pool(region)->nid;

	srcu_read_unlock(&hm_srcu, srcu);
	return nid;
}

static ssize_t numa_node_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%d\n", hm_region_nid(to_hm_region(dev)));
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

static ssize_t policy_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	static const char *const names[] = {
		[HMEM_POLICY_OFF] = "off",
		[HMEM_POLICY_MANUAL] = "manual",
		[HMEM_POLICY_AUTO] = "auto",
	};

	return sysfs_emit(buf, "%s\n", names[READ_ONCE(to_hm_region(dev)->policy_mode)]);
}
static DEVICE_ATTR_RO(policy);

static ssize_t near_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%llu\n",
			  (u64)atomic_long_read(&to_hm_region(dev)->near.pages) << PAGE_SHIFT);
}
static DEVICE_ATTR_RO(near);

static ssize_t near_max_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%llu\n", (u64)READ_ONCE(to_hm_region(dev)->near.max) << PAGE_SHIFT);
}
static DEVICE_ATTR_RO(near_max);

static ssize_t near_share_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%llu\n",
			  (u64)hm_near_bound(&to_hm_region(dev)->near) << PAGE_SHIFT);
}
static DEVICE_ATTR_RO(near_share);

static struct attribute *hm_region_attrs[] = {
	&dev_attr_size.attr,
	&dev_attr_pool.attr,
	&dev_attr_pools.attr,
	&dev_attr_spread.attr,
	&dev_attr_long_term_pins.attr,
	&dev_attr_lost.attr,
	&dev_attr_persistent.attr,
	&dev_attr_uid.attr,
	&dev_attr_gid.attr,
	&dev_attr_mode.attr,
	&dev_attr_uuid.attr,
	&dev_attr_numa_node.attr,
	&dev_attr_extent_size.attr,
	&dev_attr_faults.attr,
	&dev_attr_extents_used.attr,
	&dev_attr_policy.attr,
	&dev_attr_near.attr,
	&dev_attr_near_max.attr,
	&dev_attr_near_share.attr,
	NULL
};

static const struct attribute_group hm_region_group = {
	.attrs = hm_region_attrs,
};

const struct attribute_group *hm_region_groups[] = {
	&hm_region_group,
	NULL
};
