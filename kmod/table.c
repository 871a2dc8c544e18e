// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: extent tables
 *
 * From an extent's number in its region to its struct hm_extent, in three loads, since
 * every fault goes this way. Middles and leaves are pages that appear when an extent below
 * them is touched first and go with the region, so readers need no protection for the
 * table itself. Only the root has a size, by the region's; when that grows the old root
 * goes, under hm_srcu.
 */
#include <linux/gfp.h>
#include <linux/slab.h>

#include "extent.h"

/* What *@slot points to, a new page if it points nowhere yet; several may try at once. */
static void *page_of(void **slot)
{
	void *page, *other;

	page = READ_ONCE(*slot);
	if (page)
		return page;
	page = (void *)get_zeroed_page(GFP_KERNEL);
	if (!page)
		return NULL;
	other = cmpxchg(slot, NULL, page);
	if (!other)
		return page;
	free_page((unsigned long)page);
	return other;
}

/**
 * hm_table_reach - make room for extents
 * @nr_extents: so many; no fewer than there is room for already is no work
 *
 * Under hm_lock, or before anybody else has the region.
 *
 * Return: 0 or -ENOMEM.
 */
int hm_table_reach(struct hm_table *table, u32 nr_extents)
{
	u32 nr_middles = DIV_ROUND_UP_ULL(nr_extents, HM_LEAF_EXTENTS * HM_MIDDLE_LEAVES);
	struct hm_extent ***old = table->root, ***root;

	if (nr_middles <= table->nr_middles)
		return 0;
	root = kvcalloc(nr_middles, sizeof(*root), GFP_KERNEL);
	if (!root)
		return -ENOMEM;
	/* Filled up, so that nobody adds to the old one any more. */
	for (u32 i = 0; i < table->nr_middles; i++) {
		root[i] = page_of((void **)&old[i]);
		if (!root[i]) {
			kvfree(root);
			return -ENOMEM;
		}
	}
	smp_store_release(&table->root, root);
	smp_store_release(&table->nr_middles, nr_middles);
	if (old)
		synchronize_srcu(&hm_srcu);
	kvfree(old);
	return 0;
}

void hm_table_free(struct hm_table *table)
{
	for (u32 i = 0; table->root && i < table->nr_middles; i++) {
		for (u32 j = 0; table->root[i] && j < HM_MIDDLE_LEAVES; j++)
			free_page((unsigned long)table->root[i][j]);
		free_page((unsigned long)table->root[i]);
	}
	kvfree(table->root);
}

/** hm_table_make - the entry of an extent, made if there is none yet; NULL: no memory */
struct hm_extent *hm_table_make(struct hm_table *table, u32 index)
{
	u32 leaf = index / HM_LEAF_EXTENTS;
	struct hm_extent ***root = READ_ONCE(table->root), **middle, *extents;

	BUILD_BUG_ON(sizeof(struct hm_extent) * HM_LEAF_EXTENTS > PAGE_SIZE);
	BUILD_BUG_ON(sizeof(void *) * HM_MIDDLE_LEAVES > PAGE_SIZE);
	middle = page_of((void **)&root[leaf / HM_MIDDLE_LEAVES]);
	if (!middle)
		return NULL;
	extents = page_of((void **)&middle[leaf % HM_MIDDLE_LEAVES]);
	return extents ? &extents[index % HM_LEAF_EXTENTS] : NULL;
}

/**
 * hm_table_next - the first touched extent at or after *@index
 * @index: where to look from; on return, where it was found
 *
 * Return: the extent, or NULL when there is none.
 */
struct hm_extent *hm_table_next(struct hm_table *table, u32 *index)
{
	u64 end = (u64)smp_load_acquire(&table->nr_middles) * HM_MIDDLE_LEAVES * HM_LEAF_EXTENTS;
	struct hm_extent ***root = READ_ONCE(table->root);

	for (u64 i = *index; i < end;) {
		u32 leaf = i / HM_LEAF_EXTENTS;
		struct hm_extent **middle = READ_ONCE(root[leaf / HM_MIDDLE_LEAVES]);
		struct hm_extent *extents;

		if (!middle) {
			i = ((u64)leaf / HM_MIDDLE_LEAVES + 1) * HM_MIDDLE_LEAVES * HM_LEAF_EXTENTS;
			continue;
		}
		extents = READ_ONCE(middle[leaf % HM_MIDDLE_LEAVES]);
		if (!extents) {
			i = ((u64)leaf + 1) * HM_LEAF_EXTENTS;
			continue;
		}
		if (READ_ONCE(extents[i % HM_LEAF_EXTENTS].home)) {
			*index = i;
			return &extents[i % HM_LEAF_EXTENTS];
		}
		i++;
	}
	return NULL;
}
