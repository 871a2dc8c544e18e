/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which sequences of calls are explored.
 */
#ifndef SELFTESTS_CRASH_SEQUENCES_H
#define SELFTESTS_CRASH_SEQUENCES_H

#include "explore.h"

enum sequence_sort {
	SEQUENCE_NONE,		/* no call: the shelf is made or opened, and closed */
	SEQUENCE_SINGLE,	/* @first is a number in steps[], and so is @second */
	SEQUENCE_DESTROY,
	SEQUENCE_SCENARIO,	/* @first: which of them */
	SEQUENCE_CUT,		/* @first: which of them; @lacking: see explore_cut() */
	SEQUENCE_CROWDED,
	SEQUENCE_PAIR,
	SEQUENCE_TRIPLE,	/* @first: which of them */
	SEQUENCE_PAIR_CUT,	/* the power goes at @fence of the second call, and they go on */
	/* In call @first after @fence, @seed: what is around it, @lacking: when the heir dies; then @second. */
	SEQUENCE_DEATH,
	SEQUENCE_DEATH_AGAIN,	/* when it opens after the power went in call @first; else the same */
	/* In call @first after @fence, @seed: what is around it; @second: the other one's. */
	SEQUENCE_OVERLAP,
	SEQUENCE_RANDOM,
	SEQUENCE_SORTS
};

struct sequence {
	enum sequence_sort sort;
	enum start start;
	unsigned int first;
	unsigned int second;
	unsigned int fence;
	unsigned int lacking;
	uint64_t seed;
};

typedef bool (*each)(struct sequence sequence);

/* False when something was found; see explore_wrong. So are those below. */
bool sequence_run(const struct sequence *sequence);

bool sequences_single(void);
bool sequences_scenarios(void);
/* Every two calls; or every @every-th pair of them, from the one with the number @from on. */
bool sequences_pairs(enum start start, unsigned int from, unsigned int every);
/* Three threads change one object, one after the other; every @every-th triple of changes. */
bool sequences_triples(unsigned int from, unsigned int every);
/* The power goes in the second of two, and they go on; every @every-th pair. */
bool sequences_cut(enum start start, unsigned int every);

/* In each call a process dies, wherever it may; every @every-th of these places. */
bool sequences_deaths(enum start start, unsigned int every);

/* In each call a process stops, and another one calls; every @every-th of these places. */
bool sequences_overlaps(enum start start, unsigned int every);

/* Of those above: the one that was run last, and what chance_exploring was before that. */
extern struct sequence sequence_last;
extern uint64_t sequence_last_chance;

/* Some of all sorts, those that were thought of and short ones first; how many. */
const struct sequence *sequences_all(unsigned int *nr);

#endif
