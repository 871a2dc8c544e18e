// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: heat of pages
 *
 * What the tracker does with split extents: it reads accessed bits, has pages moved, splits and
 * makes whole again. HM_PAGE_RANKED_NEAR is what the engine believes of a page; where that is not
 * so, since memory was short or somebody stored, it is told before it is asked.
 *
 * All of it is done under hm_tracker.lock, so an extent that is found split stays so.
 */
#include <linux/mm.h>
#include <linux/pagemap.h>

#include "heat.h"
#include "near.h"
#include "tier.h"

/* Which pages of a split extent are near, and which the engine counts as that. */
struct near_maps {
	u64 is[HM_POLICY_WORDS];
	u64 was[HM_POLICY_WORDS];
};

/* Which pages have any of the bits @what. */
static void map_pages(const u64 *pages, u64 what, u64 *map)
{
	for (u32 w = 0; w < HM_POLICY_WORDS; w++) {
		u64 here = 0;

		for (u32 i = 64; i-- > 0;)
			here = here + here + !!(pages[w * 64 + i] & what);
		map[w] = here;
	}
}

/*
 * The engine hears of all that comes near, and not of all that goes home: so where the numbers are
 * the same the pages are.
 */
static void map_near(const struct hm_extent *extent, struct near_maps *maps)
{
	const u64 *pages = hm_pages(extent);

	if (hm_copy_of(extent)->near == extent->heat.near_pages) {
		if (extent->heat.near_pages)
			map_pages(pages, HM_PAGE_RANKED_NEAR, maps->was);
		else
			memset(maps->was, 0, sizeof(maps->was));
		memcpy(maps->is, maps->was, sizeof(maps->is));
		return;
	}
	map_pages(pages, HM_PAGE_RANKED_NEAR, maps->was);
	map_pages(pages, HM_PAGE_PFN, maps->is);
}

/* The engine counts those as near that are. */
static void rank_near(u64 *pages)
{
	for (u32 i = 0; i < HM_EXTENT_PAGES; i++) {
		pages[i] &= ~HM_PAGE_RANKED_NEAR;
		if (pages[i] & HM_PAGE_PFN)
			pages[i] |= HM_PAGE_RANKED_NEAR;
	}
}

/* The same as meet() in heat.c for the pages of a split extent. */
static void meet_pages(struct hm_tracker *t, struct hm_extent *extent, struct near_maps *maps)
{
	u64 *pages = hm_pages(extent);

	map_near(extent, maps);
	if (!memcmp(maps->is, maps->was, sizeof(maps->is)))
		return;
	hm_policy_placed_pages(&t->policy, &extent->heat, pages, maps->was, maps->is);
	rank_near(pages);
}

/**
 * hm_heat_discard_pages - an extent that was split under another tracker is looked at as a whole
 *
 * The home is locked.
 *
 * Return: false when it has to stay split for now.
 */
bool hm_heat_discard_pages(struct hm_region *region, struct hm_extent *extent, u32 index)
{
	if (hm_pages_go_home(region, extent, index) != HMEM_MOVED)
		return false;
	hm_pages_free(hm_pages_detach(extent));
	return true;
}

/* Whether the touches of its pages would be seen. */
static bool can_see(struct hm_tracker *t, struct hm_extent *extent, u32 index)
{
	struct folio *home = hm_extent_lock_home(extent);
	u64 accessed[HM_POLICY_WORDS];
	bool can = home && hm_scan(t->region, index, accessed, &t->scanned);

	if (home)
		folio_unlock(home);
	return can;
}

/** hm_heat_split - HM_POLICY_SPLIT */
void hm_heat_split(struct hm_tracker *t, struct hm_extent *extent, u32 index)
{
	bool done = !hm_heat_pressed(t->region) && can_see(t, extent, index);
	u64 began = ktime_get_ns();
	struct folio *home;
	bool was_near;

	done = done && hm_split(t->region, index) == HMEM_MOVED;
	t->move_ns += ktime_get_ns() - began;
	home = hm_extent_lock_home(extent);
	if (!home)
		return;
	was_near = extent->heat.flags & HM_HEAT_NEAR;
	hm_policy_split(&t->policy, &extent->heat, hm_pages(extent), done, ktime_get_ns());
	if (done && was_near) {
		/* Its pages come back as they turn out to be hot. */
		struct near_maps maps;

		for (u32 i = 0; i < HM_EXTENT_PAGES; i++)
			hm_pages(extent)[i] |= HM_PAGE_RANKED_NEAR;
		meet_pages(t, extent, &maps);
	}
	folio_unlock(home);
}

