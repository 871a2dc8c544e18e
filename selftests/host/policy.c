// SPDX-License-Identifier: GPL-2.0-only
/*
 * The policy engine (kmod/policy.c), without a simulator: what it must never do, and each of its
 * rules by itself. Whether what it does is any good is for bench/tier to say.
 */
#include "../../kmod/policy.c"

#include <math.h>
#include <stdlib.h>

#include "sanitized.h"
#include "tap.h"

#define MS	1000000ULL
#define MAX	256

/* A region as a driver has it, whose moves end when the test says so. */
static struct hm_policy p;
static struct hm_policy_knobs knobs;
static struct hm_heat heat[MAX];
static u64 pages[MAX][HM_POLICY_PAGES], near_map[MAX][HM_POLICY_WORDS];
static struct hm_policy_pages asked[MAX];
static u32 going[MAX];
static u32 nr;
static u64 now, seed;
static u64 pace = 50 * MS;	/* between ticks */

static u32 chance(u32 n)
{
	seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (u32)((seed >> 33) % n);
}

static void region(u32 extents, u64 near)
{
	nr = extents;
	memset(near_map, 0, sizeof(near_map));
	memset(going, 0, sizeof(going));
	hm_policy_init(&p, &knobs, nr, near, now);
	for (u32 i = 0; i < nr; i++)
		hm_policy_add(&p, &heat[i], false);
}

/* Extent @i was touched @ns after it was zapped, @times in a row and 50 ms apart. */
static void touch(u32 i, u64 ns, u32 times)
{
	while (times--) {
		now += 50 * MS;
		hm_policy_zapped(&p, &heat[i], now);
		hm_policy_touched(&p, &heat[i], i, chance(HM_POLICY_PAGES), now + ns);
	}
}

/* A whole extent, heat as given, known for long. */
static void set(u32 i, bool near, u32 bin)
{
	if (near)
		p.used += HM_POLICY_PAGES;
	hm_whole_count(&p, &heat[i])[heat[i].bin] -= HM_POLICY_PAGES;
	p.nr_known -= heat[i].bin != 0;
	heat[i].flags = near ? HM_HEAT_NEAR : 0;
	heat[i].seen = 64;
	heat[i].brief = heat[i].lasting = (u16)(bin << HM_BIN_SHIFT);
	heat[i].bin = 0;
	hm_whole_count(&p, &heat[i])[0] += HM_POLICY_PAGES;
	hm_rebin(&p, &heat[i]);
}

/* The moves of one tick. */
static u32 tick(u32 *promoted, u32 *demoted)
{
	u32 i, moves = 0;

	now += 300 * MS;
	hm_policy_tick(&p, now);
	while (hm_policy_next(&p, &i)) {
		u32 what = hm_policy_visit(&p, &heat[i], i, now);

		if (what & (HM_POLICY_PROMOTE | HM_POLICY_DEMOTE)) {
			moves++;
			*promoted += !!(what & HM_POLICY_PROMOTE);
			*demoted += !!(what & HM_POLICY_DEMOTE);
			going[i] = what;
		}
	}
	for (i = 0; i < nr; i++) {
		if (going[i])
			hm_policy_moved(&p, &heat[i], going[i], HM_POLICY_DONE, now);
		going[i] = 0;
	}
	return moves;
}

static u32 settle(u32 ticks)
{
	u32 promoted = 0, demoted = 0;

	while (ticks--)
		tick(&promoted, &demoted);
	return promoted + demoted;
}

/* --- invariants ---------------------------------------------------------------------- */

