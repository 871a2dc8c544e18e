// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the policy engine moves, and what it does not. Whether that is any good is for bench/tier to
 * say.
 */
#include "policy_region.h"

static int descending(const void *a, const void *b)
{
	return *(const int *)b - *(const int *)a;
}

static void test_threshold(void)
{
	bool same = true;

	for (u32 run = 0; run < 200; run++) {
		int bins[MAX];
		u32 fit = chance(MAX - 1) + 1;

		region(MAX, (u64)fit * HM_POLICY_PAGES);
		for (u32 i = 0; i < MAX; i++) {
			set(i, false, p.even_bin + 10 + chance(60));
			bins[i] = heat[i].bin;
		}
		qsort(bins, MAX, sizeof(bins[0]), descending);
		hm_policy_tick(&p, now += 20 * MS);
		same = same && (int)p.promote_bin == bins[fit - 1] &&
		       (int)p.cut_bin == bins[fit - 1];
	}
	TAP_OK(same, "the histogram's threshold is that of sorting");
}

/* By how many bins what was seen so often counts for less than it seems, and one for rounding. */
static u32 doubt_of(u32 seen)
{
	struct hm_heat h = { .seen = (u8)seen, .brief = 100 << HM_BIN_SHIFT,
			     .lasting = 100 << HM_BIN_SHIFT };

	return 100 - hm_rank(&p, &h) + 1;
}

