/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is hot, and what to do about it: the policy of one region, as arithmetic.
 *
 * The engine owns no memory, no time and no lock. Its driver (the module's tracker, or the
 * simulator in bench/tier) has one struct hm_policy for a region, one struct hm_heat for each
 * extent and, of split extents, one u64 for each 4 KiB page, of which the top 16 bits are the
 * engine's. The driver zaps, scans, copies and remaps; the engine says which and when.
 *
 *	hm_policy_init(&p, &knobs, nr_extents, near_pages, now);
 *	for each extent: hm_policy_add(&p, &heat[i], near);
 *
 *	at the time that the last tick asked for:
 *		next = hm_policy_tick(&p, now);
 *		while (hm_policy_next(&p, &i)) {
 *			if (hm_policy_passes(&p, &heat[i]))
 *				continue;
 *			lock extent i
 *			what = hm_policy_visit(&p, &heat[i], i, now);
 *			HM_POLICY_PROBE	  zap its mapping, then hm_policy_zapped()
 *			HM_POLICY_CLEAR	  clear its accessed bits, then hm_policy_cleared()
 *			HM_POLICY_SCAN	  read and clear its accessed bits, then
 *					  hm_policy_scanned(), which says what pages to move,
 *					  or to collapse it
 *			HM_POLICY_PROMOTE, HM_POLICY_DEMOTE, HM_POLICY_SPLIT, HM_POLICY_COLLAPSE
 *					  start it; hm_policy_moved(), hm_policy_split() or
 *					  hm_policy_collapsed() when it is done or has failed
 *			unlock extent i
 *		}
 *	in the fault handler, under the extent's lock:
 *		hm_policy_touched(&p, &heat[i], i, page, now);
 *
 * Two ways of seeing:
 *
 * A whole extent is probed: its one mapping is zapped, and the time until somebody touches it is
 * an observation of its rate; exponential, if touches are independent. That is the latency of a
 * hint fault, by which the memory tiering mode of Linux's NUMA balancing finds hot pages
 * (Huang Ying, "NUMA balancing: optimize memory placement for memory tiering system", Linux
 * 5.18). An extent that nobody touches costs nothing: it stays zapped, and is seen as censored.
 * The page of the first touch is a sample of where in the extent its heat is.
 *
 * A split extent is scanned: one bit a page, of whether it was touched since they were cleared; and
 * that is done a little while before, so that what the bit says does not depend on how seldom scans
 * can be paid for. (A sampling interval apart from the pace of aggregation is as in DAMON: Park et
 * al., HPDC 2022.)
 *
 * Both end as a heat on one scale: the logarithm of the touches of one 4 KiB page in a unit of
 * time, in quarters of an octave. Two averages are kept, a short and a long one; who is to be
 * promoted counts with the lower of both and who is to be demoted with the higher, each less or
 * more what is not yet known of it, so one pass over data evicts nothing. The pages of all units
 * are counted by heat, near and home apart; going down the one count and up the other says
 * between which heats a swap still pays, without sorting (that a histogram of frequencies gives
 * the threshold that fills DRAM exactly is from Memtis: Lee et al., SOSP 2023).
 *
 * Locking. The driver serialises tick, next, visit, zapped, scanned, moved, split, collapsed, add
 * and drop of one region (one worker). touched() may run at any time beside them on any number of
 * threads, if each extent's heat is under that extent's lock: it writes the heat of its extent,
 * and of struct hm_policy only @faults, @crossings, @ring, @ring_head, @pairs, @meetings,
 * @count.touches and @count.touches_near, in single words and without atomics: a count may miss some. hm_policy_share() may
 * be called beside all of them. All times are of one clock that does not go back, in ns.
 *
 * This header and policy*.c depend on neither kernel nor libc, as media.h does.
 */
#ifndef HM_POLICY_H
#define HM_POLICY_H

