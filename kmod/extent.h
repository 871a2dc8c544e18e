/* SPDX-License-Identifier: GPL-2.0-only */
/* An extent of a region: its home, what lies in front of that, and how it is found. */
#ifndef HM_EXTENT_H
#define HM_EXTENT_H

#include "core.h"

enum hm_extent_state {
	HM_EXTENT_UNKNOWN,	/* whether it must be zeroed has not been found out */
	HM_EXTENT_READY,	/* holds the region's data */
	HM_EXTENT_FAILED,	/* its tag is damaged: what it holds cannot be told */
};

/* In hm_extent.flags */
#define HM_EXTENT_MOVING	(1U << 0)	/* somebody is making a copy, and nobody else may */
#define HM_EXTENT_DIRTY		(1U << 1)	/* its near copy has what its home has not */
#define HM_EXTENT_RANKED	(1U << 2)	/* the policy counts it */
#define HM_EXTENT_KEEP_NEAR	(1U << 3)	/* whoever asked for it wants it near */
#define HM_EXTENT_KEEP_HOME	(1U << 4)	/* ... at home */
#define HM_EXTENT_STORED	(1U << 5)	/* somebody stored since the copy was begun */
#define HM_EXTENT_BAD		(1U << 6)	/* it has pages that are bad (poison.c) */
#define HM_EXTENT_KEEP		(HM_EXTENT_KEEP_NEAR | HM_EXTENT_KEEP_HOME)

/* In hm_extent.front: it is a table of pages and no folio. */
#define HM_FRONT_PAGES		1UL

/**
 * struct hm_extent - an extent of a region
 * @home: where its data lives for good, NULL until it is touched
 * @front: what lies in front of its home: nothing, a near copy (hm_near()), or the table of its
 *	pages (hm_pages()), each of which may have a copy of its own
 * @index: its number on its pool
 * @gen: generation of the run that it belongs to
 * @part: which pool: index in region->parts
 * @state: enum hm_extent_state, what is known of it
 * @flags: HM_EXTENT_*
 * @heat: what the policy knows of it
 *
 * All of it is written under the home's folio lock, but for @home going back to NULL when
 * the extent can no longer be locked.
 */
struct hm_extent {
	struct folio *home;
	unsigned long front;
	u32 index;
	u32 gen;
	u8 part;
	u8 state;
	u8 flags;
	struct hm_heat heat;
};

/* The near copy of a whole extent, which then is what is mapped, read and written; or NULL. */
static inline struct folio *hm_near(const struct hm_extent *extent)
{
	unsigned long front = READ_ONCE(extent->front);

	return front & HM_FRONT_PAGES ? NULL : (struct folio *)front;
}

/* The words of a split extent's HM_EXTENT_PAGES pages (split.c); NULL when it is whole. */
static inline u64 *hm_pages(const struct hm_extent *extent)
{
	unsigned long front = READ_ONCE(extent->front);

	return front & HM_FRONT_PAGES ? (u64 *)(front & ~HM_FRONT_PAGES) : NULL;
}

/* The word of a page of a split extent; above these bits are the policy's. */
#define HM_PAGE_PFN		GENMASK_ULL(39, 0)	/* its near copy, 0: it has none */
#define HM_PAGE_DIRTY		BIT_ULL(40)		/* which has what its home has not */
#define HM_PAGE_RANKED_NEAR	BIT_ULL(41)		/* the policy counts it as near */

/* table.c */
int hm_table_reach(struct hm_table *table, u32 nr_extents);
void hm_table_free(struct hm_table *table);
struct hm_extent *hm_table_make(struct hm_table *table, u32 index);
struct hm_extent *hm_table_next(struct hm_table *table, u32 *index);
static inline struct hm_extent *hm_table_find(struct hm_table *table, u32 index)
{
	u32 leaf = index / HM_LEAF_EXTENTS;
	struct hm_extent ***root = READ_ONCE(table->root);
	struct hm_extent **middle = READ_ONCE(root[leaf / HM_MIDDLE_LEAVES]);
	struct hm_extent *extents;

	extents = middle ? READ_ONCE(middle[leaf % HM_MIDDLE_LEAVES]) : NULL;
	return extents ? &extents[index % HM_LEAF_EXTENTS] : NULL;
}

/* Every touched extent from @from on; under hm_srcu, or when none can be touched. */
#define hm_table_for_each(table, index, extent, from) \
	for (index = (from); ((extent) = hm_table_next(table, &(index))); (index)++)

/* extent.c */
struct hm_extent *hm_extent_lock_as_is(struct hm_region *region, u32 index);
struct hm_extent *hm_extent_lock(struct hm_region *region, u32 index);
struct folio *hm_extent_lock_home(struct hm_extent *extent);
struct page *hm_extent_get(struct hm_region *region, pgoff_t pgoff, bool *alone);
struct page *hm_extent_get_to_store(struct hm_region *region, pgoff_t pgoff,
				    const struct folio *held, bool *alone);
void hm_extent_unmap(struct hm_region *region, u32 index);

/* extents.c */
void hm_extents_zap(struct hm_region *region, u32 from);
bool hm_extents_pinned(struct hm_region *region, u32 from);
void hm_extents_wait(const struct list_head *parts, const struct list_head *more);
void hm_extents_forget(struct hm_region *region, u32 from);
void hm_extents_leave(struct hm_region *region, u8 part);
void hm_extents_lose(struct hm_region *region, u8 part);
void hm_extents_write_back(struct hm_region *region);

/* Where the home of a touched extent is. It is locked, or it is under hm_srcu. */
static inline struct hm_pool *hm_extent_pool(const struct hm_region *region,
					     const struct hm_extent *extent)
{
	return region->parts[extent->part].pool;
}

static inline struct hm_place hm_extent_place(const struct hm_extent *extent)
{
	return (struct hm_place){ .index = extent->index, .gen = extent->gen,
				  .part = extent->part };
}

/* Whether the memory of its home is gone. The home is locked, or it is under hm_srcu. */
static inline bool hm_extent_lost(const struct hm_region *region, const struct hm_extent *extent)
{
	return READ_ONCE(region->parts[extent->part].lost);
}

/* What hm_extent_lock() said of an extent that was to be moved. */
static inline enum hmem_moved hm_extent_unmoved(const struct hm_extent *extent,
						enum hmem_moved otherwise)
{
	return PTR_ERR(extent) == -EIO || PTR_ERR(extent) == -EHWPOISON ? HMEM_MOVED_POISONED :
									  otherwise;
}

static inline void *hm_extent_address(const struct hm_extent *extent)
{
	return folio_address(extent->home);
}

#endif /* HM_EXTENT_H */
