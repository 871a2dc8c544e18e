// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: poison and near pages
 *
 * Of a split extent each page is near or at home by itself, so a bad one goes alone: a near page
 * that is bad is given up, with what it had if nothing else has that; one whose home is bad stays
 * near; one that is bad at home does not come. The extent's home is locked in all of this.
 */
#include <linux/mm.h>
#include <linux/pagemap.h>

#include "near.h"
#include "poison_private.h"

/* Also of one that is being taken apart, whose home has no index any more. */
static pgoff_t pgoff_of(const struct hm_extent *extent, u32 page)
{
	return ((pgoff_t)hm_copy_of(extent)->index << HM_EXTENT_ORDER) + page;
}

/** hm_poison_of_page - HM_BAD_* of a page */
unsigned int hm_poison_of_page(struct hm_region *region, const struct hm_extent *extent, u32 page)
{
	bool home = hm_home_bad(hm_extent_pool(region, extent), extent->index, page);

	return hm_bad_bits(region, pgoff_of(extent, page)) | (home ? HM_BAD_HOME : 0);
}

/**
 * hm_poison_met_page - a page reported an error when it was copied
 * @place: from where
 *
 * Return: false: no memory to remember it.
 */
bool hm_poison_met_page(struct hm_region *region, struct hm_extent *extent, u32 page,
			enum hmem_place place)
{
	const gfp_t gfp = GFP_NOWAIT | __GFP_NOWARN;
	pgoff_t pgoff = pgoff_of(extent, page);

	if (place == HMEM_NEAR ? !hm_poison_set(region, pgoff, HM_BAD_LOST, gfp) :
				 !hm_poison_note_home(region, extent, page, gfp))
		return false;
	hm_poison_refresh(region, extent, pgoff >> HM_EXTENT_ORDER);
	hm_poison_report(region, pgoff, 1);
	return true;
}

/** hm_poison_left - the near copy of a page is given up: whether it was bad is of no interest */
void hm_poison_left(struct hm_region *region, struct hm_extent *extent, u32 page)
{
	pgoff_t pgoff = pgoff_of(extent, page);

	if (hm_bad_bits(region, pgoff) != HM_BAD_NEAR)
		return;
	xa_erase(&region->bad, pgoff);
	hm_poison_refresh(region, extent, pgoff >> HM_EXTENT_ORDER);
}

/** hm_poison_in_pages - whether a bad page of DRAM is near in a split extent; it is given up then */
bool hm_poison_in_pages(struct hm_region *region, struct hm_extent *extent, u32 index,
			unsigned long pfn)
{
	struct folio *near;
	u32 page;

	hm_near_for_each(extent, near, page) {
		if (folio_pfn(near) != pfn)
			continue;
		/* Held, it stays until somebody comes to it. */
		if (hm_poison_note_near(region, extent, near, pgoff_of(extent, page),
					hm_pages(extent)[page] & HM_PAGE_DIRTY))
			hm_pages_discard(region, extent, index, page);
		return true;
	}
	return false;
}
