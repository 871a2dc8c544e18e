/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A model of regions on several persistent pools: what is written on each pool, what its extents
 * hold and their tags, and that the power may go at any write of it.
 */
#ifndef SELFTESTS_HOST_MEDIA_SHARE_H
#define SELFTESTS_HOST_MEDIA_SHARE_H

#include "../../kmod/media.c"
#include "../../kmod/share.c"

#define POOLS	6
#define EXTENTS	24
#define SLOTS	(2 * EXTENTS + POOLS)
#define NONE	0xff

/* What a region is: who has each extent of it, and which pools it names, in which order. */
struct state {
	u32 total;		/* 0: there is none */
	u8 owner[EXTENTS];
	u32 gen[EXTENTS];
	u32 nr;
	u8 pools[POOLS];
	u8 from;		/* it is moved away from there, or NONE */
	u32 left[EXTENTS];	/* generations of what is there, 0: it was never */
};

/* What is on a pool; of one region all that is needed of extents is what the n-th of it holds. */
struct media {
	bool has;
	bool alone;		/* as a region that is there alone */
	struct state state;	/* then */
	struct hm_media_region record;
	union hm_media_slot slots[SLOTS];
	u32 tag[EXTENTS];
	u32 holds[EXTENTS];
};

static struct media media[POOLS];
static bool attached[POOLS];
static long writes_left;	/* until the power goes; negative: it stays */
static u32 next_gen;
static u64 dice_state;
static const char *wrong;

static inline u32 dice(u32 sides)
{
	dice_state ^= dice_state >> 12;
	dice_state ^= dice_state << 25;
	dice_state ^= dice_state >> 27;
	return (u32)((dice_state * 0x2545f4914f6cdd1dULL >> 33) % sides);
}

static inline void fail(const char *what)
{
	if (!wrong)
		wrong = what;
}

/* One more write. False: the power is gone. */
static inline bool power(void)
{
	if (!writes_left)
		return false;
	writes_left--;
	return true;
}

static inline void uuid_of(u32 pool, u8 uuid[16])
{
	memset(uuid, 0x10 + (int)pool, 16);
}

static inline bool is_attached(const u8 uuid[16], const void *data)
{
	(void)data;
	return attached[uuid[0] - 0x10];
}

static inline u32 pool_of(const struct hm_share *share)
{
	return hm_share_pool(share)[0] - 0x10U;
}

static inline bool is_member(const struct state *s, u32 pool)
{
	for (u32 i = 0; s->total && i < s->nr; i++)
		if (s->pools[i] == pool)
			return true;
	return false;
}

static inline bool same(const struct state *a, const struct state *b)
{
	return a->total == b->total && a->from == b->from &&
	       !memcmp(a->owner, b->owner, a->total) &&
	       !memcmp(a->gen, b->gen, a->total * sizeof(a->gen[0])) &&
	       !memcmp(a->left, b->left, a->total * sizeof(a->left[0]));
}

/* Whether its runs follow one another, as far as this model goes, and it is on one pool. */
static inline bool is_alone(const struct state *s)
{
	return s->nr == 1 && s->from == NONE && s->gen[0] % 2;
}

/* Which run an extent would be in on a pool, as generation and flags; 0: it is not there. */
static inline u64 kind_of(const struct state *s, u32 pool, u32 extent)
{
	if (s->owner[extent] == pool)
		return (u64)s->gen[extent] << 32 | (s->left[extent] ? HM_MEDIA_RUN_INCOMING : 0);
	if (s->from == pool && s->left[extent])
		return (u64)s->left[extent] << 32 | HM_MEDIA_RUN_OUTGOING;
	return 0;
}

/* Runs as long as they can be, with whatever stride they have. */
static inline u32 make_runs(const struct state *s, u32 pool, union hm_media_slot *runs,
			    union hm_media_slot *places, u32 *extents)
{
	bool done[EXTENTS] = {};
	u32 nr = 0;

	*extents = 0;
	for (u32 i = 0; i < s->total; i++) {
		u64 kind = kind_of(s, pool, i);
		u32 stride = 1, count = 1, last = i;

		if (!kind || done[i])
			continue;
		for (u32 j = i + 1; j < s->total; j++) {
			if (kind_of(s, pool, j) != kind || done[j] ||
			    (count > 1 && j != last + stride))
				continue;
			stride = count > 1 ? stride : j - i;
			last = j;
			done[j] = true;
			count++;
		}
		runs[nr].run = (struct hm_media_run){ .start = htole32(100 * nr),
						      .count = htole32(count),
						      .gen = htole32((u32)(kind >> 32)),
						      .flags = htole32((u32)kind) };
		places[nr].place = (struct hm_media_place){ .first = htole32(i),
							    .stride = htole32(stride) };
		*extents += count;
		nr++;
	}
	return nr;
}