/* Everything that is summed up is the sum; the bound holds. */
static bool sound(void)
{
	static u32 whole[HM_POLICY_BINS], page[HM_POLICY_BINS], near[HM_POLICY_BINS];
	u64 used = 0, leaving = 0;
	u32 split = 0, known = 0;

	memset(whole, 0, sizeof(whole));
	memset(page, 0, sizeof(page));
	memset(near, 0, sizeof(near));
	for (u32 i = 0; i < nr; i++) {
		const struct hm_heat *h = &heat[i];

		if (h->flags & HM_HEAT_SPLIT) {
			u32 here = 0;

			split++;
			for (u32 n = 0; n < HM_POLICY_PAGES; n++) {
				bool is_near = hm_bit(near_map[i], n);

				here += is_near;
				(is_near ? near : page)[hm_page_rank(pages[i][n], is_near)]++;
				if (going[i] & (HM_POLICY_PROMOTE | HM_POLICY_DEMOTE)) {
					used += hm_bit(asked[i].promote, n);
					leaving += hm_bit(asked[i].demote, n);
				}
			}
			used += here;
			if (here != h->near_pages)
				return false;
			continue;
		}
		known += h->bin != 0;
		(h->flags & HM_HEAT_NEAR ? near : whole)[h->bin] += HM_POLICY_PAGES;
		if (h->flags & HM_HEAT_NEAR || going[i] & HM_POLICY_PROMOTE)
			used += HM_POLICY_PAGES;
		if (going[i] & HM_POLICY_DEMOTE)
			leaving += HM_POLICY_PAGES;
	}
	if (memcmp(whole, p.home_whole, sizeof(whole)) || memcmp(page, p.home_page, sizeof(page)) ||
	    memcmp(near, p.near, sizeof(near))) {
		tap_diag("histograms are off");
		return false;
	}
	if (used != p.used || leaving != p.leaving || split != p.nr_split || known != p.nr_known) {
		tap_diag("used %llu %llu leaving %llu %llu split %u %u known %u %u",
			 (unsigned long long)used, (unsigned long long)p.used,
			 (unsigned long long)leaving, (unsigned long long)p.leaving, split,
			 p.nr_split, known, p.nr_known);
		return false;
	}
	return used <= p.near_pages;
}

/* Ends what is under way in extent @i, in one of the ways it may. */
static void finish(u32 i)
{
	struct hm_policy_pages done = { 0 };
	u32 what = going[i], how = chance(4);

	going[i] = 0;
	if (what & HM_POLICY_SPLIT) {
		bool near = heat[i].flags & HM_HEAT_NEAR;

		hm_policy_split(&p, &heat[i], pages[i], how, now);
		if (how)
			memset(near_map[i], near ? 0xff : 0, sizeof(near_map[i]));
	} else if (what & HM_POLICY_COLLAPSE) {
		bool near = heat[i].near_pages && p.used - heat[i].near_pages + HM_POLICY_PAGES <=
							  p.near_pages;

		hm_policy_collapsed(&p, &heat[i], pages[i], near_map[i], near, how, now);
	} else if (heat[i].flags & HM_HEAT_SPLIT) {
		for (u32 n = 0; n < HM_POLICY_PAGES; n++) {
			if (hm_bit(asked[i].promote, n) && chance(8))
				hm_set_bit(done.promote, n);
			if (hm_bit(asked[i].demote, n) && chance(8))
				hm_set_bit(done.demote, n);
		}
		hm_policy_moved_pages(&p, &heat[i], pages[i], &asked[i], &done);
		for (u32 w = 0; w < HM_POLICY_WORDS; w++)
			near_map[i][w] = (near_map[i][w] | done.promote[w]) & ~done.demote[w];
	} else {
		hm_policy_moved(&p, &heat[i], what,
				how > 1 ? HM_POLICY_DONE :
				how	? HM_POLICY_ABORTED :
					  HM_POLICY_FAILED,
				now);
	}
}

/* Pages of a split extent that went home without the engine, as for want of memory. */
static void lose_pages(u32 i)
{
	u64 was[HM_POLICY_WORDS];

	memcpy(was, near_map[i], sizeof(was));
	for (u32 w = 0; w < HM_POLICY_WORDS; w++)
		near_map[i][w] &= (u64)chance(~0U) << (w % 2 * 32);
	hm_policy_placed_pages(&p, &heat[i], pages[i], was, near_map[i]);
}

static void visit(u32 i)
{
	u32 what = hm_policy_visit(&p, &heat[i], i, now);
	u64 accessed[HM_POLICY_WORDS];

	if (what & HM_POLICY_PROBE) {
		hm_policy_zapped(&p, &heat[i], now);
	} else if (what & HM_POLICY_SCAN) {
		if (!chance(8))
			lose_pages(i);
		for (u32 w = 0; w < HM_POLICY_WORDS; w++)
			accessed[w] = i % 3 ? (u64)chance(~0U) << (w % 2 * 32) : ~0ULL;
		what = hm_policy_scanned(&p, &heat[i], pages[i], accessed, near_map[i], &asked[i],
					 now);
		going[i] = what;
	} else {
		going[i] = what;
	}
}

