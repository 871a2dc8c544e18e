// SPDX-License-Identifier: GPL-2.0-only
/*
 * What to do with an extent that is visited, and what came of it.
 */
#include "policy_private.h"

static u32 hm_how(const struct hm_policy *p, const struct hm_heat *h)
{
	bool wait = h->flags & HM_HEAT_WAIT ||
		    (p->tries >= p->knob.abort_tries &&
		     p->aborts * 100ULL >= (u64)p->tries * p->knob.abort_wait_pct);

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

/* It could not be moved, not long ago. */
static bool hm_held(const struct hm_policy *p, const struct hm_heat *h, u64 now)
{
	return h->flags & HM_HEAT_HELD && hm_moved_within(h, p->knob.pingpong_ms, now);
}

/* A whole extent of that heat: whether it is to be where it is not. */
static bool hm_moves(const struct hm_policy *p, bool near, u32 bin)
{
	/* It does not go for a few pages. */
	if (near)
		return (s32)bin <= p->demote_bin && p->demote_left >= p->knob.demote_pages;
	return bin >= p->promote_bin && p->used + HM_POLICY_PAGES <= p->near_pages;
}

static u32 hm_decide(struct hm_policy *p, struct hm_heat *h, u64 now)
{
	if (p->rate_left <= 0 || !hm_moves(p, h->flags & HM_HEAT_NEAR, h->bin) ||
	    hm_held(p, h, now))
		return 0;
	if (h->flags & HM_HEAT_NEAR) {
		p->demote_left -= p->demote_left < HM_POLICY_PAGES ? p->demote_left :
								     HM_POLICY_PAGES;
		p->leaving += HM_POLICY_PAGES;
		hm_start_move(p, h, now);
		return HM_POLICY_DEMOTE | hm_how(p, h);
	}
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

	if (!p->knob.split || h->seen < p->knob.split_seen || !hm_uneven(p, h) || !p->near_pages ||
	    p->near_pages >= (u64)p->nr_extents * HM_POLICY_PAGES ||
	    (u64)p->round_splits * 100 >= (u64)p->nr_extents * p->knob.split_rate_pct ||
	    hm_held(p, h, now))
		return false;
	/* A refault of each page has to be earned. */
	earns = hm_even_bin(p, p->knob.split_faults * p->knob.fault_ns / p->knob.touch_lines + 1);
	return h->lasting >> HM_BIN_SHIFT >= earns;
}

/*
 * What its bits say was long ago is cleared first, for a look soon after: a bit of a page that is
 * touched several times between two rounds says nothing.
 */
static u32 hm_visit_split(struct hm_policy *p, struct hm_heat *h, u64 now)
{
	bool cleared = h->flags & HM_HEAT_ARMED;
	u64 elapsed = hm_elapsed(h, now);

	if (p->sweeping)
		return 0;
	if (hm_spent(p) || elapsed < p->look_ns * (cleared ? 100 : p->knob.look_early_pct) / 100) {
		p->trail_waits = p->trailing && cleared;
		return 0;
	}
	if (!cleared && elapsed > p->look_ns * p->knob.look_late_pct / 100) {
		hm_spend(p, (s64)p->knob.clear_page_ns * HM_POLICY_PAGES);
		return HM_POLICY_CLEAR;
	}
	hm_spend(p, (s64)p->knob.scan_page_ns * HM_POLICY_PAGES);
	return HM_POLICY_SCAN;
}

/* The same by what was observed since it was counted, as hm_rank() has it. */
static bool hm_may_move(const struct hm_policy *p, const struct hm_heat *h)
{
	s32 limit;

	if (h->flags & HM_HEAT_NEAR) {
		limit = (p->demote_bin + 1) << HM_BIN_SHIFT;
		return h->brief - (s32)p->slack < limit && h->lasting + hm_doubt(p, h->seen) < limit &&
		       hm_moves(p, true, 0);
	}
	limit = (s32)(p->promote_bin << HM_BIN_SHIFT);
	return h->brief + (s32)p->slack >= limit && h->lasting - hm_doubt(p, h->seen) >= limit &&
	       hm_moves(p, false, HM_POLICY_BINS - 1);
}

/* Who is only counted as one that is to move is visited too, to be counted right. */
bool hm_policy_passes(struct hm_policy *p, const struct hm_heat *h)
{
	if (!p->sweeping)
		return false;
	if (!(h->flags & (HM_HEAT_SPLIT | HM_HEAT_MOVING)) && !hm_held(p, h, p->tick_at) &&
	    (hm_moves(p, h->flags & HM_HEAT_NEAR, h->bin) || hm_may_move(p, h)))
		return false;
	hm_spend(p, p->knob.pass_ns);
	p->barren += p->barren < ~0U;
	return true;
}

u32 hm_policy_visit(struct hm_policy *p, struct hm_heat *h, u32 extent, u64 now)
{
	u32 what;

	hm_spend(p, p->knob.visit_ns);
	if (h->flags & HM_HEAT_MOVING)
		return 0;
	if (h->flags & HM_HEAT_SPLIT)
		return hm_visit_split(p, h, now);
	if (p->trailing)
		return 0;
	if (!p->sweeping) {
		p->round_units += HM_POLICY_PAGES;
		if (h->seen && !(h->flags & HM_HEAT_ARMED))
			p->round_seen += HM_POLICY_PAGES;
	}
	if (h->flags & HM_HEAT_ARMED)
		hm_untouched(p, h, now);
	hm_rebin(p, h);
	what = hm_decide(p, h, now);
	if (what)
		p->barren = 0;
	if (what || p->sweeping || h->flags & HM_HEAT_ARMED)
		return what;
	if (hm_splits(p, h, now)) {
		p->round_splits++;
		h->flags |= HM_HEAT_MOVING;
		return HM_POLICY_SPLIT;
	}
	if (hm_spent(p))
		return 0;
	/* Some looks at what surprises, over the time that it has to last. */
	if (hm_surprising(p, h) && hm_wrong_side(p, h) &&
	    hm_elapsed(h, now) < p->knob.confirm_ms * 1000000ULL / (p->knob.confirm_looks - 1)) {
		hm_look_again(p, extent);
		return 0;
	}
	hm_spend(p, p->knob.zap_ns + p->knob.fault_ns);
	p->count.probes++;
	return HM_POLICY_PROBE;
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
