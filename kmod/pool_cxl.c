// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: pools of CXL memory
 *
 * Claims a committed CXL region by its name on the CXL bus, and gives it back before the
 * bus takes its decoders down.
 *
 * No private structure of the CXL core is used: what must be known about a region is read
 * from its own sysfs attributes, through the attribute's show function. The core's module
 * is looked up when the first region is claimed, so hmem.ko loads on machines without CXL.
 *
 * Ways for the memory to go, heard as BUS_NOTIFY_UNBIND_DRIVER while everything still
 * works: the region itself is disabled or destroyed (regionN), or a device behind it is
 * unbound or removed. (Not so when root detaches a target of an active region by hand,
 * through its targetN attribute: the core resets the decoders first and tells afterwards.) In the second case the endpoint port goes first and takes the
 * decoders with it before the region's driver is released, so endpoints are watched too.
 *
 * A claim must not begin while such an unbinding is under way, since its first event is
 * over. hm_cxl_unbinding counts them between UNBIND_DRIVER and UNBOUND_DRIVER, and
 * hm_cxl_events tells whether one began while the claim was made.
 */
#define pr_fmt(fmt) "hmem: " fmt

#include <linux/device/bus.h>
#include <linux/io.h>
#include <linux/ioport.h>
#include <linux/kmod.h>
#include <linux/memremap.h>
#include <linux/module.h>
#include <linux/notifier.h>
#include <linux/slab.h>
#include <linux/sysfs.h>

#include "poison.h"

#define HM_CXL_MAX_TARGETS	16

/**
 * struct hm_cxl - what a pool of CXL memory has
 * @region: the CXL region; a reference
 * @endpoints: endpoint ports that its targets' decoders belong to; references
 * @nr_endpoints: how many
 * @start: physical address
 * @events: hm_cxl_events when the attributes were read
 * @res: the claimed range
 * @pgmap: its pages
 */
struct hm_cxl {
	struct device *region;
	struct device *endpoints[HM_CXL_MAX_TARGETS];
	int nr_endpoints;
	u64 start;
	int events;
	struct resource *res;
	struct dev_pagemap pgmap;
};

/* The CXL bus, once it was needed; under hm_cxl_mutex until then. */
static const struct bus_type *hm_cxl_bus;
static DEFINE_MUTEX(hm_cxl_mutex);
static atomic_t hm_cxl_unbinding = ATOMIC_INIT(0);
static atomic_t hm_cxl_events = ATOMIC_INIT(0);
static DECLARE_WAIT_QUEUE_HEAD(hm_cxl_unbound);

static bool pool_uses(struct hm_pool *pool, const void *data)
{
	struct hm_cxl *cxl = pool->provider;

	if (pool->ops != &hm_cxl_ops)
		return false;
	if (cxl->region == data)
		return true;
	for (int i = 0; i < cxl->nr_endpoints; i++)
		if (cxl->endpoints[i] == data)
			return true;
	return false;
}

static int hm_cxl_notify(struct notifier_block *nb, unsigned long action, void *data)
{
	switch (action) {
	case BUS_NOTIFY_UNBIND_DRIVER:
		atomic_inc(&hm_cxl_events);
		atomic_inc(&hm_cxl_unbinding);
		hm_pool_revoke(pool_uses, data);
		break;
	case BUS_NOTIFY_UNBOUND_DRIVER:
		/* Not below zero: the first may belong to an unbinding from before our time. */
		atomic_dec_if_positive(&hm_cxl_unbinding);
		wake_up_all(&hm_cxl_unbound);
		break;
	}
	return NOTIFY_DONE;
}

static struct notifier_block hm_cxl_nb = {
	.notifier_call = hm_cxl_notify,
};

static int find_bus(void)
{
	const struct bus_type *bus;
	int error = 0;

	mutex_lock(&hm_cxl_mutex);
	if (!hm_cxl_bus) {
		bus = __symbol_get("cxl_bus_type");
		if (!bus) {
			request_module("cxl_core");
			bus = __symbol_get("cxl_bus_type");
		}
		error = -EOPNOTSUPP;
		if (bus) {
			error = bus_register_notifier(bus, &hm_cxl_nb);
			if (error)
				__symbol_put("cxl_bus_type");
			else
				hm_cxl_bus = bus;
		} else {
			pr_err("the CXL core (cxl_core) is not there\n");
		}
	}
	mutex_unlock(&hm_cxl_mutex);
	return error;
}

void hm_cxl_exit(void)
{
	if (hm_cxl_bus) {
		bus_unregister_notifier(hm_cxl_bus, &hm_cxl_nb);
		__symbol_put("cxl_bus_type");
	}
}

