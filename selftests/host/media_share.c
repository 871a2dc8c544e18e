// SPDX-License-Identifier: GPL-2.0-only
/*
 * Regions on several persistent pools: what kmod/share.c makes of their records when the power
 * goes at any write, pools come in any order, or some of them for a long time not at all.
 *
 * A model of what the module writes, and in which order, is driven at random. Whatever happens
 * the region must be as it was before the change that was cut short or as it is after it, with all
 * that was stored to it; who has seen it one way never finds it the other; and nothing is left of
 * it anywhere when it is gone.
 *
 * HMEM_SEED repeats a run, HMEM_ROUNDS makes it longer.
 */
#include "media_share.h"

#include <stdlib.h>
#include <time.h>

#include "sanitized.h"
#include "tap.h"

static struct state live;	/* as its users see it */
static struct state was, is;	/* before the last change, and after it: equal when it is complete */
static u32 value[EXTENTS];	/* what its users stored last */
static bool made;
static long whole, gone, missing_seen, unsettled, halfway, still, moved, strange;

static u32 collect(struct hm_share *shares)
{
	u32 nr = 0;

	for (u32 i = 0; i < POOLS; i++)
		if (attached[i] && media[i].has && !media[i].alone)
			shares[nr++] = (struct hm_share){ &media[i].record, media[i].slots };
	return nr;
}

/* What is beyond its end is given up. */
static void saw(const struct state *s)
{
	if (!same(s, &was) && !same(s, &is))
		fail("the region is neither as it was nor as it is");
	for (u32 i = 0; i < EXTENTS; i++) {
		if (i >= s->total)
			value[i] = 0;
		else if (read_extent(s, i) != value[i])
			fail("what was stored is not there");
	}
	was = *s;
	is = *s;
}

static bool has_rest(u32 pool)
{
	return media[pool].has && !is_member(&live, pool);
}

/* Whether a pool has what is left of an older state of the region. */
static bool is_kin(u32 pool)
{
	u8 uuid[16];

	for (u32 i = 0; i < live.nr; i++) {
		uuid_of(live.pools[i], uuid);
		if (hm_media_names(&media[pool].record, media[pool].slots, uuid))
			return true;
	}
	return false;
}

static void drop(u32 pool)
{
	const struct state none = { .from = NONE };

	write_pool(pool, &none);
}

static void drop_rest(void)
{
	for (u32 i = 0, from = dice(POOLS); i < POOLS; i++) {
		u32 pool = (from + i) % POOLS;

		if (!attached[pool] || !has_rest(pool))
			continue;
		if (media[pool].alone)
			fail("it is there twice");
		else if (is_kin(pool))
			drop(pool);
		else
			strange++;
	}
}

static void come_together(const struct hm_share *shares, u32 nr, u32 which)
{
	const bool none[POOLS] = {};
	bool members[POOLS], settled;
	unsigned long seen[1] = {};
	enum hm_share_way way = hm_share_cover(shares, nr, which, seen);

	if (way == HM_SHARE_APART) {
		fail("not each extent is there, and once");
		return;
	}
	whole++;
	live = read_state(shares, nr, which, way);
	saw(&live);
	halfway += way == HM_SHARE_MOVING;
	moved += way == HM_SHARE_MOVED;
	settled = nr == live.nr;
	for (u32 i = 0; i < nr; i++) {
		settled &= hm_share_total(&shares[i]) == live.total &&
			   shares[i].record->nr_pools == live.nr;
		for (u32 n = 0; way == HM_SHARE_STILL && n < le32(shares[i].record->nr_runs); n++) {
			still += shares[i].slots[n].run.flags;
			settled &= !shares[i].slots[n].run.flags;
		}
	}
	if (settled)
		return;
	unsettled++;
	for (u32 i = 0; i < POOLS; i++)
		members[i] = is_member(&live, i);
	write_in_turn(&live, none, members);
	drop_rest();
}

