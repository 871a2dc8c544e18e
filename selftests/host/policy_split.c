// SPDX-License-Identifier: GPL-2.0-only
/* What the policy engine splits and makes whole, and which pages it moves. */
#include "policy_region.h"

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
			hm_policy_moved_pages(&p, &heat[i], pages[i], &asked[i], &asked[i],
					      &asked[i]);
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

	/* Seen for the first time, moved by somebody else, and visited only then. */
	region(1, 16);
	hm_policy_zapped(&p, &heat[0], now);
	hm_policy_touched(&p, &heat[0], 0, 0, now + MS);
	hm_policy_placed(&p, &heat[0], now + 2 * MS);
	TAP_EQ(p.nr_known, 1, "one that others move before it is looked at is known");
	hm_policy_drop(&p, &heat[0], pages[0], near_map[0]);
	TAP_OK(!p.used && !p.nr_known, "and leaves nothing either");
}

int main(void)
{
	begin();
	test_splitting();
	return tap_done();
}
