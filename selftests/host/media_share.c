// SPDX-License-Identifier: GPL-2.0-only
/*
 * Regions on several persistent pools: what kmod/share.c makes of their records when the power
 * goes at any write, pools come in any order, or some of them for a long time not at all.
 *
 * A model of what the module writes, and in which order, is driven at random. Whatever happens
 * the region must be as it was before the change that was cut short or as it is after it; who has
 * seen it one way never finds it the other; and nothing is left of it anywhere when it is gone.
 *
 * HMEM_SEED repeats a run, HMEM_ROUNDS makes it longer.
 */
#include "../../kmod/media.c"
#include "../../kmod/share.c"

#include <stdlib.h>
#include <time.h>

#include "sanitized.h"
#include "tap.h"

#define POOLS	5
#define EXTENTS	24
#define SLOTS	(2 * EXTENTS + POOLS)

/* What a region is: who has each extent of it, and which pools it names, in which order. */
struct state {
	u32 total;	/* 0: there is none */
	u8 owner[EXTENTS];
	u32 nr;
	u8 pools[POOLS];
};

/* What is on a pool. */
struct media {
	bool has;
	struct hm_media_region record;
	union hm_media_slot slots[SLOTS];
};

static struct media media[POOLS];
static bool attached[POOLS];
static struct state live;	/* as its users see it */
static struct state was, is;	/* before the last change, and after it: equal when it is complete */
static bool made;
static long writes_left;	/* until the power goes; negative: it stays */
static u64 dice_state;
static const char *wrong;
static long whole, gone, missing_seen, unsettled;

static u32 dice(u32 sides)
{
	dice_state ^= dice_state >> 12;
	dice_state ^= dice_state << 25;
	dice_state ^= dice_state >> 27;
	return (u32)((dice_state * 0x2545f4914f6cdd1dULL >> 33) % sides);
}

static void fail(const char *what)
{
	if (!wrong)
		wrong = what;
}

static void uuid_of(u32 pool, u8 uuid[16])
{
	memset(uuid, 0x10 + (int)pool, 16);
}

static bool is_member(const struct state *s, u32 pool)
{
	for (u32 i = 0; s->total && i < s->nr; i++)
		if (s->pools[i] == pool)
			return true;
	return false;
}

static bool same(const struct state *a, const struct state *b)
{
	return a->total == b->total && !memcmp(a->owner, b->owner, a->total);
}

/* Runs as long as they can be, with whatever stride they have. */
static u32 make_runs(const struct state *s, u32 pool, union hm_media_slot *runs,
		     union hm_media_slot *places, u32 *extents)
{
	bool done[EXTENTS] = {};
	u32 nr = 0;

	*extents = 0;
	for (u32 i = 0; i < s->total; i++) {
		u32 stride = 1, count = 1, last = i;

		if (s->owner[i] != pool || done[i])
			continue;
		for (u32 j = i + 1; j < s->total; j++) {
			if (s->owner[j] != pool || done[j] || (count > 1 && j != last + stride))
				continue;
			stride = count > 1 ? stride : j - i;
			last = j;
			done[j] = true;
			count++;
		}
		runs[nr].run = (struct hm_media_run){ .start = htole32(100 * nr),
						      .count = htole32(count), .gen = htole32(1) };
		places[nr].place = (struct hm_media_place){ .first = htole32(i),
							    .stride = htole32(stride) };
		*extents += count;
		nr++;
	}
	return nr;
}

static void write_pool(u32 pool, const struct state *s)
{
	union hm_media_slot runs[EXTENTS] = {}, places[EXTENTS] = {};
	struct media *m = &media[pool];
	u32 nr, extents;

	if (!writes_left)
		return;
	writes_left--;
	memset(m, 0, sizeof(*m));
	m->has = is_member(s, pool);
	if (!m->has)
		return;
	nr = make_runs(s, pool, runs, places, &extents);
	m->record.flags = htole32(HM_MEDIA_SHARED);
	m->record.nr_runs = htole32(nr);
	m->record.nr_extents = htole32(extents);
	m->record.total = htole32(s->total);
	m->record.nr_pools = (u8)s->nr;
	memcpy(m->slots, runs, nr * sizeof(runs[0]));
	memcpy(m->slots + nr, places, nr * sizeof(places[0]));
	for (u32 i = 0; i < s->nr; i++) {
		if (s->pools[i] == pool)
			m->record.number = (u8)i;
		uuid_of(s->pools[i], m->slots[2 * nr + i].pool.uuid);
	}
}

