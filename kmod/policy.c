// SPDX-License-Identifier: GPL-2.0-only
/*
 * The policy engine: observations become heats, heats are counted, the counts say what to move.
 * policy.h has what it is for, how it is driven and who may call what when.
 *
 * Heat is log2 of the touches of one 4 KiB page in 2^56 ns, in 256ths of an octave in averages
 * and in quarters ("bins") in histograms and of pages. A page touched every t ns has a heat of
 * 56 - log2 t; an extent's is that of its average page.
 */
#include "policy.h"

#define HM_OCT		256		/* an octave of heat */
#define HM_BIN_SHIFT	6
#define HM_PAGE_TOP	(56 * HM_OCT)	/* heat of a page touched every ns */
#define HM_EXTENT_TOP	(47 * HM_OCT)	/* of an extent touched every ns: 512 pages */
/* An exponential time t has E[log2 t] = log2 E[t] - gamma / ln 2 and a deviation of 1.85. */
#define HM_LOG_BIAS	213
#define HM_LOG_DEVIATION 474
#define HM_TIME_SHIFT	8		/* of heat.since */
#define HM_MOVED_SHIFT	20
#define HM_STAMP_SHIFT	22
#define HM_EXTENT_BYTES	(2U << 20)
#define HM_PAGE_BYTES	4096U
#define HM_RESTLESS	48		/* hm_policy.restless from here on: haste */
#define HM_FAR		(11 * HM_OCT / 4)	/* a change that noise does not make */
#define HM_PAGE_MASK	((1ULL << HM_POLICY_PAGE_SHIFT) - 1)

_Static_assert(sizeof(struct hm_heat) <= 32, "0.2 % of a region is for all that is kept");
_Static_assert(sizeof(struct hm_policy) <= 4096, "one page");

#define HM_KNOB(name, value, least, most, unit, why) { #name, value, least, most, unit, why },
static const struct hm_policy_knob hm_policy_table[] = { HM_POLICY_KNOBS(HM_KNOB) };
#undef HM_KNOB

#define HM_NR_KNOBS	(sizeof(hm_policy_table) / sizeof(hm_policy_table[0]))
_Static_assert(HM_NR_KNOBS * sizeof(u32) == sizeof(struct hm_policy_knobs), "u32 each, in order");

const struct hm_policy_knob *hm_policy_knob(u32 number)
{
	return number < HM_NR_KNOBS ? &hm_policy_table[number] : NULL;
}

void hm_policy_defaults(struct hm_policy_knobs *knobs)
{
	u32 *value = (u32 *)knobs;

	for (u32 i = 0; i < HM_NR_KNOBS; i++)
		value[i] = hm_policy_table[i].value;
}

bool hm_policy_set(struct hm_policy_knobs *knobs, u32 number, u32 value)
{
	const struct hm_policy_knob *knob = hm_policy_knob(number);

	if (!knob || value < knob->least || value > knob->most)
		return false;
	((u32 *)knobs)[number] = value;
	return true;
}

/* --- arithmetic ---------------------------------------------------------------------- */

static u32 clamp_u32(s64 value, u32 least, u32 most)
{
	return value < (s64)least ? least : value > (s64)most ? most : (u32)value;
}

/* log2 in 256ths. Between powers of two the chord, and a parabola for what it is too low. */
static u32 hm_log2(u64 x)
{
	u32 whole, part;

	if (x < 2)
		return 0;
	whole = 63 - (u32)__builtin_clzll(x);
	part = (u32)((whole >= 8 ? x >> (whole - 8) : x << (8 - whole)) & 255);
	return whole * HM_OCT + part + (part * (256 - part) * 88 >> 16);
}

/* 2^x, x in 256ths, the same way back. */
static u64 hm_exp2(u32 x)
{
	u32 whole = x / HM_OCT, part = x % HM_OCT;
	u64 mantissa = 256 + part - (part * (256 - part) * 88 >> 16);

	if (whole > 55)
		return ~0ULL >> 1;
	return whole >= 8 ? mantissa << (whole - 8) : mantissa >> (8 - whole);
}

static void hm_spend(struct hm_policy *p, s64 ns)
{
	p->tokens -= ns;
	p->allowed -= ns;
	p->count.cost_ns += (u64)ns;
}

static u64 hm_elapsed(const struct hm_heat *h, u64 now)
{
	return (u64)((u32)(now >> HM_TIME_SHIFT) - h->since) << HM_TIME_SHIFT;
}