static void test_moving(void)
{
	u32 base, promoted = 0, demoted = 0, moves[4];

	region(16, 4 * HM_POLICY_PAGES);
	base = p.even_bin + 20;
	for (u32 i = 0; i < 16; i++)
		set(i, false, base + i);
	knobs.rate_mib = 2048;
	settle(4);
	TAP_OK(heat[15].flags & heat[14].flags & heat[13].flags & heat[12].flags & HM_HEAT_NEAR &&
		       p.used == 4 * HM_POLICY_PAGES,
	       "the hottest fill the bound");
	TAP_EQ(settle(20), 0, "and then nothing moves, though others are next to them");

	/* Hysteresis: hotter than the coldest by less than the band; then by more. */
	set(0, false, heat[12].bin + 1);
	for (u32 i = 0; i < 100 && heat[0].bin < heat[12].bin + knobs.band_oct4 +
							      knobs.band_whole_oct4 - 1; i++)
		set(0, false, (heat[0].lasting >> HM_BIN_SHIFT) + 1);
	TAP_EQ(settle(4), 0, "one a little hotter does not replace anybody");
	set(0, false, (heat[0].lasting >> HM_BIN_SHIFT) + 1);
	TAP_EQ(settle(4), 2, "one that is hotter by the band does");
	TAP_OK(!(heat[12].flags & HM_HEAT_NEAR) && heat[0].flags & HM_HEAT_NEAR,
	       "it replaces the coldest");

	/* The same heat, when it was seen too seldom to be believed. */
	region(16, 4 * HM_POLICY_PAGES);
	for (u32 i = 0; i < 16; i++)
		set(i, i < 4, i < 4 ? base : 20);
	set(4, false, base + knobs.band_oct4 + knobs.band_whole_oct4 + doubt_of(knobs.sure));
	heat[4].seen = (u8)(knobs.sure - 1);
	hm_rebin(&p, &heat[4]);
	TAP_EQ(settle(4), 0, "one that was seen %u times does not", knobs.sure - 1);
	heat[4].seen = (u8)knobs.sure;
	hm_rebin(&p, &heat[4]);
	TAP_EQ(settle(4), 2, "but with one time more it does");

	/* What does not pay. */
	region(8, 4 * HM_POLICY_PAGES);
	for (u32 i = 0; i < 4; i++)
		set(i, true, 20);
	for (u32 i = 4; i < 8; i++)
		set(i, false, p.even_bin);
	TAP_OK(heat[4].bin < p.even_bin, "those at home are below what a move earns");
	TAP_EQ(settle(4), 0, "hotter by far, and still no move that does not earn its cost");
	set(5, false, p.even_bin + 6);
	TAP_EQ(settle(4), 2, "one that does is moved");
	knobs.home_ns = knobs.near_ns = 100;
	region(8, 4 * HM_POLICY_PAGES);
	for (u32 i = 0; i < 8; i++)
		set(i, false, HM_POLICY_BINS - 2);
	TAP_EQ(settle(4), 0, "where home is as near as near, nothing moves");
	hm_policy_defaults(&knobs);

	/* The less there is to gain the hotter one has to be, and the more a copy costs. */
	for (u32 run = 0; run < 4; run++) {
		static const struct hm_policy_costs costs[] = {
			{ 100, 400, 418000, 1000 }, { 100, 250, 418000, 1000 },
			{ 100, 170, 418000, 1000 }, { 100, 170, 4180000, 10000 },
		};

		hm_policy_defaults(&knobs);
		hm_policy_fill(&knobs, &costs[run]);
		region(64, 32 * HM_POLICY_PAGES);
		if (!run)
			base = p.even_bin - 4;
		for (u32 i = 0; i < 64; i++)
			set(i, i < 32, i < 32 ? 20 : base + i - 32);
		moves[run] = settle(10);
	}
	TAP_OK(moves[0] > moves[1] && moves[1] > moves[2] && moves[2] > moves[3],
	       "a smaller gap or a dearer copy makes for fewer moves: %u, %u, %u, %u", moves[0],
	       moves[1], moves[2], moves[3]);
	hm_policy_defaults(&knobs);

	/* The rate. */
	knobs.rate_mib = 32;
	knobs.rate_save_ms = 1;
	region(MAX, MAX * HM_POLICY_PAGES);
	for (u32 i = 0; i < MAX; i++)
		set(i, false, base);
	settle(10);
	promoted = demoted = 0;
	for (u32 i = 0; i < 10; i++)
		tick(&promoted, &demoted);
	TAP_OK(promoted >= 10 && promoted <= 48 + 2,
	       "%u extents moved in 3 s at 32 MiB a second", promoted);
	knobs.rate_mib = 0;
	region(4, 4 * HM_POLICY_PAGES);
	for (u32 i = 0; i < 4; i++)
		set(i, false, base);
	TAP_EQ(settle(4), 0, "at a rate of 0 nothing moves");
	hm_policy_defaults(&knobs);

	/* The bound. */
	region(4, 0);
	for (u32 i = 0; i < 4; i++)
		set(i, false, base);
	TAP_EQ(settle(4), 0, "with no DRAM nothing moves");
	region(4, HM_POLICY_PAGES - 1);
	for (u32 i = 0; i < 4; i++)
		set(i, false, base);
	TAP_EQ(settle(4), 0, "nor with less than an extent");
	region(1, HM_POLICY_PAGES);
	set(0, false, base);
	settle(4);
	TAP_OK(heat[0].flags & HM_HEAT_NEAR && sound(), "one extent with room for it");
	region(0, HM_POLICY_PAGES);
	TAP_EQ(settle(4), 0, "no extent at all");
	region(8, 4 * HM_POLICY_PAGES);
	for (u32 i = 0; i < 4; i++)
		set(i, true, base + i * 10);
	hm_policy_resize(&p, 2 * HM_POLICY_PAGES);
	settle(4);
	TAP_OK(p.used == 2 * HM_POLICY_PAGES && heat[2].flags & heat[3].flags & HM_HEAT_NEAR,
	       "a smaller bound sends the coldest home");

	/* Failures. */
	region(1, HM_POLICY_PAGES);
	set(0, false, base);
	hm_policy_tick(&p, now += MS);
	TAP_EQ(hm_policy_visit(&p, &heat[0], 0, now), HM_POLICY_PROMOTE, "a copy is tried");
	hm_policy_moved(&p, &heat[0], HM_POLICY_PROMOTE, HM_POLICY_ABORTED, now);
	TAP_OK(sound() && p.used == 0, "given up, it has not taken room");
	TAP_EQ(hm_policy_visit(&p, &heat[0], 0, now), HM_POLICY_PROMOTE | HM_POLICY_WAIT,
	       "the next time writers wait");
	hm_policy_moved(&p, &heat[0], HM_POLICY_PROMOTE, HM_POLICY_FAILED, now);
	hm_policy_tick(&p, now += MS);
	TAP_OK(!(hm_policy_visit(&p, &heat[0], 0, now) & HM_POLICY_PROMOTE),
	       "what could not be moved is left alone");
	now += (knobs.pingpong_ms + 1000) * MS;
	hm_policy_tick(&p, now);
	TAP_OK(hm_policy_visit(&p, &heat[0], 0, now) & HM_POLICY_PROMOTE, "for a while");
}

