// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: memory pressure
 *
 * Near copies are given up when memory is short, on a node or in a cgroup: clean ones first,
 * which takes no more than to map the home again; the others when there are none. Every extent
 * with a near copy, or with near pages, has a small object on a list of its node and cgroup,
 * the oldest first; that of near pages is on one such list, though they may be of several nodes.
 *
 * Reclaim comes from anywhere that memory is allocated, with whatever locks are held there:
 * so folio locks are tried here and never waited for. While an object is off the list its
 * extent's home is locked by the one who took it off, and nobody else can free it.
 */
#include <linux/list_lru.h>
#include <linux/pagemap.h>
#include <linux/shrinker.h>
#include <linux/slab.h>
#include <linux/swap.h>

#include "near.h"

static struct kmem_cache *hm_copies;
static struct list_lru hm_copy_lru;
static struct shrinker *hm_shrinker;

/** hm_copy_alloc - the object of an extent that is to have near pages; charged as those are */
struct hm_copy *hm_copy_alloc(struct hm_region *region, struct hm_extent *extent, u32 index)
{
	struct mem_cgroup *before = hm_charge_to(region->memcg);
	struct hm_copy *copy;

	copy = kmem_cache_alloc_lru(hm_copies, &hm_copy_lru, HM_GFP_SPARE);
	hm_charge_to(before);
	if (copy) {
		*copy = (struct hm_copy){ .extent = extent, .index = index };
		INIT_LIST_HEAD(&copy->lru);
	}
	return copy;
}

/** hm_copy_free - the same, on no list */
void hm_copy_free(struct hm_copy *copy)
{
	kmem_cache_free(hm_copies, copy);
}

/**
 * hm_copy_count - so many more pages of an extent are near, and differ from their home
 *
 * The extent's home is locked. It is on the list while any is near.
 */
void hm_copy_count(struct hm_copy *copy, int near, int dirty)
{
	bool was = copy->near;

	copy->near += near;
	copy->dirty += dirty;
	if (was && !copy->near)
		list_lru_del_obj(&hm_copy_lru, &copy->lru);
	else if (!was && copy->near)
		list_lru_add_obj(&hm_copy_lru, &copy->lru);
}

/* The list is locked for as long as a walk takes, and who makes a copy waits for it. */
#define HM_WALK_MOST	1024UL

/**
 * struct hm_walk - what a walk along the list is for
 * @found: copies that can be given up
 * @want: so many
 * @left: what may still be looked at; 0 ends the walk
 * @dirty: also those that were stored to
 */
struct hm_walk {
	struct list_head found;
	unsigned long want;
	unsigned long *left;
	bool dirty;
};

static HM_LRU_WALK(isolate)
{
	struct hm_copy *copy = container_of(item, struct hm_copy, lru);
	/* What is on the list has a home, and a mapping unless it is being taken apart. */
	struct folio *home = READ_ONCE(copy->extent->home);
	struct hm_walk *walk = arg;

	if (!folio_trylock(home))
		return LRU_SKIP;
	/* Another one than what was tried, when it has just moved. */
	if (home != copy->extent->home || !home->mapping ||
	    copy->extent->flags & (HM_EXTENT_MOVING | HM_EXTENT_KEEP_NEAR) ||
	    hm_extent_lost(home->mapping->host->i_private, copy->extent) ||
	    (copy->near == copy->dirty && !walk->dirty)) {
		folio_unlock(home);
		/* Or the next walk would look at the same ones. */
		return LRU_ROTATE;
	}
	if (!--walk->want)
		*walk->left = 0;
	list_lru_isolate_move(list, item, &walk->found);
	return LRU_REMOVED;
}

/* Memory is short; said once in ten seconds. */
static void press(struct hm_region *region, u32 index)
{
	unsigned long before = READ_ONCE(region->near.pressed);

	WRITE_ONCE(region->near.pressed, jiffies | 1);
	if (!before || time_after(jiffies, before + 10 * HZ))
		hm_event(region, HMEM_EVENT_PRESSURE, (u64)index << HM_EXTENT_SHIFT,
			 HM_EXTENT_BYTES);
}

/* Gives up what was found; the objects of those that could not be go back to the list. */
static unsigned long give_up(struct hm_walk *walk)
{
	unsigned long pages = 0;

	while (!list_empty(&walk->found)) {
		struct hm_copy *copy = list_first_entry(&walk->found, struct hm_copy, lru);
		struct hm_extent *extent = copy->extent;
		struct folio *home = extent->home;
		struct hm_region *region = home->mapping->host->i_private;
		unsigned int freed;

		list_del_init(&copy->lru);
		press(region, copy->index);
		freed = hm_pages(extent) ?
				hm_pages_yield(region, extent, copy->index, walk->dirty) :
				hm_near_yield(region, extent, copy->index);
		/* Or reclaim takes them for slab, which is not what it is short of. */
		mm_account_reclaimed_pages(freed);
		pages += freed;
		if (freed < HM_EXTENT_PAGES && hm_copy_of(extent)->near)
			list_lru_add_obj(&hm_copy_lru, &hm_copy_of(extent)->lru);
		folio_unlock(home);
		cond_resched();
	}
	return pages;
}

/* In pages, as everybody else counts; at least one copy. */
static unsigned long scan_copies(struct shrinker *shrinker, struct shrink_control *sc)
{
	unsigned long copies = DIV_ROUND_UP(sc->nr_to_scan, HM_EXTENT_PAGES), pages = 0;

	for (int dirty = 0; dirty < 2 && !pages; dirty++) {
		struct hm_walk walk = { .want = copies, .left = &sc->nr_to_scan, .dirty = dirty };

		INIT_LIST_HEAD(&walk.found);
		sc->nr_to_scan = min(list_lru_shrink_count(&hm_copy_lru, sc),
				     max(HM_WALK_MOST, copies));
		list_lru_shrink_walk(&hm_copy_lru, sc, isolate, &walk);
		pages = give_up(&walk);
	}
	return pages ?: SHRINK_STOP;
}

static unsigned long count_copies(struct shrinker *shrinker, struct shrink_control *sc)
{
	return list_lru_shrink_count(&hm_copy_lru, sc) * HM_EXTENT_PAGES ?: SHRINK_EMPTY;
}

int hm_pressure_init(void)
{
	int error = -ENOMEM;

	hm_copies = kmem_cache_create("hmem_near", sizeof(struct hm_copy), 0, SLAB_ACCOUNT, NULL);
	if (!hm_copies)
		return error;
	hm_shrinker = shrinker_alloc(SHRINKER_NUMA_AWARE | SHRINKER_MEMCG_AWARE, "hmem-near");
	if (!hm_shrinker)
		goto cache;
	error = list_lru_init_memcg(&hm_copy_lru, hm_shrinker);
	if (error)
		goto shrinker;
	hm_shrinker->count_objects = count_copies;
	hm_shrinker->scan_objects = scan_copies;
	hm_shrinker->seeks = DEFAULT_SEEKS;
	hm_shrinker->batch = HM_EXTENT_PAGES;
	shrinker_register(hm_shrinker);
	return 0;
shrinker:
	shrinker_free(hm_shrinker);
cache:
	kmem_cache_destroy(hm_copies);
	return error;
}

/** hm_pressure_exit - no region is left, and so no copy */
void hm_pressure_exit(void)
{
	shrinker_free(hm_shrinker);
	list_lru_destroy(&hm_copy_lru);
	kmem_cache_destroy(hm_copies);
}