static bool hm_moved_within(const struct hm_heat *h, u64 ms, u64 now)
{
	if (!(h->flags & HM_HEAT_MOVED))
		return false;
	return (u64)((u32)(now >> HM_MOVED_SHIFT) - h->moved) << HM_MOVED_SHIFT <= ms * 1000000;
}

/* --- histograms ---------------------------------------------------------------------- */

static u32 hm_margin(const struct hm_policy *p, u32 seen)
{
	/* 256 / sqrt(n) */
	static const u16 root[] = { 512, 320, 240, 190, 150, 114, 105, 97, 91, 85, 81, 77, 74, 71,
				    68, 66, 64 };
	u32 part = seen <= 16 ? root[seen] : root[seen / 4] / 2;

	return HM_LOG_DEVIATION * p->knob.margin_pct / 100 * part / 256;
}

/*
 * What an extent counts for: who is to come with the least that it is likely to be, who is to go
 * with the most. The short average has a deviation of its own, for one observation in two.
 */
static u32 hm_rank(const struct hm_policy *p, const struct hm_heat *h)
{
	s32 doubt = (s32)hm_margin(p, h->seen), slack = (s32)hm_margin(p, 3);
	s32 brief = h->brief, lasting = h->lasting, heat;

	if (h->flags & HM_HEAT_NEAR)
		heat = brief - slack > lasting + doubt ? brief - slack : lasting + doubt;
	else
		heat = brief + slack < lasting - doubt ? brief + slack : lasting - doubt;
	return clamp_u32(heat >> HM_BIN_SHIFT, 1, HM_POLICY_BINS - 1);
}

static void hm_stamp(struct hm_heat *h, u64 now)
{
	h->moved = (u32)(now >> HM_MOVED_SHIFT);
	h->flags |= HM_HEAT_MOVED;
}

static u32 *hm_whole_count(struct hm_policy *p, const struct hm_heat *h)
{
	return h->flags & HM_HEAT_NEAR ? p->near : p->home_whole;
}

/* Bin 0 is of what was never seen. */
static void hm_rebin(struct hm_policy *p, struct hm_heat *h)
{
	u32 bin = h->seen ? hm_rank(p, h) : 0;

	if (bin == h->bin)
		return;
	if (!h->bin)
		p->nr_known++;
	else if (!bin)
		p->nr_known--;
	hm_whole_count(p, h)[h->bin] -= HM_POLICY_PAGES;
	hm_whole_count(p, h)[bin] += HM_POLICY_PAGES;
	h->bin = (u8)bin;
}

static u32 hm_page_brief(u64 word)
{
	return (u32)(word >> HM_POLICY_PAGE_SHIFT) & 255;
}

static u32 hm_page_lasting(u64 word)
{
	return (u32)(word >> (HM_POLICY_PAGE_SHIFT + 8));
}

static u64 hm_page_word(u64 word, u32 brief, u32 lasting)
{
	return (word & HM_PAGE_MASK) | (u64)(lasting << 8 | brief) << HM_POLICY_PAGE_SHIFT;
}

/* The short average has a say when it is off by more than an octave. */
static u32 hm_page_rank(u64 word, bool near)
{
	u32 brief = hm_page_brief(word), lasting = hm_page_lasting(word);

	if (near)
		return lasting + 4 < brief ? brief - 4 : lasting;
	return brief + 4 < lasting ? brief + 4 : lasting;
}

static u32 *hm_page_count(struct hm_policy *p, bool near)
{
	return near ? p->near : p->home_page;
}

static u64 hm_pages_in(const struct hm_policy *p, u32 bin)
{
	return (u64)p->near[bin] + p->home_whole[bin] + p->home_page[bin];
}

static bool hm_bit(const u64 *map, u32 page)
{
	return map[page / 64] >> page % 64 & 1;
}

static void hm_set_bit(u64 *map, u32 page)
{
	map[page / 64] |= 1ULL << page % 64;
}

/* --- beginning and end --------------------------------------------------------------- */

/* The heat at which a touch more in its time earns @cost_ns within the horizon. */
static u32 hm_even_bin(const struct hm_policy *p, u64 cost_ns)
{
	u64 gap = p->knob.home_ns > p->knob.near_ns ? p->knob.home_ns - p->knob.near_ns : 0;
	u64 earned = gap * p->knob.horizon_ms * 1000000;
	s64 heat;

	if (!gap)
		return HM_POLICY_BINS;
	heat = (s64)HM_PAGE_TOP + hm_log2(cost_ns) - hm_log2(earned);
	return clamp_u32((heat + 63) >> HM_BIN_SHIFT, 1, HM_POLICY_BINS);
}

