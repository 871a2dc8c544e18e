// SPDX-License-Identifier: GPL-2.0-only
/* One bound for several regions, divided by the policy engine. */
#include "policy_region.h"

#define REGIONS	3

static struct hm_policy region_of[REGIONS];
static struct hm_policy_share share[REGIONS];

static void share_all(u64 total)
{
	for (u32 i = 0; i < REGIONS; i++) {
		share[i].next = i + 1 < REGIONS ? &share[i + 1] : NULL;
		hm_policy_share(&share[i], &region_of[i]);
	}
	hm_policy_divide(share, total);
}

static bool pages_are(u64 a, u64 b, u64 c)
{
	if (share[0].pages == a && share[1].pages == b && share[2].pages == c)
		return true;
	tap_diag("%llu, %llu, %llu", (unsigned long long)share[0].pages,
		 (unsigned long long)share[1].pages, (unsigned long long)share[2].pages);
	return false;
}

static void test_heats(void)
{
	for (u32 i = 0; i < REGIONS; i++) {
		hm_policy_init(&region_of[i], &knobs, 100, 0, 0);
		share[i].most = 100000;
	}
	region_of[0].home_whole[150] = 1000;
	region_of[0].home_whole[100] = 50000;
	region_of[1].near[140] = 3000;
	region_of[1].home_page[120] = 1000;
	region_of[2].home_whole[0] = 60000;
	share_all(4500);
	TAP_OK(pages_are(1000, 3500, 0), "each region gets what is hotter than one heat");
	share_all(51000 + 4000 + 60000);
	TAP_OK(pages_are(51000, 4000, 60000), "with room for all each gets what it has");
	share_all(1ULL << 40);
	TAP_OK(pages_are(100000, 100000, 100000), "with more each gets its own bound");
	share_all(51000 + 4000 + 60000 + 18500);
	TAP_OK(pages_are(51000 + 4900, 4000 + 9600, 60000 + 4000),
	       "what nobody has use for is divided by what is missing to that");
	share[0].most = 400;
	share_all(4500);
	TAP_OK(pages_are(400, 4000, 100), "who may not have more leaves it to the others");
	share_all(0);
	TAP_OK(pages_are(0, 0, 0), "nothing is divided into nothing");
}

/* More pages of one heat than 32 bits can count: 24 TiB. */
static void test_large(void)
{
	u64 extents = 3ULL << 22, all = extents * HM_POLICY_PAGES;
	struct hm_heat one;

	for (u32 i = 0; i < REGIONS; i++) {
		hm_policy_init(&region_of[i], &knobs, (u32)extents, all, 0);
		share[i].most = all;
	}
	for (u64 i = 0; i < extents; i++)
		hm_policy_add(&region_of[0], &one, false);
	for (u64 i = 0; i < extents; i++)
		hm_policy_add(&region_of[1], &one, true);
	TAP_EQ(region_of[1].used, all, "24 TiB are near");
	share_all(2 * all);
	TAP_OK(share[0].count[0] == all && share[1].count[0] == all, "and as much is cold");
	TAP_OK(pages_are(all, all, 0), "it is divided");
	region_of[0].home_whole[0] = 0;
	region_of[0].home_whole[150] = all;
	region_of[0].nr_known = (u32)extents;
	hm_policy_tick(&region_of[0], 1000000000);
	TAP_EQ(region_of[0].wanted, all, "and all of it is wanted near where there is room");
}

/* Who has no bound of his own is one of those who share like any other. */
static void test_no_bounds(void)
{
	u64 few = 0, many = 0;

	for (u32 i = 0; i < REGIONS; i++) {
		hm_policy_init(&region_of[i], &knobs, 100, 0, 0);
		share[i].most = 1ULL << 44;
	}
	share_all(9000);
	for (u32 i = 0; i < REGIONS; i++)
		few += share[i].pages > 2900 ? share[i].pages : 1ULL << 44;
	TAP_OK(few <= 9000 && few + 3 >= 9000, "idle regions without bounds get a third each");
	share[0].most = 1ULL << 52;
	share_all(1ULL << 50);
	for (u32 i = 0; i < REGIONS; i++)
		many += share[i].pages;
	TAP_OK(many <= 1ULL << 50 && many > (1ULL << 50) - (1ULL << 20) &&
		       share[1].pages == share[2].pages && share[0].pages / 256 > share[1].pages / 2,
	       "and as much as they lack of what is more than any machine has");
}

static void test_sums(void)
{
	bool fits = true, even = true;

	for (u32 run = 0; run < 1000; run++) {
		u64 total = chance(2000000), sum = 0;
		u32 bin_of[REGIONS];

		for (u32 i = 0; i < REGIONS; i++) {
			memset(region_of[i].near, 0, sizeof(region_of[i].near));
			for (u32 b = 0; b < HM_POLICY_BINS; b++)
				region_of[i].near[b] = chance(20000);
			share[i].most = 1ULL << 40;
		}
		share_all(total);
		for (u32 i = 0; i < REGIONS; i++) {
			u64 left = share[i].pages;

			sum += left;
			for (bin_of[i] = HM_POLICY_BINS - 1;
			     bin_of[i] && left >= hm_pages_in(&region_of[i], bin_of[i]); bin_of[i]--)
				left -= hm_pages_in(&region_of[i], bin_of[i]);
		}
		fits = fits && sum <= total && sum + 3 >= total;
		for (u32 i = 1; i < REGIONS; i++)
			even = even && abs((int)bin_of[i] - (int)bin_of[0]) <= 1;
	}
	TAP_OK(fits, "shares add up to what there is");
	TAP_OK(even, "and end at the same heat");
}

