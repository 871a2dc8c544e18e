/* SPDX-License-Identifier: GPL-2.0-only */
/* Near copies: DRAM for them, made, given up, of whole extents and of pages; and moves of homes. */
#ifndef HM_NEAR_H
#define HM_NEAR_H

#include "extent.h"

/**
 * struct hm_copy - what is near of an extent, as the shrinker sees it; pressure.c
 * @lru: on the list of its node and cgroup while anything is near
 * @extent: which
 * @index: its number in the region
 * @near: pages
 * @dirty: pages of them that differ from their home
 *
 * A near copy has it in folio->private, a table of pages in page->private. Written under the
 * lock of the extent's home.
 */
struct hm_copy {
	struct list_head lru;
	struct hm_extent *extent;
	u32 index;
	u16 near;
	u16 dirty;
};

/* Of an extent with something in front of its home, which is locked. */
static inline struct hm_copy *hm_copy_of(const struct hm_extent *extent)
{
	u64 *pages = hm_pages(extent);

	return pages ? (struct hm_copy *)virt_to_page(pages)->private : hm_near(extent)->private;
}

/*
 * What goes with a copy: charged as it is, and nothing is reclaimed, and nobody killed, to have it
 * (dram.c).
 */
#define HM_GFP_SPARE	((GFP_KERNEL_ACCOUNT | __GFP_NOMEMALLOC | __GFP_NORETRY | __GFP_NOWARN) & \
			 ~__GFP_RECLAIM)

/* dram.c */
struct folio *hm_dram_get(struct hm_region *region, unsigned int order);
void hm_dram_put(struct hm_region *region, struct folio *folio);

/* near_asked.c */
void hm_near_asked(struct hm_region *region, long pages);
void hm_near_asked_got(const struct hm_region *region, long pages);
long hm_near_asked_aside(void);

/* near_share.c */
bool hm_near_share_take(struct hm_region *region, long pages);
void hm_near_share_give(long pages);
void hm_near_share_starved(struct hm_region *region);
void hm_near_share_exit(void);

/* batches.c */
void hm_batches_expect(void);
bool hm_batches_empty(const struct folio *folio);
void hm_batches_kick(const struct folio *folio);
bool hm_batches_wait(void);
void hm_batches_exit(void);

/* near.c */
bool hm_pinned(struct folio *folio, int own);
int hm_near_store(struct hm_region *region, struct hm_extent *extent, u32 index,
		  const struct folio *held);
enum hmem_moved hm_near_promote(struct hm_region *region, u32 index, bool force);
enum hmem_moved hm_near_demote(struct hm_region *region, u32 index, bool force);
unsigned int hm_near_yield(struct hm_region *region, struct hm_extent *extent, u32 index);
void hm_near_drop(struct hm_region *region, struct hm_extent *extent);

/* split.c */
enum hmem_moved hm_split(struct hm_region *region, u32 index);
u64 *hm_pages_detach(struct hm_extent *extent);
void hm_pages_free(u64 *pages);
int hm_pages_store(struct hm_region *region, struct hm_extent *extent, pgoff_t pgoff,
		   const struct folio *held);
void hm_pages_move(struct hm_region *region, struct hm_extent *extent, u32 index,
		   struct hm_policy_pages *asked, struct hm_policy_pages *done);
enum hmem_moved hm_pages_go_home(struct hm_region *region, struct hm_extent *extent, u32 index);
bool hm_pages_discard(struct hm_region *region, struct hm_extent *extent, u32 index, u32 page);
unsigned int hm_pages_yield(struct hm_region *region, struct hm_extent *extent, u32 index,
			    bool dirty);
void hm_pages_drop(struct hm_region *region, struct hm_extent *extent);
struct folio *hm_near_next(const struct hm_extent *extent, u32 *page);
static inline struct folio *hm_page_near(const u64 *pages, u32 page)
{
	return pages[page] & HM_PAGE_PFN ? pfn_folio(pages[page] & HM_PAGE_PFN) : NULL;
}

/* What lies in front of a page of an extent whose home is locked; or NULL. */
static inline struct folio *hm_near_of(const struct hm_extent *extent, u32 page)
{
	const u64 *pages = hm_pages(extent);

	return pages ? hm_page_near(pages, page) : hm_near(extent);
}

/* Every folio that lies in front of an extent's home, which is locked. */
#define hm_near_for_each(extent, near, page) \
	for (page = 0; ((near) = hm_near_next(extent, &(page))); (page)++)

/* pressure.c */
struct hm_copy *hm_copy_alloc(struct hm_region *region, struct hm_extent *extent, u32 index);
void hm_copy_free(struct hm_copy *copy);
void hm_copy_count(struct hm_copy *copy, int near, int dirty);
int hm_pressure_init(void);
void hm_pressure_exit(void);

/* rehome.c */
enum hmem_moved hm_extent_rehome(struct hm_region *region, struct hm_extent *extent, u32 index,
				 const struct hm_place *place);

#endif /* HM_NEAR_H */