/* As kmod/gather.c does it. */
static void gather(void)
{
	struct hm_share shares[POOLS];
	u32 nr = collect(shares), which, missing, pools[POOLS];

	if (live.total) {
		drop_rest();
		return;
	}
	if (!nr)
		return;
	switch (hm_share_judge(shares, nr, is_attached, NULL, &which, &missing)) {
	case HM_SHARE_BROKEN:
		fail("what is on the pools contradicts itself");
		return;
	case HM_SHARE_GONE:
		/* That may be all of it, or what was never complete. */
		gone++;
		for (u32 i = 0; i < nr; i++)
			pools[i] = pool_of(&shares[i]);
		for (u32 i = 0; i < nr; i++)
			drop(pools[i]);
		return;
	case HM_SHARE_MISSING:
		missing_seen++;
		return;
	case HM_SHARE_WHOLE:
		come_together(shares, nr, which);
		return;
	}
}

static void attach(u32 coming)
{
	attached[coming] = true;
	if (media[coming].has && media[coming].alone) {
		if (live.total)
			fail("it is there twice");
		live = media[coming].state;
		saw(&live);
	}
	gather();
}

static void power_off(void)
{
	memset(attached, 0, sizeof(attached));
	live = (struct state){ .from = NONE };
	writes_left = -1;
}

static bool are_attached(const struct state *s)
{
	for (u32 i = 0; i < s->nr; i++)
		if (!attached[s->pools[i]])
			return false;
	return true;
}

/* Some of the pools, or all, one after the other. */
static void power_on(u32 nr)
{
	u32 order[POOLS] = { 0 };

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
	if (same(&was, &is) && was.total && !live.total && are_attached(&was))
		fail("all pools of the region are there, and it is not");
}

static void add_pool(struct state *s, u32 pool)
{
	u32 at = dice(s->nr + 1);

	if (is_member(s, pool))
		return;
	memmove(s->pools + at + 1, s->pools + at, s->nr - at);
	s->pools[at] = (u8)pool;
	s->nr++;
}

/* One that the region can come to, or is on; NONE: there is none. */
static u32 any_pool(u32 but)
{
	u32 from = dice(POOLS);

	for (u32 i = 0; i < POOLS; i++) {
		u32 pool = (from + i) % POOLS;

		if (attached[pool] && pool != but && !has_rest(pool))
			return pool;
	}
	return NONE;
}

static struct state grown(const struct state *old)
{
	u32 more = 2 + dice(8), gen = next_gen++;
	u32 a = any_pool(NONE), b = any_pool(NONE);
	struct state s = *old;

	if (!old->total)
		s = (struct state){ .from = NONE };
	for (u32 i = 0; i < more && s.total < EXTENTS && a != NONE; i++) {
		u32 pool = dice(2) ? a : b;

		s.total++;
		add_pool(&s, pool);
		s.owner[s.total - 1] = (u8)pool;
		s.gen[s.total - 1] = gen;
	}
	return s;
}

/* Its pools are those that have something of it, in the order that they had. */
static void keep_used(struct state *s)
{
	const struct state old = *s;

	s->nr = 0;
	for (u32 i = 0; i < old.nr; i++)
		for (u32 n = 0; n < s->total; n++)
			if (s->owner[n] == old.pools[i]) {
				s->pools[s->nr++] = old.pools[i];
				break;
			}
}

static struct state shrunk(const struct state *old)
{
	struct state s = *old;

	s.total = 1 + dice(old->total);
	keep_used(&s);
	return s;
}

/* All that it has on one pool goes to others. One pool that goes to another is not told so. */
static struct state begun(const struct state *old)
{
	u32 from = old->pools[dice(old->nr)], gen = next_gen++;
	u32 a = any_pool(from), b = any_pool(from);
	struct state s = *old;

	if (a == NONE)
		return *old;
	s.from = (u8)from;
	for (u32 i = 0, n = 0; i < s.total; i++) {
		u32 to = !n ? a : n == 1 || dice(2) ? b : a;

		if (s.owner[i] != from)
			continue;
		n++;
		s.left[i] = s.gen[i];
		s.gen[i] = gen;
		s.owner[i] = (u8)to;
		add_pool(&s, to);
	}
	return is_alone(old) && s.nr < 3 ? *old : s;
}

static struct state finished(const struct state *old)
{
	struct state s = *old;

	s.from = NONE;
	memset(s.left, 0, sizeof(s.left));
	keep_used(&s);
	return s;
}

static struct state changed(const struct state *old)
{
	u32 kind = dice(8);

	if (old->total && kind == 7)
		return (struct state){ .from = NONE };
	if (old->total && old->from != NONE)
		return all_moved(old) ? finished(old) : *old;
	if (!old->total || kind < 2)
		return grown(old);
	return kind < 4 ? shrunk(old) : begun(old);
}

