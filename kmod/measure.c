// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: what moving costs, and what it earns
 *
 * Measured of each pool when it is claimed, and used by the policy unless its knobs say otherwise:
 * how long a read that misses the caches takes, of the pool and of DRAM, and how long a copy from
 * the one to the other. It takes 256 KiB of each and some 200 us.
 *
 * The pool is only read, through copy_mc_to_kernel() as its superblock is, and not where it is
 * known to be bad. Where that reports an error nobody had said so yet: another extent is tried, and
 * a few are. Each read waits for the one before it, at places that no prefetcher expects; what is
 * called for it takes time as well, which is taken off, as the same reads of one cached line take
 * it. What disturbs makes a time longer, so the least of a few counts.
 */
#include <linux/math64.h>
#include <linux/mm.h>
#include <linux/nodemask.h>
#include <linux/uaccess.h>

#ifdef CONFIG_X86
#include <asm/cacheflush.h>
#endif

#include "poison.h"
#include "tier.h"

#define HM_SAMPLE_ORDER	6
#define HM_SAMPLE_PAGES	(1U << HM_SAMPLE_ORDER)
#define HM_SAMPLE_BYTES	(HM_SAMPLE_PAGES * PAGE_SIZE)
#define HM_LINE_BYTES	64U
#define HM_LINES	((unsigned int)(HM_SAMPLE_BYTES / HM_LINE_BYTES))
/* Odd, so that every line has its turn, and more than a page. */
#define HM_STRIDE	2897U
#define HM_READS	64U
#define HM_BATCHES	4U
#define HM_COPIES	16U
/* Extents that are tried when they report errors. */
#define HM_TRIES	3U
/*
 * What CXL takes by itself, at the least (70 to 90 ns: Li et al., "Pond", ASPLOS 2023). A home that
 * seems to be nearer than that was measured badly, as in an emulated machine, or only stands in for
 * one.
 */
#define HM_LINK_NS	70U

/*
 * Out of the caches; what is on the media stays what it is. Elsewhere than on x86 it may be read
 * from a cache, which HM_LINK_NS makes up for.
 */
static void evict(void *address)
{
#ifdef CONFIG_X86
	clflush_cache_range(address, HM_SAMPLE_BYTES);
#endif
}

/* The least time that a batch of reads took, of lines here and there or always of the first. */
static bool read_lines(const void *from, bool one, u64 *best)
{
	u64 value = 0, zero = 0;

	OPTIMIZER_HIDE_VAR(zero);
	*best = U64_MAX;
	for (u32 batch = 0; batch < HM_BATCHES; batch++) {
		u64 began = ktime_get_ns();

		for (u32 i = batch * HM_READS; i < (batch + 1) * HM_READS; i++) {
			u32 line = one ? 0 : i * HM_STRIDE % HM_LINES;

			if (copy_mc_to_kernel(&value, from + line * HM_LINE_BYTES + (value & zero),
					      sizeof(value)))
				return false;
		}
		*best = min(*best, ktime_get_ns() - began);
	}
	return true;
}

/* The same for pages that are copied: each once, in batches. */
static bool copy_pages(void *to, const void *from, u64 *best)
{
	*best = U64_MAX;
	for (u32 first = 0; first < HM_SAMPLE_PAGES; first += HM_COPIES) {
		u64 began = ktime_get_ns();

		for (u32 i = first; i < first + HM_COPIES; i++)
			if (copy_mc_to_kernel(to + i * PAGE_SIZE, from + i * PAGE_SIZE, PAGE_SIZE))
				return false;
		*best = min(*best, ktime_get_ns() - began);
	}
	return true;
}

static u32 each(u64 batch, u64 calls)
{
	return batch > calls ? clamp_t(u64, (batch - calls) / HM_READS, 1, 100000) : 1;
}

static bool measure(void *home, void *near, struct hm_policy_costs *costs)
{
	u64 from_home, from_near, calls, copy;

	evict(home);
	if (!read_lines(home, false, &from_home))
		return false;
	if (!copy_pages(near, home, &copy))
		return false;
	costs->copy_extent_ns = clamp_t(u64, copy * HM_EXTENT_PAGES / HM_COPIES, 1, 1000000000);
	costs->copy_page_ns = clamp_t(u64, copy / HM_COPIES, 1, 10000000);
	evict(near);
	if (!read_lines(near, false, &from_near) || !read_lines(near, true, &calls))
		return false;
	costs->near_ns = each(from_near, calls);
	costs->home_ns = max(each(from_home, calls), costs->near_ns + HM_LINK_NS);
	return true;
}

static bool good_sample(struct hm_pool *pool, u32 index)
{
	for (u32 page = 0; page < HM_SAMPLE_PAGES; page++)
		if (hm_home_bad(pool, index, page))
			return false;
	return true;
}

/* Extents are tried until one reports no error. */
static void measure_one(struct hm_pool *pool, void *near)
{
	struct hm_policy_costs costs;
	u32 tries = 0;

	for (u32 index = 0; index < pool->nr_extents && tries < HM_TRIES; index++) {
		if (!good_sample(pool, index))
			continue;
		tries++;
		costs = (struct hm_policy_costs){};
		if (measure(folio_address(hm_pool_folio(pool, index)), near, &costs)) {
			pool->costs = costs;
			return;
		}
	}
}

/** hm_measure - fills in pool->costs, which stay 0 when it cannot; its memory is mapped */
void hm_measure(struct hm_pool *pool)
{
	gfp_t gfp = GFP_KERNEL | __GFP_COMP | __GFP_NORETRY | __GFP_NOWARN;
	struct folio *near;

	near = __folio_alloc(gfp, HM_SAMPLE_ORDER, numa_mem_id(), &node_states[N_CPU]);
	if (!near)
		return;
	measure_one(pool, folio_address(near));
	folio_put(near);
}

/**
 * hm_measured - what was measured of the pools that a region is on, by what it has there
 * @costs: 0 where nothing was measured
 *
 * Under hm_srcu.
 */
void hm_measured(struct hm_region *region, struct hm_policy_costs *costs)
{
	const struct hm_layout *layout = srcu_dereference(region->layout, &hm_srcu);
	u64 near = 0, home = 0, extent = 0, page = 0, extents = 0;

	*costs = (struct hm_policy_costs){};
	for (u32 i = 0; i < layout->nr_runs; i++) {
		const struct hm_part *part = &region->parts[layout->runs[i].part];
		const struct hm_pool *pool = READ_ONCE(part->pool);
		const struct hm_policy_costs *of = pool ? &pool->costs : NULL;
		u64 count = layout->runs[i].count;

		if (!of || !of->home_ns)
			continue;
		near += of->near_ns * count;
		home += of->home_ns * count;
		extent += of->copy_extent_ns * count;
		page += of->copy_page_ns * count;
		extents += count;
	}
	if (!extents)
		return;
	costs->near_ns = div64_u64(near, extents);
	costs->home_ns = div64_u64(home, extents);
	costs->copy_extent_ns = div64_u64(extent, extents);
	costs->copy_page_ns = div64_u64(page, extents);
}
