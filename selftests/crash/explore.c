// SPDX-License-Identifier: GPL-2.0-only
/*
 * Runs sequences on the traced machine, and at each fence and at the end of each call
 * recovers all that its media may hold.
 */
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include "doing.h"
#include "instants.h"
#include "machine.h"
#include "media.h"
#include "starts.h"

static bool run_sequence(enum start start, const struct step *sequence, unsigned int nr,
			 unsigned int first)
{
	begin_at(start);
	if (setjmp(now.gone)) {
		doing_end();
		return false;
	}
	now.exploring = start == START_NOTHING || !nr;
	if (!have_shelf())
		return false;
	for (unsigned int i = 0; i < nr; i++) {
		now.exploring = i >= first;
		if (!do_step(&sequence[i]))
			return false;
	}
	return close_shelf();
}

static bool run_cut(enum start start, const struct step *sequence, unsigned int nr,
		    unsigned int fence, unsigned int lacking, const struct step *tail,
		    unsigned int nr_tail)
{
	int cut;

	begin_at(start);
	now.cut_lacking = lacking;
	cut = setjmp(now.gone);
	if (cut == GONE_WRONG) {
		doing_end();
		return false;
	}
	if (!cut) {
		if (!have_shelf())
			return false;
		for (unsigned int i = 0; i < nr; i++) {
			now.cut_at = i + 1 == nr ? fence : 0;
			if (!do_step(&sequence[i]))
				return false;
		}
		now.cut_at = 0;
		/* It makes fewer fences. */
		return close_shelf();
	}
	doing_end();
	doing_power_gone();
	if (now.failed)
		return false;
	now.exploring = true;
	if (!have_shelf())
		return false;
	for (unsigned int i = 0; i < nr_tail; i++)
		if (!do_step(&tail[i]))
			return false;
	return close_shelf();
}

static bool run_destroy(enum start start)
{
	begin_at(start);
	if (setjmp(now.gone)) {
		doing_end();
		return false;
	}
	now.exploring = true;
	return destroy_shelf() && create_shelf(start == START_ORDERED ? HMEM_SHELF_ORDERED : 0) &&
	       close_shelf();
}

static bool run_random(uint64_t seed)
{
	/* They live on when the power goes. */
	static unsigned int left;
	static enum start start;
	int cut;

	chance_seed = seed;
	chance_exploring = ~seed;
	start = (enum start)(START_EMPTY + chance_of(STARTS - START_EMPTY));
	left = 2 + (unsigned int)chance_of(14);
	begin_at(start);
	now.exploring = true;
	cut = setjmp(now.gone);
	if (cut == GONE_WRONG) {
		doing_end();
		return false;
	}
	if (cut) {
		doing_end();
		doing_power_gone();
		if (now.failed)
			return false;
	}
	for (;;) {
		struct step step;

		now.cut_at = !chance_of(6) ? 1 + (unsigned int)chance_of(3) : 0;
		if (!doing_shelf()) {
			if (!have_shelf())
				return false;
			continue;
		}
		if (!left)
			return close_shelf();
		left--;
		step_random(&step);
		if (!do_step(&step))
			return false;
		if (!chance_of(8)) {
			cut_power();
			doing_power_gone();
			if (now.failed)
				return false;
		}
	}
}

/* Only in between a hang is one of the library. */
bool explore_sequence(enum start start, const struct step *sequence, unsigned int nr,
			 unsigned int first)
{
	bool good = run_sequence(start, sequence, nr, first);

	allow(0);
	return good;
}

bool explore_cut(enum start start, const struct step *sequence, unsigned int nr,
		 unsigned int fence, unsigned int lacking, const struct step *tail,
		 unsigned int nr_tail)
{
	bool good = run_cut(start, sequence, nr, fence, lacking, tail, nr_tail);

	allow(0);
	return good;
}

bool explore_destroy(enum start start)
{
	bool good = run_destroy(start);

	allow(0);
	return good;
}

bool explore_random(uint64_t seed)
{
	bool good = run_random(seed);

	allow(0);
	return good;
}

void explore_print(void)
{
	printf("# %s\n", explore_wrong);
	doing_print();
}

void explore_media(bool msync)
{
	unit_shift = msync ? 12 : 6;
	machine_traced.caps = HMEM_CAP_PERSISTENT | (msync ? 0 : HMEM_CAP_FLUSH_CPU);
}

void explore_init(void)
{
	instants_init();
	starts_init();
	memset(&explore_counts, 0, sizeof(explore_counts));
}
