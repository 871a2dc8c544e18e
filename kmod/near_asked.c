// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: what was asked for in vain
 *
 * Who asks for copies himself comes before those who share DRAM (near_share.c): what one request
 * could not have for the bound of all regions is set aside for ten seconds. Requests of one region
 * are not added up, since who is told to ask again does so: of a second the largest counts, and
 * what is had later is taken off.
 *
 * A region is known by its address alone here, so that nobody has to tell when it goes.
 */
#include <linux/jiffies.h>
#include <linux/spinlock.h>

#include "near.h"

#define HM_ASKERS		32
/* For so long it is remembered. */
#define HM_ASKED_MEMORY		(10 * HZ)

/* Who asks while all of these are taken has to ask again. */
static struct hm_asker {
	const struct hm_region *region;
	long asked;		/* pages, since the last division */
	long aside;		/* those that are set aside for it */
	unsigned long until;
} hm_askers[HM_ASKERS];
static DEFINE_SPINLOCK(hm_askers_lock);

static bool is_free(const struct hm_asker *a)
{
	return (!a->asked && !a->aside) || time_after(jiffies, a->until);
}

/* The one of a region, else one that is free, else NULL. */
static struct hm_asker *find(const struct hm_region *region)
{
	struct hm_asker *free = NULL;

	for (u32 i = 0; i < HM_ASKERS; i++) {
		if (is_free(&hm_askers[i]))
			free = &hm_askers[i];
		else if (hm_askers[i].region == region)
			return &hm_askers[i];
	}
	return free;
}

/** hm_near_asked - a request could not have so many pages, perhaps for the region's own bound */
void hm_near_asked(struct hm_region *region, long pages)
{
	long room = READ_ONCE(region->near.max) - atomic_long_read(&region->near.pages);
	struct hm_asker *a;

	pages = min(pages, room);
	if (pages <= 0 || READ_ONCE(region->policy_mode) == HMEM_POLICY_AUTO)
		return;
	spin_lock(&hm_askers_lock);
	a = find(region);
	if (a && is_free(a))
		*a = (struct hm_asker){ .region = region };
	if (a) {
		a->asked = max(a->asked, pages);
		a->until = jiffies + HM_ASKED_MEMORY;
	}
	spin_unlock(&hm_askers_lock);
}

/** hm_near_asked_got - a region has got so many pages */
void hm_near_asked_got(const struct hm_region *region, long pages)
{
	struct hm_asker *a;

	spin_lock(&hm_askers_lock);
	a = find(region);
	if (a && !is_free(a)) {
		a->asked = max(0L, a->asked - pages);
		a->aside = max(0L, a->aside - pages);
	}
	spin_unlock(&hm_askers_lock);
}

/** hm_near_asked_aside - what is to be set aside from now on; once a division */
long hm_near_asked_aside(void)
{
	long all = 0;

	spin_lock(&hm_askers_lock);
	for (u32 i = 0; i < HM_ASKERS; i++) {
		struct hm_asker *a = &hm_askers[i];

		if (is_free(a))
			continue;
		if (a->asked)
			a->aside = a->asked;
		a->asked = 0;
		all += a->aside;
	}
	spin_unlock(&hm_askers_lock);
	return all;
}
