/* SPDX-License-Identifier: GPL-2.0-only */
/* Heat, and what commands and the policy do about it. */
#ifndef HM_TIER_H
#define HM_TIER_H

#include "core.h"

/* measure.c */
void hm_measure(struct hm_pool *pool);
void hm_measured(struct hm_region *region, struct hm_policy_costs *costs);

/* scan.c */
bool hm_can_scan(void);
bool hm_scan(struct hm_region *region, u32 index, u64 *accessed, struct cpumask *cpus);
void hm_scan_flush(struct cpumask *cpus);

/* heat.c */
int hm_heat_set(struct hm_region *region, enum hmem_policy_mode mode);
void hm_heat_stop(struct hm_region *region);
void hm_heat_resize(struct hm_region *region, u32 nr_extents);
enum hmem_moved hm_heat_make_whole(struct hm_region *region, struct hm_extent *extent, u32 index,
				   u32 *near);
void hm_heat_touched(struct hm_region *region, struct hm_extent *extent, u32 index, u32 page);
void hm_heat_stats(struct hm_region *region, struct hmem_stats *arg);
int hm_heat_get(struct hm_region *region, struct hmem_heat *arg);

/* tier.c */
int hm_tier_range(struct hm_region *region, struct hmem_migrate *arg);
int hm_tier_move(struct hm_region *region, struct hmem_migrate *arg, u64 end);
void hm_tier_moved(struct hm_region *region, const struct hmem_migrate *arg, bool tell);
int hm_tier_migrate(struct hm_region *region, struct hmem_migrate *arg);
int hm_tier_pin(struct hm_region *region, struct hmem_pin *arg);
int hm_tier_policy(struct hm_region *region, struct hmem_policy *arg);
int hm_tier_stats(struct hm_region *region, struct hmem_stats *arg);
void hm_tier_pause(struct hm_region *region);
int hm_tier_resume(struct hm_region *region);

/* mover.c */
int hm_movers_init(void);
void hm_movers_exit(void);
void hm_mover_init(struct hm_mover *mover);
void hm_mover_stop(struct hm_mover *mover);
int hm_mover_migrate(struct hm_file *file, struct hmem_migrate *arg);

#endif /* HM_TIER_H */
