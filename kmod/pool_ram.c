// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: pools of system RAM
 *
 * A stand-in for machines without a CXL device. The memory is taken from the page
 * allocator when the pool is attached, in folios of one extent, so that a region never
 * finds it missing later.
 */
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/nodemask.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "poison.h"

static int hm_ram_prepare(struct hm_pool *pool, const struct hmem_pool_attach *arg)
{
	if (arg->source[0] || !arg->bytes || arg->nid < NUMA_NO_NODE ||
	    arg->nid >= (int)MAX_NUMNODES || arg->flags & ~HMEM_ATTACH_CHECK)
		return -EINVAL;
	if (arg->nid >= 0 && !node_state(arg->nid, N_MEMORY))
		return -EINVAL;
	if (arg->bytes > (u64)totalram_pages() << PAGE_SHIFT)
		return -ENOMEM;
	pool->bytes = round_up(arg->bytes, HM_EXTENT_BYTES);
	pool->nid = arg->nid;
	return 0;
}

static void hm_ram_unprepare(struct hm_pool *pool)
{
}

static void hm_ram_unclaim(struct hm_pool *pool)
{
	struct folio **folios = pool->provider;

	for (u64 i = 0; i < pool->bytes >> HM_EXTENT_SHIFT && folios[i]; i++) {
		hm_folio_free(folios[i]);
		cond_resched();
	}
	kvfree(folios);
	pool->provider = NULL;
}

static int hm_ram_claim(struct hm_pool *pool)
{
	gfp_t gfp = GFP_HIGHUSER | __GFP_COMP | __GFP_NORETRY | __GFP_NOWARN;
	u64 count = pool->bytes >> HM_EXTENT_SHIFT;
	int nid = pool->nid;
	struct folio **folios;

	folios = kvcalloc(count, sizeof(*folios), GFP_KERNEL);
	if (!folios)
		return -ENOMEM;
	pool->provider = folios;
	if (nid == NUMA_NO_NODE)
		nid = numa_mem_id();
	else
		gfp |= __GFP_THISNODE;
	for (u64 i = 0; i < count; i++) {
		folios[i] = __folio_alloc(gfp, HM_EXTENT_ORDER, nid, NULL);
		if (!folios[i] || fatal_signal_pending(current)) {
			int error = folios[i] ? -EINTR : -ENOMEM;

			hm_ram_unclaim(pool);
			return error;
		}
		cond_resched();
	}
	return 0;
}

static void hm_ram_free(struct hm_pool *pool)
{
}

static int hm_ram_map(struct hm_pool *pool)
{
	return 0;
}

static void hm_ram_unmap(struct hm_pool *pool)
{
}

static struct folio *hm_ram_folio(struct hm_pool *pool, u32 index)
{
	struct folio **folios = pool->provider;

	return folios[index];
}

static long hm_ram_find(struct hm_pool *pool, unsigned long pfn)
{
	struct folio **folios = pool->provider;

	for (u64 i = 0; i < pool->bytes >> HM_EXTENT_SHIFT; i++)
		if (pfn - folio_pfn(folios[i]) < HM_EXTENT_PAGES)
			return i * HM_EXTENT_PAGES + (pfn - folio_pfn(folios[i]));
	return -1;
}

const struct hm_pool_ops hm_ram_ops = {
	.name = "ram",
	.prepare = hm_ram_prepare,
	.unprepare = hm_ram_unprepare,
	.claim = hm_ram_claim,
	.unclaim = hm_ram_unclaim,
	.free = hm_ram_free,
	.map = hm_ram_map,
	.unmap = hm_ram_unmap,
	.folio = hm_ram_folio,
	.find = hm_ram_find,
};