/* Regions that take what they may, and give up what they may not have, each in its time. */
static void test_steps(void)
{
	bool fits = true;
	u32 steps = 0;

	for (u32 run = 0; run < 1000; run++) {
		u64 total = chance(100000) + 1, claimed;

		for (u32 i = 0; i < REGIONS; i++) {
			share[i].most = chance(100000);
			share[i].bound = share[i].used = 0;
			for (u32 b = 0; b < HM_POLICY_BINS; b++)
				share[i].count[b] = chance(1000);
		}
		for (u32 step = 0; step < 80; step++) {
			if (step == 10)
				total = total / 2 + 1;
			hm_policy_divide(share, total);
			hm_policy_shift(share, total);
			claimed = 0;
			for (u32 i = 0; i < REGIONS; i++) {
				struct hm_policy_share *s = &share[i];

				fits = fits && s->bound <= s->most;
				claimed += s->bound > s->used ? s->bound : s->used;
				if (s->used > s->bound)
					s->used -= (s->used - s->bound + 3) / 4;
				else
					s->used = s->bound;
			}
			fits = fits && (claimed <= total || (step >= 10 && step < 60));
		}
		for (u32 i = 0; i < REGIONS; i++)
			steps += share[i].bound > share[i].pages + total / 64 ||
				 share[i].bound + total / 16 < share[i].pages;
	}
	TAP_OK(fits, "bounds, and what is used beyond them, are never more than there is");
	TAP_EQ(steps, 0, "and get to where they are to be");

	/* Heat that was there for one step only. */
	share[0] = (struct hm_policy_share){ .next = &share[1], .most = 1000, .bound = 1000,
					     .used = 1000, .pages = 0 };
	share[1] = (struct hm_policy_share){ .most = 1000, .pages = 1000 };
	hm_policy_shift(share, 1000);
	TAP_OK(share[0].bound == 500 && share[1].bound == 0,
	       "half is given up, and nothing taken before it is given up");
	share[0].used = 500;
	hm_policy_shift(share, 1000);
	TAP_OK(share[0].bound == 250 && share[1].bound == 500, "then it is taken");
	share[0].pages = 240;
	share[1].pages = 760;
	hm_policy_shift(share, 1000);
	TAP_EQ(share[0].bound, 250, "what is next to nothing is left alone");
}

/* Regions that find no DRAM: what one gives up the other may find, or somebody else. */
static void test_ration(void)
{
	bool falls = true, goes = true;

	share[0] = (struct hm_policy_share){ .next = &share[1], .most = 1000, .bound = 1000,
					     .used = 600, .pages = 0 };
	share[1] = (struct hm_policy_share){ .most = 1000, .bound = 1000, .used = 400,
					     .pages = 1000 };
	hm_policy_ration(share, 1000);
	TAP_OK(share[0].bound == 300 && share[1].bound == 1000,
	       "without DRAM too half is given up at a time, and nothing is waited for");
	share[0].bound = 1000;
	hm_policy_ration(share, 1000);
	TAP_EQ(share[0].bound, 300, "nor more, while it is not given up");
	share[0].pages = 590;
	share[0].bound = share[1].bound = 1000;
	share[1].pages = 410;
	hm_policy_ration(share, 1000);
	TAP_OK(share[0].bound == 600 && share[1].bound == 410,
	       "what is next to nothing is left alone");
	share[1].bound = 405;
	hm_policy_ration(share, 1000);
	TAP_EQ(share[1].bound, 405, "and nobody has more than he may have in any case");

	for (u32 run = 0; run < 1000; run++) {
		u32 last = chance(2);

		for (u32 i = 0; i < 2; i++) {
			memset(share[i].count, 0, sizeof(share[i].count));
			share[i].used = chance(100000) + 64;
			share[i].count[i == last ? 100 : 200] = 1ULL << 20;
		}
		for (u32 step = 0; step < 40; step++) {
			u64 used = share[0].used + share[1].used, before = share[last].used;

			for (u32 i = 0; i < 2; i++)
				share[i].bound = share[i].most = 1ULL << 20;
			hm_policy_divide(share, used);
			hm_policy_ration(share, used);
			falls = falls && share[last].bound <= before &&
				share[last].bound >= before / 2;
			share[last].used = share[last].bound;
			/* It finds some of that. */
			share[!last].used += chance((u32)(before - share[last].bound + 1));
			falls = falls && share[!last].used <= share[!last].bound;
		}
		goes = goes && share[last].used <= (share[0].used + share[1].used) / 64;
	}
	TAP_OK(falls, "half of it goes at a time");
	TAP_OK(goes, "and all in the end");
}

int main(void)
{
	begin();
	test_heats();
	test_large();
	test_no_bounds();
	test_sums();
	test_steps();
	test_ration();
	return tap_done();
}
