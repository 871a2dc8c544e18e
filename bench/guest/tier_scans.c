// SPDX-License-Identifier: GPL-2.0-only
/*
 * What tracking costs, in instructions: the same accesses are made with it and without, with one
 * processor, which does both; the difference is the worker and the faults that it makes. Nothing
 * is moved meanwhile. By the extent that was probed and touched, or by the page that was scanned,
 * it is given for a GiB, beside what the knobs say that the policy takes for granted.
 *
 * Prints samples for bench/report.
 */
#include <stdio.h>
#include <sys/resource.h>
#include <x86intrin.h>

#include "tier.h"

#define EXTENTS		128
#define GIB_EXTENTS	512
#define GIB_PAGES	(GIB_EXTENTS * EXTENT_PAGES)
#define HOT_PAGES	8	/* of each extent, until all are split */
#define PATIENCE	400	/* times a million accesses */

/* Anywhere in the first @pages of each extent. Returns the instructions that it took. */
static uint64_t touch_all(struct target *t, uint32_t pages, uint64_t n)
{
	struct random random = { .state = 1 };
	uint64_t began = __rdtsc();

	for (uint64_t i = 0; i < n; i++) {
		uint64_t bits = random_next(&random);
		uint32_t extent = random_scale((uint32_t)(bits >> 32), t->extents);

		(void)*target_word(t, extent * EXTENT_PAGES +
				   random_scale((uint32_t)bits, pages), (uint32_t)i);
	}
	return __rdtsc() - began;
}

struct cost {
	double instructions;
	struct hmem_tier_stats done;
};

/* How much more it takes with @mode than without. */
static struct cost extra(struct target *t, enum hmem_tier_mode mode, uint64_t n)
{
	struct hmem_tier_stats before = target_stats(t);
	struct cost cost;
	uint64_t with = touch_all(t, EXTENT_PAGES, n);

	cost.done = target_stats(t);
	cost.done.touches -= before.touches;
	cost.done.scanned -= before.scanned;
	target_mode(t, HMEM_TIER_OFF);
	/* What was taken away comes back before it counts. */
	touch_all(t, EXTENT_PAGES, n / 20);
	cost.instructions = (double)with - (double)touch_all(t, EXTENT_PAGES, n);
	target_mode(t, mode);
	return cost;
}

static void set_up(struct target *t, const char *pool)
{
	target_open(t, pool, EXTENTS, EXTENT_PAGES, false);
	/*
	 * Many rounds, so that their cost stands out; and each in a tick, as wakeups are few by
	 * the extent where extents are many.
	 */
	target_knob(t, "budget_ppm", 200000);
	target_knob(t, "window_min_ms", 30);
	target_knob(t, "window_max_ms", 30);
	target_knob(t, "tick_min_ms", 30);
	target_knob(t, "rate_mib", 0);
}

static void print_cost(const char *name, double instructions, double knobs)
{
	printf("%s instructions/GiB hmem %.0f\n", name, instructions);
	printf("%s instructions/GiB knobs %.0f\n", name, knobs);
}

static double knob(struct target *t, const char *name)
{
	uint64_t value;

	if (hmem_tier_get_knob(t->region, name, &value))
		sim_die("%s: %s", name, hmem_last_error(t->ctx));
	return (double)value;
}

/* Of one core that executes an instruction a ns, at the pace of the default budget in calm. */
static void project(double by_gib, double knobs_by_gib)
{
	double share = 0.008 * 0.6 * by_gib / knobs_by_gib;

	printf("projected-64GiB %%_of_a_core hmem %.3f\n", share * 100);
	printf("projected-64GiB %%_of_a_core limit1 1\n");
}

static void scan_whole(const char *pool, uint64_t n)
{
	struct target t;
	struct cost cost;
	double by_gib, knobs;

	set_up(&t, pool);
	target_mode(&t, HMEM_TIER_MANUAL);
	touch_all(&t, EXTENT_PAGES, n / 4);
	cost = extra(&t, HMEM_TIER_MANUAL, n);
	knobs = (knob(&t, "zap_ns") + knob(&t, "fault_ns")) * GIB_EXTENTS;
	by_gib = cost.instructions / (double)cost.done.touches * GIB_EXTENTS;
	fprintf(stderr, "%llu extents probed and touched\n",
		(unsigned long long)cost.done.touches);
	print_cost("scan-whole", by_gib, knobs);
	project(by_gib, knobs);
	target_close(&t);
}

static void scan_split(const char *pool, uint64_t n)
{
	struct target t;
	struct cost cost;
	uint32_t tries = 0;

	set_up(&t, pool);
	target_knob(&t, "split_prior", 1);
	target_knob(&t, "split_rate_pct", 100);
	target_mode(&t, HMEM_TIER_AUTO);
	while (target_stats(&t).splits < EXTENTS && tries++ < PATIENCE)
		touch_all(&t, HOT_PAGES, 100000);
	if (target_stats(&t).splits < EXTENTS)
		sim_die("only %llu of %d extents were split",
			(unsigned long long)target_stats(&t).splits, EXTENTS);
	touch_all(&t, EXTENT_PAGES, n / 4);
	cost = extra(&t, HMEM_TIER_OFF, n);
	fprintf(stderr, "%llu pages scanned\n", (unsigned long long)cost.done.scanned);
	print_cost("scan-split", cost.instructions / (double)cost.done.scanned * GIB_PAGES,
		   knob(&t, "scan_page_ns") * GIB_PAGES);
	target_close(&t);
}

void measure_scans(const char *pool, uint64_t accesses)
{
	must_count_instructions();
	scan_whole(pool, accesses);
	scan_split(pool, accesses);
}
