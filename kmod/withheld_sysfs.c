// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: withheld regions in sysfs
 *
 * /sys/class/hmem_withheld/POOL:REGION is what a pool has of a region that nobody sees, with the
 * reason. Removing it waits for whoever reads an attribute, under hm_lock: so none of these takes
 * it. What changes while it is shown is one word each.
 */
#define pr_fmt(fmt) "hmem: " fmt

#include <linux/device/class.h>
#include <linux/slab.h>
#include <linux/sysfs.h>

#include "store.h"

#define to_withheld(d)	container_of(d, struct hm_withheld, dev)

static bool is_shared(const struct hm_withheld *w)
{
	return w->record.flags & cpu_to_le32(HM_MEDIA_SHARED);
}

/** hm_withheld_pools - how many pools its region is on; on its way from one to another, two */
u32 hm_withheld_pools(const struct hm_withheld *w)
{
	return is_shared(w) ? w->record.nr_pools : 2;
}

/** hm_withheld_pool - the identity of one of these; on its way, the other one is the second */
const u8 *hm_withheld_pool(const struct hm_withheld *w, u32 number)
{
	if (is_shared(w))
		return hm_media_pools(&w->record, w->slots)[number].uuid;
	return number ? w->record.peer : w->pool->uuid;
}

static ssize_t region_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%s\n", to_withheld(dev)->record.name);
}
static DEVICE_ATTR_RO(region);

static ssize_t uuid_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%pUb\n", to_withheld(dev)->record.uuid);
}
static DEVICE_ATTR_RO(uuid);

static ssize_t size_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	const struct hm_withheld *w = to_withheld(dev);
	u64 extents = le32_to_cpu(is_shared(w) ? w->record.total : w->record.nr_extents);

	return sysfs_emit(buf, "%llu\n", extents << HM_EXTENT_SHIFT);
}
static DEVICE_ATTR_RO(size);

static ssize_t pool_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%s\n", dev_name(&to_withheld(dev)->pool->dev));
}
static DEVICE_ATTR_RO(pool);

static ssize_t emit_pools(const struct hm_withheld *w, u32 which, char *buf)
{
	ssize_t length = 0;

	for (u32 i = 0; i < hm_withheld_pools(w); i++)
		if (which & 1U << i)
			length += sysfs_emit_at(buf, length, "%s%pUb", length ? " " : "",
						hm_withheld_pool(w, i));
	return length + sysfs_emit_at(buf, length, "\n");
}

static ssize_t pools_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return emit_pools(to_withheld(dev), ~0U, buf);
}
static DEVICE_ATTR_RO(pools);

static ssize_t missing_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return emit_pools(to_withheld(dev), READ_ONCE(to_withheld(dev)->missing), buf);
}
static DEVICE_ATTR_RO(missing);

static ssize_t why_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	static const char *const words[] = {
		[HM_WITHHELD_MISSING] = "missing",
		[HM_WITHHELD_NAME] = "name",
		[HM_WITHHELD_UUID] = "uuid",
		[HM_WITHHELD_BROKEN] = "broken",
		[HM_WITHHELD_READY] = "ready",
	};

	return sysfs_emit(buf, "%s\n", words[READ_ONCE(to_withheld(dev)->why)]);
}
static DEVICE_ATTR_RO(why);

static struct attribute *hm_withheld_attrs[] = {
	&dev_attr_region.attr,
	&dev_attr_uuid.attr,
	&dev_attr_size.attr,
	&dev_attr_pool.attr,
	&dev_attr_pools.attr,
	&dev_attr_missing.attr,
	&dev_attr_why.attr,
	NULL
};
ATTRIBUTE_GROUPS(hm_withheld);

static void hm_withheld_release(struct device *dev)
{
	kvfree(to_withheld(dev));
}

static const struct device_type hm_withheld_type = {
	.name = "hmem_withheld",
	.release = hm_withheld_release,
	.groups = hm_withheld_groups,
};

static const struct class hm_withheld_class = {
	.name = "hmem_withheld",
};

/** hm_withheld_begin - of one that is all zero; it ends with hm_withheld_forget() */
void hm_withheld_begin(struct hm_withheld *w, struct hm_pool *pool)
{
	device_initialize(&w->dev);
	w->dev.class = &hm_withheld_class;
	w->dev.type = &hm_withheld_type;
	w->pool = pool;
}

/* Without it nothing but the list is missing. */
static void show(struct hm_withheld *w)
{
	w->shown = !dev_set_name(&w->dev, "%s:%s", dev_name(&w->pool->dev), w->record.name) &&
		   !device_add(&w->dev);
	if (!w->shown)
		pr_warn("pool %s: region %s is withheld, and cannot be shown in sysfs\n",
			dev_name(&w->pool->dev), w->record.name);
}

/** hm_withheld_hide - a pool goes: what it withholds is seen no more */
void hm_withheld_hide(struct hm_pool *pool)
{
	struct hm_withheld *w;

	list_for_each_entry(w, &pool->withheld, node) {
		if (w->shown)
			device_del(&w->dev);
		w->shown = false;
	}
}

/**
 * hm_withheld_reason - why nobody sees a region
 * @missing: one bit for each of its pools that is not there
 */
enum hm_withheld_why hm_withheld_reason(const struct hm_withheld *w, u32 *missing)
{
	const struct hm_region *namesake = hm_region_find(w->record.name);
	const struct hm_region *twin = hm_region_identified(w->record.uuid);

	*missing = 0;
	for (u32 i = 0; i < hm_withheld_pools(w); i++)
		if (!hm_pool_identified(hm_withheld_pool(w, i), NULL))
			*missing |= 1U << i;
	if (*missing)
		return HM_WITHHELD_MISSING;
	if (namesake && namesake != twin)
		return HM_WITHHELD_NAME;
	if (twin && !hm_withheld_kin(w, twin))
		return HM_WITHHELD_UUID;
	return twin || w->broken ? HM_WITHHELD_BROKEN : HM_WITHHELD_READY;
}

static void review(struct hm_withheld *w)
{
	u32 missing;

	WRITE_ONCE(w->why, hm_withheld_reason(w, &missing));
	WRITE_ONCE(w->missing, missing);
	if (!w->shown)
		show(w);
	cond_resched();
}

/** hm_withheld_review - pools or regions have come or gone: sysfs has what is withheld now */
void hm_withheld_review(void)
{
	struct hm_withheld *w;
	struct hm_pool *pool;

	lockdep_assert_held(&hm_lock);
	list_for_each_entry(pool, &hm_pools, node)
		list_for_each_entry(w, &pool->withheld, node)
			if (!pool->gone)
				review(w);
}

int hm_withheld_init(void)
{
	return class_register(&hm_withheld_class);
}

void hm_withheld_exit(void)
{
	class_unregister(&hm_withheld_class);
}
