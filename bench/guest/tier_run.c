// SPDX-License-Identifier: GPL-2.0-only
/*
 * A workload on a region: batches of the generator are accessed for real, and counted, while the
 * module does as its policy says. Where each page is, is looked up before each slice of the run
 * (once in PAGE_SLICES where extents are split, as that takes a look at each page), and what is
 * accessed in the slice is served from there. What became of it is told as the simulator tells it.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tier_run.h"

#define PAGE_SLICES	20

/* Of the run: the oracle makes the same stream once more. */
static const struct run_options *options;

static void make_workload(struct workload *w, uint64_t accesses)
{
	w->accesses = accesses / SLICES * SLICES;
	w->extents = options->extents;
	w->near_pages = (uint64_t)(w->extents / w->dram) * EXTENT_PAGES;
	w->random.state = options->seed;
	w->kind->make(w);
}

/* Requests come at a steady pace; what is late is not made up for. */
static void wait_for_request(void)
{
	static uint64_t next;
	uint64_t now = now_ns();
	struct timespec at;

	next += options->every_ns;
	if (next <= now || next > now + options->every_ns) {
		next = now;
		return;
	}
	at.tv_sec = (time_t)(next / 1000000000);
	at.tv_nsec = (long)(next % 1000000000);
	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
}

/* Returns how many of the accesses found their page near. */
static uint32_t access_all(struct target *t, struct oracle *count, const uint32_t *access,
			   uint32_t n)
{
	uint32_t hits = 0;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t page = access[i] >> 1;
		volatile uint64_t *word = target_word(t, page, i);

		if (access[i] & 1)
			(*word)++;
		else
			(void)*word;
		count->count[page]++;
		hits += t->near[page];
	}
	return hits;
}

static void take_stats(struct memory *m, struct target *t, uint64_t began)
{
	struct hmem_tier_stats s = target_stats(t);

	m->now = now_ns() - began;
	m->promoted = s.promotions;
	m->demoted = s.demotions;
	m->copied = s.copied;
	m->aborted = s.aborted / EXTENT_PAGES;
	m->pingpongs = s.pingpongs;
	m->tracked_ns = s.track_ns;
	m->faults = s.touches;
}

static void phase_over(struct memory *m, const struct target *t, const struct workload *w,
		       uint32_t phase)
{
	m->watched = 0;
	for (uint32_t i = 0; w->watched && i < w->extents; i++) {
		m->watched += w->watched[i];
		m->watched_near[phase] += w->watched[i] && t->near[i * EXTENT_PAGES];
	}
}

/* From @at to the end of its slice, or of the phase. */
static uint64_t run_slice(struct target *t, struct workload *w, struct memory *m,
			  struct oracle *oracle, uint64_t at, uint64_t end)
{
	uint64_t slice = w->accesses / SLICES, now = at / slice;
	uint32_t batch[BATCH];

	if (at % slice == 0)
		target_look(t, now % PAGE_SLICES == 0);
	if (end > (now + 1) * slice)
		end = (now + 1) * slice;
	while (at < end) {
		uint32_t n = end - at < options->request ? (uint32_t)(end - at) :
							   options->request;

		w->kind->fill(w, at, batch, n);
		if (options->every_ns)
			wait_for_request();
		m->slice_hits[now] += access_all(t, oracle, batch, n);
		at += n;
	}
	return at;
}

static void run_phases(struct target *t, struct workload *w, const struct policy *policy,
		       struct memory *m, struct oracle *oracle)
{
	uint64_t began = now_ns(), at = 0;

	for (uint32_t phase = 0; phase < w->phases; phase++) {
		if (policy->place)
			policy->place(t, w, phase);
		while (at < w->phase_at[phase + 1]) {
			at = run_slice(t, w, m, oracle, at, w->phase_at[phase + 1]);
			if (at != w->accesses / 2)
				continue;
			take_stats(m, t, began);
			m->copied_half = m->copied;
			m->tracked_half = m->tracked_ns;
			m->now_half = m->now;
		}
		target_look(t, true);
		phase_over(m, t, w, phase);
		oracle_phase_over(oracle, phase, w->near_pages);
	}
	take_stats(m, t, began);
	for (uint32_t i = 0; i < SLICES; i++)
		m->near_hits += m->slice_hits[i];
}