#ifdef __KERNEL__
#include <linux/stddef.h>
#include <linux/types.h>
#else
#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>
typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
typedef __s8 s8;
typedef __s32 s32;
typedef __s64 s64;
#endif

#include "policy_knobs.h"

#define HM_POLICY_PAGES		512	/* of 4 KiB in an extent */
#define HM_POLICY_WORDS		(HM_POLICY_PAGES / 64)
#define HM_POLICY_BINS		224	/* heats, in quarters of an octave */
#define HM_POLICY_RING		128
#define HM_POLICY_SAMPLES	4
#define HM_POLICY_SEEN		64	/* most that the knob lasting_max can be */
/* The engine's bits in the word of a page. */
#define HM_POLICY_PAGE_SHIFT	48

#define HM_POLICY_FIELD(name, default, least, most, unit, why) u32 name;
/**
 * struct hm_policy_knobs - every constant that is a choice: see policy_knobs.h
 */
struct hm_policy_knobs {
	HM_POLICY_KNOBS(HM_POLICY_FIELD)
};
#undef HM_POLICY_FIELD

/**
 * struct hm_policy_costs - what a driver has measured, in the ns of the knobs of these names
 * @near_ns: a read from DRAM; 0, as of the others: it was not measured
 * @home_ns: a read from the home
 * @copy_extent_ns: a copy of 2 MiB
 * @copy_page_ns: a copy of 4 KiB
 */
struct hm_policy_costs {
	u32 near_ns;
	u32 home_ns;
	u32 copy_extent_ns;
	u32 copy_page_ns;
};

/**
 * struct hm_policy_knob - what can be known about a knob
 * @name: as in struct hm_policy_knobs
 * @value: default
 * @least: lowest value that is taken
 * @most: highest
 * @unit: of all three
 * @why: reason and source
 */
struct hm_policy_knob {
	const char *name;
	u32 value;
	u32 least;
	u32 most;
	const char *unit;
	const char *why;
};

/* What to do with an extent; SCAN and PROBE exclude each other and the rest. */
enum {
	HM_POLICY_PROBE = 1 << 0,
	HM_POLICY_SCAN = 1 << 1,
	HM_POLICY_PROMOTE = 1 << 2,
	HM_POLICY_DEMOTE = 1 << 3,
	HM_POLICY_SPLIT = 1 << 4,
	HM_POLICY_COLLAPSE = 1 << 5,
	/* With PROMOTE and DEMOTE: writers wait for the copy; without it they end it. */
	HM_POLICY_WAIT = 1 << 6,
	/* Like SCAN and PROBE by itself. */
	HM_POLICY_CLEAR = 1 << 7,
};

/* How a move ended. */
enum hm_policy_result {
	HM_POLICY_DONE,
	HM_POLICY_ABORTED,	/* somebody wrote */
	HM_POLICY_FAILED,	/* pinned, no memory, poison: not to be tried again soon */
};

/* heat.flags */
enum {
	HM_HEAT_NEAR = 1 << 0,	 /* the whole extent is near */
	HM_HEAT_SPLIT = 1 << 1,
	HM_HEAT_ARMED = 1 << 2,	 /* zapped at @since, not touched yet; split: bits cleared then */
	HM_HEAT_FREE = 1 << 3,	 /* armed, and what the refault will cost is not yet paid */
	HM_HEAT_MOVING = 1 << 4, /* the driver is at it */
	HM_HEAT_MOVED = 1 << 5,	 /* @moved is the time of a move */
	HM_HEAT_WAIT = 1 << 6,	 /* the last copy was given up */
	HM_HEAT_HELD = 1 << 7,	 /* the last move failed at @moved */
};

