/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files about bad memory have in common: poison.c knows it, poison_heard.c hears and
 * tells of it, poison_pages.c is about the near pages of split extents, poison_request.c answers
 * commands, poison_clear.c one of them.
 */
#ifndef HM_POISON_PRIVATE_H
#define HM_POISON_PRIVATE_H

#include "extent.h"
#include "near.h"
#include "poison.h"

/*
 * Whether folios can be marked so that the core maps them page by page. Where not, a bad page
 * would be mapped with its extent, and nothing is said to be bad.
 */
#define HM_CAN_MARK	(IS_ENABLED(CONFIG_MEMORY_FAILURE) && \
			 IS_ENABLED(CONFIG_TRANSPARENT_HUGEPAGE))

/* In pool->bad: whoever has the page was told. */
#define HM_TOLD		XA_MARK_0

/* Number on its pool of a page of an extent. */
static inline unsigned long hm_home_page(const struct hm_extent *extent, pgoff_t pgoff)
{
	return (unsigned long)extent->index * HM_EXTENT_PAGES + pgoff % HM_EXTENT_PAGES;
}

/* poison.c */
bool hm_poison_set(struct hm_region *region, pgoff_t pgoff, unsigned long bits, gfp_t gfp);
bool hm_poison_note_home(struct hm_region *region, const struct hm_extent *extent, u32 page,
			 gfp_t gfp);
void hm_poison_report(struct hm_region *region, pgoff_t pgoff, unsigned long pages);

/* poison_heard.c */
void hm_poison_tell_leaving(struct hm_region *region, const struct hm_extent *extent, u32 index);
bool hm_poison_note_near(struct hm_region *region, struct hm_extent *extent, struct folio *near,
			 pgoff_t pgoff, bool lost);

/* poison_pages.c */
bool hm_poison_in_pages(struct hm_region *region, struct hm_extent *extent, u32 index,
			unsigned long pfn);

/* The pool of a place, or NULL when its memory is gone. */
static inline struct hm_pool *hm_pool_at(struct hm_region *region, const struct hm_place *place)
{
	return READ_ONCE(region->parts[place->part].lost) ? NULL : region->parts[place->part].pool;
}

/* Number on its pool of a page of the region whose extent is there. */
static inline unsigned long hm_page_at(const struct hm_place *place, pgoff_t pgoff)
{
	return (unsigned long)place->index * HM_EXTENT_PAGES + pgoff % HM_EXTENT_PAGES;
}

/* poison_request.c */
pgoff_t hm_poison_next(struct hm_region *region, const struct hm_layout *layout, pgoff_t from,
		       pgoff_t end);

/* poison_clear.c */
int hm_poison_clear(struct hm_region *region, pgoff_t from, pgoff_t end, struct hmem_poison *arg);

#endif /* HM_POISON_PRIVATE_H */
