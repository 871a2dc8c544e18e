// SPDX-License-Identifier: GPL-2.0-only
/*
 * Runs sequences on the traced machine, and at each fence and at the end of each call
 * recovers all that its media may hold.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "explore.h"
#include "layout.h"
#include "machine.h"
#include "media.h"
#include "recovered.h"
#include "seen.h"
#include "shelf_record.h"
#include "trace.h"

struct counts explore_counts;
uint64_t explore_limit = 1u << 20, explore_samples = 1u << 14;
char explore_wrong[1024];

static unsigned int unit_shift = 6;

static struct {
	unsigned char memory[MACHINE_BYTES];
	struct contents contents;
} starts[STARTS];

/* What is being done. */
#define MOST_STEPS 64
static struct step sequence_now[MOST_STEPS];
static unsigned int sequence_nr;
static const char *doing;
static struct contents before, after;
static bool exploring;
static bool recovering;
static unsigned int fences;
static unsigned int cut_at; /* the power goes for good at this fence */
static unsigned int cut_lacking;
static jmp_buf power_cut;
static bool failed;

bool explore_dry;

/* How much is explored is not to change what is done at random: it has a chance of its own. */
static uint64_t chance_exploring;

/* --- states -------------------------------------------------------------------------- */

static void fail(const char *what)
{
	if (!failed)
		snprintf(explore_wrong, sizeof(explore_wrong), "%s, fence %u: %s", doing, fences, what);
	failed = true;
}

/* A crash or a hang of the library is a finding like any other. */
static void on_signal(int number)
{
	fail(number == SIGALRM || number == SIGPROF ? "hangs" : "crashes");
	longjmp(power_cut, 2);
}

/*
 * From now on the library may compute for so many seconds, by the processor's time as others may want
 * it as well, or sleep for long; 0: for ever.
 */
static void allow(unsigned int seconds)
{
	struct itimerval timer = { .it_value.tv_sec = seconds };

	setitimer(ITIMER_PROF, &timer, NULL);
	alarm(seconds * 30);
}

static void try_state(uint64_t salt)
{
	unsigned int which;
	const char *wrong;

	if (!seen_add(states_hash() ^ salt))
		return;
	explore_counts.distinct++;
	explore_counts.in_recovery += recovering;
	if (!(explore_counts.distinct & 0x3ff))
		allow(20);
	states_install(&machine_plain);
	wrong = recovered_check(&before, &after, &which);
	if (wrong)
		fail(wrong);
}

static void try_states(void)
{
	uint64_t nr, salt = contents_hash(&before) * 3 + contents_hash(&after);
	int64_t unexplained;

	trace_settle();
	if (failed)
		return;
	unexplained = media_unexplained();
	if (unexplained >= 0) {
		char what[64];

		snprintf(what, sizeof(what), "a store to %#llx was not traced",
			 (unsigned long long)unexplained);
		fail(what);
		return;
	}
	trace_on = false;
	nr = states_begin();
	explore_counts.points++;
	if (nr <= explore_limit) {
		explore_counts.exhaustive += nr;
		do
			try_state(salt);
		while (!failed && states_next());
	} else {
		explore_counts.points_sampled++;
		explore_counts.sampled += explore_samples;
		for (uint64_t i = 0; i < explore_samples && !failed; i++) {
			states_random();
			try_state(salt);
		}
	}
	if (failed)
		states_print();
	states_end();
	trace_on = true;
}

static void explore_states(void)
{
	uint64_t doing_seed = chance_seed;

	if (!exploring || explore_dry)
		return;
	chance_seed = chance_exploring;
	try_states();
	chance_exploring = chance_seed;
	chance_seed = doing_seed;
}