static void hm_price(struct hm_policy *p)
{
	const struct hm_policy_knobs *k = &p->knob;

	/* There, and for who makes room back, and a refault each; of an extent, a page's part. */
	p->even_bin = hm_even_bin(p, 2 * ((u64)k->copy_extent_ns + k->fault_ns) / HM_POLICY_PAGES);
	p->even_page_bin = hm_even_bin(p, 2 * ((u64)k->copy_page_ns + k->fault_ns));
	p->room_bin = hm_even_bin(p, ((u64)k->copy_extent_ns + k->fault_ns) / HM_POLICY_PAGES /
				     k->touch_lines + 1);
	p->room_page_bin = hm_even_bin(p, ((u64)k->copy_page_ns + k->fault_ns) /
					  k->touch_lines + 1);
}

/* What may be saved for when there is a change: whole rounds, every extent touched. */
static s64 hm_savings(const struct hm_policy *p)
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
	p->nr_extents = nr_extents;
	p->near_pages = near_pages;
	p->promote_bin = HM_POLICY_BINS;
	p->promote_page_bin = HM_POLICY_BINS;
	p->demote_bin = -1;
	p->band = knobs->band_oct4;
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
	if (h->seen)
		h->bin = (u8)hm_rank(p, h);
	hm_whole_count(p, h)[h->bin] += HM_POLICY_PAGES;
	if (h->flags & HM_HEAT_NEAR)
		p->used += HM_POLICY_PAGES;
	else
		p->used -= HM_POLICY_PAGES;
	hm_stamp(h, now);
	h->flags |= HM_HEAT_HELD;
}

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

