// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a scan makes of the pages of a split extent, beside the same said one page after the other
 * and without passing any over: bit for bit.
 */
#include "policy_region.h"

static struct hm_policy slow;
static struct hm_heat slow_heat;
static u64 slow_pages[HM_POLICY_PAGES];

/* The steps of one heat, from the tables that say what they are; in 16ths of a bin. */
static u32 step(u32 from, bool touched, bool brief, u32 unit_bin, u32 first, u32 floor)
{
	s64 at = (s64)from - unit_bin + 16, by;

	at = at < 0 ? 0 : at > 32 ? 32 : at;
	by = touched ? hm_up[brief][at] : hm_down[brief][at];
	if (!brief) {
		by = by * 8 / (first < 8 ? first + 1 : 8);
		by = by > 160 ? 160 : by;
	}
	if (touched)
		return clamp_u32(from * 16LL + by, 16, (HM_POLICY_BINS - 1) * 16);
	if (brief)
		floor = floor > 5 ? floor - 4 : 1;
	if (from <= floor)
		return from * 16;
	return clamp_u32(from * 16LL - by, floor * 16, (HM_POLICY_BINS - 1) * 16);
}

static u32 slow_floor(u32 unit_bin, u32 hot_bin)
{
	s64 floor = (s64)unit_bin - 8;

	if (floor > (s64)hot_bin - 1)
		floor = (s64)hot_bin - 1;
	if (floor > (s64)slow.promote_page_bin - 1)
		floor = (s64)slow.promote_page_bin - 1;
	if (slow.used < slow.near_pages && floor > (s64)slow.room_page_bin - 1)
		floor = (s64)slow.room_page_bin - 1;
	return floor < 1 ? 1 : (u32)floor;
}

static void slow_page(u32 i, bool near, bool touched, u32 unit_bin, u32 floor, u32 dice,
		      u32 hot_bin, u32 *hot, bool held, struct hm_policy_pages *out)
{
	u64 word = slow_pages[i];
	u32 was = hm_page_rank(&slow, word, near), rank;
	u32 lasting = step(hm_page_lasting(word), touched, false, unit_bin, slow_heat.seen, floor);
	u32 brief = step(hm_page_brief(word), touched, true, unit_bin, slow_heat.seen, floor);

	/* What is at home, cold and untouched stays as it is. */
	if (!near && !touched && hm_page_lasting(word) <= floor)
		return;
	dice = (dice + i * 0x9e3779b9U) >> 16;
	slow_pages[i] = hm_page_word(word, (brief + (dice & 15)) / 16,
				     (lasting + (dice >> 12)) / 16);
	rank = hm_page_rank(&slow, slow_pages[i], near);
	hm_page_count(&slow, near)[was]--;
	hm_page_count(&slow, near)[rank]++;
	*hot += rank >= hot_bin;
	if (near ? (s32)rank > slow.demote_bin : rank < slow.promote_page_bin)
		return;
	if (!held && hm_page_moves(&slow, near))
		hm_set_bit(near ? out->demote : out->promote, i);
}

static void slow_scanned(const u64 *accessed, const u64 *near, struct hm_policy_pages *out)
{
	u32 unit_bin = (HM_PAGE_TOP - hm_log2(hm_elapsed(&slow_heat, now))) >> HM_BIN_SHIFT;
	bool held = slow_heat.flags & HM_HEAT_HELD &&
		    hm_moved_within(&slow_heat, slow.knob.pingpong_ms, now);
	u32 dice = (u32)(now >> HM_TIME_SHIFT) * 2654435761U, hot_bin = slow.even_page_bin, hot = 0;

	*out = (struct hm_policy_pages){ 0 };
	if (slow.demote_bin + 1 > (s32)hot_bin)
		hot_bin = (u32)slow.demote_bin + 1;
	/* Of 64 pages those near first, and those that were touched. */
	for (u32 n = 0; n < 4 * HM_POLICY_PAGES; n++) {
		u32 i = n / 256 * 64 + n % 64;
		bool is_near = n / 128 % 2 == 0, touched = n / 64 % 2 == 0;

		if (hm_bit(near, i) == is_near && hm_bit(accessed, i) == touched)
			slow_page(i, is_near, touched, unit_bin, slow_floor(unit_bin, hot_bin), dice,
				  hot_bin, &hot, held, out);
	}
}

