// SPDX-License-Identifier: GPL-2.0-only
/*
 * kmod/policy*.c, driven as the module would: zaps and refaults of whole extents, scans of split
 * ones, moves by the worker. With splitting and without.
 */
#include <stdlib.h>

#include "../../kmod/policy_private.h"
#include "sim.h"

struct hmem_state {
	struct hm_policy policy;
	struct hm_heat *heat;
	u64 *pages;
};

struct hm_policy_knobs tier_hmem_knobs;

static void near_map(const struct memory *m, uint32_t extent, u64 *near, u64 *accessed)
{
	uint8_t *page = m->page + (size_t)extent * EXTENT_PAGES;

	for (u32 w = 0; w < HM_POLICY_WORDS; w++)
		near[w] = accessed[w] = 0;
	for (u32 i = 0; i < EXTENT_PAGES; i++) {
		if (page[i] & PAGE_NEAR)
			hm_set_bit(near, i);
		if (page[i] & PAGE_ACCESSED)
			hm_set_bit(accessed, i);
		page[i] &= (uint8_t)~PAGE_ACCESSED;
	}
}

static void start_with(struct memory *m, bool split)
{
	struct hmem_state *s = m->state = sim_alloc(1, sizeof(*s));
	struct hm_policy_knobs knobs = tier_hmem_knobs;

	if (!split)
		knobs.split = 0;
	s->heat = sim_alloc(m->extents, sizeof(*s->heat));
	s->pages = sim_alloc((size_t)m->extents * EXTENT_PAGES, sizeof(*s->pages));
	hm_policy_init(&s->policy, &knobs, m->extents, m->near_pages, m->now);
	for (u32 i = 0; i < m->extents; i++)
		hm_policy_add(&s->policy, &s->heat[i], false);
}

static void start(struct memory *m)
{
	start_with(m, true);
}

static void start_whole(struct memory *m)
{
	start_with(m, false);
}

static void scan(struct memory *m, struct hmem_state *s, u32 i)
{
	struct hm_policy_pages out;
	u64 near[HM_POLICY_WORDS], accessed[HM_POLICY_WORDS];
	u64 *pages = s->pages + (size_t)i * EXTENT_PAGES;
	u32 what;

	near_map(m, i, near, accessed);
	what = hm_policy_scanned(&s->policy, &s->heat[i], pages, accessed, near, &out, m->now);
	if (what & HM_POLICY_COLLAPSE) {
		bool is_near = s->heat[i].near_pages;
		bool fits = !is_near || m->used - s->heat[i].near_pages + EXTENT_PAGES <=
						m->near_pages;

		hm_policy_collapsed(&s->policy, &s->heat[i], pages, near, is_near, fits, m->now);
		if (fits)
			memory_collapse(m, i, is_near);
	} else if (what) {
		memory_queue(m, i, what, &out);
	}
}

static void clear(struct memory *m, struct hmem_state *s, u32 i)
{
	u64 near[HM_POLICY_WORDS], accessed[HM_POLICY_WORDS];

	near_map(m, i, near, accessed);
	hm_policy_cleared(&s->heat[i], m->now);
}

static uint64_t tick(struct memory *m)
{
	struct hmem_state *s = m->state;
	struct hm_policy *p = &s->policy;
	u64 next = hm_policy_tick(p, m->now), scanned = p->count.scanned;
	u32 i;
	bool cleared = false;

	m->looked.wakeups++;
	while (hm_policy_next(p, &i)) {
		u32 what;

		if (hm_policy_passes(p, &s->heat[i])) {
			m->looked.passes++;
			continue;
		}
		m->looked.visits++;
		what = hm_policy_visit(p, &s->heat[i], i, m->now);
		if (what & HM_POLICY_PROBE) {
			memory_zap(m, i);
			hm_policy_zapped(p, &s->heat[i], m->now);
		} else if (what & HM_POLICY_SCAN) {
			scan(m, s, i);
		} else if (what & HM_POLICY_CLEAR) {
			clear(m, s, i);
			cleared = true;
		} else if (what & HM_POLICY_SPLIT) {
			memory_split(m, i);
			hm_policy_split(p, &s->heat[i], s->pages + (size_t)i * EXTENT_PAGES, true,
					m->now);
		} else if (what) {
			memory_queue(m, i, what, NULL);
		}
	}
	/* As kmod/scan.c does it, once for all that were looked at together. */
	if (p->count.scanned != scanned || cleared)
		memory_flush(m);
	m->tracked_ns = p->count.cost_ns;
	m->looked.probes = p->count.probes;
	m->looked.bits = p->count.scanned;
	m->looked.touched = p->count.seen;
	return next;
}

static void touched(struct memory *m, uint32_t extent, uint32_t page)
{
	struct hmem_state *s = m->state;

	hm_policy_touched(&s->policy, &s->heat[extent], extent, page, m->now);
}

static void moved(struct memory *m, uint32_t extent, uint32_t what, bool done)
{
	struct hmem_state *s = m->state;

	hm_policy_moved(&s->policy, &s->heat[extent], what,
			done ? HM_POLICY_DONE : HM_POLICY_ABORTED, m->now);
}

static void moved_pages(struct memory *m, struct move *move)
{
	struct hmem_state *s = m->state;

	hm_policy_moved_pages(&s->policy, &s->heat[move->extent],
			      s->pages + (size_t)move->extent * EXTENT_PAGES, &move->pages,
			      &move->pages, &move->done);
}

static void free_state(struct memory *m)
{
	struct hmem_state *s = m->state;

	free(s->heat);
	free(s->pages);
	free(s);
}

const struct tier tier_hmem = {
	.name = "hmem",
	.start = start,
	.tick = tick,
	.touched = touched,
	.moved = moved,
	.moved_pages = moved_pages,
	.free = free_state,
};

/* Whole extents only, where pages are the unit. */
const struct tier tier_hmem_whole = {
	.name = "hmem-whole",
	.by_page_only = true,
	.start = start_whole,
	.tick = tick,
	.touched = touched,
	.moved = moved,
	.moved_pages = moved_pages,
	.free = free_state,
};
