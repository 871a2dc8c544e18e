/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A region as a driver of the policy engine (kmod/policy.h) has it, without a simulator: for tests
 * of what the engine must never do, and of each of its rules by itself. The engine is compiled in
 * whole, as the tests look at its insides.
 */
#ifndef HMEM_SELFTESTS_POLICY_REGION_H
#define HMEM_SELFTESTS_POLICY_REGION_H

#include "../../kmod/policy.c"
#include "../../kmod/policy_divide.c"
#include "../../kmod/policy_heat.c"
#include "../../kmod/policy_knobs.c"
#include "../../kmod/policy_pages.c"
#include "../../kmod/policy_scan.c"
#include "../../kmod/policy_tick.c"
#include "../../kmod/policy_visit.c"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tap.h"

#define MS	1000000ULL
#define MAX	256

/* Its moves end when the test says so. */
static struct hm_policy p;
static struct hm_policy_knobs knobs;
static struct hm_heat heat[MAX];
static u64 pages[MAX][HM_POLICY_PAGES], near_map[MAX][HM_POLICY_WORDS];
static struct hm_policy_pages asked[MAX];
static u32 going[MAX];
static u32 nr;
static u64 now, seed;
static u64 pace = 50 * MS;	/* between ticks */

static inline u32 chance(u32 n)
{
	seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (u32)((seed >> 33) % n);
}

static inline void region(u32 extents, u64 near)
{
	nr = extents;
	memset(near_map, 0, sizeof(near_map));
	memset(going, 0, sizeof(going));
	hm_policy_init(&p, &knobs, nr, near, now);
	for (u32 i = 0; i < nr; i++)
		hm_policy_add(&p, &heat[i], false);
}

/* Extent @i was touched @ns after it was zapped, @times in a row and 50 ms apart. */
static inline void touch(u32 i, u64 ns, u32 times)
{
	while (times--) {
		now += 50 * MS;
		hm_policy_zapped(&p, &heat[i], now);
		hm_policy_touched(&p, &heat[i], i, chance(HM_POLICY_PAGES), now + ns);
	}
}

/* A whole extent, heat as given, known for long. */
static inline void set(u32 i, bool near, u32 bin)
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
static inline u32 tick(u32 *promoted, u32 *demoted)
{
	u32 i, moves = 0;

	now += 300 * MS;
	hm_policy_tick(&p, now);
	while (hm_policy_next(&p, &i)) {
		u32 what = hm_policy_passes(&p, &heat[i]) ? 0 :
			   hm_policy_visit(&p, &heat[i], i, now);

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

static inline u32 settle(u32 ticks)
{
	u32 promoted = 0, demoted = 0;

	while (ticks--)
		tick(&promoted, &demoted);
	return promoted + demoted;
}

static inline void run_ticks(u32 ticks)
{
	u32 i;

	while (ticks--) {
		now += pace;
		hm_policy_tick(&p, now);
		while (hm_policy_next(&p, &i)) {
			u32 what = hm_policy_passes(&p, &heat[i]) ? 0 :
				   hm_policy_visit(&p, &heat[i], i, now);

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

/* Everything that is summed up is the sum; the bound holds. */
static inline bool sound(void)
{
	static u64 whole[HM_POLICY_BINS], page[HM_POLICY_BINS], near[HM_POLICY_BINS];
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
				(is_near ? near : page)[hm_page_rank(&p, pages[i][n], is_near)]++;
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

static inline void begin(void)
{
	seed = 4;
	now = 1ULL << 40;
	hm_policy_defaults(&knobs);
}

#endif