/* Random calls in random order, at random times, with random knobs. */
static void test_random(void)
{
	bool good = true;
	u64 moves = 0, splits = 0, collapses = 0;

	for (u32 run = 0; run < 60 && good; run++) {
		hm_policy_defaults(&knobs);
		for (u32 k = 0; k < 12; k++) {
			u32 knob = chance(HM_NR_KNOBS);
			const struct hm_policy_knob *about = hm_policy_knob(knob);

			hm_policy_set(&knobs, knob,
				      chance(2) ? about->least + chance(about->most - about->least + 1) :
						  (chance(2) ? about->least : about->most));
		}
		knobs.split = run % 4 != 0;
		if (run % 2)
			knobs.split_pct = 100;
		if (run % 3)
			knobs.budget_ppm = 500000;
		now = (u64)chance(~0U) << chance(32);
		nr = chance(64) + 1;
		region(nr, chance(2) ? chance(nr * HM_POLICY_PAGES + 2000) : nr / 4 * 512);
		for (u32 step = 0; step < 1500 && good; step++) {
			u32 i;

			now += chance(50) ? chance(30 * MS) : (u64)chance(~0U) << chance(12);
			hm_policy_tick(&p, now);
			while (hm_policy_next(&p, &i)) {
				good = good && i < nr;
				if (!going[i])
					visit(i);
				else if (chance(2))
					finish(i);
			}
			for (u32 t = 0; t < nr; t++) {
				i = chance(nr);
				if (going[i] && chance(2))
					finish(i);
				else if (chance(nr) < 8)
					hm_policy_touched(&p, &heat[i], i,
							  chance(4) ? chance(512) : i % 512,
							  now + chance(MS));
			}
			good = good && sound();
		}
		if (!good)
			tap_diag("run %u", run);
		moves += p.count.promoted + p.count.demoted;
		splits += p.count.splits;
		collapses += p.count.collapses;
	}
	TAP_OK(good, "random calls keep sums, histograms and the bound");
	TAP_OK(moves > 10000 && splits > 100 && collapses > 10,
	       "and were not idle: %llu pages moved, %llu splits, %llu collapses",
	       (unsigned long long)moves, (unsigned long long)splits,
	       (unsigned long long)collapses);
	hm_policy_defaults(&knobs);
}

/* --- arithmetic ---------------------------------------------------------------------- */

static void test_arithmetic(void)
{
	double worst = 0, worst_exp = 0;

	for (u64 x = 2; x < 1ULL << 60; x += x / 7 + 1) {
		double is = log2((double)x) * 256, off = fabs(is - hm_log2(x));
		double back = fabs(log2((double)hm_exp2(hm_log2(x)) / (double)x) * 256);

		worst = off > worst ? off : worst;
		if (x > 4096 && x < 1ULL << 55)
			worst_exp = back > worst_exp ? back : worst_exp;
	}
	TAP_OK(worst < 5, "log2 is off by %.1f 256ths of an octave at most", worst);
	TAP_OK(worst_exp < 8, "and there and back by %.1f", worst_exp);
	TAP_EQ(hm_log2(0), 0, "the logarithm of nothing is 0");
	TAP_OK(sizeof(struct hm_heat) <= 32 && sizeof(struct hm_policy) <= 4096,
	       "a heat is %zu bytes, a region's policy %zu", sizeof(struct hm_heat),
	       sizeof(struct hm_policy));
}

static void test_knobs(void)
{
	struct hm_policy_knobs k;
	bool in = true, out = true, documented = true;

	hm_policy_defaults(&k);
	for (u32 i = 0; hm_policy_knob(i); i++) {
		const struct hm_policy_knob *knob = hm_policy_knob(i);
		u32 *value = (u32 *)&k + i, was = *value;

		in = in && was == knob->value && was >= knob->least && was <= knob->most &&
		     hm_policy_set(&k, i, knob->least) && *value == knob->least &&
		     hm_policy_set(&k, i, knob->most) && *value == knob->most;
		out = out && !hm_policy_set(&k, i, knob->most + 1) &&
		      (!knob->least || !hm_policy_set(&k, i, knob->least - 1)) &&
		      *value == knob->most;
		documented = documented && *knob->unit && *knob->why;
		hm_policy_set(&k, i, was);
	}
	TAP_OK(in, "each knob has its default, and takes the ends of its range");
	TAP_OK(out, "and nothing beyond, when it stays as it was");
	TAP_OK(documented, "each has a unit and a reason");
	TAP_OK(!hm_policy_set(&k, HM_NR_KNOBS, 1) && !hm_policy_knob(HM_NR_KNOBS),
	       "there are no others");
}

/* --- what is observed ---------------------------------------------------------------- */