/**
 * struct hm_heat - what is known of one extent
 * @since: when it was zapped, cleared or scanned last, in units of 256 ns
 * @moved: when it was moved last, in units of 2^20 ns
 * @sample: pages that were touched first, the newest at @nr_samples modulo their number
 * @brief: short average of the heat, in 256ths of an octave
 * @lasting: long average
 * @near_pages: of a split extent
 * @flags: HM_HEAT_*
 * @bin: where its pages are counted, when it is whole
 * @seen: observations behind @lasting, up to the knob lasting_max; of a split extent its scans
 * @surprise: sum of what did not fit @lasting, in quarters of an octave (CUSUM)
 * @surprised: when that sum left 0, in units of 2^22 ns
 * @nr_samples: taken so far, modulo 256
 * @meetings: pairs of samples on one page
 * @pairs: pairs of samples that were compared
 *
 * Written under the extent's lock.
 */
struct hm_heat {
	u32 since;
	u32 moved;
	u16 sample[HM_POLICY_SAMPLES];
	u16 brief;
	u16 lasting;
	u16 near_pages;
	u8 flags;
	u8 bin;
	u8 seen;
	s8 surprise;
	u8 surprised;
	u8 nr_samples;
	u8 meetings;
	u8 pairs;
};

/**
 * struct hm_policy_counts - what has happened, for users to read; never reset
 * @probes: extents zapped
 * @touches: of those, touched
 * @touches_near: of those, while the extent was near as far as is known here
 * @scanned: pages whose accessed bit was read
 * @seen: of those, touched
 * @seen_near: of those, near
 * @promoted: pages
 * @demoted: pages
 * @aborted: copies that a writer ended
 * @failed: moves that could not be made
 * @pingpongs: extents promoted soon after they were demoted, or the reverse
 * @splits: extents split
 * @collapses: extents made whole
 * @rounds: windows
 * @cost_ns: what tracking has cost, by the knobs
 */
struct hm_policy_counts {
	u64 probes;
	u64 touches;
	u64 touches_near;
	u64 scanned;
	u64 seen;
	u64 seen_near;
	u64 promoted;
	u64 demoted;
	u64 aborted;
	u64 failed;
	u64 pingpongs;
	u64 splits;
	u64 collapses;
	u64 rounds;
	u64 cost_ns;
};

/**
 * struct hm_page_steps - what a scan makes of the heat of a page
 * @lasting: of the long average, by whether it was touched; in 16ths of a bin, from bit 12 on
 * @brief: of the short one
 * @unit_bin: for scans so far apart
 * @first: and of extents that were scanned so often, 7: at least
 * @floor: what is not above it does not fall
 * @most: and the knobs: most that the long average goes in a step, in 16ths of a bin
 * @slack: page_slack_oct4
 * @ready: there is one
 */
struct hm_page_steps {
	u32 lasting[2][HM_POLICY_BINS];
	u16 brief[2][HM_POLICY_BINS];
	u32 unit_bin;
	u32 first;
	u32 floor;
	u32 most;
	u32 slack;
	bool ready;
};

/**
 * struct hm_policy - the state of one region's policy
 *
 * Read @count, @window_ns, @promote_bin, @demote_bin, @used, @band; everything else is the
 * engine's.
 */
struct hm_policy {
	struct hm_policy_knobs knob;
	struct hm_policy_counts count;

	u32 nr_extents;
	u32 nr_added;		/* of them take part */
	u32 nr_split;
	u32 nr_known;		/* extents observed at least once */
	u64 near_pages;		/* the bound */
	u64 used;		/* near pages, those included that are on their way there */
	u64 leaving;		/* pages on their way home */

	/* Pages by heat: whole extents at home, pages at home, all that is near. */
	u64 home_whole[HM_POLICY_BINS];
	u64 home_page[HM_POLICY_BINS];
	u64 near[HM_POLICY_BINS];
	u16 doubt[HM_POLICY_SEEN + 1];	/* of the long average, by observations; in 256ths */
	u32 doubt_of[3];	/* knobs that it is made of */
	u32 slack;		/* of the short one */
	u32 page_slack;		/* knob page_slack_oct4, while an extent is split as it was then */
	struct hm_page_steps steps;

