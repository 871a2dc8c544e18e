// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is seen of the pages of a split extent, and which of them to move.
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
 * Looks are too short to tell pages that are touched in one of five (two octaves below a look) from
 * those that are colder, and whose heat is below all that is asked of it need not become colder:
 * else it would fall without end, and take as long to be found hot again. So what is at home, cold
 * and untouched stays as it is, and hm_lively() passes it over.
 */
static u32 hm_floor(const struct hm_policy *p, u32 unit_bin, u32 hot_bin)
{
	u32 asked = hot_bin < p->promote_page_bin ? hot_bin : p->promote_page_bin;
	s64 floor = (s64)unit_bin - p->knob.floor_oct4;

	/* Where there is room all that earns its copy is asked for. */
	if (p->used < p->near_pages && p->room_page_bin < asked)
		asked = p->room_page_bin;
	return clamp_u32(floor < (s64)asked - 1 ? floor : (s64)asked - 1, 1, HM_POLICY_BINS - 1);
}

static u32 hm_step_down(u32 heat, u32 down, u32 floor)
{
	if (heat <= floor)
		return heat * 16;
	return clamp_u32((s64)heat * 16 - down, floor * 16, (HM_POLICY_BINS - 1) * 16);
}

/*
 * What a scan makes of each heat, in 16ths of a bin. One table for all pages that were last looked
 * at as long ago: arithmetic for each page of a region would cost several times as much.
 */
static void hm_prepare(struct hm_policy *p, u32 unit_bin, u32 first, u32 floor)
{
	struct hm_page_steps *steps = &p->steps;
	u32 top = (HM_POLICY_BINS - 1) * 16, most = p->knob.scan_step_oct4 * 16;
	/* So far that it says so: hm_rank_of(). */
	u32 brief_floor = floor > p->page_slack ? floor - p->page_slack : 1;

	/* The first scans weigh more: about a running mean until it is of eight. */
	first = first < 8 ? first : 7;
	if (steps->ready && steps->unit_bin == unit_bin && steps->first == first &&
	    steps->floor == floor && steps->most == most && steps->slack == p->page_slack)
		return;
	steps->ready = true;
	steps->unit_bin = unit_bin;
	steps->first = first;
	steps->floor = floor;
	steps->most = most;
	steps->slack = p->page_slack;
	for (u32 heat = 0; heat < HM_POLICY_BINS; heat++) {
		u32 at = clamp_u32((s64)heat - unit_bin + 16, 0, HM_STEPS - 1), now = heat * 16;
		u32 up = hm_up[0][at] * 8U / (first + 1), down = hm_down[0][at] * 8U / (first + 1);

		up = up < most ? up : most;
		down = down < most ? down : most;
		steps->lasting[0][heat] = hm_step_down(heat, down, floor) << 12;
		steps->lasting[1][heat] = clamp_u32((s64)now + up, 16, top) << 12;
		steps->brief[0][heat] = (u16)hm_step_down(heat, hm_down[1][at],
							  brief_floor);
		steps->brief[1][heat] = (u16)clamp_u32((s64)now + hm_up[1][at], 16, top);
	}
}

