// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: rejoining
 *
 * A pool whose memory went away under a region that is on other persistent pools as well, and lived
 * on without it, joins it again when it comes back.
 */
#include "layout.h"
#include "store.h"

static bool is_shared(const struct hm_withheld *w)
{
	return w->record.flags & cpu_to_le32(HM_MEDIA_SHARED);
}

/** hm_lost_part - the part that a region lost with a pool of that identity; or NULL */
struct hm_part *hm_lost_part(struct hm_region *region, const struct hm_pool *pool)
{
	for (int i = 0; i < HM_MAX_PARTS; i++) {
		struct hm_part *part = &region->parts[i];

		if (part->lost && part->nr_runs && !memcmp(part->pool->uuid, pool->uuid, UUID_SIZE))
			return part;
	}
	return NULL;
}

/* Whether a pool has of a region what the region says. */
static bool is_as_it_was(const struct hm_withheld *w, const struct hm_part *part)
{
	const struct hm_layout *layout = rcu_dereference_protected(part->region->layout,
								   lockdep_is_held(&hm_lock));
	const struct hm_media_place *places = hm_media_places(&w->record, w->slots);
	u32 n = 0;

	if (le32_to_cpu(w->record.nr_runs) != part->nr_runs ||
	    le32_to_cpu(w->record.total) != layout->nr_extents)
		return false;
	for (u32 i = 0; i < layout->nr_runs; i++) {
		const struct hm_run *run = &layout->runs[i];

		if (run->part != part - part->region->parts)
			continue;
		if (run->start != le32_to_cpu(w->slots[n].run.start) ||
		    run->count != le32_to_cpu(w->slots[n].run.count) ||
		    run->gen != le32_to_cpu(w->slots[n].run.gen) ||
		    run->first != le32_to_cpu(places[n].first) ||
		    run->stride != le32_to_cpu(places[n].stride))
			return false;
		n++;
	}
	return true;
}

/* Its extents are untouched: who touches one finds out there what it holds. */
static void rejoin(struct hm_part *part, struct hm_pool *pool)
{
	struct hm_pool *old = part->pool;

	get_device(&pool->dev);
	WRITE_ONCE(part->pool, pool);
	list_add_tail(&part->node, &pool->parts);
	synchronize_srcu(&hm_srcu);
	WRITE_ONCE(part->lost, false);
	put_device(&old->dev);
	dev_info(&part->region->dev, "has what it had in pool %s again\n", dev_name(&pool->dev));
}

/** hm_rejoin - a pool has been attached: regions that lost it have it again */
void hm_rejoin(struct hm_pool *pool)
{
	struct hm_withheld *w, *next;

	lockdep_assert_held(&hm_lock);
	list_for_each_entry_safe(w, next, &pool->withheld, node) {
		struct hm_region *region = is_shared(w) ? hm_region_identified(w->record.uuid) : NULL;
		struct hm_part *part = region ? hm_lost_part(region, pool) : NULL;

		if (!part || !is_as_it_was(w, part))
			continue;
		rejoin(part, pool);
		hm_withheld_forget(w);
	}
}