/* The power goes, and comes back: one state is what the traced machine now has. */
static void cut_power(void)
{
	unsigned int which = 0;
	const char *wrong;

	trace_settle();
	trace_on = false;
	states_begin();
	if (cut_lacking)
		states_lacking(cut_lacking - 1);
	else
		states_random();
	states_install(&machine_plain);
	wrong = recovered_check(&before, &after, &which);
	if (wrong) {
		states_print();
		fail(wrong);
	}
	/* It was recovered so, and must be from now on. */
	if (which & 1)
		contents_copy(&after, &before);
	else
		contents_copy(&before, &after);
	states_install(&machine_traced);
	states_end();
	media_reset(unit_shift);
	machine_reboot(&machine_traced);
	trace_forget();
	explore_counts.second_cuts++;
}

static void at_fence(void)
{
	machine_now = NULL;
	fences++;
	explore_states();
	if (failed)
		longjmp(power_cut, 2);
	if (cut_at && fences == cut_at) {
		cut_power();
		longjmp(power_cut, 1);
	}
	machine_now = &machine_traced;
}

/* --- calls --------------------------------------------------------------------------- */

/* A call begins: until it is over either is right. */
static void begin(const char *name)
{
	doing = name;
	fences = 0;
	machine_now = &machine_traced;
	trace_forget();
	trace_on = true;
}

static void end(void)
{
	trace_settle();
	trace_on = false;
	machine_now = NULL;
	cut_at = 0;
}

static void acknowledge(void)
{
	contents_copy(&before, &after);
	trace_on = true;
	explore_states();
	trace_on = false;
}

static bool fail_call(int got, int expected)
{
	char what[256];

	snprintf(what, sizeof(what), "returned %d, not %d: %.160s", got, expected,
		 got ? traced_error() : "");
	fail(what);
	return false;
}

/* The handle of the traced machine, if it has one. */
static struct hmem_shelf *shelf;

/* What returned @got is over. @expected: what it should have returned, if not that there is no room. */
static bool over(int got, int expected)
{
	end();
	/* Whether there is room the model does not know; but then nothing has happened. */
	if (got == -ENOSPC)
		contents_copy(&after, &before);
	else if (got != expected)
		return fail_call(got, expected);
	acknowledge();
	return !failed;
}

static bool open_shelf(unsigned int flags)
{
	struct hmem_shelf *opened;
	int err, expected = after.exists ? 0 : -ENOENT;

	machine_actor = 0;
	recovering = true;
	begin("open");
	err = traced_open(&opened, flags);
	shelf = err ? NULL : opened;
	if (!over(err, expected))
		return false;
	recovering = false;
	return true;
}

static bool create_shelf(unsigned int flags)
{
	struct hmem_shelf *made;
	int err, expected = after.exists ? -EEXIST : 0;

	machine_actor = 0;
	after.exists = true;
	begin("create");
	err = traced_create(&made, flags);
	if (!err)
		shelf = made;
	return over(err, expected);
}

static bool destroy_shelf(void)
{
	int expected = after.exists ? 0 : -ENOENT;

	machine_actor = 0;
	after.exists = false;
	after.nr = 0;
	begin("destroy");
	return over(traced_destroy(), expected);
}

static bool close_shelf(void)
{
	struct hmem_shelf *closing = shelf;

	if (!shelf)
		return true;
	machine_actor = 0;
	shelf = NULL;
	begin("close");
	return over(traced_close(closing), 0);
}

/* So that something can be called on it. */
static bool have_shelf(void)
{
	return shelf || (after.exists ? open_shelf(0) : create_shelf(0));
}

static bool create_beside(void)
{
	struct hmem_shelf *made;
	int err, expected = after.beside ? -EEXIST : 0;

	machine_actor = 0;
	after.beside = true;
	begin("create another");
	err = traced_create_beside(&made);
	if (!over(err, expected))
		return false;
	if (err)
		return true;
	begin("close another");
	return over(traced_close(made), 0);
}

static bool destroy_beside(void)
{
	int expected = after.beside ? 0 : -ENOENT;

	machine_actor = 0;
	after.beside = false;
	begin("destroy another");
	return over(traced_destroy_beside(), expected);
}

