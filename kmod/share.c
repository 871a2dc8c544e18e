// SPDX-License-Identifier: GPL-2.0-only
/*
 * Judging what several pools say of one region. Pure: no I/O, no allocation; each record was
 * found to be intact by itself. share.h and media.h say what the rules are.
 */
#include "share.h"

#ifdef __KERNEL__
#include <linux/bitmap.h>
#include <linux/math.h>
#include <linux/minmax.h>
#include <linux/string.h>

#define le32(x) le32_to_cpu(x)
#else
#include <endian.h>
#include <string.h>

#include "media_host.h"

#ifndef le32
#define le32(x) le32toh((__u32)(x))
#endif
#endif

#define UUID_BYTES	16

static const struct hm_media_pool *pools_of(const struct hm_share *share)
{
	return hm_media_pools(share->record, share->slots);
}

const u8 *hm_share_pool(const struct hm_share *share)
{
	return pools_of(share)[share->record->number].uuid;
}

u32 hm_share_total(const struct hm_share *share)
{
	return le32(share->record->total);
}

int hm_share_on(const struct hm_share *shares, u32 nr, const u8 uuid[16])
{
	for (u32 i = 0; i < nr; i++)
		if (memcmp(hm_share_pool(&shares[i]), uuid, UUID_BYTES) == 0)
			return (int)i;
	return -1;
}

/* Whether a pool that it names has a record that does not name its own. */
static bool is_disowned(const struct hm_share *shares, u32 nr, const struct hm_share *share)
{
	const struct hm_media_pool *pools = pools_of(share);

	for (u32 i = 0; i < share->record->nr_pools; i++) {
		int other = hm_share_on(shares, nr, pools[i].uuid);

		if (other >= 0 && !hm_media_names(shares[other].record, shares[other].slots,
						  hm_share_pool(share)))
			return true;
	}
	return false;
}

/* Of those that count the one with the smallest size; -1: none counts. */
static int find_smallest(const struct hm_share *shares, u32 nr)
{
	int found = -1;

	for (u32 i = 0; i < nr; i++) {
		if (is_disowned(shares, nr, &shares[i]))
			continue;
		if (found < 0 || hm_share_total(&shares[i]) < hm_share_total(&shares[found]))
			found = (int)i;
	}
	return found;
}

enum hm_share_verdict hm_share_judge(const struct hm_share *shares, u32 nr,
				     bool (*is_there)(const u8 uuid[16], const void *data),
				     const void *data, u32 *which, u32 *missing)
{
	int found = nr > HM_SHARE_MAX ? -1 : find_smallest(shares, nr);
	const struct hm_media_pool *pools;
	bool broken = false;

	*missing = 0;
	if (found < 0)
		return HM_SHARE_BROKEN;
	*which = (u32)found;
	pools = pools_of(&shares[found]);
	for (u32 i = 0; i < shares[found].record->nr_pools; i++) {
		int other = hm_share_on(shares, nr, pools[i].uuid);

		if (other < 0 && is_there(pools[i].uuid, data))
			return HM_SHARE_GONE;
		if (other < 0)
			*missing |= 1U << i;
		else
			broken |= is_disowned(shares, nr, &shares[other]);
	}
	if (*missing)
		return HM_SHARE_MISSING;
	return broken ? HM_SHARE_BROKEN : HM_SHARE_WHOLE;
}

u32 hm_share_before(const struct hm_media_run *run, const struct hm_media_place *place, u32 end)
{
	u32 first = le32(place->first), stride = le32(place->stride), count = le32(run->count);
	u32 before;

	if (end <= first)
		return 0;
	before = (end - first - 1) / stride + 1;
	return before < count ? before : count;
}

/* False: one of its extents was seen before. */
static bool see(const struct hm_media_run *run, const struct hm_media_place *place, u32 total,
		unsigned long *seen)
{
	u32 at = le32(place->first), stride = le32(place->stride);

	for (u32 n = hm_share_before(run, place, total); n; n--, at += stride) {
		if (find_next_bit(seen, at + 1, at) == at)
			return false;
		bitmap_set(seen, at, 1);
	}
	return true;
}

bool hm_share_covers(const struct hm_share *shares, u32 nr, u32 which, unsigned long *seen)
{
	const struct hm_media_pool *pools = pools_of(&shares[which]);
	u32 total = hm_share_total(&shares[which]);
	u64 sum = 0;

	for (u32 i = 0; i < shares[which].record->nr_pools; i++) {
		const struct hm_share *share = &shares[hm_share_on(shares, nr, pools[i].uuid)];
		const struct hm_media_place *places = hm_media_places(share->record, share->slots);
		u64 before = sum;

		for (u32 n = 0; n < le32(share->record->nr_runs); n++) {
			if (!see(&share->slots[n].run, &places[n], total, seen))
				return false;
			sum += hm_share_before(&share->slots[n].run, &places[n], total);
		}
		/* A pool with nothing of it is none of its pools. */
		if (sum == before)
			return false;
	}
	return sum == total;
}