/* @near: as a whole it is to be. The home is locked, also afterwards, and let go in between. */
static void collapse(struct hm_tracker *t, struct hm_extent *extent, u32 index,
		     const struct near_maps *maps, bool near)
{
	u64 began = ktime_get_ns();
	u64 *pages;

	if (hm_pages_go_home(t->region, extent, index) != HMEM_MOVED) {
		hm_policy_collapsed(&t->policy, &extent->heat, hm_pages(extent), maps->is, false,
				    false, ktime_get_ns());
		t->move_ns += ktime_get_ns() - began;
		return;
	}
	pages = hm_pages_detach(extent);
	if (near) {
		folio_unlock(extent->home);
		hm_near_promote(t->region, index, true);
		hm_extent_lock_home(extent);
	}
	hm_policy_collapsed(&t->policy, &extent->heat, pages, maps->is, hm_near(extent), true,
			    ktime_get_ns());
	hm_pages_free(pages);
	t->move_ns += ktime_get_ns() - began;
}

/* The engine counts them where they have come to. */
static void rank_moved(u64 *pages, const struct hm_policy_pages *done)
{
	for (u32 w = 0; w < HM_POLICY_WORDS; w++) {
		u64 left = done->promote[w] | done->demote[w];

		for (; left; left &= left - 1)
			pages[w * 64 + __ffs64(left)] ^= HM_PAGE_RANKED_NEAR;
	}
}

/** hm_heat_clear - HM_POLICY_CLEAR; the home is locked */
void hm_heat_clear(struct hm_tracker *t, struct hm_extent *extent, u32 index)
{
	u64 accessed[HM_POLICY_WORDS];

	hm_scan(t->region, index, accessed, &t->scanned);
	hm_policy_cleared(&extent->heat, ktime_get_ns());
}

/** hm_heat_scan - HM_POLICY_SCAN; the home is locked, also afterwards, and let go in between */
void hm_heat_scan(struct hm_tracker *t, struct hm_extent *extent, u32 index)
{
	struct hm_policy_pages asked, done;
	u64 accessed[HM_POLICY_WORDS];
	u64 *pages = hm_pages(extent);
	struct near_maps maps;
	u32 what;

	meet_pages(t, extent, &maps);
	if (!hm_scan(t->region, index, accessed, &t->scanned) &&
	    !(extent->heat.flags & HM_HEAT_HELD)) {
		collapse(t, extent, index, &maps, false);
		return;
	}
	what = hm_policy_scanned(&t->policy, &extent->heat, pages, accessed, maps.is, &asked,
				 ktime_get_ns());
	if (what & HM_POLICY_COLLAPSE) {
		collapse(t, extent, index, &maps, extent->heat.near_pages);
	} else if (what) {
		struct hm_policy_pages tried = asked;
		u64 began = ktime_get_ns();

		if (hm_heat_pressed(t->region))
			memset(tried.promote, 0, sizeof(tried.promote));
		hm_pages_move(t->region, extent, index, &tried, &done);
		hm_policy_moved_pages(&t->policy, &extent->heat, pages, &asked, &tried, &done);
		rank_moved(pages, &done);
		t->move_ns += ktime_get_ns() - began;
	}
}

/**
 * hm_heat_make_whole - a split extent is made whole, so that it can be moved as that
 *
 * @near: how many of its pages were near
 *
 * Under hm_srcu. What is known of its heat stays.
 *
 * Return: HMEM_MOVED: it is whole, and at home; or what became of a page that keeps it split.
 */
enum hmem_moved hm_heat_make_whole(struct hm_region *region, struct hm_extent *extent, u32 index,
				   u32 *near)
{
	struct hm_tracker *t = srcu_dereference(region->tracker, &hm_srcu);
	enum hmem_moved result = HMEM_MOVED;
	struct near_maps maps;
	struct folio *home;

	*near = 0;
	if (t)
		mutex_lock(&t->lock);
	home = hm_extent_lock_home(extent);
	if (home && hm_pages(extent) && !hm_extent_lost(region, extent)) {
		map_near(extent, &maps);
		*near = hm_copy_of(extent)->near;
		result = hm_pages_go_home(region, extent, index);
		if (result == HMEM_MOVED) {
			if (t && extent->flags & HM_EXTENT_RANKED)
				hm_policy_collapsed(&t->policy, &extent->heat, hm_pages(extent),
						    maps.was, false, true, ktime_get_ns());
			hm_pages_free(hm_pages_detach(extent));
		}
	}
	if (home)
		folio_unlock(home);
	if (t)
		mutex_unlock(&t->lock);
	return result;
}

/** hm_heat_drop - an extent leaves the engine; its home is locked */
void hm_heat_drop(struct hm_tracker *t, struct hm_extent *extent)
{
	u64 *pages = hm_pages(extent), near[HM_POLICY_WORDS];

	if (pages)
		map_pages(pages, HM_PAGE_RANKED_NEAR, near);
	hm_policy_drop(&t->policy, &extent->heat, pages, near);
	memset(&extent->heat, 0, sizeof(extent->heat));
	extent->flags &= ~HM_EXTENT_RANKED;
	hm_heat_forget_pages(pages);
}

/** hm_heat_forget_pages - of a split extent, whose pages stay where they are; NULL: it is whole */
void hm_heat_forget_pages(u64 *pages)
{
	for (u32 i = 0; pages && i < HM_EXTENT_PAGES; i++)
		pages[i] &= HM_PAGE_PFN | HM_PAGE_DIRTY;
}