/* In any order, those of a set first. */
static void write_in_turn(const struct state *s, const bool first[POOLS], const bool all[POOLS])
{
	u32 from = dice(POOLS);

	for (int pass = 0; pass < 2; pass++)
		for (u32 i = 0; i < POOLS; i++) {
			u32 pool = (from + i) % POOLS;

			if (all[pool] && first[pool] == !pass)
				write_pool(pool, s);
		}
}

static bool is_attached(const u8 uuid[16], const void *data)
{
	(void)data;
	return attached[uuid[0] - 0x10];
}

static u32 collect(struct hm_share *shares)
{
	u32 nr = 0;

	for (u32 i = 0; i < POOLS; i++)
		if (attached[i] && media[i].has)
			shares[nr++] = (struct hm_share){ &media[i].record, media[i].slots };
	return nr;
}

static u32 pool_of(const struct hm_share *share)
{
	return hm_share_pool(share)[0] - 0x10U;
}

/* What the records that count say. */
static struct state read_state(const struct hm_share *shares, u32 nr, u32 which)
{
	const struct hm_media_pool *pools = pools_of(&shares[which]);
	struct state s = { .total = hm_share_total(&shares[which]),
			   .nr = shares[which].record->nr_pools };

	for (u32 i = 0; i < s.nr; i++) {
		const struct hm_share *share = &shares[hm_share_on(shares, nr, pools[i].uuid)];
		const struct hm_media_place *places = hm_media_places(share->record, share->slots);

		s.pools[i] = (u8)pool_of(share);
		for (u32 n = 0; n < le32(share->record->nr_runs); n++)
			for (u32 k = 0; k < hm_share_before(&share->slots[n].run, &places[n],
							    s.total); k++)
				s.owner[le32(places[n].first) + k * le32(places[n].stride)] =
					s.pools[i];
	}
	return s;
}

static void saw(const struct state *s)
{
	if (!same(s, &was) && !same(s, &is))
		fail("the region is neither as it was nor as it is");
	was = *s;
	is = *s;
}

static void drop(const struct hm_share *shares, u32 nr)
{
	const struct state none = {};
	u32 pools[POOLS];

	for (u32 i = 0; i < nr; i++)
		pools[i] = pool_of(&shares[i]);
	for (u32 i = 0; i < nr; i++)
		write_pool(pools[i], &none);
}

/* As kmod/gather.c does it. */
static void attach(u32 coming)
{
	const bool none[POOLS] = {};
	bool members[POOLS], others[POOLS];
	unsigned long seen[1] = {};
	struct hm_share shares[POOLS];
	u32 nr, which, missing;
	bool settled = true;

	attached[coming] = true;
	nr = collect(shares);
	if (!nr)
		return;
	if (live.total) {
		if (media[coming].has)
			drop(&(struct hm_share){ &media[coming].record, media[coming].slots }, 1);
		return;
	}
	switch (hm_share_judge(shares, nr, is_attached, NULL, &which, &missing)) {
	case HM_SHARE_BROKEN:
		fail("what is on the pools contradicts itself");
		return;
	case HM_SHARE_GONE:
		/* That may be all of it, or what was never complete. */
		gone++;
		drop(shares, nr);
		return;
	case HM_SHARE_MISSING:
		missing_seen++;
		return;
	case HM_SHARE_WHOLE:
		break;
	}
	whole++;
	if (!hm_share_covers(shares, nr, which, seen)) {
		fail("not each extent is there, and once");
		return;
	}
	live = read_state(shares, nr, which);
	saw(&live);
	settled = nr == live.nr;
	for (u32 i = 0; i < nr; i++)
		settled &= hm_share_total(&shares[i]) == live.total;
	if (settled)
		return;
	unsettled++;
	for (u32 i = 0; i < POOLS; i++) {
		members[i] = is_member(&live, i);
		others[i] = attached[i] && media[i].has && !members[i];
	}
	write_in_turn(&live, none, members);
	write_in_turn(&live, none, others);
}

static void power_off(void)
{
	memset(attached, 0, sizeof(attached));
	memset(&live, 0, sizeof(live));
	writes_left = -1;
}

/* Some of the pools, or all, one after the other. */
static void power_on(u32 nr)
{
	u32 order[POOLS];

	power_off();
	for (u32 i = 0; i < POOLS; i++) {
		u32 j = dice(i + 1);

		order[i] = order[j];
		order[j] = i;
	}
	/* The power may go again meanwhile. */
	if (!dice(3))
		writes_left = dice(6);
	for (u32 i = 0; i < nr; i++)
		attach(order[i]);
}