static void test_observing(void)
{
	s32 off, before;

	region(2, 512);
	/* Exponential times with a mean of 1 ms. */
	for (u32 i = 0; i < 4000; i++)
		touch(0, (u64)(-log((chance(1 << 30) + 0.5) / (1 << 30)) * 1e6), 1);
	off = heat[0].lasting - (s32)(HM_EXTENT_TOP - hm_log2(1000000));
	TAP_OK(abs(off) < 450, "the rate is found: off by %d 256ths of an octave", off);

	touch(1, 1000000, 20);
	before = heat[1].lasting;
	now += 50 * MS;
	hm_policy_zapped(&p, &heat[1], now);
	hm_policy_touched(&p, &heat[1], 1, 0, now + 1000);
	TAP_OK(heat[1].lasting - before < HM_OCT / 2, "one lucky touch hardly counts");
	touch(1, 1000, 4);
	TAP_OK(heat[1].lasting - before > 6 * HM_OCT, "four in a row are a change");
	TAP_OK(heat[1].seen < 6, "after which little is known");

	/* The same four within a moment are one pass. */
	touch(0, 1000000, 20);
	before = heat[0].lasting;
	now += 50 * MS;
	for (u32 i = 0; i < 8; i++) {
		hm_policy_zapped(&p, &heat[0], now);
		hm_policy_touched(&p, &heat[0], 0, i, now += 1000);
	}
	TAP_OK(heat[0].lasting - before < 4 * HM_OCT && heat[0].seen > 8,
	       "eight within a moment are not");

	/* Silence is an observation. */
	region(1, 512);
	touch(0, 100000, 20);
	before = heat[0].lasting;
	hm_policy_zapped(&p, &heat[0], now);
	now += 400 * MS;
	hm_policy_visit(&p, &heat[0], 0, now);
	TAP_OK(heat[0].brief < before - 3 * HM_OCT && heat[0].flags & HM_HEAT_ARMED,
	       "who is not touched cools, and stays zapped");

	/* The clock of a heat has 32 bits. */
	now = ((1ULL << 32) << HM_TIME_SHIFT) - 50000;
	hm_policy_zapped(&p, &heat[0], now);
	TAP_EQ(hm_elapsed(&heat[0], now + 100096) / 1000, 100, "times go on where they wrap");
	now = 1ULL << 40;
}

/* --- what is moved ------------------------------------------------------------------- */

static int descending(const void *a, const void *b)
{
	return *(const int *)b - *(const int *)a;
}

static void test_threshold(void)
{
	bool same = true;

	for (u32 run = 0; run < 200; run++) {
		int bins[MAX];
		u32 fit = chance(MAX - 1) + 1;

		region(MAX, (u64)fit * HM_POLICY_PAGES);
		for (u32 i = 0; i < MAX; i++) {
			set(i, false, p.even_bin + 10 + chance(60));
			bins[i] = heat[i].bin;
		}
		qsort(bins, MAX, sizeof(bins[0]), descending);
		hm_policy_tick(&p, now += 20 * MS);
		same = same && (int)p.promote_bin == bins[fit - 1] &&
		       (int)p.cut_bin == bins[fit - 1];
	}
	TAP_OK(same, "the histogram's threshold is that of sorting");
}

