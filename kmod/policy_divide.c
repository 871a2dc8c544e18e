// SPDX-License-Identifier: GPL-2.0-only
/*
 * One bound for several regions, divided by heat.
 */
#include "policy_private.h"

void hm_policy_divide(struct hm_policy_share *share, u32 nr, u64 total)
{
	u64 left = total;

	for (u32 i = 0; i < nr; i++)
		share[i].pages = 0;
	for (u32 bin = HM_POLICY_BINS; bin-- > 0 && left;) {
		u64 here = 0, given = 0;

		for (u32 i = 0; i < nr; i++)
			here += hm_pages_in(share[i].policy, bin);
		for (u32 i = 0; i < nr && here; i++) {
			u64 pages = hm_pages_in(share[i].policy, bin);

			/* The bin that does not fit is divided as it lies. */
			if (here > left)
				pages = left / here * pages + left % here * pages / here;
			share[i].pages += pages;
			given += pages;
		}
		left -= given;
		if (here > given)
			break;
	}
}
