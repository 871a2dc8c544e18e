/* SPDX-License-Identifier: GPL-2.0-only */
/* Which extents of which pools are a region's: carved, chosen, and found again. */
#ifndef HM_LAYOUT_H
#define HM_LAYOUT_H

#include "core.h"

/* layout.c */
struct hm_layout *hm_layout_alloc(u32 nr_runs);
void hm_layout_free(struct hm_layout *layout);
u32 hm_run_before(const struct hm_run *run, u32 end);
bool hm_layout_place(const struct hm_layout *layout, u32 index, struct hm_place *place);
bool hm_layout_left(const struct hm_layout *layout, u32 index, struct hm_place *place);
void hm_layout_order(struct hm_layout *layout);
struct hm_layout *hm_layout_without(const struct hm_layout *old, u8 from);
struct hm_layout *hm_layout_cut(const struct hm_layout *old, u32 nr_extents);

/* carve.c */
struct hm_layout *hm_carve(struct hm_region *region, const struct hm_layout *old, u32 nr_extents);
struct hm_layout *hm_carve_away(struct hm_region *region, const struct hm_layout *old, u8 from);
void hm_uncarve_left(struct hm_region *region, const struct hm_layout *layout, u8 from);
u64 hm_room_elsewhere(const struct hm_pool *pool);
u32 hm_part_room(const struct hm_part *part);
void hm_uncarve(struct hm_region *region, const struct hm_layout *layout, u32 from);

/* withheld.c */
bool hm_moving(const struct hm_region *region);

/* choose.c: pools for a new region, in the order in which they are filled. */
struct hm_choice {
	struct hm_pool *pools[HM_MAX_PARTS];
	u32 nr_pools;
};

int hm_choose(struct hm_choice *choice, const struct hmem_region_create *arg,
	      const char (*names)[HMEM_NAME_LEN], u64 extents);

/* place.c */
bool hm_place_untouched(const struct hm_region *region, const struct hm_layout *layout, u32 index,
			struct hm_place *place);
bool hm_place_now(struct hm_region *region, const struct hm_layout *layout, u32 index,
		  struct hm_place *place);
bool hm_place_same(const struct hm_place *a, const struct hm_place *b);
struct hm_region *hm_place_owner(struct hm_pool *pool, u32 extent, u32 *index);

#endif /* HM_LAYOUT_H */
