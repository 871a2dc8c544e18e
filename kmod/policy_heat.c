// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is observed of whole extents: times become heats, and heats what an extent counts for.
 */
#include "policy_private.h"

/* An exponential time t has E[log2 t] = log2 E[t] - gamma / ln 2 and a deviation of 1.85. */
#define HM_LOG_BIAS	213
#define HM_LOG_DEVIATION 474
#define HM_STAMP_SHIFT	22		/* of heat.surprised, which wraps after 1.07 s */

/* --- arithmetic ---------------------------------------------------------------------- */

/* log2 in 256ths. Between powers of two the chord, and a parabola for what it is too low. */
u32 hm_log2(u64 x)
{
	u32 whole, part;

	if (x < 2)
		return 0;
	whole = 63 - (u32)__builtin_clzll(x);
	part = (u32)((whole >= 8 ? x >> (whole - 8) : x << (8 - whole)) & 255);
	return whole * HM_OCT + part + (part * (256 - part) * 88 >> 16);
}

/* 2^x, x in 256ths, the same way back. */
u64 hm_exp2(u32 x)
{
	u32 whole = x / HM_OCT, part = x % HM_OCT;
	u64 mantissa = 256 + part - (part * (256 - part) * 88 >> 16);

	if (whole > 55)
		return ~0ULL >> 1;
	return whole >= 8 ? mantissa << (whole - 8) : mantissa >> (8 - whole);
}

/* --- what it counts for -------------------------------------------------------------- */

static u32 hm_margin(const struct hm_policy_knobs *k, u32 seen)
{
	/* 256 / sqrt(n) */
	static const u16 root[] = { 512, 320, 240, 190, 150, 114, 105, 97, 91, 85, 81, 77, 74, 71,
				    68, 66, 64 };
	u32 part = seen <= 16 ? root[seen] : root[seen / 4] / 2;

	if (seen < k->sure)
		part = part * k->unsure_pct / 100;
	return HM_LOG_DEVIATION * k->margin_pct / 100 * part / 256;
}

/* Doubt by the observations that there are, as the knobs have it now. */
void hm_set_doubt(struct hm_policy *p)
{
	if (p->doubt_of[0] == p->knob.margin_pct && p->doubt_of[1] == p->knob.sure &&
	    p->doubt_of[2] == p->knob.unsure_pct)
		return;
	p->doubt_of[0] = p->knob.margin_pct;
	p->doubt_of[1] = p->knob.sure;
	p->doubt_of[2] = p->knob.unsure_pct;
	for (u32 seen = 0; seen <= HM_POLICY_SEEN; seen++)
		p->doubt[seen] = (u16)hm_margin(&p->knob, seen);
	p->slack = HM_LOG_DEVIATION * p->knob.margin_pct / 100 * 190 / 256;
}

/*
 * What an extent counts for: who is to come with the least that it is likely to be, who is to go
 * with the most. The short average has a deviation of its own, for one observation in two.
 */
u32 hm_rank(const struct hm_policy *p, const struct hm_heat *h)
{
	s32 doubt = hm_doubt(p, h->seen), slack = (s32)p->slack;
	s32 brief = h->brief, lasting = h->lasting, heat;

	if (h->flags & HM_HEAT_NEAR)
		heat = brief - slack > lasting + doubt ? brief - slack : lasting + doubt;
	else
		heat = brief + slack < lasting - doubt ? brief + slack : lasting - doubt;
	return clamp_u32(heat >> HM_BIN_SHIFT, 1, HM_POLICY_BINS - 1);
}

/* Bin 0 is of what was never seen. */
void hm_rebin(struct hm_policy *p, struct hm_heat *h)
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

/* --- observing whole extents --------------------------------------------------------- */

void hm_look_again(struct hm_policy *p, u32 extent)
{
	u32 head = p->ring_head;

	p->ring[head % HM_POLICY_RING] = extent;
	p->ring_head = head + 1;
}

