// SPDX-License-Identifier: GPL-2.0-only
/*
 * One bound for several regions, divided by heat.
 */
#include "policy_private.h"

static u64 least(u64 a, u64 b)
{
	return a < b ? a : b;
}

/*
 * @value by @part of @whole, rounded down; @part is not more. Of large ones the upper 32 bits count,
 * so that no product is too large.
 */
static u64 part_of(u64 value, u64 part, u64 whole)
{
	u32 shift = 0;

	while (whole >> shift >> 32)
		shift++;
	if (shift) {
		part >>= shift;
		whole = (whole >> shift) + 1;
	}
	return value / whole * part + value % whole * part / whole;
}

/* Others may be counting. */
static u64 read_count(const u64 *count)
{
	return __atomic_load_n(count, __ATOMIC_RELAXED);
}

void hm_policy_share(struct hm_policy_share *share, const struct hm_policy *p)
{
	for (u32 bin = 0; bin < HM_POLICY_BINS; bin++)
		share->count[bin] =
			read_count(&p->near[bin]) + read_count(&p->home_whole[bin]) +
			read_count(&p->home_page[bin]);
}

/* What a region would have of a heat; the last of 0 is what it has not shown any use for. */
static u64 wanted(const struct hm_policy_share *share, s32 bin)
{
	u64 room = share->most - share->pages;

	return bin < 0 ? room : least(share->count[bin], room);
}

void hm_policy_divide(struct hm_policy_share *first, u64 total)
{
	struct hm_policy_share *share;
	u64 left = total;

	for (share = first; share; share = share->next)
		share->pages = 0;
	for (s32 bin = HM_POLICY_BINS - 1; bin >= -1; bin--) {
		u64 here = 0, given = 0;

		for (share = first; share; share = share->next)
			here += wanted(share, bin);
		for (share = first; share && here; share = share->next) {
			u64 pages = wanted(share, bin);

			/* The bin that does not fit is divided as it lies. */
			if (here > left)
				pages = part_of(left, pages, here);
			share->pages += pages;
			given += pages;
		}
		left -= given;
		if (here > given)
			break;
	}
}

/* By halves, and not for what noise makes. */
static u64 to_give(u64 over, u64 total)
{
	return over > total / 64 ? over - over / 2 : 0;
}

void hm_policy_shift(struct hm_policy_share *first, u64 total)
{
	u64 bounds = 0, claimed = 0, wants = 0, left;
	struct hm_policy_share *share;

	for (share = first; share; share = share->next)
		bounds += share->bound;
	for (share = first; share; share = share->next) {
		u64 over = share->bound > share->pages ? share->bound - share->pages : 0;

		/* At once when there is less for all. */
		share->bound -= bounds > total ? over : to_give(over, total);
		claimed += share->bound > share->used ? share->bound : share->used;
		wants += share->pages > share->bound ? share->pages - share->bound : 0;
	}
	left = total > claimed ? total - claimed : 0;
	for (share = first; share; share = share->next) {
		u64 want = share->pages > share->bound ? share->pages - share->bound : 0;

		/* What it has beyond its bound is claimed already. */
		if (want)
			share->bound += wants > left ? part_of(left, want, wants) : want;
	}
}

void hm_policy_ration(struct hm_policy_share *first, u64 total)
{
	struct hm_policy_share *share;

	for (share = first; share; share = share->next) {
		u64 over = share->used > share->pages ? share->used - share->pages : 0;

		share->bound = least(share->bound,
				     share->pages + over - to_give(over, total));
	}
}
