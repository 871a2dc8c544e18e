// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: DRAM for near copies
 *
 * A region's near copies take no more of it than its bound, and those of all no more than theirs
 * (near_share.c), from nodes with CPUs (memory of a
 * device that was onlined has none), charged to the region's memory cgroup. Nothing is reclaimed
 * for it: an extent at home is better than a storm.
 */
#include <linux/mm.h>
#include <linux/nodemask.h>

#include "near.h"
#include "poison.h"

/* Take so many pages of both bounds; false when there are not so many left. */
static bool reserve(struct hm_region *region, long pages)
{
	struct hm_near *near = &region->near;
	long now = atomic_long_read(&near->pages);

	do {
		if (now + pages > hm_near_bound(near))
			return false;
	} while (!atomic_long_try_cmpxchg(&near->pages, &now, now + pages));
	if (hm_near_share_take(region, pages))
		return true;
	atomic_long_sub(pages, &near->pages);
	return false;
}

static void unreserve(struct hm_region *region, long pages)
{
	hm_near_share_give(pages);
	atomic_long_sub(pages, &region->near.pages);
}

/**
 * hm_dram_get - DRAM for an extent or a page of a region
 * @order: HM_EXTENT_ORDER or 0
 *
 * Return: a folio; ERR_PTR(-EDQUOT): a bound is used up; ERR_PTR(-ENOMEM).
 */
struct folio *hm_dram_get(struct hm_region *region, unsigned int order)
{
	gfp_t gfp = (GFP_HIGHUSER | __GFP_NOMEMALLOC | __GFP_NORETRY | __GFP_NOWARN |
		     __GFP_ACCOUNT | (order ? __GFP_COMP : 0)) & ~__GFP_RECLAIM;
	struct mem_cgroup *before;
	struct folio *folio;

	if (!reserve(region, 1L << order))
		return ERR_PTR(-EDQUOT);
	before = hm_charge_to(region->memcg);
	folio = __folio_alloc(gfp, order, numa_mem_id(), &node_states[N_CPU]);
	hm_charge_to(before);
	if (!folio) {
		unreserve(region, 1L << order);
		hm_near_share_starved(region);
		return ERR_PTR(-ENOMEM);
	}
	return folio;
}

/** hm_dram_put - the same is given back; who still holds pages of it keeps those */
void hm_dram_put(struct hm_region *region, struct folio *folio)
{
	long pages = folio_nr_pages(folio);

	folio->private = NULL;
	hm_folio_free(folio);
	unreserve(region, pages);
}