/* The rules by which a superblock is read hold for it. */
static inline void check_record(u32 pool)
{
	static struct hm_media_header h;
	const char *why;

	h.version = htole32(HM_MEDIA_VERSION);
	uuid_of(pool, h.uuid);
	why = check_sharing(&h, &media[pool].record, media[pool].slots);
	if (why)
		fail(why);
}

static inline void write_pool(u32 pool, const struct state *s)
{
	union hm_media_slot runs[EXTENTS] = {}, places[EXTENTS] = {};
	struct media *m = &media[pool];
	u32 nr, extents;

	if (!power())
		return;
	m->has = is_member(s, pool);
	m->alone = m->has && is_alone(s);
	m->state = *s;
	memset(&m->record, 0, sizeof(m->record));
	memset(m->slots, 0, sizeof(m->slots));
	if (!m->has || m->alone)
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
	check_record(pool);
}

/* In any order, those of a set first. */
static inline void write_in_turn(const struct state *s, const bool first[POOLS],
				 const bool all[POOLS])
{
	u32 from = dice(POOLS);

	for (int pass = 0; pass < 2; pass++)
		for (u32 i = 0; i < POOLS; i++) {
			u32 pool = (from + i) % POOLS;

			if (all[pool] && first[pool] == !pass)
				write_pool(pool, s);
		}
}

/* Where an extent is now; false: it is prepared nowhere. */
static inline bool find_extent(const struct state *s, u32 extent, u32 *pool)
{
	*pool = s->owner[extent];
	if (media[*pool].tag[extent] == s->gen[extent])
		return true;
	if (!s->left[extent])
		return false;
	*pool = s->from;
	return media[*pool].tag[extent] == s->left[extent];
}

static inline u32 read_extent(const struct state *s, u32 extent)
{
	u32 pool;

	return find_extent(s, extent, &pool) ? media[pool].holds[extent] : 0;
}

static inline void store_extent(const struct state *s, u32 extent, u32 value)
{
	u32 pool;

	if (!find_extent(s, extent, &pool))
		media[pool].tag[extent] = s->left[extent] ?: s->gen[extent];
	media[pool].holds[extent] = value;
}

/* Its data is durable before its tag. */
static inline void move_extent(const struct state *s, u32 extent)
{
	u32 to = s->owner[extent], pool;

	if (!s->left[extent] || !find_extent(s, extent, &pool) || pool == to)
		return;
	if (power())
		media[to].holds[extent] = media[pool].holds[extent];
	if (power())
		media[to].tag[extent] = s->gen[extent];
}

static inline bool all_moved(const struct state *s)
{
	u32 pool;

	for (u32 i = 0; i < s->total; i++)
		if (s->left[i] && find_extent(s, i, &pool) && pool == s->from)
			return false;
	return true;
}

/* What the records that count say. */
static inline struct state read_state(const struct hm_share *shares, u32 nr, u32 which,
				      enum hm_share_way way)
{
	const struct hm_media_pool *pools = pools_of(&shares[which]);
	struct state s = { .total = hm_share_total(&shares[which]), .from = NONE,
			   .nr = shares[which].record->nr_pools };

	for (u32 i = 0; i < s.nr; i++) {
		const struct hm_share *share = &shares[hm_share_on(shares, nr, pools[i].uuid)];
		const struct hm_media_place *places = hm_media_places(share->record, share->slots);

		s.pools[i] = (u8)pool_of(share);
		for (u32 n = 0; n < le32(share->record->nr_runs); n++) {
			const struct hm_media_run *run = &share->slots[n].run;
			u32 flags = le32(run->flags), at = le32(places[n].first);

			if (flags & HM_MEDIA_RUN_INCOMING && way == HM_SHARE_STILL)
				continue;
			for (u32 k = hm_share_before(run, &places[n], s.total); k; k--) {
				if (flags & HM_MEDIA_RUN_OUTGOING) {
					s.from = s.pools[i];
					s.left[at] = le32(run->gen);
				} else {
					s.owner[at] = s.pools[i];
					s.gen[at] = le32(run->gen);
				}
				at += le32(places[n].stride);
			}
		}
	}
	return s;
}

#endif