static bool do_whole(const struct step *step)
{
	switch (step->call->whole) {
	case WHOLE_CREATE:
		return create_shelf(step->flags);
	case WHOLE_OPEN:
		/* Who may only look calls nothing else. */
		return close_shelf() && open_shelf(step->flags) &&
		       (!(step->flags & HMEM_SHELF_READ_ONLY) || close_shelf());
	case WHOLE_CLOSE:
		return have_shelf() && close_shelf();
	case WHOLE_DESTROY:
		return close_shelf() && destroy_shelf();
	case WHOLE_CREATE_BESIDE:
		return have_shelf() && create_beside();
	case WHOLE_DESTROY_BESIDE:
		return have_shelf() && destroy_beside();
	case WHOLE_NOT:
		break;
	}
	return false;
}

static bool do_step(const struct step *step)
{
	int expected;

	if (sequence_nr < MOST_STEPS)
		sequence_now[sequence_nr++] = *step;
	if (step->call->whole)
		return do_whole(step);
	if (!have_shelf())
		return false;
	machine_actor = step->actor;
	expected = step->call->model(&after, step);
	if (expected)
		contents_copy(&after, &before);
	begin(step->call->name);
	return over(step->call->run(shelf, step), expected);
}

/* --- sequences ----------------------------------------------------------------------- */

static void begin_at(enum start start)
{
	media_begin();
	memcpy(machine_traced.memory, starts[start].memory, MACHINE_BYTES);
	contents_copy(&before, &starts[start].contents);
	contents_copy(&after, &before);
	machine_reboot(&machine_traced);
	machine_traced.drawn = start;
	media_reset(unit_shift);
	sequence_nr = 0;
	recovering = false;
	exploring = false;
	failed = false;
	cut_at = 0;
	cut_lacking = 0;
	shelf = NULL;
	seen_room();
	explore_counts.sequences++;
	allow(20);
}

