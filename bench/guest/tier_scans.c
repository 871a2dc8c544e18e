// SPDX-License-Identifier: GPL-2.0-only
/*
 * What tracking costs, in instructions: the same accesses are made with it and without, with one
 * processor, which does both; the difference is the worker and the faults that it makes. Nothing
 * is moved meanwhile. By the extent that was probed and touched, or by the page that was scanned,
 * it is given for a GiB, beside what the knobs say that the policy takes for granted, in
 * instructions. What is scanned was cleared before, which is counted with it. A visit is of an
 * extent that nobody touches; what waking up the worker takes is told from it by regions of several
 * sizes.
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
/* Instructions: a refault takes 1.4 to 2.4 us on a machine, and on 6.12 about 4000 of them. */
#define PER_NS		2

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

static void pace(struct target *t, uint64_t ms)
{
	target_knob(t, "window_max_ms", 30);
	target_knob(t, "window_min_ms", ms);
	target_knob(t, "window_max_ms", ms);
	target_knob(t, "tick_min_ms", ms);
}

static void set_up(struct target *t, const char *pool, uint32_t extents)
{
	target_open(t, pool, extents, EXTENT_PAGES, false);
	/*
	 * Many rounds, so that their cost stands out; and each in a tick, as wakeups are few by
	 * the extent where extents are many.
	 */
	target_knob(t, "budget_ppm", 200000);
	pace(t, 30);
	target_knob(t, "rate_mib", 0);
}

static void print_cost(const char *name, double instructions, double knobs)
{
	printf("%s instructions/GiB hmem %.0f\n", name, instructions);
	printf("%s instructions/GiB knobs %.0f\n", name, knobs * PER_NS);
}

static double knob(struct target *t, const char *name)
{
	uint64_t value;

	if (hmem_tier_get_knob(t->region, name, &value))
		sim_die("%s: %s", name, hmem_last_error(t->ctx));
	return (double)value;
}

/* Of one core, at the pace of the default budget in calm. */
static void project(double by_gib, double knobs_by_gib)
{
	double share = 0.009 * 0.6 * by_gib / PER_NS / knobs_by_gib;

	printf("projected-64GiB %%_of_a_core hmem %.3f\n", share * 100);
	printf("projected-64GiB %%_of_a_core limit1 1\n");
}

static void scan_whole(const char *pool, uint64_t n)
{
	struct target t;
	struct cost cost;
	double by_gib, knobs;

	set_up(&t, pool, EXTENTS);
	target_mode(&t, HMEM_TIER_MANUAL);
	touch_all(&t, EXTENT_PAGES, n / 4);
	cost = extra(&t, HMEM_TIER_MANUAL, n);
	knobs = (knob(&t, "zap_ns") + knob(&t, "fault_ns") + knob(&t, "visit_ns")) * GIB_EXTENTS;
	by_gib = cost.instructions / (double)cost.done.touches * GIB_EXTENTS;
	fprintf(stderr, "%llu extents probed and touched\n",
		(unsigned long long)cost.done.touches);
	print_cost("scan-whole", by_gib, knobs);
	project(by_gib, knobs);
	target_close(&t);
}

#define VISIT_MS	5

/* Two would do for a line; the third one shows whether it is one. */
static const uint32_t sizes[] = { 32, 128, 224 };

#define NR_SIZES	(sizeof(sizes) / sizeof(sizes[0]))

/* Instructions of something else. */
static uint64_t work(uint64_t n)
{
	struct random random = { .state = 1 };
	volatile uint64_t sum = 0;
	uint64_t began = __rdtsc();

	for (uint64_t i = 0; i < n; i++)
		sum += random_next(&random);
	return __rdtsc() - began;
}

/*
 * Extents that nobody touches are visited once in a wakeup, and need nothing: all that is charged
 * is visit_ns for each, which is how they are counted, whenever the worker comes by. Returns the
 * instructions of a wakeup, and in @visit_ns that knob.
 */
static double wakeup(const char *pool, uint32_t extents, uint64_t n, double *visit_ns)
{
	struct hmem_tier_stats before, after;
	double instructions, visits, wakeups;
	struct target t;

	set_up(&t, pool, extents);
	target_mode(&t, HMEM_TIER_MANUAL);
	touch_all(&t, EXTENT_PAGES, n / 20);
	pace(&t, VISIT_MS);
	work(n / 4);
	before = target_stats(&t);
	instructions = (double)work(n);
	after = target_stats(&t);
	target_mode(&t, HMEM_TIER_OFF);
	instructions -= (double)work(n);
	if (after.probes != before.probes || after.touches != before.touches ||
	    after.scanned != before.scanned)
		sim_die("of %u extents some needed more than a visit", extents);
	*visit_ns = knob(&t, "visit_ns");
	visits = (double)(after.track_ns - before.track_ns) / *visit_ns;
	wakeups = visits / extents;
	fprintf(stderr, "%u extents: %.0f visits in %.2f wakeups, %.0f instructions a wakeup\n",
		extents, visits, wakeups, instructions / wakeups);
	target_close(&t);
	return instructions / wakeups;
}

