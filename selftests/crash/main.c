// SPDX-License-Identifier: GPL-2.0-only
/*
 * explore: recovers a shelf from every state that a loss of power may leave.
 *
 *	explore [STATES] [SEED]		at least so many distinct ones; 0: until stopped
 *	explore deaths [EVERY]		only processes that die, in every so-many-th place
 *	explore overlaps [EVERY]	only those that stop there, while another goes on
 *	explore one ...			a sequence, as a finding tells it
 *	explore mutants [STATES [FUNCTION]] with faults in the library, of which each must be found
 *
 * Documentation/testing.md says what a state is.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tap.h"

#include "again.h"
#include "explore.h"
#include "machine.h"
#include "mutants.h"
#include "recovered.h"
#include "sequences.h"

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void report(const char *what, const struct counts *was, uint64_t since)
{
	const struct counts *is = &explore_counts;

	tap_diag("%s: %" PRIu64 " sequences, %" PRIu64 " instants (%" PRIu64
		 " of them sampled), states: %" PRIu64 " exhaustive, %" PRIu64 " sampled; %" PRIu64
		 " distinct, %" PRIu64 " of them during recovery after %" PRIu64
		 " power cuts; %" PRIu64 " deaths; %.1f s",
		 what, is->sequences - was->sequences, is->points - was->points,
		 is->points_sampled - was->points_sampled, is->exhaustive - was->exhaustive,
		 is->sampled - was->sampled, is->distinct - was->distinct,
		 is->in_recovery - was->in_recovery, is->second_cuts - was->second_cuts,
		 is->deaths - was->deaths,
		 (double)(now_ms() - since) / 1000);
}

static bool part(bool good, const char *name, const struct counts *was, uint64_t since)
{
	report(name, was, since);
	TAP_OK(good, "%s: recovered as before or after the call", name);
	if (!good)
		explore_print();
	return good;
}

/* Sequences that can be repeated one by one. */
static bool one_of(bool good, const char *name, const struct counts *was, uint64_t since)
{
	if (!part(good, name, was, since))
		again_tell();
	return good;
}

/* Of which sort the media are is part of the seed. */
#define SEED_LINES (1ull << 62)

/* So many, but some more than there were in any case. */
static uint64_t at_least(uint64_t states)
{
	uint64_t least = explore_counts.distinct + 50000;

	return states > least ? states : least;
}

static bool random_until(uint64_t states, uint64_t seed, const char *name)
{
	struct counts was = explore_counts;
	uint64_t since = now_ms(), shown = since;
	bool good = true;

	while (good && explore_counts.distinct < states) {
		good = explore_random(seed);
		if (!good)
			tap_diag("explore 1 %" PRIu64 " repeats it", seed);
		seed++;
		if (now_ms() - shown > 60000) {
			shown = now_ms();
			report(name, &was, since);
		}
	}
	return part(good, name, &was, since);
}

/*
 * How deep, for so many states in all: up to so many at one instant all of them are looked at, else
 * some. What is short by itself could be explored for days.
 */
static const struct depth {
	uint64_t states;
	uint64_t call_limit, call_samples;
	uint64_t pair_limit, pair_samples;
	uint64_t longer_limit, longer_samples;
	unsigned int media;	/* on so many a pair is looked at: one or both */
	unsigned int again;	/* each so-many-th state is recovered a second time */
	unsigned int every[2];	/* of the cuts in pairs: on lines, on pages */
	unsigned int triples;	/* every so-many-th */
	unsigned int deaths[2];	/* every so-many-th: on lines, on pages */
	unsigned int overlaps[2];
} depths[] = {
	{ 5000000, 1u << 13, 256, 1u << 4, 4, 1u << 7, 32, 1, 3, { 53, 59 }, 29, { 31, 61 },
	  { 97, 193 } },
	{ 50000000, 1u << 14, 1024, 1u << 5, 12, 1u << 10, 256, 2, 1, { 3, 7 }, 1, { 3, 7 },
	  { 7, 13 } },
	{ UINT64_MAX, 1u << 20, 4096, 1u << 20, 4096, 1u << 10, 256, 2, 1, { 3, 7 }, 1, { 1, 1 },
	  { 1, 1 } },
};

static const struct depth *depth_for(uint64_t states)
{
	const struct depth *depth = depths;

	while ((states ? states : UINT64_MAX) > depth->states)
		depth++;
	return depth;
}