static bool run_sequence(enum start start, const struct step *sequence, unsigned int nr,
			 unsigned int first)
{
	begin_at(start);
	if (setjmp(power_cut)) {
		end();
		return false;
	}
	exploring = start == START_NOTHING || !nr;
	if (!have_shelf())
		return false;
	for (unsigned int i = 0; i < nr; i++) {
		exploring = i >= first;
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
	cut_lacking = lacking;
	cut = setjmp(power_cut);
	if (cut == 2) {
		end();
		return false;
	}
	if (!cut) {
		if (!have_shelf())
			return false;
		for (unsigned int i = 0; i < nr; i++) {
			cut_at = i + 1 == nr ? fence : 0;
			if (!do_step(&sequence[i]))
				return false;
		}
		cut_at = 0;
		/* It makes fewer fences. */
		return close_shelf();
	}
	end();
	shelf = NULL;
	if (failed)
		return false;
	exploring = true;
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
	if (setjmp(power_cut)) {
		end();
		return false;
	}
	exploring = true;
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
	exploring = true;
	cut = setjmp(power_cut);
	if (cut == 2) {
		end();
		return false;
	}
	if (cut) {
		end();
		shelf = NULL;
		if (failed)
			return false;
	}
	for (;;) {
		struct step step;

		cut_at = !chance_of(6) ? 1 + (unsigned int)chance_of(3) : 0;
		if (!shelf) {
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
			shelf = NULL;
			if (failed)
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
	for (unsigned int i = 0; i < sequence_nr; i++)
		step_print(&sequence_now[i]);
}

/* --- beginnings ---------------------------------------------------------------------- */

static void start_fill(enum start start)
{
	struct step step = { .call = &calls[0] };

	if (start >= START_TWO && start <= START_MANY) {
		/* Of another length each: what is behind it begins elsewhere in its line. */
		step.name = start == START_MANY ? 3 : 7;
		step.bytes = 16 * (unsigned int)(start - START_TWO);
		do_step(&step);
		step.name = 0;
		step.bytes = 16;
		step.seed = 50;
		do_step(&step);
		step.name = 1;
		step.bytes = 40;
		step.seed = 51;
		do_step(&step);
	}
	for (unsigned int i = 0; start == START_MANY && i < 50; i++) {
		step.name = 8 + i;
		step.bytes = i * 3;
		step.seed = i;
		do_step(&step);
	}
}

/* Of what is left in a part of the heap some headers have a mark that is right for this shelf. */
#define OLD_MARKED	(SHELF_CHUNK / 2)

static void mark_old(unsigned char *memory, uint64_t from, uint64_t to)
{
	for (uint64_t at = from + 3 * SHELF_GRANULE; at < to; at += OLD_MARKED)
		record_set_mark((struct record *)(memory + LAYOUT_HEAP + at),
				record_mark(shelf, shelf->heap_offset + at));
}

static void start_make(enum start start)
{
	begin_at(START_NOTHING);
	if (setjmp(power_cut))
		goto bad;
	if (start != START_NOTHING) {
		if (!create_shelf(start == START_ORDERED ? HMEM_SHELF_ORDERED : 0))
			goto bad;
		start_fill(start);
		/* It may grow to where these are. */
		mark_old(machine_traced.memory, LAYOUT_HEAP_BYTES, MACHINE_BYTES - LAYOUT_HEAP);
		if (failed || !close_shelf())
			goto bad;
	}
	memcpy(starts[start].memory, machine_traced.memory, MACHINE_BYTES);
	contents_copy(&starts[start].contents, &after);
	allow(0);
	return;
bad:
	fprintf(stderr, "making a shelf to begin with: %s\n", explore_wrong);
	exit(2);
}

/*
 * The region has been used before: its heap looks like headers of records, which differ from
 * those of the shelf to come in nothing but the mark, and some not even in that. Everywhere where
 * each chunk begins, as far as most shelves come, and where a shelf grows to; elsewhere here and
 * there, as all of it is looked at each time.
 */
#define OLD_BYTES	(12u << 10)
#define OLD_RARE	512u

static void make_old(void)
{
	uint64_t *words = (uint64_t *)(starts[START_NOTHING].memory + LAYOUT_HEAP);

	for (size_t i = 0; i < (MACHINE_BYTES - LAYOUT_HEAP) / sizeof(*words); i += 2) {
		size_t at = i * sizeof(*words);
		bool dense = at % SHELF_CHUNK < OLD_BYTES || at >= LAYOUT_HEAP_BYTES;
		struct record r = { .check = (uint32_t)(i * 0x9e3779b1u), .state = RECORD_SEALED,
				    .kind = RECORD_OBJECT, .name_bytes = 3, .value_bytes = 8 };

		record_set_mark(&r, (uint32_t)(i * 0x9e3779b97f4a7c15ull >> 35));
		if (dense || at % OLD_RARE == 0)
			memcpy(&words[i], &r, SHELF_GRANULE);
	}
}

/* The shelf that is made first has the same key each time. */
static void mark_for_first(void)
{
	begin_at(START_NOTHING);
	if (setjmp(power_cut) || !create_shelf(0)) {
		fprintf(stderr, "making a shelf to see its key: %s\n", explore_wrong);
		exit(2);
	}
	mark_old(starts[START_NOTHING].memory, 0, LAYOUT_HEAP_BYTES);
	close_shelf();
	allow(0);
}

void explore_media(bool msync)
{
	unit_shift = msync ? 12 : 6;
	machine_traced.caps = HMEM_CAP_PERSISTENT | (msync ? 0 : HMEM_CAP_FLUSH_CPU);
}

void explore_init(void)
{
	static const int numbers[] = { SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGALRM, SIGPROF };
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_NODEFER };

	for (unsigned int i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		sigaction(numbers[i], &action, NULL);
	trace_at_fence = at_fence;
	make_old();
	mark_for_first();
	for (enum start start = START_NOTHING; start < STARTS; start++)
		start_make(start);
	memset(&explore_counts, 0, sizeof(explore_counts));
}