/* A device's own attribute, as sysfs would show it; @page is PAGE_SIZE bytes. */
static char *read_attribute(struct device *dev, const char *name, char *page)
{
	const struct attribute_group **group = dev->type ? dev->type->groups : NULL;
	struct device_attribute *da;
	struct attribute **attr;
	ssize_t n;

	for (; group && *group; group++) {
		for (attr = (*group)->attrs; attr && *attr; attr++) {
			if (strcmp((*attr)->name, name))
				continue;
			da = container_of(*attr, struct device_attribute, attr);
			if (!da->show)
				return NULL;
			n = da->show(dev, da, page);
			if (n <= 0 || n >= PAGE_SIZE)
				return NULL;
			page[n] = '\0';
			return strim(page);
		}
	}
	return NULL;
}

static bool read_number(struct device *dev, const char *name, char *page, u64 *value)
{
	char *text = read_attribute(dev, name, page);

	return text && !kstrtou64(text, 0, value);
}

static void hm_cxl_free(struct hm_pool *pool)
{
	struct hm_cxl *cxl = pool->provider;

	for (int i = 0; i < cxl->nr_endpoints; i++)
		put_device(cxl->endpoints[i]);
	put_device(cxl->region);
	kfree(cxl);
	pool->provider = NULL;
}

static int read_endpoints(struct hm_cxl *cxl, char *page)
{
	u64 ways;

	if (!read_number(cxl->region, "interleave_ways", page, &ways) || !ways ||
	    ways > HM_CXL_MAX_TARGETS)
		return -ENXIO;
	for (u64 i = 0; i < ways; i++) {
		struct device *decoder;
		char name[32], *target;

		snprintf(name, sizeof(name), "target%llu", i);
		target = read_attribute(cxl->region, name, page);
		if (!target || !*target)
			return -ENXIO;
		decoder = bus_find_device_by_name(hm_cxl_bus, NULL, target);
		if (!decoder)
			return -ENXIO;
		cxl->endpoints[cxl->nr_endpoints++] = get_device(decoder->parent);
		put_device(decoder);
	}
	return 0;
}

/* What the region is; its device lock is held, so it stays so. */
static int read_region(struct hm_pool *pool, char *page)
{
	struct hm_cxl *cxl = pool->provider;
	struct device *dev = cxl->region;
	u64 committed;
	char *mode;

	if (!dev->driver || !read_number(dev, "commit", page, &committed) || !committed ||
	    !read_number(dev, "resource", page, &cxl->start) || cxl->start == U64_MAX ||
	    !read_number(dev, "size", page, &pool->bytes) || !pool->bytes) {
		pr_err("%s: the CXL region is not committed and enabled\n", dev_name(dev));
		return -ENXIO;
	}
	if (!IS_ALIGNED(cxl->start, HM_EXTENT_BYTES) || !IS_ALIGNED(pool->bytes, HM_EXTENT_BYTES)) {
		pr_err("%s: its range is not aligned to extents\n", dev_name(dev));
		return -EINVAL;
	}
	mode = read_attribute(dev, "mode", page);
	if (mode && !strcmp(mode, "pmem")) {
		pool->persistent = true;
	} else if (!mode || strcmp(mode, "ram")) {
		pr_err("%s: neither a ram nor a pmem region\n", dev_name(dev));
		return -EOPNOTSUPP;
	}
	return read_endpoints(cxl, page);
}

static int hm_cxl_prepare(struct hm_pool *pool, const struct hmem_pool_attach *arg)
{
	struct hm_cxl *cxl;
	char *page;
	int error;

	if (!arg->source[0] || arg->bytes || arg->nid != NUMA_NO_NODE)
		return -EINVAL;
	error = find_bus();
	if (error)
		return error;

	cxl = kzalloc(sizeof(*cxl), GFP_KERNEL);
	page = (char *)__get_free_page(GFP_KERNEL);
	if (!cxl || !page) {
		error = -ENOMEM;
		goto free;
	}
	cxl->region = bus_find_device_by_name(hm_cxl_bus, NULL, arg->source);
	if (!cxl->region || !cxl->region->type ||
	    strcmp(cxl->region->type->name, "cxl_region")) {
		put_device(cxl->region);
		error = -ENOENT;
		goto free;
	}
	pool->provider = cxl;
	strscpy(pool->source, arg->source, sizeof(pool->source));

	if (wait_event_killable(hm_cxl_unbound, !atomic_read(&hm_cxl_unbinding))) {
		error = -EINTR;
		goto put;
	}
	cxl->events = atomic_read(&hm_cxl_events);
	if (device_lock_interruptible(cxl->region)) {
		error = -EINTR;
		goto put;
	}
	error = read_region(pool, page);
	if (error) {
		device_unlock(cxl->region);
		goto put;
	}
	pool->nid = phys_to_target_node(cxl->start);
	free_page((unsigned long)page);
	return 0;
put:
	hm_cxl_free(pool);
	cxl = NULL;
free:
	kfree(cxl);
	free_page((unsigned long)page);
	return error;
}

