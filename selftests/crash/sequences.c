// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every call, every two calls, and longer sequences that once found something or are known
 * to be delicate.
 */
#include <hmem/shelf.h>

#include "call_table.h"
#include "death_sequences.h"
#include "instants.h"
#include "machine.h"
#include "media.h"
#include "overlap_sequences.h"
#include "sequences.h"

static struct sequence *list;
static unsigned int nr_sequences, room_sequences;

/* --- those that were thought of ------------------------------------------------------ */

#define MOST 8

#define PUT	&calls[0]
#define DELETE	&calls[1]

static const struct {
	unsigned int nr;
	struct step steps[MOST];
} scenarios[] = {
	/* What one thread erased, another must have made durable before it replaces that. */
	{ 6, {
		{ PUT, .name = 0, .bytes = 8, .seed = 60 },
		{ PUT, .name = 0, .bytes = 8, .seed = 61, .actor = 1 },
		{ DELETE, .name = 0 },
		{ PUT, .name = 2, .bytes = 200, .seed = 62 },
		{ PUT, .name = 4, .bytes = 300, .seed = 63 },
		{ PUT, .name = 5, .bytes = 400, .seed = 64 },
	} },
	{ 6, {
		{ PUT, .name = 0, .bytes = 8, .seed = 60 },
		{ PUT, .name = 0, .bytes = 8, .seed = 61, .actor = 1 },
		{ PUT, .name = 0, .bytes = 8, .seed = 62 },
		{ DELETE, .name = 0, .actor = 2 },
		{ PUT, .name = 4, .bytes = 300, .seed = 63, .actor = 2 },
		{ PUT, .name = 5, .bytes = 400, .seed = 64, .actor = 2 },
	} },
	/* What one thread's commit has written another's writes to, and goes on. */
	{ 5, {
		{ &calls[10], .name = 0, .other = 2, .bytes = 9, .seed = 60 },
		{ &calls[10], .name = 0, .other = 0, .seed = 61, .actor = 1 },
		{ &calls[0], .name = 4, .bytes = 30, .seed = 62, .actor = 1 },
		{ &calls[0], .name = 5, .bytes = 40, .seed = 63, .actor = 1 },
		{ &calls[0], .name = 4, .bytes = 50, .seed = 64, .actor = 1 },
	} },
	{ 5, {
		{ &calls[10], .name = 0, .other = 2, .bytes = 9, .seed = 60 },
		{ &calls[10], .name = 0, .other = 0, .seed = 61 },
		{ &calls[9], .name = 0, .other = 0, .seed = 62, .actor = 1 },
		{ &calls[0], .name = 4, .bytes = 30, .seed = 63, .actor = 1 },
		{ &calls[0], .name = 5, .bytes = 40, .seed = 64, .actor = 1 },
	} },
	{ 5, {
		{ &calls[10], .name = 1, .other = 1, .seed = 60, .flags = 1 },
		{ &calls[4], .name = 1, .seed = 61, .actor = 1 },
		{ &calls[11], .name = 1, .other = 0, .seed = 62, .actor = 2 },
		{ &calls[0], .name = 4, .bytes = 30, .seed = 63, .actor = 2 },
		{ &calls[0], .name = 5, .bytes = 40, .seed = 64, .actor = 2 },
	} },
	/* Three of which each changes what the one before has, and makes no fence after that. */
	{ 3, {
		{ &calls[10], .name = 1, .other = 1, .seed = 60 },
		{ &calls[10], .name = 1, .other = 1, .seed = 61, .actor = 1 },
		{ &calls[4], .name = 1, .seed = 62, .actor = 2 },
	} },
	{ 5, {
		{ &calls[10], .name = 1, .other = 1, .seed = 60 },
		{ &calls[10], .name = 1, .other = 1, .seed = 61, .actor = 1 },
		{ &calls[10], .name = 1, .other = 1, .seed = 62, .actor = 2 },
		{ &calls[5], .name = 4, .other = 5, .bytes = 30, .seed = 63, .actor = 2 },
		{ PUT, .name = 4, .bytes = 30, .seed = 64, .actor = 2 },
	} },
	{ 4, {
		{ &calls[10], .name = 1, .other = 1, .seed = 60 },
		{ &calls[10], .name = 1, .other = 1, .seed = 61, .actor = 1 },
		{ &calls[9], .name = 1, .other = 1, .seed = 62, .actor = 2 },
		{ PUT, .name = 4, .bytes = 30, .seed = 64, .actor = 2 },
	} },
	/* The same with two objects, of which the commits are covered and erased once for both. */
	{ 4, {
		{ &calls[11], .name = 0, .other = 1, .seed = 60 },
		{ &calls[11], .name = 0, .other = 1, .seed = 61, .actor = 1 },
		{ &calls[11], .name = 0, .other = 1, .seed = 62, .actor = 2 },
		{ PUT, .name = 4, .bytes = 30, .seed = 64, .actor = 2 },
	} },
	{ 4, {
		{ &calls[11], .name = 0, .other = 1, .seed = 60 },
		{ &calls[11], .name = 0, .other = 1, .seed = 61, .actor = 1 },
		{ &calls[25], .name = 0, .other = 1, .seed = 62, .actor = 2 },
		{ PUT, .name = 4, .bytes = 30, .seed = 64, .actor = 2 },
	} },
	/* A descriptor that one thread made, and made no fence for, another refers to. */
	{ 2, {
		{ &calls[3], .name = 2, .bytes = 20, .seed = 60, .type = 1 },
		{ PUT, .name = 4, .bytes = 30, .seed = 61, .type = 1, .actor = 1 },
	} },
	/* Memory for which there is no room: it is looked for, and what is found is free then. */
	{ 6, {
		{ PUT, .name = 0, .bytes = 8, .seed = 60 },
		{ PUT, .name = 2, .bytes = 200000, .seed = 61 },
		{ DELETE, .name = 0, .actor = 1 },
		{ PUT, .name = 4, .bytes = 300, .seed = 63, .actor = 1 },
		{ PUT, .name = 5, .bytes = 400, .seed = 64, .actor = 1 },
		{ PUT, .name = 5, .bytes = 40, .seed = 65, .actor = 1 },
	} },
	/* What one thread erased another makes durable, as it needs the memory at once. */
	{ 3, {
		{ PUT, .name = 2, .bytes = 64400, .seed = 60 },
		{ PUT, .name = 2, .bytes = 8, .seed = 61 },
		{ PUT, .name = 4, .bytes = 64400, .seed = 62, .actor = 1 },
	} },
	/* The same of what transactions have left: what they replaced, and then wrote. */
	{ 4, {
		{ PUT, .name = 4, .bytes = 64400, .seed = 60 },
		{ &calls[5], .name = 4, .other = 5, .bytes = 30, .seed = 61 },
		{ PUT, .name = 2, .bytes = 64400, .seed = 62, .actor = 1 },
		{ PUT, .name = 4, .bytes = 30, .seed = 63 },
	} },
	{ 5, {
		{ &calls[10], .name = 1, .other = 1, .seed = 60 },
		{ PUT, .name = 2, .bytes = 200000, .seed = 61, .actor = 1 },
		{ &calls[10], .name = 1, .other = 1, .seed = 62, .actor = 2 },
		{ PUT, .name = 4, .bytes = 30, .seed = 63, .actor = 1 },
		{ PUT, .name = 5, .bytes = 30, .seed = 64 },
	} },
	{ 5, {
		{ &calls[10], .name = 1, .other = 1, .seed = 60 },
		{ &calls[10], .name = 1, .other = 1, .seed = 61 },
		{ PUT, .name = 2, .bytes = 200000, .seed = 62, .actor = 1 },
		{ &calls[10], .name = 1, .other = 1, .seed = 63 },
		{ &calls[9], .name = 1, .other = 1, .seed = 64, .actor = 1 },
	} },
};
#define SCENARIOS (sizeof(scenarios) / sizeof(scenarios[0]))