static void test_moving(void)
{
	u32 base, promoted = 0, demoted = 0;

	region(16, 4 * HM_POLICY_PAGES);
	base = p.even_bin + 20;
	for (u32 i = 0; i < 16; i++)
		set(i, false, base + i);
	knobs.rate_mib = 2048;
	settle(4);
	TAP_OK(heat[15].flags & heat[14].flags & heat[13].flags & heat[12].flags & HM_HEAT_NEAR &&
		       p.used == 4 * HM_POLICY_PAGES,
	       "the hottest fill the bound");
	TAP_EQ(settle(20), 0, "and then nothing moves, though others are next to them");

	/* Hysteresis: hotter than the coldest by less than the band; then by more. */
	set(0, false, heat[12].bin + 1);
	for (u32 i = 0; i < 100 && heat[0].bin < heat[12].bin + knobs.band_oct4 - 1; i++)
		set(0, false, (heat[0].lasting >> HM_BIN_SHIFT) + 1);
	TAP_EQ(settle(4), 0, "one a little hotter does not replace anybody");
	set(0, false, (heat[0].lasting >> HM_BIN_SHIFT) + 1);
	TAP_EQ(settle(4), 2, "one that is twice as hot does");
	TAP_OK(!(heat[12].flags & HM_HEAT_NEAR) && heat[0].flags & HM_HEAT_NEAR,
	       "it replaces the coldest");

	/* What does not pay. */
	region(8, 4 * HM_POLICY_PAGES);
	for (u32 i = 0; i < 4; i++)
		set(i, true, 20);
	for (u32 i = 4; i < 8; i++)
		set(i, false, p.even_bin);
	TAP_OK(heat[4].bin < p.even_bin, "those at home are below what a move earns");
	TAP_EQ(settle(4), 0, "hotter by far, and still no move that does not earn its cost");
	set(5, false, p.even_bin + 6);
	TAP_EQ(settle(4), 2, "one that does is moved");
	knobs.home_ns = knobs.near_ns;
	region(8, 4 * HM_POLICY_PAGES);
	for (u32 i = 0; i < 8; i++)
		set(i, false, HM_POLICY_BINS - 2);
	TAP_EQ(settle(4), 0, "where home is as near as near, nothing moves");
	hm_policy_defaults(&knobs);

	/* The rate. */
	knobs.rate_mib = 32;
	knobs.rate_save_ms = 1;
	region(MAX, MAX * HM_POLICY_PAGES);
	for (u32 i = 0; i < MAX; i++)
		set(i, false, base);
	settle(10);
	promoted = demoted = 0;
	for (u32 i = 0; i < 10; i++)
		tick(&promoted, &demoted);
	TAP_OK(promoted >= 10 && promoted <= 48 + 2,
	       "%u extents moved in 3 s at 32 MiB a second", promoted);
	knobs.rate_mib = 0;
	region(4, 4 * HM_POLICY_PAGES);
	for (u32 i = 0; i < 4; i++)
		set(i, false, base);
	TAP_EQ(settle(4), 0, "at a rate of 0 nothing moves");
	hm_policy_defaults(&knobs);

	/* The bound. */
	region(4, 0);
	for (u32 i = 0; i < 4; i++)
		set(i, false, base);
	TAP_EQ(settle(4), 0, "with no DRAM nothing moves");
	region(4, HM_POLICY_PAGES - 1);
	for (u32 i = 0; i < 4; i++)
		set(i, false, base);
	TAP_EQ(settle(4), 0, "nor with less than an extent");
	region(1, HM_POLICY_PAGES);
	set(0, false, base);
	settle(4);
	TAP_OK(heat[0].flags & HM_HEAT_NEAR && sound(), "one extent with room for it");
	region(0, HM_POLICY_PAGES);
	TAP_EQ(settle(4), 0, "no extent at all");
	region(8, 4 * HM_POLICY_PAGES);
	for (u32 i = 0; i < 4; i++)
		set(i, true, base + i * 10);
	hm_policy_resize(&p, 2 * HM_POLICY_PAGES);
	settle(4);
	TAP_OK(p.used == 2 * HM_POLICY_PAGES && heat[2].flags & heat[3].flags & HM_HEAT_NEAR,
	       "a smaller bound sends the coldest home");

	/* Failures. */
	region(1, HM_POLICY_PAGES);
	set(0, false, base);
	hm_policy_tick(&p, now += MS);
	TAP_EQ(hm_policy_visit(&p, &heat[0], 0, now), HM_POLICY_PROMOTE, "a copy is tried");
	hm_policy_moved(&p, &heat[0], HM_POLICY_PROMOTE, HM_POLICY_ABORTED, now);
	TAP_OK(sound() && p.used == 0, "given up, it has not taken room");
	TAP_EQ(hm_policy_visit(&p, &heat[0], 0, now), HM_POLICY_PROMOTE | HM_POLICY_WAIT,
	       "the next time writers wait");
	hm_policy_moved(&p, &heat[0], HM_POLICY_PROMOTE, HM_POLICY_FAILED, now);
	hm_policy_tick(&p, now += MS);
	TAP_OK(!(hm_policy_visit(&p, &heat[0], 0, now) & HM_POLICY_PROMOTE),
	       "what could not be moved is left alone");
	now += (knobs.pingpong_ms + 1000) * MS;
	hm_policy_tick(&p, now);
	TAP_OK(hm_policy_visit(&p, &heat[0], 0, now) & HM_POLICY_PROMOTE, "for a while");
}