static void add_extent(struct state *s, u32 pool)
{
	if (!is_member(s, pool)) {
		u32 at = dice(s->nr + 1);

		memmove(s->pools + at + 1, s->pools + at, s->nr - at);
		s->pools[at] = (u8)pool;
		s->nr++;
	}
	s->owner[s->total++] = (u8)pool;
}

static bool any_there(void)
{
	return attached[0] || attached[1] || attached[2] || attached[3] || attached[4];
}

static u32 any_attached(void)
{
	u32 pool = dice(POOLS);

	while (!attached[pool])
		pool = (pool + 1) % POOLS;
	return pool;
}

static struct state grown(const struct state *old)
{
	u32 more = 2 + dice(8), a = any_attached(), b = any_attached();
	struct state s = *old;

	if (!old->total)
		s.nr = 0;
	for (u32 i = 0; i < more && s.total < EXTENTS; i++)
		add_extent(&s, dice(2) ? a : b);
	return s;
}

static struct state shrunk(const struct state *old)
{
	struct state s = *old;

	s.total = 2 + dice(old->total - 1);
	s.nr = 0;
	for (u32 i = 0; i < old->nr; i++)
		for (u32 n = 0; n < s.total; n++)
			if (s.owner[n] == old->pools[i]) {
				s.pools[s.nr++] = old->pools[i];
				break;
			}
	return s;
}

/* What is on one pool alone has no such records: here a region is on two at least, or none. */
static void change(void)
{
	const struct state old = live;
	struct state new = {};
	bool first[POOLS] = {}, all[POOLS];
	u32 kind = dice(5);

	if (!old.total || kind < 2)
		new = grown(&old);
	else if (kind < 4 && old.total > 2)
		new = shrunk(&old);
	if (new.nr < 2 && new.total)
		return;
	if (same(&new, &old))
		return;
	made = true;
	was = old;
	is = new;
	for (u32 i = 0; i < POOLS; i++) {
		all[i] = is_member(&old, i) || is_member(&new, i);
		if (old.total && new.total)
			first[i] = new.total > old.total ? !is_member(&old, i) :
							   is_member(&new, i);
	}
	if (!dice(2))
		writes_left = dice(5);
	write_in_turn(&new, first, all);
	if (!writes_left) {
		power_off();
		return;
	}
	writes_left = -1;
	live = new;
	was = new;
}

/* Everything is there, and the power stays: what is left on the pools is what is seen. */
static void look_at_all(void)
{
	power_off();
	for (u32 i = 0, from = dice(POOLS); i < POOLS; i++)
		attach((from + i) % POOLS);
	saw(&live);
	for (u32 i = 0; i < POOLS; i++)
		if (media[i].has != is_member(&live, i) ||
		    (media[i].has && le32(media[i].record.total) != live.total))
			fail("a pool says something else than what there is");
}

static bool round_of(u64 seed)
{
	dice_state = seed * 0x9e3779b97f4a7c15ULL | 1;
	made = false;
	memset(media, 0, sizeof(media));
	memset(&was, 0, sizeof(was));
	is = was;
	for (int step = 0; step < 12 && !wrong; step++) {
		power_on(dice(3) ? POOLS : 1 + dice(POOLS));
		if (!writes_left)
			continue;
		writes_left = -1;
		/* Made once: what is made again is another region. */
		for (u32 n = dice(3); n && any_there() && (live.total || !made); n--)
			change();
	}
	if (!wrong)
		look_at_all();
	return !wrong;
}

int main(void)
{
	const char *seed = getenv("HMEM_SEED"), *rounds = getenv("HMEM_ROUNDS");
	u64 from = seed ? strtoull(seed, NULL, 0) : (u64)time(NULL);
	long count = rounds ? atol(rounds) : (long)sanitized("rounds", 100000, 4, 100), i = 0;

	tap_diag("seed %llu", (unsigned long long)from);
	while (i < count && round_of(from + (u64)i))
		i++;
	if (wrong)
		tap_diag("HMEM_SEED=%llu: %s", (unsigned long long)(from + (u64)i), wrong);
	tap_diag("%ld times whole, %ld of them put right, %ld gone, %ld waiting", whole, unsettled, gone,
		 missing_seen);
	TAP_OK(!wrong, "the region is as it was or as it is, and stays what it was seen to be");
	TAP_OK(whole > count && unsettled > count / 50 && gone > count / 50 && missing_seen > count,
	       "all of that has happened");
	return tap_done();
}
