// SPDX-License-Identifier: GPL-2.0-only
/* The arithmetic of the policy engine, its knobs, and what it observes. */
#include "policy_region.h"

static void test_arithmetic(void)
{
	double worst = 0, worst_exp = 0;

	for (u64 x = 2; x < 1ULL << 60; x += x / 7 + 1) {
		double is = log2((double)x) * 256, off = fabs(is - hm_log2(x));
		double back = fabs(log2((double)hm_exp2(hm_log2(x)) / (double)x) * 256);

		worst = off > worst ? off : worst;
		if (x > 4096 && x < 1ULL << 55)
			worst_exp = back > worst_exp ? back : worst_exp;
	}
	TAP_OK(worst < 5, "log2 is off by %.1f 256ths of an octave at most", worst);
	TAP_OK(worst_exp < 8, "and there and back by %.1f", worst_exp);
	TAP_EQ(hm_log2(0), 0, "the logarithm of nothing is 0");
	TAP_OK(sizeof(struct hm_heat) <= 32 && sizeof(struct hm_policy) <= 12288,
	       "a heat is %zu bytes, a region's policy %zu", sizeof(struct hm_heat),
	       sizeof(struct hm_policy));
}

static void test_knobs(void)
{
	struct hm_policy_knobs k;
	bool in = true, out = true, documented = true;

	hm_policy_defaults(&k);
	for (u32 i = 0; hm_policy_knob(i); i++) {
		const struct hm_policy_knob *knob = hm_policy_knob(i);
		u32 *value = (u32 *)&k + i, was = *value;

		in = in && was == knob->value && was >= knob->least && was <= knob->most &&
		     hm_policy_set(&k, i, knob->least) && *value == knob->least &&
		     hm_policy_set(&k, i, knob->most) && *value == knob->most;
		out = out && !hm_policy_set(&k, i, knob->most + 1) &&
		      (!knob->least || !hm_policy_set(&k, i, knob->least - 1)) &&
		      *value == knob->most;
		documented = documented && *knob->unit && *knob->why;
		hm_policy_set(&k, i, was);
	}
	TAP_OK(in, "each knob has its default, and takes the ends of its range");
	TAP_OK(out, "and nothing beyond, when it stays as it was");
	TAP_OK(documented, "each has a unit and a reason");
	TAP_OK(!hm_policy_set(&k, HM_NR_KNOBS, 1) && !hm_policy_knob(HM_NR_KNOBS),
	       "there are no others");
}

static void test_observing(void)
{
	s32 off, before;

	region(2, 512);
	/* Exponential times with a mean of 1 ms. */
	for (u32 i = 0; i < 4000; i++)
		touch(0, (u64)(-log((chance(1 << 30) + 0.5) / (1 << 30)) * 1e6), 1);
	off = heat[0].lasting - (s32)(HM_EXTENT_TOP - hm_log2(1000000));
	TAP_OK(abs(off) < 450, "the rate is found: off by %d 256ths of an octave", off);

	touch(1, 1000000, 20);
	before = heat[1].lasting;
	now += 50 * MS;
	hm_policy_zapped(&p, &heat[1], now);
	hm_policy_touched(&p, &heat[1], 1, 0, now + 1000);
	TAP_OK(heat[1].lasting - before < HM_OCT / 2, "one lucky touch hardly counts");
	touch(1, 1000, 4);
	TAP_OK(heat[1].lasting - before > 6 * HM_OCT, "four in a row are a change");
	TAP_OK(heat[1].seen < 6, "after which little is known");

	/* The same four within a moment are one pass. */
	touch(0, 1000000, 20);
	before = heat[0].lasting;
	now += 50 * MS;
	for (u32 i = 0; i < 8; i++) {
		hm_policy_zapped(&p, &heat[0], now);
		hm_policy_touched(&p, &heat[0], 0, i, now += 1000);
	}
	TAP_OK(heat[0].lasting - before < 4 * HM_OCT && heat[0].seen > 8,
	       "eight within a moment are not");

	/* Silence is an observation. */
	region(1, 512);
	touch(0, 100000, 20);
	before = heat[0].lasting;
	hm_policy_zapped(&p, &heat[0], now);
	now += 400 * MS;
	hm_policy_visit(&p, &heat[0], 0, now);
	TAP_OK(heat[0].brief < before - 3 * HM_OCT && heat[0].flags & HM_HEAT_ARMED,
	       "who is not touched cools, and stays zapped");

	/* The clock of a heat has 32 bits. */
	now = ((1ULL << 32) << HM_TIME_SHIFT) - 50000;
	hm_policy_zapped(&p, &heat[0], now);
	TAP_EQ(hm_elapsed(&heat[0], now + 100096) / 1000, 100, "times go on where they wrap");
	now = 1ULL << 40;
}

/* However long surprises are to last to be believed, there are some that do. */
static void test_confirming(void)
{
	u64 steps[] = { 20 * MS, 50 * MS, 100 * MS, 250 * MS, 333 * MS };
	u32 number = 0, late = 0;

	while (strcmp(hm_policy_knob(number)->name, "confirm_ms"))
		number++;
	knobs.confirm_ms = hm_policy_knob(number)->most;
	for (u32 i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
		s32 before;
		u32 times = 0;

		region(1, 512);
		touch(0, 1000000, 20);
		before = heat[0].lasting;
		do {
			now += steps[i] - 50 * MS;
			touch(0, 1000, 1);
		} while (heat[0].seen > 2 && ++times < 100);
		late += times == 100 || heat[0].lasting - before < 6 * HM_OCT;
	}
	TAP_EQ(late, 0, "a change is believed however long it has to last");
	hm_policy_defaults(&knobs);
}

static void test_costs(void)
{
	const struct hm_policy_costs measured = { .near_ns = 90, .home_ns = 400,
						  .copy_extent_ns = 300000 };
	const struct hm_policy_costs slow = { 200000, 3000000, 200000000, 400000 };
	struct hm_policy_knobs k;

	hm_policy_defaults(&k);
	k.near_ns = 80;
	hm_policy_fill(&k, &measured);
	TAP_OK(k.near_ns == 80 && k.home_ns == 400 && k.copy_extent_ns == 300000 &&
		       k.copy_page_ns == 1000,
	       "a knob that is given counts, else what was measured, else what is usual");
	hm_policy_defaults(&k);
	hm_policy_fill(&k, NULL);
	TAP_OK(k.near_ns == 100 && k.home_ns == 250 && k.copy_extent_ns == 418000,
	       "also when nothing was measured");
	hm_policy_defaults(&k);
	hm_policy_fill(&k, &slow);
	TAP_OK(k.near_ns == 1000 && k.home_ns == 10000 && k.copy_extent_ns == 2000000 &&
		       k.copy_page_ns == 5000,
	       "what no memory takes is not believed");
}

int main(void)
{
	begin();
	test_arithmetic();
	test_knobs();
	test_confirming();
	test_costs();
	test_observing();
	return tap_done();
}