/* All pages alike for long, and where they are alike: they need not be looked at one by one. */
static bool hm_collapses(const struct hm_policy *p, const struct hm_heat *h, u32 hot)
{
	u32 alike = HM_POLICY_PAGES * p->knob.collapse_pct / 100;

	if (h->seen < p->knob.collapse_scans || h->flags & HM_HEAT_HELD)
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

/* What holds for all pages of a scan. */
struct hm_look {
	u32 dice;
	s32 demote_bin;
	u32 promote_bin;
	u32 hot_bin;
	u32 hot;
	u32 slack;
	bool held;
};

/*
 * The pages of @word that are in @mask: all of them near or none, and all touched or none. Chance,
 * of what is no whole bin, is of the page and the time, so that it does not matter which others
 * are looked at. Returns which are to be moved.
 */
static inline __attribute__((always_inline)) u64
hm_look_at(struct hm_policy *p, struct hm_look *look, u64 *pages, u32 word, u64 mask, bool touched,
	   bool near)
{
	const u32 *lasting_steps = p->steps.lasting[touched];
	const u16 *brief_steps = p->steps.brief[touched];
	const u32 slack = look->slack;
	u64 *count = hm_page_count(p, near);
	u64 moves = 0;

	for (; mask; mask &= mask - 1) {
		u32 bit = (u32)__builtin_ctzll(mask), page = word * 64 + bit;
		u64 was = pages[page];
		u32 lasting = hm_page_lasting(was), brief = hm_page_brief(was), rank, both;

		rank = hm_rank_of(lasting, brief, slack, near);
		both = lasting_steps[lasting] + brief_steps[brief] +
		       ((look->dice + page * 0x9e3779b9U) >> 16 & 0xf00f);
		lasting = both >> 16;
		brief = both >> 4 & 255;
		pages[page] = hm_page_word(was, brief, lasting);
		both = rank;
		rank = hm_rank_of(lasting, brief, slack, near);
		if (rank != both) {
			count[both]--;
			count[rank]++;
		}
		look->hot += rank >= look->hot_bin;
		if (near ? (s32)rank > look->demote_bin : rank < look->promote_bin)
			continue;
		if (!look->held && hm_page_moves(p, near))
			moves |= 1ULL << bit;
	}
	return moves;
}

/* Which of 64 pages are hotter than the floor. */
static inline u64 hm_lively(const u64 *pages, u32 floor)
{
	u64 map = 0, least = (u64)(floor + 1) << (HM_POLICY_PAGE_SHIFT + 8);

	for (u32 i = 64; i-- > 0;)
		map = map + map + (pages[i] >= least);
	return map;
}

static u64 hm_look_at_near(struct hm_policy *p, struct hm_look *look, u64 *pages, u32 word,
			   u64 touched, u64 near)
{
	return hm_look_at(p, look, pages, word, near & touched, true, true) |
	       hm_look_at(p, look, pages, word, near & ~touched, false, true);
}

static u64 hm_look_at_home(struct hm_policy *p, struct hm_look *look, u64 *pages, u32 word,
			   u64 touched, u64 near)
{
	u64 lively = hm_lively(pages + word * 64, p->steps.floor);

	return hm_look_at(p, look, pages, word, touched & ~near, true, false) |
	       hm_look_at(p, look, pages, word, lively & ~touched & ~near, false, false);
}

void hm_policy_cleared(struct hm_heat *h, u64 now)
{
	h->since = (u32)(now >> HM_TIME_SHIFT);
	h->flags |= HM_HEAT_ARMED;
}

u32 hm_policy_scanned(struct hm_policy *p, struct hm_heat *h, u64 *pages, const u64 *accessed,
		      const u64 *near, struct hm_policy_pages *out, u64 now)
{
	u32 unit_bin = (HM_PAGE_TOP - hm_log2(hm_elapsed(h, now))) >> HM_BIN_SHIFT;
	struct hm_look look = {
		.dice = (u32)(now >> HM_TIME_SHIFT) * 2654435761U,
		.demote_bin = p->demote_bin,
		.promote_bin = p->promote_page_bin,
		.hot_bin = p->even_page_bin,
		.slack = p->page_slack,
		.held = h->flags & HM_HEAT_HELD && hm_moved_within(h, p->knob.pingpong_ms, now),
	};
	u32 seen = 0, seen_near = 0, what = 0;

	if (p->demote_bin + 1 > (s32)look.hot_bin)
		look.hot_bin = (u32)p->demote_bin + 1;
	hm_prepare(p, unit_bin, h->seen, hm_floor(p, unit_bin, look.hot_bin));
	for (u32 w = 0; w < HM_POLICY_WORDS; w++) {
		seen += hm_weight(accessed[w]);
		seen_near += hm_weight(accessed[w] & near[w]);
		out->demote[w] = hm_look_at_near(p, &look, pages, w, accessed[w], near[w]);
		out->promote[w] = hm_look_at_home(p, &look, pages, w, accessed[w], near[w]);
		what |= (out->demote[w] ? HM_POLICY_DEMOTE : 0) |
			(out->promote[w] ? HM_POLICY_PROMOTE : 0);
	}
	p->count.scanned += HM_POLICY_PAGES;
	p->round_units += HM_POLICY_PAGES;
	p->round_seen += seen;
	p->count.seen += seen;
	p->count.seen_near += seen_near;
	if (h->seen < 255)
		h->seen++;
	h->since = (u32)(now >> HM_TIME_SHIFT);
	h->flags &= ~HM_HEAT_ARMED;
	if (what)
		h->flags |= HM_HEAT_MOVING;
	else if (hm_collapses(p, h, look.hot)) {
		h->flags |= HM_HEAT_MOVING;
		what = HM_POLICY_COLLAPSE;
	}
	return what;
}
