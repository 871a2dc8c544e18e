// SPDX-License-Identifier: GPL-2.0-only
/*
 * The tick: when to look at which extent, and between which heats a move pays.
 */
#include "policy_private.h"

/* --- what pays ----------------------------------------------------------------------- */

/*
 * Down the heats of what is at home and up those of what is near: free room first, then swaps,
 * as long as who comes is hotter by the band and earns the move.
 */
static void hm_match(struct hm_policy *p)
{
	u64 room = p->near_pages > p->used ? p->near_pages - p->used : 0;
	u64 over = p->used > p->near_pages ? p->used - p->near_pages : 0;
	u64 swaps = over, victims = p->near[0], left;
	u32 cold = 0;
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
			u64 *count = unit ? p->home_page : p->home_whole;
			u32 *bin = unit ? &p->promote_page_bin : &p->promote_bin;
			u32 size = unit ? 1 : HM_POLICY_PAGES;
			u32 band = p->band + (unit ? 0 : p->knob.band_whole_oct4);
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
				if (!victims || cold + band > hot)
					break;
				take = come < victims ? come : victims;
				whole = whole || !unit;
				*bin = hot;
				p->wanted += take;
				swaps += take;
				victims -= take;
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

/* The part of a memory of rounds that the one that is over takes away. */
static u32 hm_fade(const struct hm_policy *p, u32 sum)
{
	return (u32)((u64)sum * p->knob.fade_pct / 100);
}

static void hm_widen(struct hm_policy *p)
{
	const struct hm_policy_knobs *k = &p->knob;

	if (p->round_moves >= k->pingpong_moves &&
	    p->round_pingpongs * 100ULL >= (u64)p->round_moves * k->pingpong_pct) {
		p->band += k->band_up_oct4;
		if (p->band > k->band_max_oct4)
			p->band = k->band_max_oct4;
		p->calm = 0;
		p->round_moves = p->round_pingpongs = 0;
	} else if (++p->calm >= k->band_calm_rounds) {
		p->calm = 0;
		p->band -= k->band_down_oct4 < p->band ? k->band_down_oct4 : p->band;
	}
	if (p->band < k->band_oct4)
		p->band = k->band_oct4;
}

void hm_round_over(struct hm_policy *p, u64 now)
{
	const struct hm_policy_knobs *k = &p->knob;
	u64 least = k->window_min_ms * 1000000ULL, most = k->window_max_ms * 1000000ULL;
	u64 took = now - p->round_at, step = k->window_step_pct - 100;
	u32 pct = p->round_units ? (u32)(p->round_seen * 100 / p->round_units) : 0;

	/*
	 * Where the budget sets the pace, the window is what it allows. How many pages of split
	 * extents are seen says nothing of the pace, as the time from clearing to reading is set.
	 */
	if (pct < k->seen_low_pct)
		p->window_ns += p->window_ns * step / 100;
	else if (pct > k->seen_high_pct ||
		 p->nr_split * 100ULL > (u64)p->nr_extents * k->split_most_pct)
		p->window_ns -= p->window_ns * step / k->window_step_pct;
	else if (took > p->window_ns)
		p->window_ns = took;
	if (p->window_ns > most)
		p->window_ns = most;
	if (p->window_ns < least)
		p->window_ns = least;

	hm_widen(p);
	if (p->pairs > k->split_memory) {
		p->pairs /= 2;
		p->meetings /= 2;
	}
	p->tries -= hm_fade(p, p->tries);
	p->aborts -= hm_fade(p, p->aborts);
	p->round_units = p->round_seen = 0;
	p->round_moves -= hm_fade(p, p->round_moves);
	p->round_pingpongs -= hm_fade(p, p->round_pingpongs);
	p->round_splits = 0;
	p->round_left = p->nr_extents;
	p->round_at = now;
	p->count.rounds++;
}

/*
 * From clearing an accessed bit to reading it. A bit says most of pages of which about half are
 * touched meanwhile, and what is to be told from another are pages about as hot as the bound fills.
 */
static void hm_set_look(struct hm_policy *p)
{
	const struct hm_policy_knobs *k = &p->knob;
	u32 heat = (p->cut_bin + k->look_oct4) << HM_BIN_SHIFT;
	u64 least = k->tick_min_ms * 1000000ULL, most = k->window_max_ms * 1000000ULL;

	p->look_ns = heat < HM_PAGE_TOP ? hm_exp2(HM_PAGE_TOP - heat) : 0;
	if (p->look_ns > most)
		p->look_ns = most;
	if (p->look_ns < least)
		p->look_ns = least;
}

/*
 * Scans find pages; whole extents that are to move are sought, for a part of the money, and for
 * half as much with each time that all were passed in vain: what is wanted may have no room, or be
 * on its way already.
 */
static void hm_set_sweep(struct hm_policy *p)
{
	u32 vain = p->barren / (p->nr_extents ? p->nr_extents : 1);
	const struct hm_policy_knobs *k = &p->knob;
	s64 money = p->allowed < p->tokens ? p->allowed : p->tokens;
	u64 paid;

	p->sweep_left = 0;
	if (p->rate_left <= 0 || money <= 0 || !p->wanted ||
	    p->nr_split * 100ULL >= (u64)p->nr_extents * k->split_most_pct)
		return;
	paid = clamp_u32((money >> (vain < k->sweep_halvings ? vain : k->sweep_halvings)) /
			 k->pass_ns, 0, ~0U);
	p->sweep_left = clamp_u32((s64)(paid * k->sweep_pct / 100), 1, p->nr_extents);
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
	if (elapsed > k->late_ticks * most)
		elapsed = k->late_ticks * most;
	p->tick_at = now;
	/* It is in the counts of all pages of split extents. */
	if (!p->nr_split)
		p->page_slack = k->page_slack_oct4;
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
	/* Some ticks' worth is kept in any case, and what one extent takes. */
	cap = (s64)(k->late_ticks * interval * k->budget_ppm / 1000000) + hm_savings(p);
	if (cap < (s64)k->scan_page_ns * HM_POLICY_PAGES + k->fault_ns && k->budget_ppm)
		cap = (s64)k->scan_page_ns * HM_POLICY_PAGES + k->fault_ns;
	if (p->tokens > cap)
		p->tokens = cap;
	/* In calm a part of the budget is saved; what was saved is spent when there is a change. */
	unpaid = p->crossings - p->crossings_seen;
	p->crossings_seen += unpaid;
	p->restless -= (p->restless + k->haste_ticks - 1) / k->haste_ticks;
	p->restless = clamp_u32((s64)p->restless + (s64)unpaid * HM_CROSSED, 0,
				(u32)((u64)k->haste_from * k->haste_most_pct / 100));
	if (!hm_learnt(p))
		hm_make_haste(p);
	pct = k->haste_pct;
	if (p->restless < k->haste_from)
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
	hm_set_look(p);
	if (p->nr_split && interval > p->look_ns)
		interval = p->look_ns;
	p->trailing = p->trail_waits = p->sweeping = false;
	/* A driver whose clock is coarse comes late every time, and is to keep the pace all the same. */
	if (elapsed < interval)
		elapsed = interval;
	if (elapsed > k->late_ticks * interval)
		elapsed = k->late_ticks * interval;
	p->quota_left = clamp_u32((s64)((u64)p->nr_extents * (elapsed >> 10) /
					((p->window_ns >> 10) + 1)) + 1, 1, p->nr_extents);
	if (p->quota_left > p->round_left)
		p->quota_left = p->round_left;
	hm_set_sweep(p);
	return now + interval;
}

static u32 hm_following(const struct hm_policy *p, u32 extent)
{
	return extent + 1 < p->nr_extents ? extent + 1 : 0;
}

/* Behind the cursor comes who reads the bits that were cleared there, when their time has come. */
static bool hm_next_cleared(struct hm_policy *p, u32 *extent)
{
	if (p->trailing && !p->trail_waits)
		p->trail = hm_following(p, p->trail);
	p->trailing = false;
	if (!p->nr_split)
		p->trail = p->cursor;
	if (p->trail == p->cursor || p->trail_waits || hm_spent(p))
		return false;
	p->trailing = true;
	*extent = hm_following(p, p->trail);
	return true;
}

static bool hm_next_swept(struct hm_policy *p, u32 *extent)
{
	p->sweep_left--;
	p->sweep_at = hm_following(p, p->sweep_at);
	*extent = p->sweep_at;
	return true;
}

bool hm_policy_next(struct hm_policy *p, u32 *extent)
{
	if (!p->nr_extents)
		return false;
	/* What goes before a sweep has come to its end when it begins. */
	if (p->sweeping && p->sweep_left)
		return hm_next_swept(p, extent);
	p->sweeping = false;
	while (p->ring_stop != p->ring_tail) {
		*extent = p->ring[p->ring_tail++ % HM_POLICY_RING];
		if (*extent < p->nr_extents)
			return true;
	}
	if (hm_next_cleared(p, extent))
		return true;
	if (p->sweep_left) {
		p->sweeping = true;
		return hm_next_swept(p, extent);
	}
	if (!p->quota_left || hm_spent(p))
		return false;
	p->quota_left--;
	p->round_left--;
	p->cursor = hm_following(p, p->cursor);
	*extent = p->cursor;
	return true;
}
