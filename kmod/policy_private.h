/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The policy engine, between its files: policy.h is what a driver sees.
 *
 *	policy.c	a region: its beginning and end, extents that come and go
 *	policy_knobs.c	the knobs by number
 *	policy_heat.c	what is observed of whole extents, and what it makes them count for
 *	policy_tick.c	when to look, and what pays
 *	policy_visit.c	what to do with an extent, and what came of it
 *	policy_scan.c	what is seen of the pages of split extents, and which to move
 *	policy_pages.c	split extents begin, end, and what came of moves of their pages
 *	policy_divide.c	one bound for several regions
 *
 * Heat is log2 of the touches of one 4 KiB page in 2^56 ns, in 256ths of an octave in averages
 * and in quarters ("bins") in histograms and of pages. A page touched every t ns has a heat of
 * 56 - log2 t; an extent's is that of its average page.
 */
#ifndef HM_POLICY_PRIVATE_H
#define HM_POLICY_PRIVATE_H

#include "policy.h"

#define HM_OCT		256		/* an octave of heat */
#define HM_BIN_SHIFT	6
#define HM_PAGE_TOP	(56 * HM_OCT)	/* heat of a page touched every ns */
#define HM_EXTENT_TOP	(47 * HM_OCT)	/* of an extent touched every ns: 512 pages */
#define HM_TIME_SHIFT	8		/* of heat.since */
#define HM_MOVED_SHIFT	20
#define HM_EXTENT_BYTES	(2U << 20)
#define HM_CROSSED	16		/* hm_policy.restless counts 16ths of a crossing */
#define HM_PAGE_MASK	((1ULL << HM_POLICY_PAGE_SHIFT) - 1)

/* --- small change -------------------------------------------------------------------- */

static inline u32 clamp_u32(s64 value, u32 least, u32 most)
{
	return value < (s64)least ? least : value > (s64)most ? most : (u32)value;
}

static inline void hm_spend(struct hm_policy *p, s64 ns)
{
	p->tokens -= ns;
	p->allowed -= ns;
	p->count.cost_ns += (u64)ns;
}

static inline bool hm_spent(const struct hm_policy *p)
{
	return p->tokens <= 0 || p->allowed <= 0;
}

static inline u64 hm_elapsed(const struct hm_heat *h, u64 now)
{
	return (u64)((u32)(now >> HM_TIME_SHIFT) - h->since) << HM_TIME_SHIFT;
}

static inline bool hm_moved_within(const struct hm_heat *h, u64 ms, u64 now)
{
	if (!(h->flags & HM_HEAT_MOVED))
		return false;
	return (u64)((u32)(now >> HM_MOVED_SHIFT) - h->moved) << HM_MOVED_SHIFT <= ms * 1000000;
}

static inline void hm_stamp(struct hm_heat *h, u64 now)
{
	h->moved = (u32)(now >> HM_MOVED_SHIFT);
	h->flags |= HM_HEAT_MOVED;
}

/* About a region that was looked at so seldom little is known. */
static inline bool hm_learnt(const struct hm_policy *p)
{
	return p->count.rounds >= p->knob.learn_rounds;
}

/* The region has changed, or is as good as changed. */
static inline void hm_make_haste(struct hm_policy *p)
{
	p->restless = (u32)((u64)p->knob.haste_from * p->knob.haste_start_pct / 100);
}

/* How much the long average of a whole extent may be off. */
static inline s32 hm_doubt(const struct hm_policy *p, u32 seen)
{
	return p->doubt[seen < HM_POLICY_SEEN ? seen : HM_POLICY_SEEN];
}

static inline u64 *hm_whole_count(struct hm_policy *p, const struct hm_heat *h)
{
	return h->flags & HM_HEAT_NEAR ? p->near : p->home_whole;
}

static inline u64 hm_pages_in(const struct hm_policy *p, u32 bin)
{
	return p->near[bin] + p->home_whole[bin] + p->home_page[bin];
}

static inline bool hm_bit(const u64 *map, u32 page)
{
	return map[page / 64] >> page % 64 & 1;
}

/* Without a library: x86-64 has no instruction for it that all processors know. */
static inline u32 hm_weight(u64 map)
{
	map -= map >> 1 & 0x5555555555555555ULL;
	map = (map & 0x3333333333333333ULL) + (map >> 2 & 0x3333333333333333ULL);
	map = (map + (map >> 4)) & 0x0f0f0f0f0f0f0f0fULL;
	return (u32)(map * 0x0101010101010101ULL >> 56);
}

static inline void hm_set_bit(u64 *map, u32 page)
{
	map[page / 64] |= 1ULL << page % 64;
}

/* --- the word of a page ----------------------------------------------------------------- */

static inline u32 hm_page_brief(u64 word)
{
	return (u32)(word >> HM_POLICY_PAGE_SHIFT) & 255;
}

static inline u32 hm_page_lasting(u64 word)
{
	return (u32)(word >> (HM_POLICY_PAGE_SHIFT + 8));
}

static inline u64 hm_page_word(u64 word, u32 brief, u32 lasting)
{
	return (word & HM_PAGE_MASK) | (u64)(lasting << 8 | brief) << HM_POLICY_PAGE_SHIFT;
}

/* The short average has a say when it is off by more than @slack. */
static inline u32 hm_rank_of(u32 lasting, u32 brief, u32 slack, bool near)
{
	if (near)
		return lasting + slack < brief ? brief - slack : lasting;
	return brief + slack < lasting ? brief + slack : lasting;
}

static inline u32 hm_page_rank(const struct hm_policy *p, u64 word, bool near)
{
	return hm_rank_of(hm_page_lasting(word), hm_page_brief(word), p->page_slack, near);
}

static inline u64 *hm_page_count(struct hm_policy *p, bool near)
{
	return near ? p->near : p->home_page;
}

/* policy.c */
u32 hm_even_bin(const struct hm_policy *p, u64 cost_ns);
void hm_price(struct hm_policy *p);
s64 hm_savings(const struct hm_policy *p);

/* policy_heat.c */
u32 hm_log2(u64 x);
u64 hm_exp2(u32 x);
void hm_set_doubt(struct hm_policy *p);
u32 hm_rank(const struct hm_policy *p, const struct hm_heat *h);
void hm_rebin(struct hm_policy *p, struct hm_heat *h);
void hm_look_again(struct hm_policy *p, u32 extent);
bool hm_wrong_side(const struct hm_policy *p, const struct hm_heat *h);
bool hm_surprising(const struct hm_policy *p, const struct hm_heat *h);
void hm_untouched(struct hm_policy *p, struct hm_heat *h, u64 now);

/* policy_tick.c */
void hm_round_over(struct hm_policy *p, u64 now);

#endif /* HM_POLICY_PRIVATE_H */
