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

/* What follows from a record, if it is the one that has the size and the pools. */
struct view {
	u32 which;
	u32 missing;
	enum hm_share_verdict verdict;
};

static struct view view_of(const struct hm_share *shares, u32 nr, u32 which, u64 disowned,
			   bool (*is_there)(const u8 uuid[16], const void *data), const void *data)
{
	const struct hm_media_pool *pools = pools_of(&shares[which]);
	struct view v = { .which = which, .verdict = HM_SHARE_WHOLE };

	for (u32 i = 0; i < shares[which].record->nr_pools; i++) {
		int other = hm_share_on(shares, nr, pools[i].uuid);

		if (other >= 0 && disowned >> other & 1)
			v.verdict = HM_SHARE_BROKEN;
		else if (other < 0 && is_there(pools[i].uuid, data))
			return (struct view){ .which = which, .verdict = HM_SHARE_GONE };
		else if (other < 0)
			v.missing |= 1U << i;
	}
	if (v.missing)
		v.verdict = HM_SHARE_MISSING;
	return v;
}

/* Whether it is this one and not the other: media.h has the order. */
static bool is_before(const struct hm_share *shares, const struct view *a, const struct view *b)
{
	const struct hm_share *x = &shares[a->which], *y = &shares[b->which];

	if ((a->verdict == HM_SHARE_WHOLE) != (b->verdict == HM_SHARE_WHOLE))
		return a->verdict == HM_SHARE_WHOLE;
	return hm_share_total(x) < hm_share_total(y);
}

enum hm_share_verdict hm_share_judge(const struct hm_share *shares, u32 nr,
				     bool (*is_there)(const u8 uuid[16], const void *data),
				     const void *data, u32 *which, u32 *missing)
{
	/* If no other one is found. */
	struct view found = { .verdict = HM_SHARE_BROKEN };
	bool any = false;
	u64 disowned = 0;

	_Static_assert(HM_SHARE_MAX <= 64, "a bit for each record");
	for (u32 i = 0; nr <= HM_SHARE_MAX && i < nr; i++)
		disowned |= (u64)is_disowned(shares, nr, &shares[i]) << i;
	for (u32 i = 0; nr <= HM_SHARE_MAX && i < nr; i++) {
		struct view v = view_of(shares, nr, i, disowned, is_there, data);

		if (disowned >> i & 1)
			continue;
		if (v.verdict == HM_SHARE_GONE && !any) {
			found.verdict = HM_SHARE_GONE;
		} else if (v.verdict != HM_SHARE_GONE && (!any || is_before(shares, &v, &found))) {
			found = v;
			any = true;
		}
	}
	*which = found.which;
	*missing = found.missing;
	return found.verdict;
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

static bool is_set(const unsigned long *map, unsigned long at)
{
	return find_next_bit(map, at + 1, at) == at;
}

/* What the runs of some pools add up to. */
struct sums {
	u64 homes;	/* extents in runs that are not INCOMING; bits from 0 on */
	u64 coming;	/* in those that are; bits from @total on */
	u64 going;	/* of @homes, in those that are OUTGOING */
	u32 left;	/* pools that have these: one at a time is left */
	bool homeless;	/* one of them has nothing, or what is INCOMING */
};

/* False: one of a run's extents was seen before. */
static bool see(struct sums *s, const struct hm_media_run *run, const struct hm_media_place *place,
		u32 total, unsigned long *seen)
{
	u32 at = le32(place->first), stride = le32(place->stride), flags = le32(run->flags);
	u32 count = hm_share_before(run, place, total);
	unsigned long from = flags & HM_MEDIA_RUN_INCOMING ? total : 0;

	for (u32 n = count; n; n--, at += stride) {
		if (is_set(seen, from + at))
			return false;
		bitmap_set(seen, from + at, 1);
	}
	s->coming += from ? count : 0;
	s->homes += from ? 0 : count;
	s->going += flags & HM_MEDIA_RUN_OUTGOING ? count : 0;
	return true;
}

static bool see_all(struct sums *s, const struct hm_share *share, u32 total, unsigned long *seen)
{
	const struct hm_media_place *places = hm_media_places(share->record, share->slots);
	const struct sums before = *s;

	for (u32 n = 0; n < le32(share->record->nr_runs); n++)
		if (!see(s, &share->slots[n].run, &places[n], total, seen))
			return false;
	s->homeless |= s->homes == before.homes;
	s->left += s->going != before.going;
	return true;
}

/* How many extents of a share go, and come elsewhere. */
static u64 met(const struct hm_share *share, u32 total, const unsigned long *seen)
{
	const struct hm_media_place *places = hm_media_places(share->record, share->slots);
	u64 extents = 0;

	for (u32 n = 0; n < le32(share->record->nr_runs); n++) {
		u32 at = le32(places[n].first), stride = le32(places[n].stride);

		if (!(le32(share->slots[n].run.flags) & HM_MEDIA_RUN_OUTGOING))
			continue;
		for (u32 i = hm_share_before(&share->slots[n].run, &places[n], total); i; i--) {
			extents += is_set(seen, (unsigned long)total + at);
			at += stride;
		}
	}
	return extents;
}

/* Whether none that is INCOMING is elsewhere as well. */
static bool are_apart(const unsigned long *seen, u32 total)
{
	for (u32 at = 0; at < total; at++)
		if (is_set(seen, at) && is_set(seen, (unsigned long)total + at))
			return false;
	return true;
}

enum hm_share_way hm_share_cover(const struct hm_share *shares, u32 nr, u32 which,
				 unsigned long *seen)
{
	const struct hm_media_pool *pools = pools_of(&shares[which]);
	u32 total = hm_share_total(&shares[which]), nr_pools = shares[which].record->nr_pools;
	struct sums s = {};
	u64 both = 0;

	for (u32 i = 0; i < nr_pools; i++)
		if (!see_all(&s, &shares[hm_share_on(shares, nr, pools[i].uuid)], total, seen))
			return HM_SHARE_APART;
	if (s.left > 1)
		return HM_SHARE_APART;
	for (u32 i = 0; s.going && i < nr_pools; i++)
		both += met(&shares[hm_share_on(shares, nr, pools[i].uuid)], total, seen);
	if (s.going)
		return s.homes == total && s.coming == s.going && both == s.going ?
			       HM_SHARE_MOVING : HM_SHARE_APART;
	/* A pool with nothing of it is none of its pools. */
	if (s.homes == total)
		return s.homeless ? HM_SHARE_APART : HM_SHARE_STILL;
	return s.homes + s.coming == total && are_apart(seen, total) ? HM_SHARE_MOVED :
								       HM_SHARE_APART;
}
