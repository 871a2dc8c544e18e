// SPDX-License-Identifier: GPL-2.0-only
/* Random calls of the policy engine, in random order, at random times, with random knobs. */
#include "policy_region.h"

/* Ends what is under way in extent @i, in one of the ways it may. */
static void finish(u32 i)
{
	struct hm_policy_pages done = { 0 }, tried;
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
		/* Some of those that were not moved had nowhere to go. */
		tried = done;
		for (u32 n = 0; n < HM_POLICY_PAGES; n++) {
			if (hm_bit(asked[i].promote, n) && chance(5))
				hm_set_bit(tried.promote, n);
			if (hm_bit(asked[i].demote, n) && chance(5))
				hm_set_bit(tried.demote, n);
		}
		hm_policy_moved_pages(&p, &heat[i], pages[i], &asked[i], &tried, &done);
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
	} else if (what & HM_POLICY_CLEAR) {
		hm_policy_cleared(&heat[i], now);
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

/* The region gets another size: of what was cut off nothing is left. */
static void resize(u32 extents)
{
	for (u32 i = extents; i < nr; i++) {
		if (going[i])
			finish(i);
		hm_policy_drop(&p, &heat[i], pages[i], near_map[i]);
		memset(&heat[i], 0, sizeof(heat[i]));
	}
	for (u32 i = nr; i < extents; i++) {
		memset(near_map[i], 0, sizeof(near_map[i]));
		hm_policy_add(&p, &heat[i], false);
	}
	nr = extents;
	hm_policy_extents(&p, nr);
}

/* Of each knob any value that it takes, more often its ends. */
static void draw_knobs(u32 times)
{
	while (times--) {
		u32 knob = chance(HM_NR_KNOBS);
		const struct hm_policy_knob *about = hm_policy_knob(knob);

		hm_policy_set(&knobs, knob,
			      chance(2) ? about->least + chance(about->most - about->least + 1) :
					  (chance(2) ? about->least : about->most));
	}
}

/* As a driver does whose user sets knobs of a running region. */
static void change_knobs(void)
{
	u32 budget = knobs.budget_ppm;

	if (chance(2))
		hm_policy_defaults(&knobs);
	draw_knobs(chance(24));
	knobs.budget_ppm = budget;
	p.knob = knobs;
	hm_policy_fill(&p.knob, NULL);
}

static void test_random(void)
{
	bool good = true;
	u64 moves = 0, splits = 0, collapses = 0, passed = 0;

	for (u32 run = 0; run < 60 && good; run++) {
		hm_policy_defaults(&knobs);
		draw_knobs(24);
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
				if (hm_policy_passes(&p, &heat[i])) {
					passed++;
					continue;
				}
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
			if (!chance(100))
				resize(chance(64));
			if (!chance(100))
				change_knobs();
			good = good && sound();
		}
		if (!good)
			tap_diag("run %u", run);
		moves += p.count.promoted + p.count.demoted;
		splits += p.count.splits;
		collapses += p.count.collapses;
	}
	TAP_OK(good, "random calls keep sums, histograms and the bound");
	TAP_OK(moves > 10000 && splits > 100 && collapses > 10 && passed > 1000,
	       "and were not idle: %llu pages moved, %llu splits, %llu collapses, %llu passed over",
	       (unsigned long long)moves, (unsigned long long)splits,
	       (unsigned long long)collapses, (unsigned long long)passed);
	hm_policy_defaults(&knobs);
}

int main(void)
{
	begin();
	test_random();
	return tap_done();
}
