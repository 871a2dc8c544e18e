/* SPDX-License-Identifier: GPL-2.0-only */
/* Bad memory, as all but its own files see it. */
#ifndef HM_POISON_H
#define HM_POISON_H

#include "extent.h"

/* poison.c */

/* In region->bad */
#define HM_BAD_LOST	1UL	/* the page's data are lost */
#define HM_BAD_NEAR	2UL	/* they are at home, and its near copy is not to be read */
/* Beside them, in what hm_poison_of_page() returns: its home is bad. */
#define HM_BAD_HOME	4UL

static inline unsigned long hm_bad_bits(struct hm_region *region, pgoff_t pgoff)
{
	void *entry = xa_load(&region->bad, pgoff);

	return entry ? xa_to_value(entry) : 0;
}

int hm_poison_check(struct hm_region *region, struct hm_extent *extent, pgoff_t pgoff, bool store);
size_t hm_poison_room(struct hm_region *region, loff_t position, size_t bytes,
		      const struct folio *folio);
void hm_poison_refresh(struct hm_region *region, struct hm_extent *extent, u32 index);
bool hm_home_bad(struct hm_pool *pool, u32 index, u32 page);
void hm_home_write_back(struct hm_pool *pool, u32 index, size_t from, size_t bytes);
void hm_poison_skip(struct hm_region *region, const struct hm_extent *extent, u32 index,
		    enum hmem_place place, unsigned long *skip);
bool hm_poison_keeps(struct hm_region *region, const struct hm_extent *extent, u32 index);
bool hm_poison_met(struct hm_region *region, struct hm_extent *extent, u32 index,
		   enum hmem_place place, const unsigned long *skip, const unsigned long *met);
void hm_poison_home(struct hm_region *region, struct hm_extent *extent, u32 index);
unsigned int hm_poison_of_page(struct hm_region *region, const struct hm_extent *extent, u32 page);
bool hm_poison_met_page(struct hm_region *region, struct hm_extent *extent, u32 page,
			enum hmem_place place);
void hm_poison_left(struct hm_region *region, struct hm_extent *extent, u32 page);
void hm_poison_forget(struct hm_region *region, u32 from, u32 last);
bool hm_folio_bad(struct folio *folio);
void hm_folio_free(struct folio *folio);
bool hm_poison_in(struct hm_pool *pool, u32 index);

/* poison_heard.c */
int hm_poison_mark(struct hm_pool *pool, unsigned long page);
bool hm_poison_tell(struct hm_pool *pool, unsigned long page, unsigned long pages);
void hm_poison_retire(struct hm_pool *pool);
int hm_poison_failure(struct hm_pool *pool, unsigned long page);
int hm_poison_init(void);
void hm_poison_exit(void);

/* poison_request.c */
int hm_pool_poison(struct hmem_pool_poison *arg);
int hm_region_poison(struct hm_region *region, struct hmem_poison *arg);

#endif /* HM_POISON_H */
