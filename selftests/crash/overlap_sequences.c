// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where processes stop, and what others do meanwhile.
 */
#include <hmem/shelf.h>

#include "call_table.h"
#include "media.h"
#include "overlap_sequences.h"

/* What happens around a stop, see explore.h. */
enum around { AROUND_NOTHING, AROUND_DEATH, AROUND_DEATH_LATER, AROUND_OPENING, AROUND_DEATHS, AROUNDS };

/* What who stops has done before: then there is a record that is not sealed, or a commit. */
static const struct step befores[] = {
	{ &calls[0], .name = 1, .bytes = 48, .seed = 85 },
	{ &calls[10], .name = 1, .other = 1, .seed = 86 },
};
#define BEFORES (sizeof(befores) / sizeof(befores[0]))

/* What they do lives as long as they are explored. */
static struct overlap overlap_of(const struct sequence *sequence)
{
	static struct step first, beside, next;
	unsigned int number = sequence->first + sequence->second + sequence->fence;
	struct overlap overlap = {
		.stops = &steps[sequence->first],
		.stops_at = sequence->fence,
		.is_beside = sequence->seed != AROUND_OPENING,
		.beside = &beside,
		.next = &next,
	};

	if (sequence->seed == AROUND_DEATH || sequence->seed == AROUND_DEATHS)
		overlap.beside_at = 1 + number * 13 % 90;
	if (sequence->seed == AROUND_DEATH_LATER || sequence->seed == AROUND_DEATHS)
		overlap.dies_at = 1 + number * 7 % 60;
	beside = steps[sequence->second];
	beside.seed += 1000;
	next = steps[number * 11 % nr_steps];
	next.seed += 2000;
	if (number % (BEFORES + 1) < BEFORES) {
		first = befores[number % (BEFORES + 1)];
		first.actor = overlap.stops->actor;
		overlap.first = &first;
	}
	return overlap;
}

bool overlap_sequence_run(const struct sequence *sequence)
{
	struct overlap overlap = overlap_of(sequence);

	chance_seed = sequence->first;
	return explore_overlap(sequence->start, &overlap);
}

/*
 * Not what needs the shelf for itself; nor what sees, or shows, some of what is being done: who stores
 * in place without a transaction, or looks at much of the shelf, one after the other.
 */
static bool fits(const struct step *step)
{
	return step->call->whole != WHOLE_DESTROY && step->call->whole != WHOLE_CREATE &&
	       !(step->call->whole == WHOLE_OPEN && step->flags & HMEM_SHELF_EXCLUSIVE) &&
	       step->call->model != model_edit && step->call->run != run_look && step->call->run != run_import;
}

static bool each_overlap_in(enum start start, unsigned int stops, unsigned int *turn,
			    unsigned int every, each take)
{
	struct sequence sequence = { SEQUENCE_OVERLAP, .start = start, .first = stops };
	struct overlap overlap = overlap_of(&sequence);
	unsigned int most = explore_no_overlap(start, &overlap);

	for (sequence.fence = 1; sequence.fence <= most; sequence.fence++)
		for (sequence.seed = 0; sequence.seed < AROUNDS; sequence.seed++) {
			sequence.second = (stops * 31 + sequence.fence * 7 +
					   (unsigned int)sequence.seed) % nr_steps;
			if (++*turn % every || !fits(&steps[sequence.second]))
				continue;
			if (!take(sequence))
				return false;
		}
	return true;
}

bool each_overlap(enum start start, unsigned int every, each take)
{
	unsigned int turn = 0;

	for (unsigned int call = 0; call < nr_steps; call++)
		if (fits(&steps[call]) && !each_overlap_in(start, call, &turn, every, take))
			return false;
	return true;
}
