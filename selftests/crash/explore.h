/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Sequences of calls, in which the power goes everywhere.
 */
#ifndef SELFTESTS_CRASH_EXPLORE_H
#define SELFTESTS_CRASH_EXPLORE_H

#include <stdbool.h>
#include <stdint.h>

#include "calls.h"

/* Where sequences begin. */
enum start {
	START_NOTHING,	/* no shelf */
	START_EMPTY,
	START_TWO,	/* names 0 and 1; four of them, which differ in where memory is free */
	START_TWO_B,
	START_TWO_C,
	START_TWO_D,
	START_ORDERED,	/* the same, and listed in the order of names */
	START_MANY,	/* and 50 others, and 3, which is the first in memory */
	STARTS
};

/*
 * @points: instants at which the power went
 * @exhaustive, @sampled: states, of points of which all were looked at, or some
 * @distinct: those that had not been seen before, and were recovered
 * @in_recovery: of @distinct, from a power cut during a recovery
 * @deaths: of processes
 */
struct counts {
	uint64_t sequences;
	uint64_t points;
	uint64_t points_sampled;
	uint64_t exhaustive;
	uint64_t sampled;
	uint64_t distinct;
	uint64_t in_recovery;
	uint64_t second_cuts;
	uint64_t deaths;
};

extern struct counts explore_counts;

/* More states than this at one instant: so many of them at random. */
extern uint64_t explore_limit, explore_samples;

/* Nothing is: calls are made, and that is all. */
extern bool explore_dry;

/* Cache lines or pages. */
void explore_media(bool msync);

void explore_init(void);

/* The steps from @first on, and what closes the shelf, are explored. False: see below. */
bool explore_sequence(enum start start, const struct step *sequence, unsigned int nr,
		      unsigned int first);

/*
 * The power goes at the given fence of the last of @nr steps, and what is there then, one of
 * the states, lives on: its recovery and the steps after it are explored. @lacking: of what was
 * on its way everything has arrived but one cache line or page, from 1 on; 0: at random.
 */
bool explore_cut(enum start start, const struct step *sequence, unsigned int nr,
		 unsigned int fence, unsigned int lacking, const struct step *tail,
		 unsigned int nr_tail);

/* It is destroyed, and another one of its name is made where it was. */
bool explore_destroy(enum start start);

/*
 * Somebody dies in the middle of a call, and what he was doing is put in order by another process,
 * which then goes on and closes the shelf. All of that is explored, from the death on.
 *
 * @first: what he has done before; NULL: nothing
 * @cut_at: at this fence of that the power goes, and comes back; 0: it does not
 * @last: his last call, after @last_at of what others may see of it (trace.h)
 * @beside: the other process has had the shelf open all the time, and has objects on it
 * @reader: somebody else has it open all the time, to read it
 * @boots: another kernel is started when somebody has died, and the caches stay as they are (kexec)
 * @heir_at: it dies as well while it opens the shelf, after so much of that, and a third one takes
 *	its place; 0: it does not
 * @next: what is called next
 */
struct death {
	const struct step *first;
	unsigned int cut_at;
	const struct step *last;
	unsigned int last_at;
	bool beside;
	bool reader;
	bool boots;
	unsigned int heir_at;
	const struct step *next;
};

bool explore_death(enum start start, const struct death *death);

/* Nobody dies: how much there is of the last call. */
unsigned int explore_no_death(enum start start, const struct death *death);

/*
 * Somebody stops in the middle of a call, and another process makes calls until it goes on. All of
 * that is explored, from there on.
 *
 * @first: what who stops has done before; NULL: nothing
 * @stops, @stops_at: the call, and after how much of what others may see of it (trace.h)
 * @is_beside: the other one has had the shelf open all the time, and has objects on it
 * @beside, @beside_at: what it calls, and after how much of that it dies; 0: it does not
 * @dies_at: so does who had stopped, after so much more; 0: it does not
 * @next: what is called next
 */
struct overlap {
	const struct step *first;
	const struct step *stops;
	unsigned int stops_at;
	bool is_beside;
	const struct step *beside;
	unsigned int beside_at;
	unsigned int dies_at;
	const struct step *next;
};

bool explore_overlap(enum start start, const struct overlap *overlap);

/* Nobody stops: how much there is of the call. */
unsigned int explore_no_overlap(enum start start, const struct overlap *overlap);

/* A sequence at random, with power cuts in it from which it goes on. */
bool explore_random(uint64_t seed);

/* What was wrong, and in which call. */
extern char explore_wrong[1024];
/* For people: how it came to that. */
void explore_print(void);

#endif