/* A pass over data: each extent is touched again and again, for 20 ms, and then never. */
static void test_scan(void)
{
	region(64, 16 * HM_POLICY_PAGES);
	for (u32 i = 0; i < 64; i++)
		set(i, i < 16, i < 16 ? p.even_bin + 30 : p.even_bin - 30);
	settle(2);
	for (u32 i = 16; i < 64; i++) {
		for (u32 n = 0; n < 4; n++) {
			u32 promoted = 0, demoted = 0;

			now += 5 * MS;
			hm_policy_zapped(&p, &heat[i], now);
			hm_policy_touched(&p, &heat[i], i, 100 * n, now + 500);
			now -= 300 * MS;
			tick(&promoted, &demoted);
		}
		hm_policy_zapped(&p, &heat[i], now);
	}
	settle(3);
	TAP_EQ(p.count.promoted + p.count.demoted, 0, "one pass over data evicts nothing");
}

static void test_thrash(void)
{
	u32 late = 0;

	/* All alike, four times the bound, seen with all the noise of exponential times. */
	region(64, 16 * HM_POLICY_PAGES);
	for (u32 round = 0; round < 400; round++) {
		for (u32 i = 0; i < 64; i++)
			touch(i, (u64)(-log((chance(1 << 30) + 0.5) / (1 << 30)) * 1e5), 1);
		now -= 64 * 50 * MS - 500 * MS;
		if (round < 100)
			settle(1);
		else
			late += settle(1);
	}
	TAP_OK(late <= 64, "where nothing is hotter %u moves in 300 windows of 64 extents", late);

	/* A driver that undoes everything: the band widens, and comes back. */
	region(64, 16 * HM_POLICY_PAGES);
	p.round_moves = 100;
	p.round_pingpongs = 50;
	hm_round_over(&p, now);
	TAP_OK(p.band > knobs.band_oct4, "ping-pongs widen the band");
	for (u32 i = 0; i < 1000; i++)
		hm_round_over(&p, now);
	TAP_EQ(p.band, knobs.band_oct4, "calm narrows it again");
	for (u32 i = 0; i < 100; i++) {
		p.round_moves = 100;
		p.round_pingpongs = 50;
		hm_round_over(&p, now);
	}
	TAP_EQ(p.band, knobs.band_max_oct4, "to its end");

	/* One extent goes and comes. */
	region(8, HM_POLICY_PAGES);
	for (u32 i = 0; i < 8; i++)
		set(i, i == 0, p.even_bin + (i < 2 ? 20 : 1));
	for (u32 i = 0; i < 4; i++) {
		u32 up = i % 2 ? 0 : 1;

		heat[up].lasting = heat[up].brief = (u16)((p.even_bin + 80) << HM_BIN_SHIFT);
		heat[!up].lasting = heat[!up].brief = (u16)((p.even_bin + 20) << HM_BIN_SHIFT);
		settle(10);
	}
	TAP_OK(p.count.pingpongs >= 4, "%llu moves that were undone are counted",
	       (unsigned long long)p.count.pingpongs);
}

/* --- splitting ----------------------------------------------------------------------- */

static void sample_all(bool uneven, u32 times)
{
	while (times--)
		for (u32 i = 0; i < nr; i++) {
			u32 page = uneven && chance(2) ? i * 7 % 512 : chance(HM_POLICY_PAGES);

			if (heat[i].flags & HM_HEAT_SPLIT)
				continue;
			hm_policy_zapped(&p, &heat[i], now);
			hm_policy_touched(&p, &heat[i], i, page, now + 20000);
			now += MS;
		}
}

static void run_ticks(u32 ticks)
{
	u32 i;

	while (ticks--) {
		now += pace;
		hm_policy_tick(&p, now);
		while (hm_policy_next(&p, &i)) {
			u32 what = hm_policy_visit(&p, &heat[i], i, now);

			if (what & HM_POLICY_PROBE) {
				hm_policy_zapped(&p, &heat[i], now);
			} else if (what & HM_POLICY_SPLIT) {
				bool near = heat[i].flags & HM_HEAT_NEAR;

				hm_policy_split(&p, &heat[i], pages[i], true, now);
				memset(near_map[i], near ? 0xff : 0, sizeof(near_map[i]));
			} else if (what & (HM_POLICY_PROMOTE | HM_POLICY_DEMOTE)) {
				hm_policy_moved(&p, &heat[i], what, HM_POLICY_DONE, now);
			}
		}
	}
}

