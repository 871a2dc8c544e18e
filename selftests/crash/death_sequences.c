// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where processes die: which calls come before that, and which after it.
 */
#include <hmem/shelf.h>

#include "call_table.h"
#include "death_sequences.h"
#include "instants.h"
#include "media.h"

/* What happens around a death, see explore.h. */
enum around { AROUND_NOTHING, AROUND_BESIDE, AROUND_HEIR, AROUND_READER, AROUND_BOOT, AROUNDS };

/* What who dies has done before: then there is a record that is not sealed, or a commit. */
static const struct step befores[] = {
	{ &calls[0], .name = 1, .bytes = 48, .seed = 85 },
	{ &calls[10], .name = 1, .other = 1, .seed = 86 },
};
#define BEFORES (sizeof(befores) / sizeof(befores[0]))

static struct death death_of(const struct sequence *sequence, struct step *first, struct step *next)
{
	unsigned int number = sequence->first + sequence->second + sequence->fence;
	struct death death = {
		.last = &steps[sequence->first],
		.last_at = sequence->fence,
		.next = next,
		.beside = sequence->seed == AROUND_BESIDE,
		.reader = sequence->seed == AROUND_READER,
		.boots = sequence->seed == AROUND_BOOT,
	};

	/* Opening begins with the superblock, and goes on with what may be long. */
	if (sequence->lacking)
		death.heir_at = sequence->lacking;
	else if (sequence->seed == AROUND_HEIR || (death.reader && number % 2))
		death.heir_at = 1 + (number % 4 < 2 ? number * 13 % 80 : number / 4 % 12);

	*next = steps[sequence->second];
	next->seed += 1000;
	if (number % (BEFORES + 1) < BEFORES && death.last->call->whole != WHOLE_CREATE) {
		*first = befores[number % (BEFORES + 1)];
		first->actor = death.last->actor;
		death.first = first;
	}
	return death;
}

/* The power goes in the call, and who opens the shelf after that dies. */
static struct death death_again(const struct sequence *sequence, struct step *first,
				struct step *next)
{
	static const struct step open = { &calls[19], .name = 0 };
	struct death death = death_of(sequence, first, next);

	*first = steps[sequence->first];
	death.first = first;
	death.cut_at = 1 + sequence->fence % 2;
	death.last = &open;
	return death;
}

bool death_sequence_run(const struct sequence *sequence)
{
	struct step first, next;
	struct death death = sequence->sort == SEQUENCE_DEATH_AGAIN ?
				     death_again(sequence, &first, &next) :
				     death_of(sequence, &first, &next);

	chance_seed = sequence->first;
	return explore_death(sequence->start, &death);
}

/* Not while another process has it open. */
static bool is_for_one(const struct step *step)
{
	return step->call->whole == WHOLE_DESTROY || step->call->whole == WHOLE_CREATE ||
	       (step->call->whole == WHOLE_OPEN && step->flags & HMEM_SHELF_EXCLUSIVE);
}

/*
 * Who has had it open all the time, and looks or exports, sees some of what the dead one was doing, as
 * long as nobody has to put that in order.
 */
static bool fits(const struct sequence *sequence)
{
	const struct step *last = &steps[sequence->first], *next = &steps[sequence->second];

	/* No page of a file outlives that. */
	if (sequence->seed == AROUND_BOOT)
		return unit_shift == 6;
	if (sequence->seed == AROUND_BESIDE)
		return !is_for_one(last) && next->call->run != run_look &&
		       next->call->run != run_import;
	return sequence->seed != AROUND_READER || (!is_for_one(last) && !is_for_one(next));
}

static bool each_death_in(enum start start, unsigned int last, unsigned int *turn,
			  unsigned int every, each take)
{
	struct step first, next;
	struct sequence sequence = { SEQUENCE_DEATH, .start = start, .first = last };
	struct death death = death_of(&sequence, &first, &next);
	unsigned int most = explore_no_death(start, &death);

	/* What is done to the whole shelf is not done by many. */
	if (death.last->call->whole)
		every = (every + 3) / 4;
	for (sequence.fence = 1; sequence.fence <= most; sequence.fence++)
		for (sequence.seed = 0; sequence.seed < AROUNDS; sequence.seed++) {
			sequence.second = (last * 31 + sequence.fence * 7 + (unsigned int)sequence.seed) %
					  nr_steps;
			if (++*turn % every || !fits(&sequence))
				continue;
			if (!take(sequence))
				return false;
		}
	return true;
}

static bool each_death_again(enum start start, unsigned int call, unsigned int *turn,
			     unsigned int every, each take)
{
	struct step first, next;
	struct sequence sequence = { SEQUENCE_DEATH_AGAIN, .start = start, .first = call,
				     .second = (call * 17 + 5) % nr_steps };
	struct death death = death_again(&sequence, &first, &next);
	unsigned int most;

	chance_seed = call;
	most = explore_no_death(start, &death);
	for (sequence.fence = 1; sequence.fence <= most; sequence.fence++) {
		sequence.seed = sequence.fence / 2 % 2 ? AROUND_HEIR : AROUND_NOTHING;
		if (++*turn % every == 0 && !take(sequence))
			return false;
	}
	return true;
}

/* Who has left it to a reader dies at the last moment, and who opens it next at the first. */
static bool each_death_leaving(enum start start, unsigned int last, each take)
{
	struct step first, next;
	struct sequence sequence = { SEQUENCE_DEATH, .start = start, .first = last,
				     .seed = AROUND_READER };
	struct death death = death_of(&sequence, &first, &next);
	unsigned int most = explore_no_death(start, &death);

	for (sequence.fence = most > 8 ? most - 8 : 1; sequence.fence <= most; sequence.fence++)
		for (sequence.lacking = 1; sequence.lacking <= 12; sequence.lacking++)
			if (!take(sequence))
				return false;
	return true;
}

bool each_death(enum start start, unsigned int every, each take)
{
	unsigned int turn = 0;

	for (unsigned int call = 0; call < nr_steps; call++)
		if (!each_death_in(start, call, &turn, every, take) ||
		    (!steps[call].call->whole &&
		     !each_death_again(start, call, &turn, every, take)) ||
		    (steps[call].call->whole == WHOLE_CLOSE &&
		     !each_death_leaving(start, call, take)))
			return false;
	return true;
}