/* The power goes in the second of two. */
static const struct step cuts[][2] = {
	/* A record that power was lost over, in a chunk that nothing else was in yet. */
	{ { PUT, .name = 0, .bytes = 8, .seed = 1 },
	  { PUT, .name = 1, .bytes = 1, .seed = 1007, .actor = 1 } },
	/* A tombstone, and the older record that it hides and whose erasure was lost. */
	{ { PUT, .name = 0, .bytes = 8, .seed = 1 }, { DELETE, .name = 0 } },
	/* A commit is there, and the seal of what it wrote to is not, which lies in other lines. */
	{ { PUT, .name = 0, .bytes = 100, .seed = 1 },
	  { &calls[10], .name = 0, .other = 0, .seed = 2 } },
	{ { PUT, .name = 0, .bytes = 100, .seed = 1 },
	  { &calls[10], .name = 0, .other = 2, .seed = 2, .actor = 1 } },
};
#define CUTS (sizeof(cuts) / sizeof(cuts[0]))

/* What goes on after the power was cut. */
static const struct step tail[] = {
	{ DELETE, .name = 0 },
	{ PUT, .name = 4, .bytes = 200, .seed = 70 },
	{ DELETE, .name = 1, .actor = 1 },
	{ PUT, .name = 5, .bytes = 90, .seed = 71, .actor = 1 },
	{ PUT, .name = 0, .bytes = 8, .seed = 72 },
};
#define TAIL (sizeof(tail) / sizeof(tail[0]))