static void test_splitting(void)
{
	u32 hot_near = 0, cold_near = 0;

	region(32, 8 * HM_POLICY_PAGES);
	sample_all(false, 60);
	run_ticks(100);
	TAP_EQ(p.count.splits, 0, "even heat splits nothing");
	region(32, 8 * HM_POLICY_PAGES);
	sample_all(true, 60);
	for (u32 n = 0; n < 20; n++) {
		run_ticks(5);
		sample_all(true, 1);
	}
	TAP_OK(p.nr_split > 24 && sound(), "uneven heat splits: %u of 32", p.nr_split);
	knobs.split = 0;
	region(32, 8 * HM_POLICY_PAGES);
	sample_all(true, 60);
	run_ticks(100);
	TAP_EQ(p.count.splits, 0, "unless that is off");
	hm_policy_defaults(&knobs);

	/* Eight hot pages in each of two split extents, room for sixteen pages. */
	region(2, 16);
	for (u32 i = 0; i < 2; i++) {
		set(i, false, p.even_page_bin + 8);
		hm_policy_split(&p, &heat[i], pages[i], true, now);
	}
	for (u32 scan = 0; scan < 60; scan++) {
		now += 100 * MS;
		hm_policy_tick(&p, now);
		for (u32 i = 0; i < 2; i++) {
			u64 accessed[HM_POLICY_WORDS] = { 0 };

			for (u32 n = 0; n < HM_POLICY_PAGES; n++)
				if (n % 64 == 5 ? chance(10) : !chance(50))
					hm_set_bit(accessed, n);
			hm_policy_scanned(&p, &heat[i], pages[i], accessed, near_map[i], &asked[i],
					  now);
			hm_policy_moved_pages(&p, &heat[i], pages[i], &asked[i], &asked[i]);
			for (u32 w = 0; w < HM_POLICY_WORDS; w++)
				near_map[i][w] = (near_map[i][w] | asked[i].promote[w]) &
						 ~asked[i].demote[w];
		}
		if (!sound())
			break;
	}
	for (u32 i = 0; i < 2; i++)
		for (u32 n = 0; n < HM_POLICY_PAGES; n++) {
			hot_near += hm_bit(near_map[i], n) && n % 64 == 5;
			cold_near += hm_bit(near_map[i], n) && n % 64 != 5;
		}
	TAP_OK(sound(), "pages that move are accounted for");
	TAP_OK(hot_near >= 15 && cold_near <= 1, "%u hot pages of 16 are near, %u cold ones",
	       hot_near, cold_near);
	for (u32 n = 0; n < HM_POLICY_PAGES; n++)
		if ((pages[0][n] & HM_PAGE_MASK) != 0)
			hot_near = 0;
	TAP_OK(hot_near, "the driver's bits of a page's word are left alone");

	/* All pages alike and at home: whole again. */
	region(1, 16);
	set(0, false, p.even_page_bin - 8);
	hm_policy_split(&p, &heat[0], pages[0], true, now);
	hot_near = 0;
	for (u32 scan = 0; scan < 60 && !hot_near; scan++) {
		u64 accessed[HM_POLICY_WORDS] = { 0 };

		now += 100 * MS;
		hm_policy_tick(&p, now);
		hot_near = hm_policy_scanned(&p, &heat[0], pages[0], accessed, near_map[0],
					     &asked[0], now);
	}
	TAP_EQ(hot_near, HM_POLICY_COLLAPSE, "what is cold all over is made whole");
	hm_policy_collapsed(&p, &heat[0], pages[0], near_map[0], false, true, now);
	TAP_OK(sound() && !p.nr_split, "and is counted so");
	hm_policy_drop(&p, &heat[0], pages[0], near_map[0]);
	TAP_OK(!p.used && !p.nr_known && !p.home_whole[heat[0].bin], "dropped, it leaves nothing");
}

/* --- when to look -------------------------------------------------------------------- */