void run(const struct workload *from, const struct policy *policy, const struct run_options *o)
{
	struct tier name = { .name = policy->name };
	struct memory m = { .tier = &name }, *memory = &m;
	struct workload w = *from;
	struct oracle oracle = { 0 };
	struct target t;

	options = o;
	make_workload(&w, o->accesses / policy->part);
	oracle_make(&oracle, w.extents);
	target_open(&t, o->pool, w.extents, w.near_pages, false);
	target_mode(&t, policy->mode);
	run_phases(&t, &w, policy, &m, &oracle);
	report(&w, &oracle, &memory, 1);
	target_close(&t);
	oracle_free(&oracle);
	w.kind->free(&w);
}

/* --- who decides --------------------------------------------------------------------- */

struct counted {
	uint64_t count;
	uint32_t extent;
};

static int by_count(const void *a, const void *b)
{
	const struct counted *x = a, *y = b;

	return x->count < y->count ? 1 : x->count > y->count ? -1 : 0;
}

/* As many as fit, the first ones of these; all others go home before. */
static void place_first(struct target *t, const struct workload *w, const struct counted *order)
{
	uint32_t fit = (uint32_t)(w->near_pages / EXTENT_PAGES);

	target_move(t, 0, t->extents, HMEM_TIER_HOME);
	for (uint32_t i = 0; i < fit; i++)
		if (target_move(t, order[i].extent, 1, HMEM_TIER_NEAR) != 1)
			sim_die("extent %u cannot be moved", order[i].extent);
}

/* With foresight: the stream is made once more, and counted. */
static void place_hottest(struct target *t, const struct workload *w, uint32_t phase)
{
	struct counted *order = sim_alloc(t->extents, sizeof(*order));
	uint32_t batch[BATCH];
	struct workload again;

	for (uint32_t i = 0; workloads[i].name; i++)
		if (!strcmp(workloads[i].name, w->name))
			again = workloads[i];
	make_workload(&again, w->accesses);
	for (uint32_t i = 0; i < t->extents; i++)
		order[i].extent = i;
	for (uint64_t at = 0; at < w->phase_at[phase + 1];) {
		uint64_t next = at < w->phase_at[phase] ? w->phase_at[phase] :
							  w->phase_at[phase + 1];
		uint32_t n = next - at < BATCH ? (uint32_t)(next - at) : BATCH;

		again.kind->fill(&again, at, batch, n);
		for (uint32_t i = 0; at >= w->phase_at[phase] && i < n; i++)
			order[batch[i] / 2 / EXTENT_PAGES].count++;
		at += n;
	}
	again.kind->free(&again);
	qsort(order, t->extents, sizeof(*order), by_count);
	place_first(t, w, order);
	free(order);
}

static void place_any(struct target *t, const struct workload *w, uint32_t phase)
{
	struct random random = { .state = phase + 12345 };
	uint32_t *order = random_permutation(&random, t->extents);
	struct counted *first = sim_alloc(t->extents, sizeof(*first));

	for (uint32_t i = 0; i < t->extents; i++)
		first[i].extent = order[i];
	if (!phase)
		place_first(t, w, first);
	free(order);
	free(first);
}

const struct policy policies[] = {
	{ .name = "none", .mode = HMEM_TIER_OFF, .part = 20 },
	{ .name = "random", .mode = HMEM_TIER_MANUAL, .place = place_any, .part = 20 },
	{ .name = "oracle", .mode = HMEM_TIER_MANUAL, .place = place_hottest, .part = 20 },
	{ .name = "hmem", .mode = HMEM_TIER_AUTO, .part = 1 },
	{ .name = NULL },
};