/*
 * A record that was replaced, but not durably erased, when the power went; and so many names
 * that lie behind the one that replaced it that the recovery needs memory for its index when
 * it has found that out.
 */
static bool crowded(void)
{
	struct step crowd[32] = { { PUT, .name = 3, .bytes = 8, .seed = 90 } };

	for (unsigned int i = 1; i < 32; i++)
		crowd[i] = (struct step){ PUT, .name = 57 + i, .bytes = i, .seed = 90 + i,
					  .actor = 1 };
	return explore_cut(START_MANY, crowd, 32, 1, 0, tail, TAIL);
}

/* --- one of them --------------------------------------------------------------------- */

/* What has many states that are alike leaves time for the others. */
static bool explore(enum start start, const struct step *steps_of, unsigned int nr)
{
	uint64_t limit = explore_limit, samples = explore_samples;
	bool good;

	for (unsigned int i = 0; i < nr; i++) {
		if (!steps_of[i].call->wide || limit < 1u << 13)
			continue;
		explore_limit = limit >> 6;
		explore_samples = samples >> 3;
	}
	/* The first of two by itself is another sequence. */
	good = explore_sequence(start, steps_of, nr, nr == 2);
	explore_limit = limit;
	explore_samples = samples;
	return good;
}

/* Of the steps those that do something to the first name's object. */
static unsigned int on_one[64], nr_on_one;

static void find_on_one(void)
{
	nr_on_one = 0;
	for (unsigned int i = 0; i < nr_steps && nr_on_one < 64; i++)
		if (!steps[i].name && !steps[i].call->whole && steps[i].bytes < 1000 &&
		    steps[i].call->model != model_nothing && !(steps[i].flags & HMEM_PUT_CREATE))
			on_one[nr_on_one++] = i;
}

/*
 * Each thread makes no other fence: what it left to its next one those after it must see to. The
 * first two by themselves are other sequences.
 */
static bool explore_triple(enum start start, unsigned int number)
{
	struct step three[3];

	for (unsigned int i = 3; i--; number /= nr_on_one) {
		three[i] = steps[on_one[number % nr_on_one]];
		three[i].actor = i;
		three[i].seed += 1000 * i;
	}
	return explore_sequence(start, three, 3, 2);
}

/* --- one of them, of any sort ---------------------------------------------------------- */

bool sequence_run(const struct sequence *sequence)
{
	struct step both[2];

	chance_seed = sequence->seed;
	switch (sequence->sort) {
	case SEQUENCE_NONE:
		return explore_sequence(sequence->start, NULL, 0, 0);
	case SEQUENCE_SINGLE:
		return explore(sequence->start, &steps[sequence->first], 1);
	case SEQUENCE_DESTROY:
		return explore_destroy(sequence->start);
	case SEQUENCE_SCENARIO:
		return explore_sequence(sequence->start, scenarios[sequence->first].steps,
					scenarios[sequence->first].nr, 0);
	case SEQUENCE_CUT:
		return explore_cut(sequence->start, cuts[sequence->first], 2, 1, sequence->lacking,
				   tail, TAIL);
	case SEQUENCE_CROWDED:
		return crowded();
	case SEQUENCE_PAIR:
	case SEQUENCE_PAIR_CUT:
		both[0] = steps[sequence->first];
		both[1] = steps[sequence->second];
		/* Two puts of one name are not the same put. */
		both[1].seed += 1000;
		if (sequence->sort == SEQUENCE_PAIR)
			return explore(sequence->start, both, 2);
		return explore_cut(sequence->start, both, 2, sequence->fence, 0, tail, TAIL);
	case SEQUENCE_TRIPLE:
		return explore_triple(sequence->start, sequence->first);
	case SEQUENCE_DEATH:
	case SEQUENCE_DEATH_AGAIN:
		return death_sequence_run(sequence);
	case SEQUENCE_OVERLAP:
		return overlap_sequence_run(sequence);
	case SEQUENCE_RANDOM:
		return explore_random(sequence->seed);
	case SEQUENCE_SORTS:
		break;
	}
	return false;
}

struct sequence sequence_last;
uint64_t sequence_last_chance;

static bool run(struct sequence sequence)
{
	sequence_last = sequence;
	sequence_last_chance = chance_exploring;
	return sequence_run(&sequence);
}

