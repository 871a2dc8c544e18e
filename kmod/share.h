/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which records count of a region that is on several persistent pools.
 *
 * Each pool has a record of it, and a loss of power may leave them in two states that follow one
 * another. media.h has the rules by which these are told apart (HM_MEDIA_SHARED). Like media.c
 * this depends on neither kernel nor libc.
 */
#ifndef HM_SHARE_H
#define HM_SHARE_H

#include "media.h"

/* More records of one region than there can be, those included that do not count any more. */
#define HM_SHARE_MAX	(2 * HM_MEDIA_MAX_POOLS)

/**
 * struct hm_share - a record of the region, which was checked, on a pool that is there
 * @record: it
 * @slots: and what belongs to it
 */
struct hm_share {
	const struct hm_media_region *record;
	const union hm_media_slot *slots;
};

enum hm_share_verdict {
	HM_SHARE_WHOLE,		/* all records that count are there */
	HM_SHARE_MISSING,	/* pools are not there */
	HM_SHARE_GONE,		/* the region was not yet there, or is no more */
	HM_SHARE_BROKEN,	/* what the records say cannot come about by a loss of power */
};

enum hm_share_way {
	HM_SHARE_APART,		/* it does not add up */
	HM_SHARE_STILL,		/* it is in runs that are not INCOMING; those that are do not count */
	HM_SHARE_MOVING,	/* what is OUTGOING goes to where it is INCOMING */
	HM_SHARE_MOVED,		/* it is in runs that are INCOMING, or plain */
};

/** hm_share_pool - on which pool a record is */
const u8 *hm_share_pool(const struct hm_share *share);

/**
 * hm_share_judge - whether the records that there are make up a region
 * @shares: all records of one region on pools that are there
 * @nr: how many, not 0
 * @is_there: whether a pool is there
 * @data: for @is_there
 * @which: the record that has the size and the pools, when it is HM_SHARE_WHOLE or _MISSING
 * @missing: one bit for each pool of that which is not there
 */
enum hm_share_verdict hm_share_judge(const struct hm_share *shares, u32 nr,
				     bool (*is_there)(const u8 uuid[16], const void *data),
				     const void *data, u32 *which, u32 *missing);

/** hm_share_on - the record on one of the pools; -1 when there is none */
int hm_share_on(const struct hm_share *shares, u32 nr, const u8 uuid[16]);

/** hm_share_before - how many extents of a run lie before extent @end of the region */
u32 hm_share_before(const struct hm_media_run *run, const struct hm_media_place *place, u32 end);

/**
 * hm_share_cover - where the extents of a region are, each of which is on one of its pools
 * @shares: of which HM_SHARE_WHOLE was said
 * @nr: how many
 * @which: as it was answered
 * @seen: bitmap of twice as many bits as the region has extents, all zero; scratch
 */
enum hm_share_way hm_share_cover(const struct hm_share *shares, u32 nr, u32 which,
				 unsigned long *seen);

/** hm_share_total - extents that a region has by one of its records */
u32 hm_share_total(const struct hm_share *share);

#endif /* HM_SHARE_H */
