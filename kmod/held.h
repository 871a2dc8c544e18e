/* SPDX-License-Identifier: GPL-2.0-only */
/* Ranges that somebody holds pages of, collected to be named. */
#ifndef HM_HELD_H
#define HM_HELD_H

#include "core.h"

/**
 * struct hm_held - ranges that somebody holds pages of
 * @ranges: the first of them
 * @room: how many fit there
 * @limit: how many are wanted: there is room for no more
 * @nr: how many there are
 * @last: the last of them, which may get longer
 *
 * Zeroes but for @limit when it is new.
 */
struct hm_held {
	struct hmem_held_range *ranges;
	u32 room;
	u32 limit;
	u32 nr;
	struct hmem_held_range last;
};

void hm_held_add(struct hm_held *held, const struct hm_region *region, u32 index);
void hm_held_clear(struct hm_held *held);
void hm_held_free(struct hm_held *held);

/* How many of them are in @ranges. */
static inline u32 hm_held_kept(const struct hm_held *held)
{
	return min(held->nr, held->room);
}

#endif /* HM_HELD_H */