/* Those that are written first. */
static bool is_first(const struct state *old, const struct state *new, u32 pool)
{
	if (!old->total || !new->total)
		return false;
	if (new->from != old->from && new->from == NONE)
		return is_member(new, pool);
	return new->total < old->total ? is_member(new, pool) : !is_member(old, pool);
}

static void change(void)
{
	const struct state old = live, new = changed(&old);
	bool first[POOLS], all[POOLS];

	if (same(&new, &old))
		return;
	made = true;
	was = old;
	is = new;
	if (!dice(2))
		writes_left = dice(6);
	for (u32 i = 0; i < POOLS; i++) {
		all[i] = (is_member(&old, i) || is_member(&new, i)) &&
			 (new.from == old.from || new.from == NONE || i != new.from);
		first[i] = is_first(&old, &new, i);
	}
	write_in_turn(&new, first, all);
	/* It is the last to say so. */
	if (new.from != old.from && new.from != NONE)
		write_pool(new.from, &new);
	if (!writes_left) {
		power_off();
		return;
	}
	writes_left = -1;
	live = new;
	saw(&live);
	gather();
}

/* Its users store, while it moves as well. */
static void use(void)
{
	static u32 last;

	for (u32 n = dice(6); n; n--) {
		u32 extent = dice(live.total);

		value[extent] = ++last;
		store_extent(&live, extent, last);
	}
	if (!dice(4))
		writes_left = dice(8);
	for (u32 n = live.from == NONE ? 0 : dice(3 * EXTENTS); n; n--) {
		move_extent(&live, dice(live.total));
		if (!writes_left) {
			power_off();
			return;
		}
	}
	writes_left = -1;
}

/* Everything is there, and the power stays: what is left on the pools is what is seen. */
static void look_at_all(void)
{
	power_off();
	for (u32 i = 0, from = dice(POOLS); i < POOLS; i++)
		attach((from + i) % POOLS);
	saw(&live);
	for (u32 i = 0; i < POOLS; i++) {
		const struct media *m = &media[i];

		if (is_member(&live, i) ? !m->has || (!m->alone && le32(m->record.total) != live.total) :
					  m->has && (!live.total || is_kin(i)))
			fail("a pool says something else than what there is");
	}
}

/* Letters for pools: who has each extent; "<" before one: it comes there, and is still at @from. */
static struct state drawn(const char *extents, const char *pools, char from)
{
	struct state s = { .from = from ? (u8)(from - 'a') : NONE };

	for (; *extents; s.total++) {
		bool comes = *extents == '<';

		extents += comes;
		s.owner[s.total] = (u8)(*extents++ - 'a');
		s.gen[s.total] = 1;
		s.left[s.total] = comes;
	}
	for (; *pools; pools++)
		s.pools[s.nr++] = (u8)(*pools - 'a');
	return s;
}

static void put(char pool, const char *extents, const char *pools, char from)
{
	const struct state s = drawn(extents, pools, from);

	writes_left = -1;
	write_pool((u32)(pool - 'a'), &s);
	attached[pool - 'a'] = true;
}

static enum hm_share_verdict judged(u32 *which, enum hm_share_way *way)
{
	struct hm_share shares[POOLS];
	unsigned long seen[1] = {};
	u32 nr = collect(shares), missing;
	enum hm_share_verdict verdict = hm_share_judge(shares, nr, is_attached, NULL, which, &missing);

	*way = verdict == HM_SHARE_WHOLE ? hm_share_cover(shares, nr, *which, seen) : HM_SHARE_APART;
	if (verdict == HM_SHARE_WHOLE || verdict == HM_SHARE_MISSING)
		*which = pool_of(&shares[*which]);
	return verdict;
}

static void nothing(void)
{
	memset(media, 0, sizeof(media));
	memset(attached, 0, sizeof(attached));
}