static void test_budget(void)
{
	u64 before, start;

	region(MAX, 64 * HM_POLICY_PAGES);
	run_ticks(400);		/* what was saved is spent */
	before = p.count.cost_ns;
	start = now;
	for (u32 i = 0; i < 2000; i++) {
		run_ticks(1);
		for (u32 n = 0; n < nr; n++)
			hm_policy_touched(&p, &heat[n], n, chance(512),
					  now + 1000 + chance(1000000));
	}
	TAP_OK((p.count.cost_ns - before) * 1000000 <= (now - start) * knobs.budget_ppm,
	       "tracking costs %llu ppm of a core, its budget is %u",
	       (unsigned long long)((p.count.cost_ns - before) * 1000000 / (now - start)),
	       knobs.budget_ppm);
	TAP_OK(p.count.rounds > 20, "%llu rounds", (unsigned long long)p.count.rounds);
	/* In haste for ever: what was saved, and then the budget. */
	before = p.count.cost_ns;
	start = now;
	pace = 5 * MS;
	for (u32 i = 0; i < 5000; i++) {
		p.restless = 4 * HM_RESTLESS;
		run_ticks(1);
		for (u32 n = 0; n < nr; n++)
			hm_policy_touched(&p, &heat[n], n, chance(512),
					  now + 1000 + chance(1000000));
	}
	pace = 50 * MS;
	TAP_OK(p.count.cost_ns - before <=
		       (now - start) * knobs.budget_ppm / 1000000 + (u64)hm_savings(&p) + 5 * MS,
	       "haste spends no more than was saved beside it");
	TAP_OK((p.count.cost_ns - before) * 100 >=
		       (now - start) * knobs.budget_ppm / 1000000 * (knobs.calm_pct + 5),
	       "and more than calm: %llu ppm",
	       (unsigned long long)((p.count.cost_ns - before) * 1000000 / (now - start)));
	knobs.budget_ppm = 0;
	region(MAX, 64 * HM_POLICY_PAGES);
	run_ticks(100);
	TAP_EQ(p.count.probes, 0, "with no budget nothing is probed");
	hm_policy_defaults(&knobs);

	/* Nobody is there: the window lengthens. */
	region(MAX, 64 * HM_POLICY_PAGES);
	run_ticks(3000);
	TAP_OK(p.window_ns >= 4000 * MS, "an idle region's window is %llu ms",
	       (unsigned long long)(p.window_ns / MS));
	before = hm_policy_tick(&p, now);
	TAP_OK(before > now && before - now <= knobs.tick_max_ms * MS, "the next tick is ahead");
	before = hm_policy_tick(&p, now += 3600000 * MS);
	TAP_OK(before - now <= knobs.tick_max_ms * MS, "also after an hour of none");
}

static void test_divide(void)
{
	static struct hm_policy region_of[3];
	struct hm_policy_share share[3];
	bool fits = true, even = true;

	for (u32 i = 0; i < 3; i++) {
		hm_policy_init(&region_of[i], &knobs, 100, 0, 0);
		share[i].policy = &region_of[i];
	}
	region_of[0].home_whole[150] = 1000;
	region_of[0].home_whole[100] = 50000;
	region_of[1].near[140] = 3000;
	region_of[1].home_page[120] = 1000;
	region_of[2].home_whole[0] = 60000;
	hm_policy_divide(share, 3, 4500);
	TAP_OK(share[0].pages == 1000 && share[1].pages == 3500 && share[2].pages == 0,
	       "each region gets what is hotter than one heat");
	hm_policy_divide(share, 3, 1ULL << 40);
	TAP_OK(share[0].pages == 51000 && share[1].pages == 4000 && share[2].pages == 60000,
	       "with room for all each gets its size");
	for (u32 run = 0; run < 1000; run++) {
		u64 total = chance(2000000), sum = 0;
		u32 bin_of[3];

		for (u32 i = 0; i < 3; i++) {
			memset(region_of[i].near, 0, sizeof(region_of[i].near));
			for (u32 b = 0; b < HM_POLICY_BINS; b++)
				region_of[i].near[b] = chance(20000);
		}
		hm_policy_divide(share, 3, total);
		for (u32 i = 0; i < 3; i++) {
			u64 left = share[i].pages;

			sum += left;
			for (bin_of[i] = HM_POLICY_BINS - 1;
			     bin_of[i] && left >= hm_pages_in(&region_of[i], bin_of[i]); bin_of[i]--)
				left -= hm_pages_in(&region_of[i], bin_of[i]);
		}
		fits = fits && sum <= total && sum + 3 >= (total < 1000000 ? total : 0);
		for (u32 i = 1; i < 3; i++)
			even = even && abs((int)bin_of[i] - (int)bin_of[0]) <= 1;
	}
	TAP_OK(fits, "shares add up to what there is");
	TAP_OK(even, "and end at the same heat");
}

int main(void)
{
	seed = 4;
	now = 1ULL << 40;
	hm_policy_defaults(&knobs);
	test_arithmetic();
	test_knobs();
	test_observing();
	test_threshold();
	test_moving();
	test_scan();
	test_thrash();
	test_splitting();
	test_budget();
	test_divide();
	test_random();
	return tap_done();
}
