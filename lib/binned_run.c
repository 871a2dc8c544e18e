// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Runs: claiming granules and giving them back takes a store for each of them and some atomic
 * instructions besides. A run that is freed stays a span, therefore, and is idle (granule.h); the
 * thread that freed it knows where, and has it again when it needs one as long.
 *
 * What is said here is only where to look: the word of its head decides who has a run. Others give
 * back what is idle when they find no room, and whoever dies leaves nothing that is lost.
 */
#include "binned_run.h"

/* Of the space, at most, or so many granules, are those of one thread. */
#define IDLE_PART 16
#define IDLE_LEAST 8

static void drop(struct binned_runs *runs, unsigned int i)
{
	runs->granules -= runs->lengths[i];
	runs->nr--;
	runs->lengths[i] = runs->lengths[runs->nr];
	runs->heads[i] = runs->heads[runs->nr];
}

uint64_t binned_run_take(struct binned_cache *cache, uint32_t n, uint32_t align)
{
	struct binned_runs *runs = &cache->runs;

	/* What was freed last is in the caches, if anything is. */
	for (unsigned int i = runs->nr; i; i--) {
		uint32_t head = runs->heads[i - 1];

		if (runs->lengths[i - 1] != n || head & (align - 1))
			continue;
		drop(runs, i - 1);
		if (!granules_rouse(cache->heap->g, head, cache->heap->interface, n))
			continue;
		runs->missed = 0;
		return (uint64_t)head + 1;
	}
	runs->missed += runs->nr != 0;
	return 0;
}

void binned_runs_give(struct binned_cache *cache)
{
	struct binned_runs *runs = &cache->runs;

	while (runs->nr) {
		unsigned int i = runs->nr - 1;

		granules_release_idle(cache->heap->g, runs->heads[i], cache->heap->interface,
				      runs->lengths[i], cache->owner);
		drop(runs, i);
	}
	runs->missed = 0;
}

bool binned_run_put(struct binned_cache *cache, uint64_t head, uint64_t word)
{
	struct binned_runs *runs = &cache->runs;
	struct granules *g = cache->heap->g;
	uint32_t n = granule_length(word);
	uint64_t most = g->count / IDLE_PART;

	if (most < IDLE_LEAST)
		most = IDLE_LEAST;
	/* Those that nobody asks for make room for those that are freed now. */
	if (runs->missed > BINNED_RUNS)
		binned_runs_give(cache);
	if (runs->nr == BINNED_RUNS || runs->granules + n > most)
		return granules_release(g, head, word, cache->owner);
	if (!granules_rest(g, head, word))
		return false;
	runs->lengths[runs->nr] = n;
	runs->heads[runs->nr] = (uint32_t)head;
	runs->nr++;
	runs->granules += n;
	return true;
}
