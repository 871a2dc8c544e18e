// SPDX-License-Identifier: GPL-2.0-only
/*
 * Split extents: what is seen of their pages, which to move, and when one is whole again.
 */
#include "policy_private.h"

#define HM_PAGE_BYTES	4096U

/*
 * One bit says whether a page of rate r was touched in a time d: with x = r d its chance is
 * p = 1 - exp(-x). The average p += a (bit - p) of such bits, written for log2 x, is a step up by
 * log2(1 - ln(1 - a) / x) when the page was touched, and one down to -ln(1 - p (1 - a)) when it
 * was not. Steps in 16ths of a quarter of an octave, for log2 x in quarters from -4 to 4 octaves,
 * of the long average (a = 1/8) and of the short one (a = 1/2).
 */
static const u8 hm_up[2][33] = { {
	106, 95, 85, 76, 67, 59, 52, 45, 40, 34, 30, 25, 22, 19, 16, 14, 12, 10, 8, 7, 6,
	5, 4, 4, 3, 3, 2, 2, 2, 1, 1, 1, 1
}, {
	230, 216, 201, 187, 173, 160, 147, 135, 123, 111, 100, 90, 80, 71, 63, 56, 49, 42,
	37, 32, 27, 24, 20, 17, 15, 13, 11, 9, 8, 6, 5, 5, 4
} };
static const u8 hm_down[2][33] = { {
	13, 13, 13, 13, 13, 13, 13, 14, 14, 14, 15, 15, 16, 16, 17, 18, 20, 22, 24, 28, 32,
	38, 45, 55, 66, 79, 93, 109, 125, 140, 156, 172, 188
}, {
	65, 66, 66, 66, 67, 67, 68, 69, 70, 71, 72, 74, 76, 79, 82, 85, 89, 94, 101, 108,
	117, 126, 138, 150, 164, 179, 194, 210, 226, 242, 255, 255, 255
} };
#define HM_STEPS	33

/* A step of @sixteenths, the rest of it by chance. */
static u32 hm_step(u32 heat, bool up, u32 sixteenths, u32 dice)
{
	u32 step = (sixteenths + (dice & 15)) >> 4;

	if (up)
		return heat + step < HM_POLICY_BINS ? heat + step : HM_POLICY_BINS - 1;
	return heat > step ? heat - step : 1;
}

static u64 hm_page_observe(u64 word, bool touched, u32 unit_bin, u32 first, u32 dice)
{
	const u8 (*table)[HM_STEPS] = touched ? hm_up : hm_down;
	u32 brief = hm_page_brief(word), lasting = hm_page_lasting(word), step;

	step = table[0][clamp_u32((s64)lasting - unit_bin + 16, 0, HM_STEPS - 1)];
	/* The first scans weigh more: about a running mean until it is of eight. */
	if (first < 8)
		step = step * 8 / (first + 1);
	lasting = hm_step(lasting, touched, step < 160 ? step : 160, dice);
	step = table[1][clamp_u32((s64)brief - unit_bin + 16, 0, HM_STEPS - 1)];
	brief = hm_step(brief, touched, step, dice >> 4);
	return hm_page_word(word, brief, lasting);
}

/* All pages alike for long, and where they are alike: they need not be looked at one by one. */
static bool hm_collapses(const struct hm_policy *p, const struct hm_heat *h, u32 hot)
{
	u32 alike = HM_POLICY_PAGES * p->knob.collapse_pct / 100;

	if (h->seen < 32 || h->flags & HM_HEAT_HELD)
		return false;
	return (hot >= alike && h->near_pages >= alike) ||
	       (HM_POLICY_PAGES - hot >= alike && !h->near_pages);
}

u32 hm_policy_scanned(struct hm_policy *p, struct hm_heat *h, u64 *pages, const u64 *accessed,
		      const u64 *near, struct hm_policy_pages *out, u64 now)
{
	u64 elapsed = hm_elapsed(h, now);
	u32 unit_bin = (HM_PAGE_TOP - hm_log2(elapsed)) >> HM_BIN_SHIFT;
	u32 dice = (u32)(now >> HM_TIME_SHIFT) * 2654435761U;
	u32 hot = 0, what = 0;
	bool held = h->flags & HM_HEAT_HELD && hm_moved_within(h, p->knob.pingpong_ms, now);

	*out = (struct hm_policy_pages){ 0 };
	p->count.scanned += HM_POLICY_PAGES;
	p->round_units += HM_POLICY_PAGES;
	for (u32 i = 0; i < HM_POLICY_PAGES; i++) {
		bool touched = hm_bit(accessed, i), is_near = hm_bit(near, i);
		u32 rank;

		dice = dice * 1664525 + 1013904223;
		hm_page_count(p, is_near)[hm_page_rank(pages[i], is_near)]--;
		pages[i] = hm_page_observe(pages[i], touched, unit_bin, h->seen, dice >> 24);
		rank = hm_page_rank(pages[i], is_near);
		hm_page_count(p, is_near)[rank]++;
		p->round_seen += touched;
		p->count.seen += touched;
		hot += rank >= p->even_page_bin && rank >= (u32)(p->demote_bin + 1);
		if (held || p->rate_left <= 0)
			continue;
		if (is_near) {
			if ((s32)rank > p->demote_bin || !p->demote_left)
				continue;
			p->demote_left--;
			p->leaving++;
			hm_set_bit(out->demote, i);
			what |= HM_POLICY_DEMOTE;
		} else {
			if (rank < p->promote_page_bin || p->used >= p->near_pages)
				continue;
			p->used++;
			hm_set_bit(out->promote, i);
			what |= HM_POLICY_PROMOTE;
		}
		p->rate_left -= HM_PAGE_BYTES;
	}
	if (h->seen < 255)
		h->seen++;
	h->since = (u32)(now >> HM_TIME_SHIFT);
	if (what)
		h->flags |= HM_HEAT_MOVING;
	else if (hm_collapses(p, h, hot)) {
		h->flags |= HM_HEAT_MOVING;
		what = HM_POLICY_COLLAPSE;
	}
	return what;
}

