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

/*
 * What a scan makes of each heat, in 16ths of a bin. One table for all pages that were last looked
 * at as long ago: arithmetic for each page of a region would cost several times as much.
 */
static void hm_prepare(struct hm_page_steps *steps, u32 unit_bin, u32 first)
{
	u32 least = 16, most = (HM_POLICY_BINS - 1) * 16;

	/* The first scans weigh more: about a running mean until it is of eight. */
	first = first < 8 ? first : 7;
	if (steps->ready && steps->unit_bin == unit_bin && steps->first == first)
		return;
	*steps = (struct hm_page_steps){ .ready = true, .unit_bin = unit_bin, .first = first };
	for (u32 heat = 0; heat < HM_POLICY_BINS; heat++) {
		u32 at = clamp_u32((s64)heat - unit_bin + 16, 0, HM_STEPS - 1), now = heat * 16;
		u32 up = hm_up[0][at] * 8U / (first + 1), down = hm_down[0][at] * 8U / (first + 1);

		up = up < 160 ? up : 160;
		down = down < 160 ? down : 160;
		steps->lasting[0][heat] = (u16)clamp_u32((s64)now - down, least, most);
		steps->lasting[1][heat] = (u16)clamp_u32((s64)now + up, least, most);
		steps->brief[0][heat] = (u16)clamp_u32((s64)now - hm_down[1][at], least, most);
		steps->brief[1][heat] = (u16)clamp_u32((s64)now + hm_up[1][at], least, most);
	}
}

/* What is no whole bin is so by chance. */
static inline u64 hm_page_observe(const struct hm_page_steps *steps, u64 word, bool touched,
				  u32 dice)
{
	u32 lasting = (steps->lasting[touched][hm_page_lasting(word)] + (dice & 15)) >> 4;
	u32 brief = (steps->brief[touched][hm_page_brief(word)] + (dice >> 4 & 15)) >> 4;

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

/* Whether a page that is cold or hot enough for it is to be moved. */
static bool hm_page_moves(struct hm_policy *p, bool is_near)
{
	if (p->rate_left <= 0)
		return false;
	if (is_near) {
		if (!p->demote_left)
			return false;
		p->demote_left--;
		p->leaving++;
	} else {
		if (p->used >= p->near_pages)
			return false;
		p->used++;
	}
	p->rate_left -= HM_PAGE_BYTES;
	return true;
}

u32 hm_policy_scanned(struct hm_policy *p, struct hm_heat *h, u64 *pages, const u64 *accessed,
		      const u64 *near, struct hm_policy_pages *out, u64 now)
{
	u32 unit_bin = (HM_PAGE_TOP - hm_log2(hm_elapsed(h, now))) >> HM_BIN_SHIFT;
	u32 dice = (u32)(now >> HM_TIME_SHIFT) * 2654435761U;
	u32 hot_bin = p->even_page_bin, hot = 0, seen = 0, what = 0;
	bool held = h->flags & HM_HEAT_HELD && hm_moved_within(h, p->knob.pingpong_ms, now);
	u64 touched = 0, is_near = 0;

	hm_prepare(&p->steps, unit_bin, h->seen);
	if (p->demote_bin + 1 > (s32)hot_bin)
		hot_bin = (u32)p->demote_bin + 1;
	*out = (struct hm_policy_pages){ 0 };
	for (u32 i = 0; i < HM_POLICY_PAGES; i++, touched >>= 1, is_near >>= 1) {
		u32 was, rank;

		if (!(i % 64)) {
			touched = accessed[i / 64];
			is_near = near[i / 64];
		}
		was = hm_page_rank(pages[i], is_near & 1);
		dice = dice * 1664525 + 1013904223;
		pages[i] = hm_page_observe(&p->steps, pages[i], touched & 1, dice >> 24);
		rank = hm_page_rank(pages[i], is_near & 1);
		hot += rank >= hot_bin;
		seen += touched & 1;
		if (rank != was) {
			hm_page_count(p, is_near & 1)[was]--;
			hm_page_count(p, is_near & 1)[rank]++;
		}
		if (is_near & 1 ? (s32)rank > p->demote_bin : rank < p->promote_page_bin)
			continue;
		if (held || !hm_page_moves(p, is_near & 1))
			continue;
		hm_set_bit(is_near & 1 ? out->demote : out->promote, i);
		what |= is_near & 1 ? HM_POLICY_DEMOTE : HM_POLICY_PROMOTE;
	}
	p->count.scanned += HM_POLICY_PAGES;
	p->round_units += HM_POLICY_PAGES;
	p->round_seen += seen;
	p->count.seen += seen;
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