void hm_policy_drop(struct hm_policy *p, struct hm_heat *h, const u64 *pages, const u64 *near)
{
	if (h->flags & HM_HEAT_SPLIT) {
		for (u32 i = 0; i < HM_POLICY_PAGES; i++) {
			bool is_near = hm_bit(near, i);

			hm_page_count(p, is_near)[hm_page_rank(pages[i], is_near)]--;
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

/* --- observing whole extents --------------------------------------------------------- */

static void hm_look_again(struct hm_policy *p, u32 extent)
{
	u32 head = p->ring_head;

	p->ring[head % HM_POLICY_RING] = extent;
	p->ring_head = head + 1;
}

/*
 * The long average starts anew from the short one, which has seen the last three or so and has
 * come seven eighths of the way.
 */
static void hm_start_anew(struct hm_heat *h)
{
	h->brief = (u16)clamp_u32(h->brief + (h->brief - h->lasting) / 8, 64,
				  (HM_POLICY_BINS << HM_BIN_SHIFT) - 1);
	h->lasting = h->brief;
	h->seen = 2;
	h->surprise = 0;
}

/* Near and colder of late than what the bound would hold, or at home and hotter. */
static bool hm_wrong_side(const struct hm_policy *p, const struct hm_heat *h)
{
	u32 brief = h->brief >> HM_BIN_SHIFT;

	return h->flags & HM_HEAT_NEAR ? brief < p->cut_bin : brief >= p->cut_bin;
}

/* One observation that is far off, or a few that are off: not yet enough, but to be followed up. */
static bool hm_surprising(const struct hm_policy *p, const struct hm_heat *h)
{
	s32 sum = h->surprise < 0 ? -h->surprise : h->surprise;

	return 2 * sum >= (s32)p->knob.surprise_oct4;
}

/* True when the long average has just started anew. */
static bool hm_observe(struct hm_policy *p, struct hm_heat *h, s32 heat, u64 now)
{
	u8 stamp = (u8)(now >> HM_STAMP_SHIFT);
	s32 off, sum = h->surprise, drift = (s32)p->knob.drift_oct4;
	u32 age;

	heat = (s32)clamp_u32(heat, 64, (HM_POLICY_BINS << HM_BIN_SHIFT) - 1);
	if (!h->seen) {
		h->brief = h->lasting = (u16)heat;
		h->seen = 1;
		h->surprise = 0;
		return false;
	}
	h->brief = (u16)((h->brief + heat) / 2);
	/* One lucky observation is not worth more than four octaves. */
	off = heat - h->lasting;
	off = off > 4 * HM_OCT ? 4 * HM_OCT : off < -4 * HM_OCT ? -4 * HM_OCT : off;
	h->lasting = (u16)(h->lasting + off / (h->seen + 1));
	if (h->seen < p->knob.lasting_max)
		h->seen++;

	/* A sum of surprises to one side, each less what noise explains (Page's CUSUM). */
	off >>= HM_BIN_SHIFT;
	if (!sum)
		h->surprised = stamp;
	if (sum >= 0)
		sum = sum + off - drift > 0 ? sum + off - drift : off + drift < 0 ? off + drift : 0;
	else
		sum = sum + off + drift < 0 ? sum + off + drift : off - drift > 0 ? off - drift : 0;
	if ((sum > 0) != (h->surprise > 0))
		h->surprised = stamp;
	h->surprise = (s8)(sum > 100 ? 100 : sum < -100 ? -100 : sum);
	age = (u8)(stamp - h->surprised);
	if ((sum >= (s32)p->knob.surprise_oct4 || -sum >= (s32)p->knob.surprise_oct4) &&
	    age << HM_STAMP_SHIFT >= p->knob.confirm_ms * 1000000ULL) {
		off = h->brief - h->lasting;
		off = off < 0 ? -off : off;
		/* Far over to the wrong side: if others follow, the tracker makes haste. */
		p->crossings += off >= HM_FAR && hm_wrong_side(p, h);
		hm_start_anew(h);
		return true;
	}
	return false;
}

static void hm_sample(struct hm_policy *p, struct hm_heat *h, u32 page)
{
	u32 kept = h->nr_samples < HM_POLICY_SAMPLES ? h->nr_samples : HM_POLICY_SAMPLES;

	for (u32 i = 0; i < kept; i++) {
		if (h->sample[i] != page)
			continue;
		h->meetings += h->meetings < 255;
		p->meetings++;
	}
	h->pairs = (u8)(h->pairs + kept);
	p->pairs += kept;
	if (h->pairs > 250) {
		h->pairs /= 2;
		h->meetings /= 2;
	}
	h->sample[h->nr_samples % HM_POLICY_SAMPLES] = (u16)page;
	h->nr_samples = h->nr_samples == 255 ? 252 : h->nr_samples + 1;
}

void hm_policy_zapped(struct hm_policy *p, struct hm_heat *h, u64 now)
{
	(void)p;
	h->since = (u32)(now >> HM_TIME_SHIFT);
	h->flags |= HM_HEAT_ARMED;
}

void hm_policy_touched(struct hm_policy *p, struct hm_heat *h, u32 extent, u32 page, u64 now)
{
	u64 elapsed;
	bool fresh;

	if (!(h->flags & HM_HEAT_ARMED) || h->flags & HM_HEAT_SPLIT)
		return;
	elapsed = hm_elapsed(h, now);
	if (h->flags & HM_HEAT_FREE)
		p->faults++;
	h->flags &= ~(HM_HEAT_ARMED | HM_HEAT_FREE);
	p->count.touches++;
	fresh = hm_observe(p, h, HM_EXTENT_TOP - (s32)hm_log2(elapsed) - HM_LOG_BIAS, now);
	hm_sample(p, h, page % HM_POLICY_PAGES);
	/* That is new: the next tick has another look. */
	if ((fresh || hm_surprising(p, h)) && hm_wrong_side(p, h))
		hm_look_again(p, extent);
}

/* Nobody came so far. What would have come later is expected as the average has it. */
static void hm_untouched(struct hm_policy *p, struct hm_heat *h, u64 now)
{
	u64 elapsed = hm_elapsed(h, now);
	u64 mean = h->seen ? hm_exp2(HM_EXTENT_TOP - clamp_u32(h->lasting, 1, HM_EXTENT_TOP)) :
			     elapsed;
	u8 seen = h->seen;

	/* Too short to say anything: it goes on. */
	if (elapsed < p->window_ns / 2 && elapsed < 4 * mean)
		return;
	hm_observe(p, h, HM_EXTENT_TOP - (s32)hm_log2(elapsed + mean), now);
	if (seen && elapsed < mean / 2)
		h->seen = seen;
	h->since = (u32)(now >> HM_TIME_SHIFT);
	if (!(h->flags & HM_HEAT_FREE)) {
		h->flags |= HM_HEAT_FREE;
		hm_spend(p, -(s64)p->knob.fault_ns);
	}
}

/* --- what pays ----------------------------------------------------------------------- */

/*
 * Down the heats of what is at home and up those of what is near: free room first, then swaps,
 * as long as who comes is hotter by the band and earns the move.
 */
static void hm_match(struct hm_policy *p)
{
	u64 room = p->near_pages > p->used ? p->near_pages - p->used : 0;
	u64 over = p->used > p->near_pages ? p->used - p->near_pages : 0;
	u64 swaps = over, left;
	u32 cold = 0, victims = p->near[0];
	bool whole = false;

	/* What is not known yet may be as hot as what is: room is kept for it. */
	if (p->nr_known + p->nr_split < p->nr_added) {
		u64 kept = p->near_pages / p->nr_added *
			   (p->nr_added - p->nr_known - p->nr_split);

		room = room > kept ? room - kept : 0;
	}
	p->promote_bin = p->promote_page_bin = HM_POLICY_BINS;
	p->wanted = over;
	for (u32 hot = HM_POLICY_BINS; hot-- > 1;) {
		for (u32 unit = 0; unit < 2; unit++) {
			u32 *count = unit ? p->home_page : p->home_whole;
			u32 *bin = unit ? &p->promote_page_bin : &p->promote_bin;
			u32 size = unit ? 1 : HM_POLICY_PAGES;
			u64 come = count[hot], take;

			if (!come)
				continue;
			if (room >= size && hot >= (unit ? p->room_page_bin : p->room_bin)) {
				take = come < room ? come : room / size * size;
				*bin = hot;
				p->wanted += take;
				room -= take;
				come -= take;
			}
			if (hot < (unit ? p->even_page_bin : p->even_bin))
				continue;
			while (come) {
				while (!victims && cold + 1 < HM_POLICY_BINS)
					victims = p->near[++cold];
				if (!victims || cold + p->band > hot)
					break;
				take = come < victims ? come : victims;
				whole = whole || !unit;
				*bin = hot;
				p->wanted += take;
				swaps += take;
				victims -= (u32)take;
				come -= take;
			}
		}
	}
	/* Victims are named by how many there are below them, so the last bin may go in part. */
	if (whole)
		swaps = (swaps + HM_POLICY_PAGES - 1) / HM_POLICY_PAGES * HM_POLICY_PAGES;
	p->demote_left = swaps > p->leaving ? swaps - p->leaving : 0;
	left = p->near_pages;
	for (p->cut_bin = HM_POLICY_BINS - 1; p->cut_bin > 1; p->cut_bin--) {
		u64 here = hm_pages_in(p, p->cut_bin);

		if (here >= left)
			break;
		left -= here;
	}
	p->demote_bin = -1;
	left = swaps;
	for (u32 bin = 0; bin < HM_POLICY_BINS && left; bin++) {
		if (!p->near[bin])
			continue;
		p->demote_bin = (s32)bin;
		left -= left < p->near[bin] ? left : p->near[bin];
	}
}

/* --- the tick ------------------------------------------------------------------------ */

static void hm_round_over(struct hm_policy *p, u64 now)
{
	const struct hm_policy_knobs *k = &p->knob;
	u64 least = k->window_min_ms * 1000000ULL, most = k->window_max_ms * 1000000ULL;
	u64 took = now - p->round_at;
	u32 pct = p->round_units ? (u32)((u64)p->round_seen * 100 / p->round_units) : 0;

	/* Where the budget sets the pace, the window is what it allows. */
	if (pct < k->seen_low_pct)
		p->window_ns += p->window_ns / 2;
	else if (pct > k->seen_high_pct)
		p->window_ns -= p->window_ns / 3;
	else if (took > p->window_ns)
		p->window_ns = took;
	if (p->window_ns > most)
		p->window_ns = most;
	if (p->window_ns < least)
		p->window_ns = least;

	if (p->round_moves >= 8 && p->round_pingpongs * 100 >= p->round_moves * k->pingpong_pct) {
		p->band = p->band + 2 < k->band_max_oct4 ? p->band + 2 : k->band_max_oct4;
		p->calm = 0;
		p->round_moves = p->round_pingpongs = 0;
	} else if (++p->calm >= 16) {
		p->calm = 0;
		if (p->band > k->band_oct4)
			p->band--;
	}
	if (p->band < k->band_oct4)
		p->band = k->band_oct4;
	if (p->pairs > 1U << 20) {
		p->pairs /= 2;
		p->meetings /= 2;
	}
	p->tries -= p->tries / 4;
	p->aborts -= p->aborts / 4;
	p->round_units = p->round_seen = 0;
	p->round_moves -= p->round_moves / 4;
	p->round_pingpongs -= p->round_pingpongs / 4;
	p->round_splits = 0;
	p->round_left = p->nr_extents;
	p->round_at = now;
	p->count.rounds++;
}

u64 hm_policy_tick(struct hm_policy *p, u64 now)
{
	const struct hm_policy_knobs *k = &p->knob;
	u64 most = k->tick_max_ms * 1000000ULL, least = k->tick_min_ms * 1000000ULL;
	u64 elapsed = now - p->tick_at, interval, round;
	s64 cap;
	u32 unpaid, pct;

	if (most < least)
		most = least;
	if (elapsed > 2 * most)
		elapsed = 2 * most;
	p->tick_at = now;
	hm_price(p);

	if (!p->round_left)
		hm_round_over(p, now);
	round = now - p->round_at > p->window_ns ? now - p->round_at : p->window_ns;
	interval = round / k->ticks;
	interval = interval < least ? least : interval > most ? most : interval;

	unpaid = p->faults - p->faults_paid;
	p->faults_paid += unpaid;
	p->tokens += (s64)(elapsed * k->budget_ppm / 1000000) - (s64)unpaid * k->fault_ns;
	p->count.cost_ns += (u64)unpaid * k->fault_ns;
	/* Two ticks' worth is kept in any case, and what one extent takes. */
	cap = (s64)(2 * interval * k->budget_ppm / 1000000) + hm_savings(p);
	if (cap < (s64)k->scan_page_ns * HM_POLICY_PAGES + k->fault_ns && k->budget_ppm)
		cap = (s64)k->scan_page_ns * HM_POLICY_PAGES + k->fault_ns;
	if (p->tokens > cap)
		p->tokens = cap;
	/* In calm a part of the budget is saved; what was saved is spent when there is a change. */
	unpaid = p->crossings - p->crossings_seen;
	p->crossings_seen += unpaid;
	p->restless = clamp_u32((s64)p->restless - (p->restless + 31) / 32 +
				(u64)unpaid * (HM_RESTLESS / 3), 0, 4 * HM_RESTLESS);
	/* A region about which little is known is as good as changed. */
	if (p->count.rounds < 2)
		p->restless = 2 * HM_RESTLESS;
	pct = k->haste_pct;
	if (p->restless < HM_RESTLESS)
		pct = 100 - (u32)((100 - k->calm_pct) * (u64)(p->nr_extents - p->nr_split) /
				  (p->nr_extents ? p->nr_extents : 1));
	p->allowed = (s64)(elapsed * k->budget_ppm / 1000000 * pct / 100) +
		     (p->allowed < 0 ? p->allowed : 0);
	if (!p->allowed && k->budget_ppm)
		p->allowed = 1;

	p->rate_left += (s64)((elapsed >> 10) * k->rate_mib * 1100 >> 10);
	cap = (s64)((k->rate_save_ms * 1000000ULL >> 10) * k->rate_mib * 1100 >> 10);
	if (cap < 2 * (s64)HM_EXTENT_BYTES && k->rate_mib)
		cap = 2 * HM_EXTENT_BYTES;
	if (p->rate_left > cap)
		p->rate_left = cap;

	/* What comes to the ring from now on is for the next tick. */
	p->ring_stop = p->ring_head;
	if (p->ring_stop - p->ring_tail > HM_POLICY_RING)
		p->ring_tail = p->ring_stop - HM_POLICY_RING;

	hm_match(p);
	p->quota_left = clamp_u32((s64)((u64)p->nr_extents * (interval >> 10) /
					((p->window_ns >> 10) + 1)) + 1, 1, p->nr_extents);
	if (p->quota_left > p->round_left)
		p->quota_left = p->round_left;
	/* Scans find pages; whole extents that are to move are sought, for half the money. */
	p->sweep_left = 0;
	if (p->rate_left > 0 && p->allowed > 0 && p->wanted &&
	    p->nr_extents - p->nr_split > p->nr_split)
		p->sweep_left = clamp_u32(p->allowed / (2 * k->visit_ns), 1, p->nr_extents);
	return now + interval;
}

static bool hm_spent(const struct hm_policy *p)
{
	return p->tokens <= 0 || p->allowed <= 0;
}

bool hm_policy_next(struct hm_policy *p, u32 *extent)
{
	if (!p->nr_extents)
		return false;
	p->sweeping = false;
	while (p->ring_stop != p->ring_tail) {
		*extent = p->ring[p->ring_tail++ % HM_POLICY_RING];
		if (*extent < p->nr_extents)
			return true;
	}
	if (p->sweep_left) {
		p->sweep_left--;
		p->sweeping = true;
		p->sweep_at = p->sweep_at + 1 < p->nr_extents ? p->sweep_at + 1 : 0;
		*extent = p->sweep_at;
		return true;
	}
	if (!p->quota_left || hm_spent(p))
		return false;
	p->quota_left--;
	p->round_left--;
	p->cursor = p->cursor + 1 < p->nr_extents ? p->cursor + 1 : 0;
	*extent = p->cursor;
	return true;
}

/* --- deciding ------------------------------------------------------------------------ */


static u32 hm_how(const struct hm_policy *p, const struct hm_heat *h)
{
	bool wait = h->flags & HM_HEAT_WAIT ||
		    (p->tries >= 4 && p->aborts * 100 >= p->tries * p->knob.abort_wait_pct);

	return wait ? HM_POLICY_WAIT : 0;
}

/* Who waits for a move comes when it ends, so a probe under way is given up. */
static void hm_disarm(struct hm_policy *p, struct hm_heat *h)
{
	if ((h->flags & (HM_HEAT_ARMED | HM_HEAT_FREE)) == HM_HEAT_ARMED)
		hm_spend(p, -(s64)p->knob.fault_ns);
	h->flags &= ~(HM_HEAT_ARMED | HM_HEAT_FREE);
}

static void hm_start_move(struct hm_policy *p, struct hm_heat *h, u64 now)
{
	/* A guess put right is no cycle: only who comes back shows that nothing is hotter. */
	if (hm_moved_within(h, p->knob.pingpong_ms, now) && !(h->flags & HM_HEAT_HELD)) {
		p->count.pingpongs++;
		p->round_pingpongs += !(h->flags & HM_HEAT_NEAR);
	}
	p->round_moves++;
	p->rate_left -= HM_EXTENT_BYTES;
	hm_disarm(p, h);
	h->flags |= HM_HEAT_MOVING;
}

static u32 hm_decide(struct hm_policy *p, struct hm_heat *h, u64 now)
{
	if (p->rate_left <= 0 ||
	    (h->flags & HM_HEAT_HELD && hm_moved_within(h, p->knob.pingpong_ms, now)))
		return 0;
	if (h->flags & HM_HEAT_NEAR) {
		/* A whole extent does not go for a few pages. */
		if ((s32)h->bin > p->demote_bin || p->demote_left < HM_POLICY_PAGES / 2)
			return 0;
		p->demote_left -= p->demote_left < HM_POLICY_PAGES ? p->demote_left :
								     HM_POLICY_PAGES;
		p->leaving += HM_POLICY_PAGES;
		hm_start_move(p, h, now);
		return HM_POLICY_DEMOTE | hm_how(p, h);
	}
	if (h->bin < p->promote_bin || p->used + HM_POLICY_PAGES > p->near_pages)
		return 0;
	p->used += HM_POLICY_PAGES;
	hm_start_move(p, h, now);
	return HM_POLICY_PROMOTE | hm_how(p, h);
}

/*
 * Two touches of an extent whose heat is even meet in one page in one case of 512. An extent's own
 * pairs are few, so those of all extents count as @split_prior of them.
 */
static bool hm_uneven(const struct hm_policy *p, const struct hm_heat *h)
{
	u64 prior = p->knob.split_prior, pairs = h->pairs + prior, met;

	/* In 1024ths of a meeting. */
	met = h->meetings * 1024ULL;
	if (p->pairs >= p->knob.split_pairs)
		met += prior * 1024 * p->meetings / p->pairs;
	else
		met += prior * 2;
	return met * HM_POLICY_PAGES * 100 >= pairs * 1024 * p->knob.split_pct;
}

static bool hm_splits(struct hm_policy *p, const struct hm_heat *h, u64 now)
{
	u32 earns;

	if (!p->knob.split || h->seen < 4 || !hm_uneven(p, h) || !p->near_pages ||
	    p->near_pages >= (u64)p->nr_extents * HM_POLICY_PAGES ||
	    (u64)p->round_splits * 100 >= (u64)p->nr_extents * p->knob.split_rate_pct ||
	    (h->flags & HM_HEAT_HELD && hm_moved_within(h, p->knob.pingpong_ms, now)))
		return false;
	/* A refault of each page has to be earned. */
	earns = hm_even_bin(p, 4 * p->knob.fault_ns / p->knob.touch_lines + 1);
	return h->lasting >> HM_BIN_SHIFT >= earns;
}

u32 hm_policy_visit(struct hm_policy *p, struct hm_heat *h, u32 extent, u64 now)
{
	u32 what;

	hm_spend(p, p->knob.visit_ns);
	if (h->flags & HM_HEAT_MOVING)
		return 0;
	if (h->flags & HM_HEAT_SPLIT) {
		if (p->sweeping || hm_spent(p) || hm_elapsed(h, now) < p->window_ns / 2)
			return 0;
		hm_spend(p, (s64)p->knob.scan_page_ns * HM_POLICY_PAGES);
		return HM_POLICY_SCAN;
	}
	if (!p->sweeping) {
		p->round_units += HM_POLICY_PAGES;
		if (h->seen && !(h->flags & HM_HEAT_ARMED))
			p->round_seen += HM_POLICY_PAGES;
	}
	if (h->flags & HM_HEAT_ARMED)
		hm_untouched(p, h, now);
	hm_rebin(p, h);
	what = hm_decide(p, h, now);
	if (what || p->sweeping || h->flags & HM_HEAT_ARMED)
		return what;
	if (hm_splits(p, h, now)) {
		p->round_splits++;
		h->flags |= HM_HEAT_MOVING;
		return HM_POLICY_SPLIT;
	}
	if (hm_spent(p))
		return 0;
	/* Three looks at what surprises, over the time that it has to last. */
	if (hm_surprising(p, h) && hm_elapsed(h, now) < p->knob.confirm_ms * 500000ULL &&
	    hm_wrong_side(p, h)) {
		hm_look_again(p, extent);
		return 0;
	}
	hm_spend(p, p->knob.zap_ns + p->knob.fault_ns);
	p->count.probes++;
	return HM_POLICY_PROBE;
}

/* --- split extents ------------------------------------------------------------------- */

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

/* Whether the copy could be made; what is learnt from it is how to make the next. */
static bool hm_outcome(struct hm_policy *p, struct hm_heat *h, enum hm_policy_result result,
		       u64 now)
{
	p->tries++;
	h->flags &= ~(HM_HEAT_MOVING | HM_HEAT_HELD | HM_HEAT_WAIT);
	if (result == HM_POLICY_ABORTED) {
		p->aborts++;
		p->count.aborted++;
		h->flags |= HM_HEAT_WAIT;
	} else if (result == HM_POLICY_FAILED) {
		p->count.failed++;
		hm_stamp(h, now);
		h->flags |= HM_HEAT_HELD;
	}
	return result == HM_POLICY_DONE;
}

void hm_policy_moved(struct hm_policy *p, struct hm_heat *h, u32 what, enum hm_policy_result result,
		     u64 now)
{
	bool done = hm_outcome(p, h, result, now);

	if (what & HM_POLICY_DEMOTE)
		p->leaving -= HM_POLICY_PAGES;
	if ((what & HM_POLICY_DEMOTE) ? done : !done)
		p->used -= HM_POLICY_PAGES;
	if (!done)
		return;
	hm_whole_count(p, h)[h->bin] -= HM_POLICY_PAGES;
	h->flags ^= HM_HEAT_NEAR;
	if (h->seen)
		h->bin = (u8)hm_rank(p, h);
	hm_whole_count(p, h)[h->bin] += HM_POLICY_PAGES;
	hm_stamp(h, now);
	if (what & HM_POLICY_DEMOTE)
		p->count.demoted += HM_POLICY_PAGES;
	else
		p->count.promoted += HM_POLICY_PAGES;
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

/* --- several regions ----------------------------------------------------------------- */

void hm_policy_divide(struct hm_policy_share *share, u32 nr, u64 total)
{
	u64 left = total;

	for (u32 i = 0; i < nr; i++)
		share[i].pages = 0;
	for (u32 bin = HM_POLICY_BINS; bin-- > 0 && left;) {
		u64 here = 0, given = 0;

		for (u32 i = 0; i < nr; i++)
			here += hm_pages_in(share[i].policy, bin);
		for (u32 i = 0; i < nr && here; i++) {
			u64 pages = hm_pages_in(share[i].policy, bin);

			/* The bin that does not fit is divided as it lies. */
			if (here > left)
				pages = left / here * pages + left % here * pages / here;
			share[i].pages += pages;
			given += pages;
		}
		left -= given;
		if (here > given)
			break;
	}
}
