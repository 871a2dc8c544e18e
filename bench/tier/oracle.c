// SPDX-License-Identifier: GPL-2.0-only
/*
 * The oracle: for each phase, with hindsight, the units that were accessed most in it, as many as
 * fit into DRAM, are near from its first access to its last. Nothing that places units once a phase
 * serves more accesses near. Its unit is the extent, or the page where that is said.
 */
#include <stdlib.h>
#include <string.h>

#include "sim.h"

void oracle_make(struct oracle *o, uint32_t extents)
{
	o->pages = extents * EXTENT_PAGES;
	o->count = sim_alloc(o->pages, sizeof(*o->count));
}

void oracle_free(struct oracle *o)
{
	free(o->count);
}

static int by_count(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? 1 : x > y ? -1 : 0;
}

static double top_share(uint64_t *count, uint32_t n, uint64_t fit)
{
	uint64_t all = 0, top = 0;

	qsort(count, n, sizeof(*count), by_count);
	for (uint32_t i = 0; i < n; i++) {
		all += count[i];
		top += i < fit ? count[i] : 0;
	}
	return all ? (double)top / (double)all : 0;
}

void oracle_phase_over(struct oracle *o, uint32_t phase, uint64_t near_pages)
{
	uint32_t extents = o->pages / EXTENT_PAGES;
	uint64_t *count = sim_alloc(o->pages, sizeof(*count));

	for (uint32_t i = 0; i < o->pages; i++)
		count[i / EXTENT_PAGES] += o->count[i];
	o->share_extent[phase] = top_share(count, extents, near_pages / EXTENT_PAGES);
	for (uint32_t i = 0; i < o->pages; i++)
		count[i] = o->count[i];
	o->share_page[phase] = top_share(count, o->pages, near_pages);
	memset(o->count, 0, o->pages * sizeof(*o->count));
	free(count);
}