/* --- all of a sort -------------------------------------------------------------------- */

static bool each_single(each take)
{
	if (!take((struct sequence){ SEQUENCE_NONE, .start = START_NOTHING }))
		return false;
	for (enum start start = START_EMPTY; start < STARTS; start++) {
		if (!take((struct sequence){ SEQUENCE_NONE, .start = start }) ||
		    !take((struct sequence){ SEQUENCE_DESTROY, .start = start }))
			return false;
		for (unsigned int i = 0; i < nr_steps; i++)
			if (!take((struct sequence){ SEQUENCE_SINGLE, .start = start, .first = i }))
				return false;
	}
	return true;
}

static bool each_pair(enum start start, unsigned int from, unsigned int every, each take)
{
	for (unsigned int i = from; i < nr_steps * nr_steps; i += every)
		if (!take((struct sequence){ SEQUENCE_PAIR, .start = start,
					     .first = i / nr_steps, .second = i % nr_steps }))
			return false;
	return true;
}

static bool each_triple(unsigned int from, unsigned int every, each take)
{
	find_on_one();
	for (unsigned int i = from; i < nr_on_one * nr_on_one * nr_on_one; i += every)
		if (!take((struct sequence){ SEQUENCE_TRIPLE, .start = START_TWO, .first = i }))
			return false;
	return true;
}

static bool each_pair_cut(enum start start, unsigned int every, each take)
{
	for (unsigned int i = 0; i < nr_steps * nr_steps; i += every)
		for (unsigned int fence = 1; fence < 3; fence++)
			if (!take((struct sequence){ SEQUENCE_PAIR_CUT, .start = start,
						     .first = i / nr_steps, .second = i % nr_steps,
						     .fence = fence, .seed = i }))
				return false;
	return true;
}

static bool each_scenario(each take)
{
	for (unsigned int i = 0; i < SCENARIOS; i++)
		for (enum start start = START_TWO; start < STARTS; start++)
			if (!take((struct sequence){ SEQUENCE_SCENARIO, .start = start, .first = i }))
				return false;
	for (unsigned int i = 0; i < CUTS; i++)
		for (unsigned int lacking = 1; lacking <= 12; lacking++)
			if (!take((struct sequence){ SEQUENCE_CUT, .start = START_TWO, .first = i,
						     .lacking = lacking }))
				return false;
	for (uint64_t seed = 0; seed < 16; seed++) {
		for (unsigned int i = 0; i < CUTS; i++)
			if (!take((struct sequence){ SEQUENCE_CUT, .start = START_TWO, .first = i,
						     .seed = seed }))
				return false;
		if (seed < 8 && !take((struct sequence){ SEQUENCE_CROWDED, .seed = seed }))
			return false;
	}
	return true;
}

bool sequences_single(void)
{
	return each_single(run);
}

bool sequences_pairs(enum start start, unsigned int from, unsigned int every)
{
	return each_pair(start, from, every, run);
}

bool sequences_triples(unsigned int from, unsigned int every)
{
	return each_triple(from, every, run);
}

bool sequences_cut(enum start start, unsigned int every)
{
	return each_pair_cut(start, every, run);
}

bool sequences_deaths(enum start start, unsigned int every)
{
	return each_death(start, every, run);
}

bool sequences_overlaps(enum start start, unsigned int every)
{
	return each_overlap(start, every, run);
}

bool sequences_scenarios(void)
{
	return each_scenario(run);
}

/* --- all of them --------------------------------------------------------------------- */

static bool add(struct sequence sequence)
{
	if (nr_sequences == room_sequences) {
		room_sequences = room_sequences ? 2 * room_sequences : 1024;
		list = machine_kept(list, room_sequences * sizeof(*list));
	}
	list[nr_sequences++] = sequence;
	return true;
}

const struct sequence *sequences_all(unsigned int *nr)
{
	nr_sequences = 0;
	/* Few come by the table of shelves and the superblock. */
	add((struct sequence){ SEQUENCE_NONE, .start = START_NOTHING });
	add((struct sequence){ SEQUENCE_DESTROY, .start = START_TWO });
	each_scenario(add);
	each_single(add);
	for (enum start start = START_TWO; start < STARTS; start++)
		each_pair_cut(start, 5 + start, add);
	each_pair(START_TWO, 0, 1, add);
	each_triple(0, 7, add);
	each_death(START_TWO, 7, add);
	each_overlap(START_TWO, 23, add);
	for (uint64_t seed = 1; seed <= 400; seed++)
		add((struct sequence){ SEQUENCE_RANDOM, .seed = seed });
	*nr = nr_sequences;
	return list;
}
