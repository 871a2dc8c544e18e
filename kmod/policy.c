// SPDX-License-Identifier: GPL-2.0-only
/*
 * The policy engine: observations become heats, heats are counted, the counts say what to move.
 * policy.h has what it is for, how it is driven and who may call what when; policy_private.h what
 * is in which file. Here a region begins, and extents come and go.
 */
#include "policy_private.h"

_Static_assert(sizeof(struct hm_heat) <= 32, "0.2 % of a region is for all that is kept");
_Static_assert(sizeof(struct hm_policy) <= 3 * 4096, "three pages");

/* The heat at which a touch more in its time earns @cost_ns within the horizon. */
u32 hm_even_bin(const struct hm_policy *p, u64 cost_ns)
{
	u64 gap = p->knob.home_ns > p->knob.near_ns ? p->knob.home_ns - p->knob.near_ns : 0;
	u64 earned = gap * p->knob.horizon_ms * 1000000;
	s64 heat;

	if (!gap)
		return HM_POLICY_BINS;
	heat = (s64)HM_PAGE_TOP + hm_log2(cost_ns) - hm_log2(earned);
	return clamp_u32((heat + 63) >> HM_BIN_SHIFT, 1, HM_POLICY_BINS);
}

void hm_price(struct hm_policy *p)
{
	const struct hm_policy_knobs *k = &p->knob;

	hm_set_doubt(p);
	/* There, and for who makes room back, and a refault each; of an extent, a page's part. */
	p->even_bin = hm_even_bin(p, 2 * ((u64)k->copy_extent_ns + k->fault_ns) / HM_POLICY_PAGES);
	p->even_page_bin = hm_even_bin(p, 2 * ((u64)k->copy_page_ns + k->fault_ns));
	p->room_bin = hm_even_bin(p, ((u64)k->copy_extent_ns + k->fault_ns) / HM_POLICY_PAGES /
				     k->touch_lines + 1);
	p->room_page_bin = hm_even_bin(p, ((u64)k->copy_page_ns + k->fault_ns) /
					  k->touch_lines + 1);
}

/* What may be saved for when there is a change: whole rounds, every extent touched. */
s64 hm_savings(const struct hm_policy *p)
{
	return p->knob.budget_ppm ? (s64)p->nr_extents * p->knob.save_rounds *
					    (p->knob.zap_ns + p->knob.fault_ns) :
				    0;
}

void hm_policy_init(struct hm_policy *p, const struct hm_policy_knobs *knobs, u32 nr_extents,
		    u64 near_pages, u64 now)
{
	/* Not by an initialiser: that may be made on the stack. */
	__builtin_memset(p, 0, sizeof(*p));
	p->knob = *knobs;
	hm_policy_fill(&p->knob, NULL);
	p->nr_extents = nr_extents;
	p->near_pages = near_pages;
	p->promote_bin = HM_POLICY_BINS;
	p->promote_page_bin = HM_POLICY_BINS;
	p->demote_bin = -1;
	p->band = knobs->band_oct4;
	p->page_slack = knobs->page_slack_oct4;
	p->tick_at = now;
	p->round_at = now;
	p->round_left = nr_extents;
	p->window_ns = (u64)knobs->window_min_ms * 1000000;
	hm_price(p);
	p->tokens = hm_savings(p);
}

void hm_policy_resize(struct hm_policy *p, u64 near_pages)
{
	p->near_pages = near_pages;
}

/* Where the round is, among so many extents. */
static u32 hm_among(u32 extent, u32 nr_extents)
{
	return extent < nr_extents ? extent : 0;
}

void hm_policy_extents(struct hm_policy *p, u32 nr_extents)
{
	/* Of much of it nothing is known. */
	if (nr_extents > p->nr_extents &&
	    nr_extents - p->nr_extents >= (u64)nr_extents * p->knob.haste_grown_pct / 100)
		hm_make_haste(p);
	p->nr_extents = nr_extents;
	p->cursor = hm_among(p->cursor, nr_extents);
	p->trail = hm_among(p->trail, nr_extents);
	p->sweep_at = hm_among(p->sweep_at, nr_extents);
	if (p->round_left > nr_extents)
		p->round_left = nr_extents;
}

void hm_policy_add(struct hm_policy *p, struct hm_heat *h, bool near)
{
	*h = (struct hm_heat){ .flags = near ? HM_HEAT_NEAR : 0 };
	hm_whole_count(p, h)[0] += HM_POLICY_PAGES;
	if (near)
		p->used += HM_POLICY_PAGES;
	p->nr_added++;
}

void hm_policy_placed(struct hm_policy *p, struct hm_heat *h, u64 now)
{
	hm_whole_count(p, h)[h->bin] -= HM_POLICY_PAGES;
	h->flags ^= HM_HEAT_NEAR;
	if (h->seen) {
		/* It may have been seen first since it was looked at. */
		p->nr_known += !h->bin;
		h->bin = (u8)hm_rank(p, h);
	}
	hm_whole_count(p, h)[h->bin] += HM_POLICY_PAGES;
	if (h->flags & HM_HEAT_NEAR)
		p->used += HM_POLICY_PAGES;
	else
		p->used -= HM_POLICY_PAGES;
	hm_stamp(h, now);
	h->flags |= HM_HEAT_HELD;
}

void hm_policy_drop(struct hm_policy *p, struct hm_heat *h, const u64 *pages, const u64 *near)
{
	if (h->flags & HM_HEAT_SPLIT) {
		for (u32 i = 0; i < HM_POLICY_PAGES; i++) {
			bool is_near = hm_bit(near, i);

			hm_page_count(p, is_near)[hm_page_rank(p, pages[i], is_near)]--;
		}
		p->used -= h->near_pages;
		p->nr_split--;
	} else {
		hm_whole_count(p, h)[h->bin] -= HM_POLICY_PAGES;
		if (h->flags & HM_HEAT_NEAR)
			p->used -= HM_POLICY_PAGES;
		if (h->bin)
			p->nr_known--;
	}
	h->flags = 0;
	p->nr_added--;
}