static void everything(uint64_t states, uint64_t seed)
{
	static const char *const names[] = { "cache lines", "pages" };
	const struct depth *depth = depth_for(states);
	bool all_starts = depth > depths;
	char name[64];

	recovered_again = depth->again;

	for (unsigned int msync = 0; msync < 2; msync++) {
		struct counts was = explore_counts;
		uint64_t since = now_ms();

		explore_media(msync);
		explore_limit = depth->call_limit;
		explore_samples = depth->call_samples;
		snprintf(name, sizeof(name), "each call, %s", names[msync]);
		one_of(sequences_single(), name, &was, since);
		was = explore_counts;
		since = now_ms();
		/*
		 * They are many: who has time looks at more states of each, on other shelves too, and
		 * at each on lines and on pages.
		 */
		explore_limit = depth->pair_limit;
		explore_samples = depth->pair_samples;
		snprintf(name, sizeof(name), "two calls, %s", names[msync]);
		one_of(sequences_pairs(START_TWO, depth->media == 1 && msync, 3 - depth->media) &&
			     (msync || !all_starts ||
			      (sequences_pairs(START_TWO_B, 0, 1) &&
			       sequences_pairs(START_TWO_C, 0, 1) &&
			       sequences_pairs(START_TWO_D, 0, 1))),
		     name, &was, since);
	}
	explore_limit = depth->longer_limit;
	explore_samples = depth->longer_samples;
	for (unsigned int msync = 0; msync < 2; msync++) {
		struct counts was = explore_counts;
		uint64_t since = now_ms();

		explore_media(msync);
		snprintf(name, sizeof(name), "longer, %s", names[msync]);
		one_of(sequences_scenarios(), name, &was, since);
		was = explore_counts;
		since = now_ms();
		snprintf(name, sizeof(name), "a power cut in two calls, %s", names[msync]);
		one_of(sequences_cut(START_TWO, depth->every[msync]), name, &was, since);
		was = explore_counts;
		since = now_ms();
		explore_limit = depth->pair_limit;
		explore_samples = depth->pair_samples;
		snprintf(name, sizeof(name), "three threads on one object, %s", names[msync]);
		one_of(sequences_triples(msync, depth->triples), name, &was, since);
		was = explore_counts;
		since = now_ms();
		snprintf(name, sizeof(name), "a death in each call, %s", names[msync]);
		one_of(sequences_deaths(msync ? START_ORDERED : START_TWO, depth->deaths[msync]) &&
			     (!all_starts || sequences_deaths(msync ? START_TWO : START_ORDERED,
							      depth->deaths[msync])),
		     name, &was, since);
		was = explore_counts;
		since = now_ms();
		snprintf(name, sizeof(name), "two calls at once, %s", names[msync]);
		one_of(sequences_overlaps(msync ? START_ORDERED : START_TWO, depth->overlaps[msync]) &&
			     (!all_starts || sequences_overlaps(msync ? START_TWO : START_ORDERED,
								depth->overlaps[msync])),
		     name, &was, since);
		explore_limit = depth->longer_limit;
		explore_samples = depth->longer_samples;
	}
	explore_limit = 1u << 10;
	explore_samples = 256;
	/* Half of what is left for pages, but some of it in any case; or in turn, until stopped. */
	do {
		explore_media(true);
		random_until(at_least(states ? (explore_counts.distinct + states) / 2 : 0), seed,
			     "at random, pages");
		explore_media(false);
		random_until(at_least(states), seed | SEED_LINES, "at random, cache lines");
		seed += 1u << 24;
	} while (!states && !tap_failures);
}

static void only(const char *what, bool (*sequences)(enum start start, unsigned int every),
		 unsigned int every)
{
	static const char *const names[] = { "cache lines", "pages" };
	char name[64];

	recovered_again = 3;
	explore_limit = 1u << 5;
	explore_samples = 12;
	for (unsigned int msync = 0; msync < 2; msync++) {
		struct counts was = explore_counts;
		uint64_t since = now_ms();

		explore_media(msync);
		snprintf(name, sizeof(name), "%s, %s", what, names[msync]);
		one_of(sequences(START_TWO, every) && sequences(START_ORDERED, every), name, &was, since);
	}
}

static void verdict(bool good, const char *text)
{
	TAP_OK(good, "%s", text);
}

int main(int argc, char **argv)
{
	struct counts none = { 0 };
	uint64_t since = now_ms(), states = 1000000, seed = 1;

	machines_init();
	explore_init();
	if (argc > 1 && !strcmp(argv[1], "mutants")) {
		struct mutants of = mutants(argc > 2 ? strtoull(argv[2], NULL, 0) : 200000,
					    argc > 3 ? argv[3] : NULL, verdict);

		tap_diag("of %u faults %u were caught and %u not, %u more are none; %u sequences; "
			 "%.1f s", of.caught + of.missed, of.caught, of.missed, of.none,
			 of.sequences, (double)(now_ms() - since) / 1000);
		return tap_done();
	}
	if (argc > 1 && (!strcmp(argv[1], "deaths") || !strcmp(argv[1], "overlaps"))) {
		only(argv[1], *argv[1] == 'd' ? sequences_deaths : sequences_overlaps,
		     argc > 2 ? (unsigned int)strtoul(argv[2], NULL, 0) : 1);
		report("in all", &none, since);
		return tap_done();
	}
	if (argc == 2 + AGAIN_NUMBERS && !strcmp(argv[1], "one")) {
		part(again_run(argv + 2), "one sequence", &none, since);
		return tap_done();
	}
	if (argc > 1)
		states = strtoull(argv[1], NULL, 0);
	if (argc > 2) {
		seed = strtoull(argv[2], NULL, 0);
		explore_limit = 1u << 10;
		explore_samples = 256;
	}
	if (argc > 2 && states == 1) {
		explore_media(!(seed & SEED_LINES));
		part(explore_random(seed), "one sequence", &none, since);
		return tap_done();
	}
	everything(states, seed);
	report("in all", &none, since);
	TAP_OK(explore_counts.distinct >= states, "at least %" PRIu64 " states", states);
	return tap_done();
}
