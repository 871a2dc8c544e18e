// SPDX-License-Identifier: GPL-2.0-only
/* Baselines that never move anything: all at home; and extents near that chance has chosen. */
#include <stdlib.h>

#include "sim.h"

static void start_none(struct memory *m)
{
	(void)m;
}

static void start_random(struct memory *m)
{
	uint32_t *order = random_permutation(&m->random, m->extents);

	for (uint32_t i = 0; i < m->near_pages / EXTENT_PAGES; i++)
		memory_place(m, order[i]);
	free(order);
}

const struct tier tier_none = { .name = "none", .start = start_none };
const struct tier tier_random = { .name = "random", .start = start_random };