/* --- what came of it ----------------------------------------------------------------- */

void hm_policy_placed_pages(struct hm_policy *p, struct hm_heat *h, const u64 *pages,
			    const u64 *was, const u64 *is)
{
	for (u32 i = 0; i < HM_POLICY_PAGES; i++) {
		bool from = hm_bit(was, i), to = hm_bit(is, i);

		if (from == to)
			continue;
		hm_page_count(p, from)[hm_page_rank(pages[i], from)]--;
		hm_page_count(p, to)[hm_page_rank(pages[i], to)]++;
		h->near_pages += to ? 1 : -1;
		p->used += to ? 1 : -1;
	}
}

u16 hm_policy_page_heat(u64 word)
{
	u32 brief = hm_page_brief(word), lasting = hm_page_lasting(word);

	return (u16)((brief > lasting ? brief : lasting) << HM_BIN_SHIFT);
}

void hm_policy_moved_pages(struct hm_policy *p, struct hm_heat *h, const u64 *pages,
			   const struct hm_policy_pages *asked, const struct hm_policy_pages *done)
{
	for (u32 i = 0; i < HM_POLICY_PAGES; i++) {
		bool demote = hm_bit(asked->demote, i), moved;

		if (!demote && !hm_bit(asked->promote, i))
			continue;
		moved = hm_bit(demote ? done->demote : done->promote, i);
		p->leaving -= demote;
		p->used -= demote == moved;
		p->tries++;
		if (!moved) {
			p->aborts++;
			p->count.aborted++;
			continue;
		}
		hm_page_count(p, demote)[hm_page_rank(pages[i], demote)]--;
		hm_page_count(p, !demote)[hm_page_rank(pages[i], !demote)]++;
		if (demote) {
			h->near_pages--;
			p->count.demoted++;
		} else {
			h->near_pages++;
			p->count.promoted++;
		}
	}
	h->flags &= ~HM_HEAT_MOVING;
}

void hm_policy_split(struct hm_policy *p, struct hm_heat *h, u64 *pages, bool done, u64 now)
{
	bool near = h->flags & HM_HEAT_NEAR;
	u32 heat;

	h->flags &= ~HM_HEAT_MOVING;
	if (!done) {
		hm_stamp(h, now);
		h->flags |= HM_HEAT_HELD;
		return;
	}
	heat = clamp_u32(h->lasting >> HM_BIN_SHIFT, 1, HM_POLICY_BINS - 1);
	hm_whole_count(p, h)[h->bin] -= HM_POLICY_PAGES;
	if (h->bin)
		p->nr_known--;
	for (u32 i = 0; i < HM_POLICY_PAGES; i++)
		pages[i] = hm_page_word(pages[i], heat, heat);
	hm_page_count(p, near)[heat] += HM_POLICY_PAGES;
	h->near_pages = near ? HM_POLICY_PAGES : 0;
	h->flags = HM_HEAT_SPLIT;
	h->bin = 0;
	h->seen = 0;
	h->since = (u32)(now >> HM_TIME_SHIFT);
	p->nr_split++;
	p->count.splits++;
}

void hm_policy_collapsed(struct hm_policy *p, struct hm_heat *h, const u64 *pages, const u64 *near,
			 bool is_near, bool done, u64 now)
{
	u64 sum = 0;

	h->flags &= ~HM_HEAT_MOVING;
	hm_stamp(h, now);
	/* Neither this way nor back again soon. */
	h->flags |= HM_HEAT_HELD;
	if (!done)
		return;
	for (u32 i = 0; i < HM_POLICY_PAGES; i++) {
		bool was_near = hm_bit(near, i);

		hm_page_count(p, was_near)[hm_page_rank(pages[i], was_near)]--;
		sum += hm_page_lasting(pages[i]);
	}
	p->used -= h->near_pages;
	p->nr_split--;
	p->count.collapses++;
	*h = (struct hm_heat){
		.moved = h->moved,
		.flags = (u8)(HM_HEAT_MOVED | HM_HEAT_HELD | (is_near ? HM_HEAT_NEAR : 0)),
		.brief = (u16)((sum << HM_BIN_SHIFT) / HM_POLICY_PAGES),
		.lasting = (u16)((sum << HM_BIN_SHIFT) / HM_POLICY_PAGES),
		.seen = 4,
	};
	if (is_near)
		p->used += HM_POLICY_PAGES;
	h->bin = (u8)hm_rank(p, h);
	p->nr_known++;
	hm_whole_count(p, h)[h->bin] += HM_POLICY_PAGES;
}