/* A line through what wakeups cost by extents: its slope is a visit, the rest paid once. */
static void visit(const char *pool, uint64_t n)
{
	double x = 0, y = 0, xx = 0, xy = 0, slope, fixed, visit_ns = 0;

	for (uint32_t i = 0; i < NR_SIZES; i++) {
		double took = wakeup(pool, sizes[i], n, &visit_ns);

		x += sizes[i] / (double)NR_SIZES;
		y += took / NR_SIZES;
		xx += (double)sizes[i] * sizes[i] / NR_SIZES;
		xy += sizes[i] * took / NR_SIZES;
	}
	slope = (xy - x * y) / (xx - x * x);
	fixed = y - slope * x;
	fprintf(stderr, "%.0f instructions a visit, %.0f more a wakeup\n", slope, fixed);
	print_cost("visit", slope * GIB_EXTENTS, visit_ns * GIB_EXTENTS);
	printf("wakeup instructions hmem %.0f\n", fixed);
	printf("wakeup instructions visit %.0f\n", slope);
}

/* Which part of the pages is touched between two looks: these first ones of each extent. */
static const struct {
	const char *name;
	uint32_t pages;
} parts[] = {
	{ "scan-split-1", 1 },
	{ "scan-split-51", EXTENT_PAGES / 10 },
	{ "scan-split-256", EXTENT_PAGES / 2 },
	{ "scan-split-512", EXTENT_PAGES },
};

#define NR_PARTS	(sizeof(parts) / sizeof(parts[0]))

static void split_all(struct target *t)
{
	uint32_t tries = 0;

	target_knob(t, "split_prior", 1);
	target_knob(t, "split_rate_pct", 100);
	target_knob(t, "collapse_pct", 100);
	target_mode(t, HMEM_TIER_AUTO);
	while (target_stats(t).splits < EXTENTS && tries++ < PATIENCE)
		touch_all(t, HOT_PAGES, 100000);
	if (target_stats(t).splits < EXTENTS)
		sim_die("only %llu of %d extents were split",
			(unsigned long long)target_stats(t).splits, EXTENTS);
}

/*
 * Pages whose bits were cleared for a look soon after, which is not done where looks come soon
 * anyway: by what was charged. A visit is charged 1 ns then, which is less than an extent for all.
 */
static uint64_t cleared(struct target *t, const struct hmem_tier_stats *done)
{
	double ns = (double)done->track_ns - (double)done->scanned * knob(t, "scan_page_ns");

	return (uint64_t)(ns / knob(t, "clear_page_ns") / EXTENT_PAGES) * EXTENT_PAGES;
}

static void scan_split(const char *pool, uint64_t n)
{
	struct cost cost[NR_PARTS];
	uint32_t tries = 0;
	struct target t;

	set_up(&t, pool, EXTENTS);
	split_all(&t);
	target_knob(&t, "visit_ns", 1);
	pace(&t, 8);
	/* Room that is free makes every page one that may have to come. */
	target_knob(&t, "rate_mib", 2048);
	while (!target_stats(&t).promotions && tries++ < PATIENCE)
		touch_all(&t, HOT_PAGES, 100000);
	touch_all(&t, HOT_PAGES, n);
	target_knob(&t, "rate_mib", 0);
	for (uint32_t i = 0; i < NR_PARTS; i++) {
		struct hmem_tier_stats before;

		/* As often as the part leaves time for: what is cold takes long to be that. */
		pace(&t, parts[i].pages < EXTENT_PAGES / 2 ? 8 : 30);
		/* Until what is seen of them is what they are. */
		touch_all(&t, parts[i].pages, n);
		before = target_stats(&t);
		cost[i].instructions = (double)touch_all(&t, parts[i].pages, n);
		cost[i].done = target_stats(&t);
		cost[i].done.scanned -= before.scanned;
		cost[i].done.seen -= before.seen;
		cost[i].done.track_ns -= before.track_ns;
	}
	target_mode(&t, HMEM_TIER_OFF);
	touch_all(&t, EXTENT_PAGES, n / 20);
	for (uint32_t i = 0; i < NR_PARTS; i++) {
		cost[i].instructions -= (double)touch_all(&t, parts[i].pages, n);
		fprintf(stderr, "%s: %llu pages scanned, %llu cleared before, %.1f %% touched, "
			"%.1f instructions each\n",
			parts[i].name, (unsigned long long)cost[i].done.scanned,
			(unsigned long long)cleared(&t, &cost[i].done),
			100. * (double)cost[i].done.seen / (double)cost[i].done.scanned,
			cost[i].instructions / (double)cost[i].done.scanned);
		/* As it was charged: how many were cleared is not the same each time. */
		print_cost(parts[i].name,
			   cost[i].instructions / (double)cost[i].done.scanned * GIB_PAGES,
			   (double)cost[i].done.track_ns / (double)cost[i].done.scanned *
				   GIB_PAGES);
	}
	target_close(&t);
}

void measure_scans(const char *pool, uint64_t accesses)
{
	must_count_instructions();
	scan_whole(pool, accesses);
	visit(pool, 4 * accesses);
	scan_split(pool, accesses / 8);
}