	/* Outcome of the last tick. */
	u32 promote_bin;	/* extents at home from here on are to be promoted */
	u32 promote_page_bin;	/* and pages */
	s32 demote_bin;		/* near pages up to here are to be demoted */
	u32 cut_bin;		/* what is hotter would fill the bound, wherever it is */
	u64 wanted;		/* pages that are to come */
	u32 even_bin;		/* heat at which an extent earns its move; with a victim */
	u32 even_page_bin;	/* the same of a page */
	u32 room_bin;		/* without a victim */
	u32 room_page_bin;
	u64 demote_left;	/* pages to be demoted in this tick */
	s64 rate_left;		/* bytes that may be copied now */
	u32 band;

	/* The round. */
	u64 tick_at;
	u64 window_ns;
	u64 round_at;
	s64 tokens;		/* ns of work that are saved */
	s64 allowed;		/* of them, in this tick */
	u32 restless;		/* crossings of late, in 16ths */
	u32 crossings_seen;
	u32 cursor;
	u32 quota_left;		/* extents to visit in this tick at the cursor */
	u32 sweep_left;		/* extents to visit for moves alone */
	u32 sweep_at;
	u32 barren;		/* extents since one was found that is to move */
	u32 round_left;
	bool sweeping;
	bool trailing;		/* the extent to visit is at the trail */
	bool trail_waits;	/* the time of who is there has not come */
	u32 trail;		/* behind the cursor: up to here no extent waits for its scan */
	u64 look_ns;		/* from clearing a page's accessed bit to reading it */
	u64 round_units;	/* pages looked at in this round, and seen */
	u64 round_seen;
	u32 round_moves;
	u32 round_pingpongs;
	u32 round_splits;
	u32 calm;
	u32 tries;		/* copies, and those given up; halved now and then */
	u32 aborts;

	/* Unevenness of all extents: as in struct hm_heat. */
	u32 meetings;
	u32 pairs;

	/* Written by touched() as well. */
	u32 faults;
	u32 faults_paid;
	u32 crossings;		/* extents that have become hot or cold */
	u32 ring_head;
	u32 ring_tail;
	u32 ring_stop;
	u32 ring[HM_POLICY_RING];
};

/**
 * struct hm_policy_pages - what scanned() wants moved in a split extent
 * @promote: pages
 * @demote: pages
 */
struct hm_policy_pages {
	u64 promote[HM_POLICY_WORDS];
	u64 demote[HM_POLICY_WORDS];
};

/**
 * struct hm_policy_share - one region of several that share a bound
 * @next: or NULL
 * @most: pages that it may have in any case: its own bound
 * @used: pages that are near
 * @bound: pages that it may have now
 * @pages: what hm_policy_divide() has given it
 * @count: its pages by heat
 */
struct hm_policy_share {
	struct hm_policy_share *next;
	u64 most;
	u64 used;
	u64 bound;
	u64 pages;
	u64 count[HM_POLICY_BINS];
};

/** hm_policy_knob() - the knob of that number, NULL past the last one */
const struct hm_policy_knob *hm_policy_knob(u32 number);

/** hm_policy_defaults() - every knob at its default */
void hm_policy_defaults(struct hm_policy_knobs *knobs);

/**
 * hm_policy_set() - sets a knob by its number
 *
 * Return: false, and nothing is set, when there is no such knob or it does not take that value.
 * A running region takes new knobs when they are copied into @knob by who serialises tick().
 */
bool hm_policy_set(struct hm_policy_knobs *knobs, u32 number, u32 value);

/**
 * hm_policy_fill() - costs that are 0 become what was measured, or what a platform was like once
 *
 * @measured: or NULL
 *
 * Not more is believed than memory takes: 1 us near, 10 us at home, 2 ms for a copy of 2 MiB and
 * 5 us for one of 4 KiB.
 *
 * The knobs of a running region must have been filled; hm_policy_init() does it without @measured.
 */
