// SPDX-License-Identifier: GPL-2.0-only
/* When the policy engine looks, and what that costs. */
#include "policy_region.h"

static void test_budget(void)
{
	u64 before, start;

	region(MAX, 64 * HM_POLICY_PAGES);
	run_ticks(400);		/* what was saved is spent */
	before = p.count.cost_ns;
	start = now;
	for (u32 i = 0; i < 2000; i++) {
		run_ticks(1);
		for (u32 n = 0; n < nr; n++)
			hm_policy_touched(&p, &heat[n], n, chance(512),
					  now + 1000 + chance(1000000));
	}
	TAP_OK((p.count.cost_ns - before) * 1000000 <= (now - start) * knobs.budget_ppm,
	       "tracking costs %llu ppm of a core, its budget is %u",
	       (unsigned long long)((p.count.cost_ns - before) * 1000000 / (now - start)),
	       knobs.budget_ppm);
	TAP_OK(p.count.rounds > 20, "%llu rounds", (unsigned long long)p.count.rounds);
	/* In haste for ever: what was saved, and then the budget. */
	before = p.count.cost_ns;
	start = now;
	pace = 5 * MS;
	for (u32 i = 0; i < 5000; i++) {
		p.restless = 4 * knobs.haste_from;
		run_ticks(1);
		for (u32 n = 0; n < nr; n++)
			hm_policy_touched(&p, &heat[n], n, chance(512),
					  now + 1000 + chance(1000000));
	}
	pace = 50 * MS;
	TAP_OK(p.count.cost_ns - before <=
		       (now - start) * knobs.budget_ppm / 1000000 + (u64)hm_savings(&p) + 5 * MS,
	       "haste spends no more than was saved beside it");
	TAP_OK((p.count.cost_ns - before) * 100 >=
		       (now - start) * knobs.budget_ppm / 1000000 * (knobs.calm_pct + 5),
	       "and more than calm: %llu ppm",
	       (unsigned long long)((p.count.cost_ns - before) * 1000000 / (now - start)));
	knobs.budget_ppm = 0;
	region(MAX, 64 * HM_POLICY_PAGES);
	run_ticks(100);
	TAP_EQ(p.count.probes, 0, "with no budget nothing is probed");
	hm_policy_defaults(&knobs);

	/* Nobody is there: the window lengthens. */
	region(MAX, 64 * HM_POLICY_PAGES);
	run_ticks(3000);
	TAP_OK(p.window_ns >= 4000 * MS, "an idle region's window is %llu ms",
	       (unsigned long long)(p.window_ns / MS));
	before = hm_policy_tick(&p, now);
	TAP_OK(before > now && before - now <= knobs.tick_max_ms * MS, "the next tick is ahead");
	before = hm_policy_tick(&p, now += 3600000 * MS);
	TAP_OK(before - now <= knobs.tick_max_ms * MS, "also after an hour of none");
}

/* Rounds in two seconds of a small region, when each tick comes @late times as late as asked. */
static u64 rounds_at(u32 late)
{
	u64 end, next;
	u32 i;

	knobs.window_min_ms = knobs.window_max_ms = 50;
	knobs.budget_ppm = 100000;
	region(64, 8 * HM_POLICY_PAGES);
	end = now + 2000 * MS;
	while (now < end) {
		next = hm_policy_tick(&p, now);
		while (hm_policy_next(&p, &i))
			if (!hm_policy_passes(&p, &heat[i]))
				hm_policy_visit(&p, &heat[i], i, now);
		now += (next - now) * late;
	}
	hm_policy_defaults(&knobs);
	return p.count.rounds;
}

static void test_late_ticks(void)
{
	u64 good = rounds_at(1), late = rounds_at(2);

	TAP_OK(good >= 35 && late * 10 >= good * 8,
	       "ticks that come late keep the pace: %llu rounds, %llu of those in time",
	       (unsigned long long)late, (unsigned long long)good);
}

/* New extents are as unknown as those of a new region, and a few more are no reason for haste. */
static void test_growth(void)
{
	region(MAX / 2, 8 * HM_POLICY_PAGES);
	run_ticks(400);
	p.restless = 0;
	hm_policy_extents(&p, MAX / 2 + 1);
	TAP_EQ(p.restless, 0, "an extent more changes nothing");
	hm_policy_extents(&p, MAX);
	TAP_OK(p.restless > knobs.haste_from, "as many more do");
	p.restless = 0;
	hm_policy_extents(&p, MAX / 2);
	TAP_EQ(p.restless, 0, "nor do those that go");
}

int main(void)
{
	begin();
	test_budget();
	test_late_ticks();
	test_growth();
	return tap_done();
}