/* A pass over data: each extent is touched again and again, for 20 ms, and then never. */
static void test_scan(void)
{
	region(64, 16 * HM_POLICY_PAGES);
	for (u32 i = 0; i < 64; i++)
		set(i, i < 16, i < 16 ? p.even_bin + 30 : p.even_bin - 30);
	settle(2);
	for (u32 i = 16; i < 64; i++) {
		for (u32 n = 0; n < 4; n++) {
			u32 promoted = 0, demoted = 0;

			now += 5 * MS;
			hm_policy_zapped(&p, &heat[i], now);
			hm_policy_touched(&p, &heat[i], i, 100 * n, now + 500);
			now -= 300 * MS;
			tick(&promoted, &demoted);
		}
		hm_policy_zapped(&p, &heat[i], now);
	}
	settle(3);
	TAP_EQ(p.count.promoted + p.count.demoted, 0, "one pass over data evicts nothing");
}

static void test_thrash(void)
{
	u32 late = 0;

	/* All alike, four times the bound, seen with all the noise of exponential times. */
	region(64, 16 * HM_POLICY_PAGES);
	for (u32 round = 0; round < 400; round++) {
		for (u32 i = 0; i < 64; i++)
			touch(i, (u64)(-log((chance(1 << 30) + 0.5) / (1 << 30)) * 1e5), 1);
		now -= 64 * 50 * MS - 500 * MS;
		if (round < 100)
			settle(1);
		else
			late += settle(1);
	}
	TAP_OK(late <= 64, "where nothing is hotter %u moves in 300 windows of 64 extents", late);

	/* A driver that undoes everything: the band widens, and comes back. */
	region(64, 16 * HM_POLICY_PAGES);
	p.round_moves = 100;
	p.round_pingpongs = 50;
	hm_round_over(&p, now);
	TAP_OK(p.band > knobs.band_oct4, "ping-pongs widen the band");
	for (u32 i = 0; i < 1000; i++)
		hm_round_over(&p, now);
	TAP_EQ(p.band, knobs.band_oct4, "calm narrows it again");
	for (u32 i = 0; i < 100; i++) {
		p.round_moves = 100;
		p.round_pingpongs = 50;
		hm_round_over(&p, now);
	}
	TAP_EQ(p.band, knobs.band_max_oct4, "to its end");

	/* One extent goes and comes. */
	region(8, HM_POLICY_PAGES);
	for (u32 i = 0; i < 8; i++)
		set(i, i == 0, p.even_bin + (i < 2 ? 20 : 1));
	for (u32 i = 0; i < 4; i++) {
		u32 up = i % 2 ? 0 : 1;

		heat[up].lasting = heat[up].brief = (u16)((p.even_bin + 80) << HM_BIN_SHIFT);
		heat[!up].lasting = heat[!up].brief = (u16)((p.even_bin + 20) << HM_BIN_SHIFT);
		settle(10);
	}
	TAP_OK(p.count.pingpongs >= 4, "%llu moves that were undone are counted",
	       (unsigned long long)p.count.pingpongs);
}

/* A heat that is off by up to that. Who was not seen has none. */
static u16 near_by(u16 middle, u32 off, u32 seen)
{
	return seen ? (u16)clamp_u32((s64)middle + chance(2 * off) - off, 64,
				     (HM_POLICY_BINS << HM_BIN_SHIFT) - 1) : 0;
}

/*
 * What a sweep passes over is just what a visit in it would leave alone, and what is counted as
 * that as well. (A visit may learn of one that is armed that nobody came: that is for rounds.)
 */