static void fill_map(u64 *map, u32 one_in)
{
	for (u32 i = 0; i < HM_POLICY_PAGES; i++) {
		map[i / 64] &= ~(1ULL << i % 64);
		if (one_in && !chance(one_in))
			hm_set_bit(map, i);
	}
}

/* A split extent of which anything may be so, with counts that are of it. */
static void make_up(void)
{
	static const u32 parts[] = { 0, 1, 2, 10, 100 };

	region(2, HM_POLICY_PAGES + chance(64));
	hm_policy_split(&p, &heat[0], pages[0], true, now);
	memset(p.near, 0, sizeof(p.near));
	memset(p.home_page, 0, sizeof(p.home_page));
	fill_map(near_map[0], parts[chance(5)]);
	heat[0].near_pages = 0;
	for (u32 i = 0; i < HM_POLICY_PAGES; i++) {
		bool near = hm_bit(near_map[0], i);
		u32 around = chance(2) ? 90 : 1, width = around == 1 ? HM_POLICY_BINS - 1 : 30;

		pages[0][i] = hm_page_word((u64)chance(~0U) << 16 | chance(1 << 16),
					   around + chance(width), around + chance(width));
		hm_page_count(&p, near)[hm_page_rank(&p, pages[0][i], near)]++;
		heat[0].near_pages += near;
	}
	p.used = heat[0].near_pages;
	p.promote_page_bin = chance(4) ? 80 + chance(60) : HM_POLICY_BINS;
	p.demote_bin = chance(4) ? 80 + (s32)chance(60) : -1;
	p.even_page_bin = 80 + chance(60);
	p.demote_left = chance(2) ? chance(200) : 512;
	p.rate_left = chance(2) ? chance(100) * 4096 : 1 << 30;
	heat[0].seen = (u8)chance(chance(2) ? 256 : 10);
	heat[0].flags |= chance(8) ? 0 : HM_HEAT_HELD | HM_HEAT_MOVED;
	heat[0].moved = (u32)(now >> HM_MOVED_SHIFT);
}

static bool same(const struct hm_policy_pages *out, const struct hm_policy_pages *other)
{
	return !memcmp(out, other, sizeof(*out)) && !memcmp(pages[0], slow_pages, sizeof(pages[0])) &&
	       !memcmp(p.near, slow.near, sizeof(p.near)) &&
	       !memcmp(p.home_page, slow.home_page, sizeof(p.home_page)) && p.used == slow.used &&
	       p.leaving == slow.leaving && p.rate_left == slow.rate_left &&
	       p.demote_left == slow.demote_left;
}

static void test_same(void)
{
	static const u32 parts[] = { 0, 1, 2, 10, 50 };
	u32 bad = 0, moves = 0, still = 0;

	for (u32 run = 0; run < 4000; run++) {
		struct hm_policy_pages out;
		u64 accessed[HM_POLICY_WORDS], before[HM_POLICY_PAGES];

		make_up();
		/* Looks of 50 us to 50 s, so that anything is above the floor, and below. */
		now += 50000ULL << chance(20);
		fill_map(accessed, parts[chance(5)]);
		p.room_page_bin = p.even_page_bin - chance(60);
		slow = p;
		slow_heat = heat[0];
		memcpy(slow_pages, pages[0], sizeof(slow_pages));
		memcpy(before, pages[0], sizeof(before));
		slow_scanned(accessed, near_map[0], &out);
		hm_policy_scanned(&p, &heat[0], pages[0], accessed, near_map[0], &asked[0], now);
		bad += !same(&out, &asked[0]);
		for (u32 i = 0; i < HM_POLICY_PAGES; i++) {
			moves += hm_bit(out.promote, i) + hm_bit(out.demote, i);
			still += before[i] == slow_pages[i];
		}
	}
	TAP_EQ(bad, 0, "a scan is the same as one without short cuts");
	TAP_OK(moves > 10000 && still > 100000, "of which %u pages moved and %u stayed as they were",
	       moves, still);
}