void hm_policy_fill(struct hm_policy_knobs *knobs, const struct hm_policy_costs *measured);

/**
 * hm_policy_init() - a region about which nothing is known
 * @p: filled in
 * @knobs: copied; every value must be in its range
 * @nr_extents: extents that will be added
 * @near_pages: the bound, in pages of 4 KiB
 * @now: ns
 */
void hm_policy_init(struct hm_policy *p, const struct hm_policy_knobs *knobs, u32 nr_extents,
		    u64 near_pages, u64 now);

/** hm_policy_resize() - another bound; one below what is used demotes the coldest */
void hm_policy_resize(struct hm_policy *p, u64 near_pages);

/**
 * hm_policy_extents() - a region has another size
 * @nr_extents: extents that are or will be added; those from here on have been dropped
 */
void hm_policy_extents(struct hm_policy *p, u32 nr_extents);

/** hm_policy_add() - an extent takes part, whole, at home or near */
void hm_policy_add(struct hm_policy *p, struct hm_heat *h, bool near);

/**
 * hm_policy_placed() - a whole extent is where it was not, and the engine did not ask for it
 *
 * What is known of its heat stays. It is not moved again soon.
 */
void hm_policy_placed(struct hm_policy *p, struct hm_heat *h, u64 now);

/**
 * hm_policy_placed_pages() - pages of a split extent are where they were not, likewise
 * @pages: as for hm_policy_scanned()
 * @was: which the engine counts as near
 * @is: which are
 */
void hm_policy_placed_pages(struct hm_policy *p, struct hm_heat *h, const u64 *pages,
			    const u64 *was, const u64 *is);

/** hm_policy_page_heat() - of a page of a split extent, on the scale of hm_heat.lasting */
u16 hm_policy_page_heat(u64 word);

/**
 * hm_policy_drop() - an extent leaves
 * @pages: of a split extent its pages, else NULL
 * @near: of a split extent which pages are near, else NULL
 */
void hm_policy_drop(struct hm_policy *p, struct hm_heat *h, const u64 *pages, const u64 *near);

/**
 * hm_policy_tick() - settles what is to be done until the next tick
 *
 * Return: the time at which to call it again. Called late it does as much as it would have done
 * in at most as many ticks as the knob late_ticks says; called early it does little.
 */
u64 hm_policy_tick(struct hm_policy *p, u64 now);

/** hm_policy_next() - the next extent to visit in this tick; false: none */
bool hm_policy_next(struct hm_policy *p, u32 *extent);

/**
 * hm_policy_passes() - whether a sweep has nothing to do with the extent that comes next
 *
 * So that its lock need not be taken, here neither: what touched() may be writing meanwhile is read
 * in single words, each right by itself. An extent with the heat of one that was not added passes.
 *
 * Return: true: it is not to be visited now.
 */
bool hm_policy_passes(struct hm_policy *p, const struct hm_heat *h);

/**
 * hm_policy_visit() - what to do with an extent
 *
 * May be called for any extent at any time, out of turn as well. What it returns has been
 * accounted for: PROMOTE and DEMOTE must end in hm_policy_moved(), SPLIT in hm_policy_split(),
 * COLLAPSE in hm_policy_collapsed(), SCAN in hm_policy_scanned() or not at all, CLEAR likewise.
 */
u32 hm_policy_visit(struct hm_policy *p, struct hm_heat *h, u32 extent, u64 now);

/**
 * hm_policy_zapped() - the mapping of a whole extent was zapped for a probe
 *
 * Not for a move: who waited for that comes at once, which says nothing.
 */
void hm_policy_zapped(struct hm_policy *p, struct hm_heat *h, u64 now);

/**
 * hm_policy_touched() - somebody faulted on a whole extent
 * @page: which of its pages, 0 to 511
 */
void hm_policy_touched(struct hm_policy *p, struct hm_heat *h, u32 extent, u32 page, u64 now);

