// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: what sysfs says of a pool
 */
#include <linux/sysfs.h>

#include "core.h"

static ssize_t provider_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%s\n", to_hm_pool(dev)->ops->name);
}
static DEVICE_ATTR_RO(provider);

static ssize_t source_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%s\n", to_hm_pool(dev)->source);
}
static DEVICE_ATTR_RO(source);

static ssize_t size_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%llu\n", (u64)to_hm_pool(dev)->nr_extents << HM_EXTENT_SHIFT);
}
static DEVICE_ATTR_RO(size);

static ssize_t free_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%llu\n",
			  (u64)READ_ONCE(to_hm_pool(dev)->nr_free) << HM_EXTENT_SHIFT);
}
static DEVICE_ATTR_RO(free);

static ssize_t regions_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%u\n", READ_ONCE(to_hm_pool(dev)->nr_regions));
}
static DEVICE_ATTR_RO(regions);

static ssize_t persistent_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%d\n", to_hm_pool(dev)->persistent);
}
static DEVICE_ATTR_RO(persistent);

static ssize_t uuid_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%pUb\n", to_hm_pool(dev)->uuid);
}
static DEVICE_ATTR_RO(uuid);

static ssize_t numa_node_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%d\n", to_hm_pool(dev)->nid);
}
static DEVICE_ATTR_RO(numa_node);

static ssize_t extent_size_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%lu\n", HM_EXTENT_BYTES);
}
static DEVICE_ATTR_RO(extent_size);

static ssize_t draining_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%d\n", READ_ONCE(to_hm_pool(dev)->draining));
}
static DEVICE_ATTR_RO(draining);

/* What was measured when it was claimed (measure.c). */
#define HM_COST(name)									\
static ssize_t name##_show(struct device *dev, struct device_attribute *attr, char *buf)	\
{											\
	return sysfs_emit(buf, "%u\n", to_hm_pool(dev)->costs.name);			\
}											\
static DEVICE_ATTR_RO(name)

HM_COST(near_ns);
HM_COST(home_ns);
HM_COST(copy_extent_ns);
HM_COST(copy_page_ns);

static struct attribute *hm_pool_attrs[] = {
	&dev_attr_provider.attr,
	&dev_attr_source.attr,
	&dev_attr_size.attr,
	&dev_attr_free.attr,
	&dev_attr_regions.attr,
	&dev_attr_persistent.attr,
	&dev_attr_uuid.attr,
	&dev_attr_numa_node.attr,
	&dev_attr_extent_size.attr,
	&dev_attr_draining.attr,
	&dev_attr_near_ns.attr,
	&dev_attr_home_ns.attr,
	&dev_attr_copy_extent_ns.attr,
	&dev_attr_copy_page_ns.attr,
	NULL
};

static const struct attribute_group hm_pool_group = {
	.attrs = hm_pool_attrs,
};

const struct attribute_group *hm_pool_groups[] = {
	&hm_pool_group,
	NULL
};