/* What is cold for long is found hot again within a few looks, however long it was. */
static void test_comes_back(void)
{
	u64 accessed[HM_POLICY_WORDS] = { 0 };
	u32 looks = 0;

	region(2, HM_POLICY_PAGES);
	set(0, false, 100);
	hm_policy_split(&p, &heat[0], pages[0], true, now);
	for (u32 scan = 0; scan < 2000; scan++) {
		now += 100 * MS;
		p.even_page_bin = p.promote_page_bin = p.room_page_bin = 110;
		p.rate_left = 0;
		heat[0].flags = HM_HEAT_SPLIT;
		hm_policy_scanned(&p, &heat[0], pages[0], accessed, near_map[0], &asked[0], now);
	}
	TAP_OK(hm_page_lasting(pages[0][3]) < 110, "what nobody touches is cold");
	hm_set_bit(accessed, 3);
	while (hm_page_rank(&p, pages[0][3], false) < 110 && looks < 100) {
		now += 100 * MS;
		heat[0].flags = HM_HEAT_SPLIT;
		hm_policy_scanned(&p, &heat[0], pages[0], accessed, near_map[0], &asked[0], now);
		looks++;
	}
	TAP_OK(looks <= 5, "and hot again after %u looks", looks);
}

/* Rounds take 20 s; a look at a page that just has room takes less than one. */
static void test_cleared_first(void)
{
	u32 cleared = 0, scans = 0, early = 0, late = 0, i;
	u64 when[MAX] = { 0 };

	knobs.window_min_ms = knobs.window_max_ms = 20000;
	region(64, 32);
	for (i = 0; i < nr; i++) {
		set(i, false, 100);
		hm_policy_split(&p, &heat[i], pages[i], true, now);
	}
	now += 20000 * MS;
	for (u32 ticks = 0; ticks < 2000; ticks++) {
		now += 50 * MS;
		hm_policy_tick(&p, now);
		while (hm_policy_next(&p, &i)) {
			u32 what = hm_policy_visit(&p, &heat[i], i, now);

			if (what & HM_POLICY_CLEAR) {
				hm_policy_cleared(&heat[i], now);
				when[i] = now;
				cleared++;
			} else if (what & HM_POLICY_SCAN) {
				early += now - when[i] < p.look_ns;
				late += now - when[i] > p.look_ns + 200 * MS;
				scans++;
				heat[i].flags = HM_HEAT_SPLIT;
				heat[i].since = (u32)(now >> HM_TIME_SHIFT);
			}
		}
	}
	TAP_OK(p.look_ns > 100 * MS && p.look_ns < 2000 * MS, "a look of %llu ms",
	       (unsigned long long)(p.look_ns / MS));
	TAP_OK(cleared >= 4 * nr && scans + nr >= cleared, "%u times cleared, %u scans", cleared,
	       scans);
	TAP_OK(!early && !late, "so long after: %u too early, %u too late", early, late);
	hm_policy_defaults(&knobs);
}

/* What was seen is counted. */
static void test_seen(void)
{
	u64 accessed[HM_POLICY_WORDS] = { 0xf0f, 0, ~0ULL, 1ULL << 63 };

	region(2, 32);
	set(0, false, 100);
	hm_policy_split(&p, &heat[0], pages[0], true, now);
	near_map[0][0] = 0x3;
	near_map[0][1] = ~0ULL;
	near_map[0][2] = 0xff;
	hm_policy_scanned(&p, &heat[0], pages[0], accessed, near_map[0], &asked[0], now + MS);
	TAP_EQ(p.count.seen, 8 + 64 + 1, "pages that were touched are counted");
	TAP_EQ(p.count.seen_near, 2 + 8, "and those of them that are near");
	TAP_EQ(p.count.scanned, HM_POLICY_PAGES, "of those that were looked at");

	region(2, 2 * HM_POLICY_PAGES);
	set(1, true, 100);
	touch(0, MS, 5);
	TAP_OK(p.count.touches == 5 && !p.count.touches_near, "touches of an extent at home are");
	touch(1, MS, 3);
	TAP_OK(p.count.touches == 8 && p.count.touches_near == 3, "and those of one that is near");
}

int main(void)
{
	begin();
	test_same();
	test_comes_back();
	test_cleared_first();
	test_seen();
	return tap_done();
}
