// SPDX-License-Identifier: GPL-2.0-only
/*
 * Baseline: DRAM as a cache of extents, least recently used out first. It is told of every access,
 * exactly and for nothing. Who misses is promoted when the worker has nothing else to do.
 */
#include <stdlib.h>

#include "sim.h"

struct lru_state {
	uint32_t *newer, *older;	/* of those near; the last entry is the list's head */
	uint64_t promised;
	uint32_t busy;
};

static void take_out(struct lru_state *s, uint32_t i)
{
	s->newer[s->older[i]] = s->newer[i];
	s->older[s->newer[i]] = s->older[i];
}

static void put_newest(struct lru_state *s, uint32_t head, uint32_t i)
{
	s->older[i] = s->older[head];
	s->newer[i] = head;
	s->newer[s->older[head]] = i;
	s->older[head] = i;
}

static void start(struct memory *m)
{
	struct lru_state *s = m->state = sim_alloc(1, sizeof(*s));

	s->newer = sim_alloc(m->extents + 1, sizeof(*s->newer));
	s->older = sim_alloc(m->extents + 1, sizeof(*s->older));
	s->newer[m->extents] = s->older[m->extents] = m->extents;
}

static void accessed(struct memory *m, uint32_t page)
{
	struct lru_state *s = m->state;
	uint32_t i = page / EXTENT_PAGES, head = m->extents;

	/* Nothing tells of each access; nothing that is read could take less than a bit does. */
	m->looked.bits++;
	m->looked.touched++;
	if (m->extent[i] & EXTENT_NEAR) {
		/* One that is on its way home is in no list. */
		if (s->older[head] != i && s->newer[i] != i) {
			take_out(s, i);
			put_newest(s, head, i);
		}
		return;
	}
	if (s->busy)
		return;
	if (s->promised + EXTENT_PAGES > m->near_pages) {
		uint32_t victim = s->newer[head];

		if (victim == head)
			return;
		take_out(s, victim);
		s->newer[victim] = victim;
		s->busy++;
		memory_queue(m, victim, HM_POLICY_DEMOTE | HM_POLICY_WAIT, NULL);
	}
	s->promised += EXTENT_PAGES;
	s->busy++;
	memory_queue(m, i, HM_POLICY_PROMOTE | HM_POLICY_WAIT, NULL);
}

static void moved(struct memory *m, uint32_t extent, uint32_t what, bool done)
{
	struct lru_state *s = m->state;

	(void)done;
	s->busy--;
	if (what & HM_POLICY_PROMOTE)
		put_newest(s, m->extents, extent);
	else
		s->promised -= EXTENT_PAGES;
}

static void free_state(struct memory *m)
{
	struct lru_state *s = m->state;

	free(s->newer);
	free(s->older);
	free(s);
}

const struct tier tier_lru = {
	.name = "lru",
	.recency = true,
	.start = start,
	.accessed = accessed,
	.moved = moved,
	.free = free_state,
};
