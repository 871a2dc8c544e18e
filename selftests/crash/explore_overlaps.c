// SPDX-License-Identifier: GPL-2.0-only
/*
 * Processes that stop in the middle of a call, and those who go on meanwhile.
 */
#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <string.h>

#include "beside.h"
#include "call_table.h"
#include "doing.h"
#include "instants.h"
#include "machine.h"
#include "starts.h"
#include "trace.h"

/* Who stops, who is beside it, and who comes when one of them has died. */
#define STOPS 0u
#define BESIDE 1u
#define COMES 2u

/* Of what is being explored; it lives on when somebody dies. */
static const struct overlap *overlap;
static bool beside_lives, stopped_lives;
static jmp_buf gone;
/* Of the call in which somebody stops, if nobody does. */
static unsigned int events;

/* It may find that it has to wait for who has stopped, and give up. */
static bool go_beside(void)
{
	if (!doing_shelf() && (!open_shelf(0) || !doing_shelf()))
		return !now.failed;
	return do_step(overlap->beside);
}

static void at_stop(void)
{
	enum gone how;

	doing_stop(overlap->stops_at);
	memcpy(gone, now.gone, sizeof(gone));
	doing_as(BESIDE);
	now.exploring = true;
	now.excused = -EBUSY;
	trace_dies_in = overlap->beside_at;
	how = setjmp(now.gone);
	if (!how) {
		go_beside();
	} else if (how == GONE_DEAD) {
		explore_counts.deaths++;
		beside_lives = false;
		doing_died(overlap->beside_at);
	} else {
		doing_end();
	}
	memcpy(now.gone, gone, sizeof(gone));
	now.excused = 0;
	trace_dies_in = 0;
	if (now.failed)
		longjmp(now.gone, GONE_WRONG);
	if (overlap->stops->call->gets)
		now.excused = -ENOENT;
	doing_go_on();
	trace_dies_in = overlap->dies_at;
}

static bool go_on(void)
{
	trace_stops_in = 0;
	trace_dies_in = 0;
	now.excused = 0;
	doing_as(beside_lives ? BESIDE : COMES);
	if (!have_shelf())
		return false;
	/* Nobody need put in order what is left of who has died: some of it may be to be seen. */
	if ((stopped_lives || !beside_lives) && !narrow())
		return false;
	if (!stopped_lives && beside_lives && overlap->next->call->gets)
		now.excused = -ENOENT;
	if (!do_step(overlap->next) || (doing_shelf() && stopped_lives && !do_step(&look_at_all)))
		return false;
	for (unsigned int process = STOPS; process <= COMES; process++) {
		doing_as(process);
		if (!close_shelf())
			return false;
	}
	return true;
}

static bool run_overlap(enum start start, const struct overlap *of, unsigned int stops_at)
{
	overlap = of;
	trace_at_stop = at_stop;
	beside_lives = true;
	stopped_lives = true;
	begin_at(start);
	switch (setjmp(now.gone)) {
	case 0:
		if (of->is_beside && !be_beside(BESIDE))
			return false;
		doing_as(STOPS);
		if (!have_shelf() || (of->first && !do_step(of->first)))
			return false;
		trace_stops_in = stops_at;
		if (!do_step(of->stops))
			return false;
		events = UINT_MAX - trace_stops_in;
		return go_on();
	case GONE_DEAD:
		explore_counts.deaths++;
		doing_died(of->dies_at);
		stopped_lives = false;
		return !now.failed && go_on();
	default:
		doing_end();
		return false;
	}
}

bool explore_overlap(enum start start, const struct overlap *of)
{
	bool good = run_overlap(start, of, of->stops_at);

	trace_stops_in = 0;
	trace_dies_in = 0;
	allow(0);
	return good;
}

unsigned int explore_no_overlap(enum start start, const struct overlap *of)
{
	run_overlap(start, of, UINT_MAX);
	allow(0);
	return events;
}
