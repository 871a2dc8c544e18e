/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The tracker of a region's heat, between the files that are about it: heat.c drives it,
 * heat_pages.c has what is about split extents, heat_map.c tells what is known.
 */
#ifndef HM_HEAT_H
#define HM_HEAT_H

#include "extent.h"

/**
 * struct hm_tracker - the heat of a region
 * @region: which
 * @lock: one at a time drives the engine
 * @policy: the engine
 * @moves: what it wants moved is moved
 * @stop: the worker is to end, and not to start itself again
 * @sharer: in the list of those who share DRAM (near_share.c), while @moves
 * @share: under that list's lock
 * @look_ns: time that the worker took, without moves
 * @move_ns: time that moves have taken it
 * @scanned: CPUs that may have translations of pages whose accessed bits were cleared
 * @work: the worker
 */
struct hm_tracker {
	struct hm_region *region;
	struct mutex lock;
	struct hm_policy policy;
	bool moves;
	bool stop;
	struct list_head sharer;
	struct hm_policy_share share;
	u64 look_ns;
	u64 move_ns;
	struct cpumask scanned;
	struct delayed_work work;
};

/* heat.c */
bool hm_heat_pressed(const struct hm_region *region);

/* heat_pages.c */
bool hm_heat_discard_pages(struct hm_region *region, struct hm_extent *extent, u32 index);
void hm_heat_split(struct hm_tracker *t, struct hm_extent *extent, u32 index);
void hm_heat_clear(struct hm_tracker *t, struct hm_extent *extent, u32 index);
void hm_heat_scan(struct hm_tracker *t, struct hm_extent *extent, u32 index);
void hm_heat_drop(struct hm_tracker *t, struct hm_extent *extent);
void hm_heat_forget_pages(u64 *pages);

/* near_share.c */
void hm_near_share_join(struct hm_tracker *t);
void hm_near_share_leave(struct hm_tracker *t);

#endif /* HM_HEAT_H */