static void hm_cxl_unprepare(struct hm_pool *pool)
{
	struct hm_cxl *cxl = pool->provider;

	device_unlock(cxl->region);
}

/* Devices below a CXL region that are not the CXL bus's own have claimed its memory. */
static int name_holder(struct device *dev, void *region)
{
	if (dev->bus != hm_cxl_bus && device_is_bound(dev))
		pr_err("%s: %s, bound to %s, holds it\n", dev_name(region), dev_name(dev),
		       dev_driver_string(dev));
	return device_for_each_child(dev, region, name_holder);
}

static int hm_cxl_claim(struct hm_pool *pool)
{
	struct hm_cxl *cxl = pool->provider;
	struct hm_pool *other;

	if (atomic_read(&hm_cxl_unbinding) || atomic_read(&hm_cxl_events) != cxl->events) {
		pr_err("%s: the CXL topology is just changing\n", pool->source);
		return -EBUSY;
	}
	cxl->res = request_mem_region(cxl->start, pool->bytes, "hmem");
	if (cxl->res)
		return 0;
	list_for_each_entry(other, &hm_pools, node)
		if (other->ops == &hm_cxl_ops && !strcmp(other->source, pool->source))
			pr_err("%s: pool %s has it\n", pool->source, dev_name(&other->dev));
	device_for_each_child(cxl->region, cxl->region, name_holder);
	pr_err("%s: part of %#llx-%#llx is in use, see /proc/iomem\n", pool->source, cxl->start,
	       cxl->start + pool->bytes - 1);
	return -EBUSY;
}

static void hm_cxl_unclaim(struct hm_pool *pool)
{
	struct hm_cxl *cxl = pool->provider;

	release_mem_region(cxl->start, pool->bytes);
	cxl->res = NULL;
}

static void *hm_cxl_peek(struct hm_pool *pool, size_t bytes)
{
	struct hm_cxl *cxl = pool->provider;

	return memremap(cxl->start, bytes, MEMREMAP_WB);
}

static void hm_cxl_unpeek(struct hm_pool *pool, void *address)
{
	memunmap(address);
}

static int hm_cxl_failure(struct dev_pagemap *pgmap, unsigned long pfn, unsigned long pages,
			  int flags)
{
	struct hm_pool *pool = pgmap->owner;
	int error = 0;

	for (; pages && !error; pages--, pfn++)
		error = hm_poison_failure(pool, pfn - PHYS_PFN(pgmap->range.start));
	return error;
}

static const struct dev_pagemap_ops hm_cxl_pgmap_ops = {
	.memory_failure = hm_cxl_failure,
};

static int hm_cxl_map(struct hm_pool *pool)
{
	struct hm_cxl *cxl = pool->provider;

	cxl->pgmap.type = MEMORY_DEVICE_GENERIC;
	cxl->pgmap.vmemmap_shift = HM_EXTENT_ORDER;
	cxl->pgmap.nr_range = 1;
	cxl->pgmap.ops = &hm_cxl_pgmap_ops;
	cxl->pgmap.owner = pool;
	cxl->pgmap.range.start = cxl->start;
	cxl->pgmap.range.end = cxl->start + pool->bytes - 1;
	return PTR_ERR_OR_ZERO(memremap_pages(&cxl->pgmap, NUMA_NO_NODE));
}

static void hm_cxl_unmap(struct hm_pool *pool)
{
	struct hm_cxl *cxl = pool->provider;

	memunmap_pages(&cxl->pgmap);
}

static struct folio *hm_cxl_folio(struct hm_pool *pool, u32 index)
{
	struct hm_cxl *cxl = pool->provider;

	return pfn_folio(PHYS_PFN(cxl->start) + (unsigned long)index * HM_EXTENT_PAGES);
}

static long hm_cxl_find(struct hm_pool *pool, unsigned long pfn)
{
	struct hm_cxl *cxl = pool->provider;
	unsigned long page = pfn - PHYS_PFN(cxl->start);

	return page < pool->bytes >> PAGE_SHIFT ? page : -1;
}

const struct hm_pool_ops hm_cxl_ops = {
	.name = "cxl",
	.prepare = hm_cxl_prepare,
	.unprepare = hm_cxl_unprepare,
	.claim = hm_cxl_claim,
	.unclaim = hm_cxl_unclaim,
	.free = hm_cxl_free,
	.peek = hm_cxl_peek,
	.unpeek = hm_cxl_unpeek,
	.map = hm_cxl_map,
	.unmap = hm_cxl_unmap,
	.folio = hm_cxl_folio,
	.find = hm_cxl_find,
};
