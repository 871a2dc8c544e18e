// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: choosing pools
 *
 * Which pools a new region gets its extents from: one, several that were named, or all of
 * one kind. A region is either persistent or it is not, and so are all of its pools.
 */
#include "layout.h"

static bool of_kind(const struct hm_pool *pool, bool persistent)
{
	return !pool->gone && !pool->draining && pool->persistent == persistent;
}

/* The first pool with room for the whole, volatile ones first. */
static int choose_one(struct hm_choice *choice, u64 extents)
{
	struct hm_pool *pool;
	bool any = false;

	for (int persistent = 0; persistent < 2; persistent++) {
		list_for_each_entry(pool, &hm_pools, node) {
			any = any || !pool->gone;
			if (!of_kind(pool, persistent) || pool->nr_free < extents)
				continue;
			choice->pools[choice->nr_pools++] = pool;
			return 0;
		}
	}
	return any ? -ENOSPC : -ENOENT;
}

/* All with room, of the kind that has enough of it together, volatile ones first. */
static int choose_kind(struct hm_choice *choice, u64 extents)
{
	struct hm_pool *pool;
	bool any = false;

	for (int persistent = 0; persistent < 2; persistent++) {
		u64 room = 0;

		choice->nr_pools = 0;
		list_for_each_entry(pool, &hm_pools, node) {
			any = any || !pool->gone;
			if (!of_kind(pool, persistent) || !pool->nr_free ||
			    choice->nr_pools == HM_MAX_PARTS)
				continue;
			choice->pools[choice->nr_pools++] = pool;
			room += pool->nr_free;
		}
		if (room >= extents)
			return 0;
	}
	return any ? -ENOSPC : -ENOENT;
}

static bool chosen(const struct hm_choice *choice, const struct hm_pool *pool)
{
	for (u32 i = 0; i < choice->nr_pools; i++)
		if (choice->pools[i] == pool)
			return true;
	return false;
}

static int choose_named(struct hm_choice *choice, const char (*names)[HMEM_NAME_LEN], u32 nr_names,
			u64 extents)
{
	u64 room = 0;

	for (u32 i = 0; i < nr_names; i++) {
		struct hm_pool *pool = hm_pool_find(names[i]);

		if (!pool)
			return -ENOENT;
		if (chosen(choice, pool) || pool->persistent != hm_pool_find(names[0])->persistent)
			return -EINVAL;
		if (pool->draining)
			return -EBUSY;
		choice->pools[choice->nr_pools++] = pool;
		room += pool->nr_free;
	}
	return room < extents ? -ENOSPC : 0;
}

/**
 * hm_choose - the pools for a new region
 * @names: of those that are wanted, arg->nr_pools of them
 *
 * Under hm_lock.
 *
 * Return: 0; -ENOENT, -ENOSPC; -EINVAL: they are not of one kind, or one comes twice; -EBUSY: one
 * is being drained.
 */
int hm_choose(struct hm_choice *choice, const struct hmem_region_create *arg,
	      const char (*names)[HMEM_NAME_LEN], u64 extents)
{
	lockdep_assert_held(&hm_lock);
	if (arg->pool[0])
		return choose_named(choice, &arg->pool, 1, extents);
	if (arg->nr_pools)
		return choose_named(choice, names, arg->nr_pools, extents);
	return arg->flags & (HMEM_CREATE_SPREAD | HMEM_CREATE_FILL) ?
	       choose_kind(choice, extents) : choose_one(choice, extents);
}