/** hm_policy_cleared() - the accessed bits of a split extent were cleared, unread */
void hm_policy_cleared(struct hm_heat *h, u64 now);

/**
 * hm_policy_scanned() - the accessed bits of a split extent were read and cleared
 * @pages: HM_POLICY_PAGES words; the top 16 bits are read and written
 * @accessed: bit of each page
 * @near: which pages are near
 * @out: what to move, accounted for as near from now on, or as leaving
 *
 * Return: 0, HM_POLICY_PROMOTE or HM_POLICY_DEMOTE or both as @out has pages, or
 * HM_POLICY_COLLAPSE with nothing in @out. What is in @out must end in hm_policy_moved_pages().
 */
u32 hm_policy_scanned(struct hm_policy *p, struct hm_heat *h, u64 *pages, const u64 *accessed,
		      const u64 *near, struct hm_policy_pages *out, u64 now);

/**
 * hm_policy_moved() - a PROMOTE or DEMOTE of a whole extent has ended
 * @what: HM_POLICY_PROMOTE or HM_POLICY_DEMOTE
 */
void hm_policy_moved(struct hm_policy *p, struct hm_heat *h, u32 what, enum hm_policy_result result,
		     u64 now);

/**
 * hm_policy_moved_pages() - the moves that scanned() asked for have ended
 * @pages: as for scanned()
 * @asked: what it asked for
 * @tried: of that; the others had nowhere to go
 * @done: of these, what was moved; the others stay where they are
 */
void hm_policy_moved_pages(struct hm_policy *p, struct hm_heat *h, const u64 *pages,
			   const struct hm_policy_pages *asked, const struct hm_policy_pages *tried,
			   const struct hm_policy_pages *done);

/** hm_policy_split() - an extent was split, @done; or could not be. @pages is initialised. */
void hm_policy_split(struct hm_policy *p, struct hm_heat *h, u64 *pages, bool done, u64 now);

/**
 * hm_policy_collapsed() - a split extent was made whole, @done; or could not be
 * @near: where each page was before
 * @is_near: where the whole is
 */
void hm_policy_collapsed(struct hm_policy *p, struct hm_heat *h, const u64 *pages, const u64 *near,
			 bool is_near, bool done, u64 now);

/**
 * hm_policy_share() - fills in @count
 *
 * May be called at any time beside all others: counts are read in single words, and what goes from
 * one to another meanwhile may be in both or in neither.
 */
void hm_policy_share(struct hm_policy_share *share, const struct hm_policy *p);

/**
 * hm_policy_divide() - one bound for several regions
 * @first: the first of them, each with @most and @count; @pages are filled in
 * @total: pages to be divided
 *
 * Gives each region what lies above one heat, the same for all: where the last page of each is as
 * hot as that of any other, no division serves more accesses near. Nobody is given more than
 * @most; what nobody has use for is divided by what is missing to that. The sum is never above
 * @total.
 */
void hm_policy_divide(struct hm_policy_share *first, u64 total);

/**
 * hm_policy_shift() - a step from the bounds that regions have to those that they are to have
 * @first: the first of them, each with @used, @bound and @pages; @bound is changed
 * @total: as for hm_policy_divide()
 *
 * Called once a second it is there in a few. A bound goes down by half of what is too much, so that
 * a moment's heat does not take everything from who had it, and stays where the difference is
 * noise; it goes up by no more than others have given up. So the bounds, and what is used beyond
 * them, are never above @total, if what is used is not.
 */
void hm_policy_shift(struct hm_policy_share *first, u64 total);

/**
 * hm_policy_ration() - the same step where there is no more than what is used
 * @first: the first of them, each with @used, @bound and @pages; @bound is changed
 * @total: as for hm_policy_divide(): what they use
 *
 * Who has too much gives up half of that. A bound does not go up, and nobody waits at it until
 * others have given up something: there is no more than that in any case.
 */
void hm_policy_ration(struct hm_policy_share *first, u64 total);

#endif /* HM_POLICY_H */
