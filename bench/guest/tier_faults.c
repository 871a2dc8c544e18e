// SPDX-License-Identifier: GPL-2.0-only
/*
 * What faults cost, in instructions: those of a workload while the policy works, and those after
 * an extent was moved beside those after its mapping was merely taken away.
 *
 * Prints samples for bench/report.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <x86intrin.h>

#include "tier.h"

#define EXTENTS		64
#define ROUNDS		64	/* of moves, each with an extent of its own */
#define ENOUGH		2000	/* faults of one kind */
#define SUSPICIOUS	300	/* instructions that only a fault, or an interrupt, takes */

struct costs_seen {
	const char *name;
	uint32_t n;
	uint64_t cost[ENOUGH];
};

static int by_cost(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static uint64_t percentile(struct costs_seen *seen, uint32_t percent)
{
	qsort(seen->cost, seen->n, sizeof(*seen->cost), by_cost);
	return seen->cost[(uint64_t)(seen->n - 1) * percent / 100];
}

static void add(struct costs_seen *seen, uint64_t cost)
{
	if (seen->n < ENOUGH)
		seen->cost[seen->n++] = cost;
}

static void print_seen(const char *workload, struct costs_seen *seen)
{
	if (!seen->n)
		return;
	printf("%s-%s-count faults hmem %u\n", workload, seen->name, seen->n);
	printf("%s-%s-p50 instructions hmem %llu\n", workload, seen->name,
	       (unsigned long long)percentile(seen, 50));
	printf("%s-%s-p99 instructions hmem %llu\n", workload, seen->name,
	       (unsigned long long)percentile(seen, 99));
	seen->n = 0;
}

/* Its own cost included, which is that of two readings. */
static uint64_t touch(const struct target *t, uint32_t page, uint32_t line, bool store)
{
	volatile uint64_t *word = target_word(t, page, line);
	uint64_t began = __rdtsc();

	if (store)
		*word = line;
	else
		(void)*word;
	return __rdtsc() - began;
}

static long minor_faults(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_minflt;
}

/* --- at work ------------------------------------------------------------------------- */

enum { FIRST, NEAR, HOME, PAGE_OF_NEAR, PAGE_OF_HOME, KINDS };

static int kind_of(struct target *t, uint8_t *touched, uint32_t page)
{
	uint32_t extent = page / EXTENT_PAGES;
	bool whole = target_maps_whole(t, extent);
	uint8_t near;

	if (!touched[extent]) {
		touched[extent] = 1;
		return FIRST;
	}
	target_look_at(t, extent);
	near = t->near[page];
	if (whole)
		return near ? NEAR : HOME;
	return near ? PAGE_OF_NEAR : PAGE_OF_HOME;
}

static void time_batch(struct target *t, uint8_t *touched, struct costs_seen *seen,
		       const uint32_t *access, uint32_t n)
{
	long faults = minor_faults();

	for (uint32_t i = 0; i < n; i++) {
		uint64_t cost = touch(t, access[i] >> 1, i, access[i] & 1);
		long now;

		if (cost < SUSPICIOUS)
			continue;
		/* A tick of the kernel's may have come in between; then it was no fault. */
		now = minor_faults();
		if (now != faults)
			add(&seen[kind_of(t, touched, access[i] >> 1)], cost);
		faults = minor_faults();
	}
}

/* A workload on an untouched region. */
static void time_workload(const char *pool, const char *name, uint64_t accesses,
			  struct costs_seen *seen)
{
	uint8_t *touched = sim_alloc(EXTENTS, 1);
	uint32_t batch[BATCH];
	struct workload w;
	struct target t;

	for (uint32_t i = 0; workloads[i].name; i++)
		if (chosen(name, workloads[i].name))
			w = workloads[i];
	w.extents = EXTENTS;
	w.accesses = accesses;
	w.random.state = 1;
	w.kind->make(&w);
	target_open(&t, pool, w.extents, w.extents / w.dram * EXTENT_PAGES, true);
	/* Many rounds: what a fault costs is of interest, not how many there are. */
	target_knob(&t, "budget_ppm", 100000);
	target_knob(&t, "window_min_ms", 5);
	target_knob(&t, "split_prior", 1);
	target_mode(&t, HMEM_TIER_AUTO);
	for (uint64_t at = 0; at < accesses; at += BATCH) {
		w.kind->fill(&w, at, batch, BATCH);
		time_batch(&t, touched, seen, batch, BATCH);
	}
	target_close(&t);
	w.kind->free(&w);
	free(touched);
}

void measure_faults(const char *pool, uint64_t accesses)
{
	static const char *const names[] = { "gups-h8-d8", "zipf-scrambled-d8" };
	static struct costs_seen seen[KINDS] = {
		[FIRST] = { .name = "first" },
		[NEAR] = { .name = "near" },
		[HOME] = { .name = "home" },
		[PAGE_OF_NEAR] = { .name = "near-page" },
		[PAGE_OF_HOME] = { .name = "home-page" },
	};

	must_count_instructions();
	for (uint32_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		time_workload(pool, names[i], accesses, seen);
		for (uint32_t j = 0; j < KINDS; j++)
			print_seen(names[i], &seen[j]);
	}
}

/* --- after a move -------------------------------------------------------------------- */

static uint64_t after_move(struct target *t, uint32_t extent, enum hmem_tier_place place,
			   bool store)
{
	if (target_move(t, extent, 1, place) != 1)
		sim_die("extent %u cannot be moved", extent);
	return touch(t, extent * EXTENT_PAGES, 0, store);
}

/* It stays where it is. */
static uint64_t after_zap(struct target *t, uint32_t extent, bool store)
{
	if (madvise(t->base + extent * EXTENT_BYTES, EXTENT_BYTES, MADV_DONTNEED))
		sim_die("MADV_DONTNEED");
	return touch(t, extent * EXTENT_PAGES, 0, store);
}

static void print_pair(const char *name, struct costs_seen *moved, struct costs_seen *plain)
{
	printf("%s instructions hmem %llu\n", name, (unsigned long long)percentile(moved, 50));
	printf("%s instructions plain %llu\n", name, (unsigned long long)percentile(plain, 50));
	moved->n = plain->n = 0;
}

static void compare(struct target *t, bool store)
{
	static struct costs_seen near, near_plain, home, home_plain;

	for (uint32_t i = 0; i < ROUNDS; i++) {
		add(&near, after_move(t, i, HMEM_TIER_NEAR, store));
		add(&near_plain, after_zap(t, i, store));
		add(&home, after_move(t, i, HMEM_TIER_HOME, store));
		add(&home_plain, after_zap(t, i, store));
	}
	print_pair(store ? "moved-near-store" : "moved-near-load", &near, &near_plain);
	print_pair(store ? "moved-home-store" : "moved-home-load", &home, &home_plain);
}

void measure_moves(const char *pool)
{
	struct target t;

	must_count_instructions();
	target_open(&t, pool, ROUNDS, (uint64_t)ROUNDS * EXTENT_PAGES, false);
	compare(&t, false);
	compare(&t, true);
	target_close(&t);
}