static void test_passing(void)
{
	u32 wrong = 0, moved = 0, stayed = 0, refused = 0, full, vain;
	struct hm_policy before;

	knobs.rate_mib = 1U << 19;
	region(MAX, MAX / 2 * HM_POLICY_PAGES);
	for (u32 i = 0; i < MAX; i++)
		set(i, i < MAX / 2 - 8, p.even_bin - 12 + chance(40));
	now += 300 * MS;
	hm_policy_tick(&p, now);
	before = p;
	for (u32 n = 0; n < 100000; n++) {
		struct hm_heat h = heat[chance(MAX)];
		bool passed, counted, held = chance(4) == 0;
		u32 what;

		p = before;
		if (held) {
			hm_stamp(&h, now - chance(20000) * MS);
			h.flags |= HM_HEAT_HELD;
			held = hm_moved_within(&h, p.knob.pingpong_ms, now);
		}
		h.seen = (u8)chance(65);
		h.brief = near_by(h.brief, 8 * HM_OCT, h.seen);
		h.lasting = near_by(h.lasting, 4 * HM_OCT, h.seen);
		p.sweeping = true;
		counted = hm_moves(&p, h.flags & HM_HEAT_NEAR, h.bin);
		refused += counted && held;
		counted = counted && !held;
		passed = hm_policy_passes(&p, &h);
		what = hm_policy_visit(&p, &h, 0, now);
		wrong += passed != (!what && !counted);
		moved += !!what;
		stayed += !what;
	}
	TAP_EQ(wrong, 0, "a sweep passes over what a visit would leave alone, and only that");
	TAP_OK(moved > 1000 && stayed > 1000 && refused > 1000,
	       "%u of these moved, %u stayed, and %u could not be moved not long ago", moved,
	       stayed, refused);
	p = before;
	p.sweeping = false;
	TAP_OK(!hm_policy_passes(&p, &heat[0]), "and a round passes over nothing");

	p = before;
	p.knob.pass_ns = 5000;
	now += 50 * MS;
	hm_policy_tick(&p, now);
	full = p.sweep_left;
	p = before;
	p.knob.pass_ns = 5000;
	p.barren = 3 * MAX;
	hm_policy_tick(&p, now);
	vain = p.sweep_left;
	TAP_OK(full > 8 && vain == full / 8, "after three in vain %u of %u are looked at", vain, full);
	hm_policy_defaults(&knobs);
}

/* Every extent is to come, and none can: that is not what most is spent on. */
static void test_failing(void)
{
	u64 swept = 0, spent;
	u32 i, what;

	region(MAX, 2 * MAX * HM_POLICY_PAGES);
	for (i = 0; i < MAX; i++)
		set(i, false, p.even_bin + 20);
	spent = p.count.cost_ns;
	for (u32 n = 0; n < 1000; n++) {
		u64 next = hm_policy_tick(&p, now);

		while (hm_policy_next(&p, &i)) {
			u64 cost = p.count.cost_ns;

			what = hm_policy_passes(&p, &heat[i]) ? 0 :
			       hm_policy_visit(&p, &heat[i], i, now);
			if (p.sweeping)
				swept += p.count.cost_ns - cost;
			if (what & HM_POLICY_PROBE) {
				hm_policy_zapped(&p, &heat[i], now);
				hm_policy_touched(&p, &heat[i], i, chance(HM_POLICY_PAGES),
						  now + 2000);
			} else if (what & HM_POLICY_PROMOTE) {
				hm_policy_moved(&p, &heat[i], what, HM_POLICY_FAILED, now);
			}
		}
		now = next;
	}
	spent = p.count.cost_ns - spent;
	TAP_OK(p.count.failed >= MAX && swept * 100 <= spent * 25,
	       "where %llu moves fail sweeps take a quarter at the most: %llu %%",
	       (unsigned long long)p.count.failed, (unsigned long long)(swept * 100 / spent));
}

int main(void)
{
	begin();
	test_threshold();
	test_moving();
	test_scan();
	test_thrash();
	test_passing();
	test_failing();
	return tap_done();
}
