// SPDX-License-Identifier: GPL-2.0-only
/*
 * Processes that die in the middle of a call, and those who come after them.
 */
#include <errno.h>
#include <limits.h>
#include <setjmp.h>

#include "beside.h"
#include "call_table.h"
#include "doing.h"
#include "instants.h"
#include "machine.h"
#include "starts.h"
#include "trace.h"

/* Those who come one after the other are 0, 1 and 2. */
#define READER 3u

static bool reader_comes(void)
{
	doing_as(READER);
	return open_shelf(HMEM_SHELF_READ_ONLY);
}

static bool reader_leaves(void)
{
	doing_as(READER);
	return close_shelf();
}

/* Up to where the power may go. */
static bool be_first(const struct death *death)
{
	if ((death->beside && !be_beside(1)) || (death->reader && !reader_comes()))
		return false;
	doing_as(0);
	if (!death->first)
		return true;
	if (!have_shelf())
		return false;
	now.cut_at = death->cut_at;
	if (!do_step(death->first))
		return false;
	/* It makes fewer fences. */
	if (death->cut_at) {
		cut_power();
		doing_power_gone();
	}
	return !now.failed;
}

/* Then up to its death; or else its last call has returned. */
static bool die(const struct death *death, unsigned int at)
{
	bool opens = death->last->call->whole == WHOLE_CREATE || death->cut_at;

	if (!opens && !have_shelf())
		return false;
	trace_dies_in = at;
	return do_step(death->last);
}

static bool take_its_place(const struct death *death, unsigned int deaths)
{
	doing_as(deaths);
	trace_dies_in = deaths == 1 ? death->heir_at : 0;
	/* Nobody recovers it as long as somebody reads it. */
	now.excused = death->reader ? -EBUSY : 0;
	if (!open_shelf(0))
		return false;
	trace_dies_in = 0;
	now.excused = 0;
	if (!doing_shelf() && !reader_leaves())
		return false;
	doing_as(deaths);
	if (!have_shelf())
		return false;
	/*
	 * What was opened shows what it is; but what was stored in place anybody sees at once, when the
	 * power may still undo it.
	 */
	return death->last->call->model == model_edit || narrow();
}

/* It begins where nothing was yet, unless the dead one had begun to put something there. */
static const struct step far = { &calls[0], .name = 6, .bytes = 64400, .seed = 82 };

/* It is opened once more, and clean. */
static bool come_again(void)
{
	doing_as(0);
	return have_shelf() && do_step(&far) && close_shelf();
}

static bool go_on(const struct death *death, unsigned int deaths)
{
	if (death->beside)
		doing_as(1);
	else if (!take_its_place(death, deaths))
		return false;
	/* As long as nobody has to put it in order some of it may be to be seen, or nothing. */
	if (death->beside && death->next->call->gets)
		now.excused = -ENOENT;
	return do_step(death->next) && (death->beside || !doing_shelf() || do_step(&look_at_all)) &&
	       close_shelf() && reader_leaves() && (death->last_at % 4 || come_again());
}

/* Nobody outlives that; all that was stored does. */
static void boot(void)
{
	doing_power_gone();
	machine_reboot(&machine_traced);
}

static bool run_death(enum start start, const struct death *death, unsigned int at)
{
	/* Lives on when somebody dies. */
	static unsigned int deaths;

	deaths = 0;
	begin_at(start);
	switch (setjmp(now.gone)) {
	case 0:
		return be_first(death) && die(death, at);
	case GONE_POWER:
		doing_end();
		doing_power_gone();
		return !now.failed && die(death, at);
	case GONE_DEAD:
		explore_counts.deaths++;
		now.exploring = true;
		doing_died(deaths++ ? death->heir_at : death->last_at);
		if (death->boots)
			boot();
		return !now.failed && go_on(death, deaths);
	default:
		doing_end();
		return false;
	}
}

bool explore_death(enum start start, const struct death *death)
{
	bool good = run_death(start, death, death->last_at);

	trace_dies_in = 0;
	allow(0);
	return good;
}

unsigned int explore_no_death(enum start start, const struct death *death)
{
	unsigned int left;

	trace_dies_in = UINT_MAX;
	run_death(start, death, UINT_MAX);
	left = trace_dies_in;
	trace_dies_in = 0;
	allow(0);
	return UINT_MAX - left;
}
