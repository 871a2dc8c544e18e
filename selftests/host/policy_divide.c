// SPDX-License-Identifier: GPL-2.0-only
/* One bound for several regions, divided by the policy engine. */
#include "policy_region.h"

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
	begin();
	test_divide();
	return tap_done();
}
