// SPDX-License-Identifier: GPL-2.0-only
/*
 * One thread: a block is allocated and freed (pair), others are freed in any order while so many
 * are there (window), so many are allocated and then all freed (fill). In ns of the thread's own
 * time, by the block.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "heap.h"

#define LIVE_MAX    1000
#define LIVE_BYTES  (64u << 20)
#define CHOICES	    8192

static const size_t sizes[] = {
	16, 64, 256, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10, 512 << 10, 1 << 20,
};

#define SIZES (sizeof(sizes) / sizeof(sizes[0]))

enum load { PAIR, WINDOW, FILL, LOADS };

static const char *const load_names[] = { "pair", "window", "fill" };

static void *live[LIVE_MAX];
static uint16_t choices[CHOICES];

static size_t live_blocks(size_t bytes)
{
	return LIVE_BYTES / bytes < LIVE_MAX ? LIVE_BYTES / bytes : LIVE_MAX;
}

static void choose(size_t nr)
{
	uint64_t seed = 88172645463325252ull;

	for (size_t i = 0; i < CHOICES; i++)
		choices[i] = (uint16_t)(dice(&seed) % nr);
}

static double pair(const struct heap *heap, void *state, size_t bytes, size_t calls)
{
	double begin = own_time();

	for (size_t i = 0; i < calls; i++)
		heap->free(state, heap->alloc(state, bytes));
	return own_time() - begin;
}

static double window(const struct heap *heap, void *state, size_t bytes, size_t calls)
{
	double begin, end;
	size_t nr = live_blocks(bytes);

	for (size_t i = 0; i < nr; i++)
		live[i] = heap->alloc(state, bytes);
	choose(nr);
	begin = own_time();
	for (size_t i = 0; i < calls; i++) {
		void **slot = &live[choices[i % CHOICES]];

		heap->free(state, *slot);
		*slot = heap->alloc(state, bytes);
	}
	end = own_time();
	for (size_t i = 0; i < nr; i++)
		heap->free(state, live[i]);
	return end - begin;
}

static double fill(const struct heap *heap, void *state, size_t bytes, size_t calls)
{
	size_t nr = live_blocks(bytes);
	double begin = own_time();

	for (size_t done = 0; done < calls; done += nr) {
		for (size_t i = 0; i < nr; i++)
			live[i] = heap->alloc(state, bytes);
		for (size_t i = 0; i < nr && !heap->reset; i++)
			heap->free(state, live[i]);
		if (heap->reset)
			heap->reset(state);
	}
	return own_time() - begin;
}

static double run(enum load load, const struct heap *heap, void *state, size_t bytes, size_t calls)
{
	switch (load) {
	case PAIR:
		return pair(heap, state, bytes, calls);
	case WINDOW:
		return window(heap, state, bytes, calls);
	default:
		return fill(heap, state, bytes, calls);
	}
}

/* So many that they take about a millisecond, and full windows. */
static size_t calls_for(enum load load, const struct heap *heap, void *state, size_t bytes)
{
	size_t nr = live_blocks(bytes), calls;
	double per;

	run(load, heap, state, bytes, nr);
	per = run(load, heap, state, bytes, nr) / (double)nr;
	calls = (size_t)((quick ? 1e5 : 1e6) / (per > 1 ? per : 1));
	return (calls / nr + 1) * nr;
}

static void one(enum load load, const struct heap *heap, size_t size, size_t *calls)
{
	void *state = heap->enter(size);
	char metric[32];
	double ns;

	if (!*calls)
		*calls = calls_for(load, heap, state, size);
	else
		run(load, heap, state, size, live_blocks(size));
	ns = run(load, heap, state, size, *calls) / (double)*calls;
	snprintf(metric, sizeof(metric), "%s-%s", load_names[load], size_name(size));
	sample(metric, "ns", heap->name, ns);
	heap->leave(state);
}

void pairs_round(const char *place, unsigned int round)
{
	static const struct heap *const list[] = {
		&heap_general,	&heap_mimalloc, &heap_jemalloc, &heap_glibc, &heap_memkind,
		&heap_kept,	&heap_handle,	&heap_slab,	&heap_bump,	NULL,
	};
	static const struct heap **heaps;
	static size_t nr, (*calls)[SIZES][LOADS];

	if (!heaps) {
		heaps = heaps_open(list, place, true);
		while (heaps[nr])
			nr++;
		calls = calloc(nr, sizeof(*calls));
		if (!calls)
			fail("pairs", "no memory");
	}
	for (size_t size = 0; size < SIZES; size++)
		for (enum load load = PAIR; load < LOADS; load++)
			for (size_t i = 0; i < nr; i++) {
				size_t n = (i + round) % nr;

				/* What is only reset has no use for the others. */
				if (!heaps[n]->reset || load == FILL)
					one(load, heaps[n], sizes[size], &calls[n][size][load]);
			}
}