/*
 * The long average starts anew from the short one, which has seen the last three or so and has
 * come seven eighths of the way.
 */
static void hm_start_anew(const struct hm_policy *p, struct hm_heat *h)
{
	h->brief = (u16)clamp_u32(h->brief + (h->brief - h->lasting) / 8, 64,
				  (HM_POLICY_BINS << HM_BIN_SHIFT) - 1);
	h->lasting = h->brief;
	h->seen = (u8)p->knob.anew_seen;
	h->surprise = 0;
}

/* Near and colder of late than what the bound would hold, or at home and hotter. */
bool hm_wrong_side(const struct hm_policy *p, const struct hm_heat *h)
{
	u32 brief = h->brief >> HM_BIN_SHIFT;

	return h->flags & HM_HEAT_NEAR ? brief < p->cut_bin : brief >= p->cut_bin;
}

/* One observation that is far off, or a few that are off: not yet enough, but to be followed up. */
bool hm_surprising(const struct hm_policy *p, const struct hm_heat *h)
{
	u32 sum = (u32)(h->surprise < 0 ? -h->surprise : h->surprise);

	return sum * 100 >= p->knob.surprise_oct4 * p->knob.follow_pct;
}

/* True when the long average has just started anew. */
static bool hm_observe(struct hm_policy *p, struct hm_heat *h, s32 heat, u64 now)
{
	u8 stamp = (u8)(now >> HM_STAMP_SHIFT);
	s32 off, sum = h->surprise, drift = (s32)p->knob.drift_oct4;
	s32 most = (s32)p->knob.lucky_oct4 << HM_BIN_SHIFT;
	u32 age;

	heat = (s32)clamp_u32(heat, 64, (HM_POLICY_BINS << HM_BIN_SHIFT) - 1);
	if (!h->seen) {
		h->brief = h->lasting = (u16)heat;
		h->seen = 1;
		h->surprise = 0;
		return false;
	}
	h->brief = (u16)((h->brief + heat) / 2);
	/* One lucky observation is not worth more. */
	off = heat - h->lasting;
	off = off > most ? most : off < -most ? -most : off;
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
		p->crossings += off >= (s32)p->knob.far_oct4 << HM_BIN_SHIFT &&
				hm_wrong_side(p, h);
		hm_start_anew(p, h);
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
	if (h->flags & HM_HEAT_NEAR)
		p->count.touches_near++;
	fresh = hm_observe(p, h, HM_EXTENT_TOP - (s32)hm_log2(elapsed) - HM_LOG_BIAS, now);
	hm_sample(p, h, page % HM_POLICY_PAGES);
	/* That is new: the next tick has another look, until it is sure. */
	if ((fresh || hm_surprising(p, h) ||
	     (h->seen > 1 && h->seen < p->knob.sure && hm_learnt(p))) &&
	    hm_wrong_side(p, h))
		hm_look_again(p, extent);
}

/* Nobody came so far. What would have come later is expected as the average has it. */
void hm_untouched(struct hm_policy *p, struct hm_heat *h, u64 now)
{
	u64 elapsed = hm_elapsed(h, now);
	u64 mean = h->seen ? hm_exp2(HM_EXTENT_TOP - clamp_u32(h->lasting, 1, HM_EXTENT_TOP)) :
			     elapsed;
	u8 seen = h->seen;

	/* Too short to say anything: it goes on. */
	if (elapsed < p->window_ns * p->knob.quiet_pct / 100 &&
	    elapsed < p->knob.quiet_means * mean)
		return;
	hm_observe(p, h, HM_EXTENT_TOP - (s32)hm_log2(elapsed + mean), now);
	if (seen && elapsed < mean * p->knob.quiet_seen_pct / 100)
		h->seen = seen;
	h->since = (u32)(now >> HM_TIME_SHIFT);
	if (!(h->flags & HM_HEAT_FREE)) {
		h->flags |= HM_HEAT_FREE;
		hm_spend(p, -(s64)p->knob.fault_ns);
	}
}