/* What the random ones come to seldom, or never as it takes more than losses of power. */
static void by_hand(void)
{
	enum hm_share_way way;
	u32 which;

	nothing();
	put('e', "aaaeee", "ae", 0);
	put('c', "aabbc", "abc", 0);
	attached[1] = true;
	TAP_OK(judged(&which, &way) == HM_SHARE_MISSING && which == 4,
	       "an older state of which nothing counts does not end the region");
	nothing();
	put('c', "aaaccc", "ac", 0);
	put('e', "aabbe", "abe", 0);
	attached[1] = true;
	TAP_OK(judged(&which, &way) == HM_SHARE_MISSING && which == 2, "whichever is found first");
	nothing();
	put('e', "eeefff", "ef", 0);
	put('f', "eeefff", "ef", 0);
	put('c', "aabbc", "abc", 0);
	TAP_OK(judged(&which, &way) == HM_SHARE_WHOLE && which != 2 && way == HM_SHARE_STILL,
	       "nor does one keep it hidden that is smaller, and of which pools are missing");
	nothing();
	put('a', "a<ba", "abd", 'd');
	put('b', "a<ba", "abd", 'd');
	put('d', "a<ba", "abd", 'd');
	TAP_OK(judged(&which, &way) == HM_SHARE_WHOLE && way == HM_SHARE_MOVING, "it is on its way");
	put('b', "aa<b", "abd", 'd');
	TAP_OK(judged(&which, &way) == HM_SHARE_WHOLE && way == HM_SHARE_APART,
	       "another extent comes than goes: that contradicts each other");
	put('b', "a<b<b", "abd", 'd');
	TAP_OK(judged(&which, &way) == HM_SHARE_WHOLE && way == HM_SHARE_APART,
	       "and so it does when more come");
	put('b', "aba", "abd", 0);
	TAP_OK(judged(&which, &way) == HM_SHARE_WHOLE && way == HM_SHARE_APART,
	       "or when what goes is there already");
	nothing();
	put('a', "a<c<ca", "abcd", 'd');
	put('b', "a<cca", "abcd", 'b');
	put('c', "a<c<ca", "abcd", 'd');
	put('d', "ac<ca", "abcd", 'd');
	TAP_OK(judged(&which, &way) == HM_SHARE_WHOLE && way == HM_SHARE_APART,
	       "or when it goes from two at once");
	nothing();
	put('a', "aad", "abd", 0);
	put('b', "a<ba", "abd", 'd');
	put('d', "aad", "abd", 0);
	TAP_OK(judged(&which, &way) == HM_SHARE_WHOLE && way == HM_SHARE_APART,
	       "or when a pool is one of its pools, and nothing has gone there");
	nothing();
	put('a', "aac", "ab", 0);
	put('b', "c<bc", "ab", 'd');
	TAP_OK(judged(&which, &way) == HM_SHARE_WHOLE && way == HM_SHARE_APART,
	       "or when one extent is there twice, and another not");
	nothing();
}

static bool any_there(void)
{
	for (u32 i = 0; i < POOLS; i++)
		if (attached[i])
			return true;
	return false;
}

static bool round_of(u64 seed)
{
	dice_state = seed * 0x9e3779b97f4a7c15ULL | 1;
	made = false;
	memset(media, 0, sizeof(media));
	memset(value, 0, sizeof(value));
	next_gen = 1;
	was = (struct state){ .from = NONE };
	is = was;
	for (int step = 0; step < 16 && !wrong; step++) {
		power_on(dice(3) ? POOLS : 1 + dice(POOLS));
		if (!writes_left)
			continue;
		writes_left = -1;
		/* Made once: what is made again is another region. */
		for (u32 n = dice(5); n && any_there() && (live.total || !made); n--) {
			if (live.total && dice(3))
				use();
			else
				change();
		}
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

	by_hand();
	tap_diag("seed %llu", (unsigned long long)from);
	while (i < count && round_of(from + (u64)i))
		i++;
	if (wrong)
		tap_diag("HMEM_SEED=%llu: %s", (unsigned long long)(from + (u64)i), wrong);
	tap_diag("%ld times whole, %ld of them put right, %ld gone, %ld waiting", whole, unsettled, gone,
		 missing_seen);
	tap_diag("%ld times on its way, %ld times not yet, %ld times any more; %ld times in vain", halfway,
		 still, moved, strange);
	TAP_OK(!wrong, "the region is as it was or as it is, and stays what it was seen to be");
	TAP_OK(whole > count && unsettled > count / 50 && gone > count / 50 && missing_seen > count,
	       "all of that has happened");
	TAP_OK(halfway > count / 50 && still > count / 1000 && moved > count / 1000,
	       "and it was on its way in all that may be found then");
	return tap_done();
}
