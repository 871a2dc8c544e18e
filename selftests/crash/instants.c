// SPDX-License-Identifier: GPL-2.0-only
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <sys/time.h>
#include <unistd.h>

#include "explore.h"
#include "instants.h"
#include "machine.h"
#include "media.h"
#include "recovered.h"
#include "seen.h"
#include "trace.h"

struct now now;
unsigned int unit_shift = 6;

struct counts explore_counts;
uint64_t explore_limit = 1u << 20, explore_samples = 1u << 14;
bool explore_dry;
char explore_wrong[1024];

uint64_t chance_exploring;

void fail(const char *what)
{
	if (!now.failed)
		snprintf(explore_wrong, sizeof(explore_wrong), "%s, fence %u: %s", now.doing,
			 now.fences, what);
	now.failed = true;
}

/* A crash or a hang of the library is a finding like any other. */
static void on_signal(int number)
{
	fail(number == SIGALRM || number == SIGPROF ? "hangs" : "crashes");
	longjmp(now.gone, GONE_WRONG);
}

void allow(unsigned int seconds)
{
	struct itimerval timer = { .it_value.tv_sec = seconds };

	setitimer(ITIMER_PROF, &timer, NULL);
	alarm(seconds * 30);
}

/* --- states -------------------------------------------------------------------------- */

static uint64_t models_hash(void)
{
	uint64_t hash = 0;

	for (unsigned int i = 0; i < now.nr_models; i++)
		hash = hash * 5 + contents_hash(&now.models[i].before) * 3 +
		       contents_hash(&now.models[i].after);
	return hash * 2 + !now.late;
}

static const char *check_model(struct model *model, struct contents **found)
{
	unsigned int which = 0;
	const char *wrong;

	states_install(&machine_plain);
	wrong = recovered_check(&model->before, &model->after, &which);
	*found = which & 1 ? &model->before : &model->after;
	return wrong;
}

static const char *check_late(const struct model *model, struct contents **found)
{
	static struct model late;

	contents_copy(&late.before, &model->before);
	contents_copy(&late.after, &model->after);
	now.late(&late.before);
	now.late(&late.after);
	return check_model(&late, found);
}

/* NULL: it is that of a model, which is @found, before or after. */
static const char *check_state(struct contents **found)
{
	const char *wrong = "";

	for (unsigned int i = 0; i < now.nr_models && wrong; i++) {
		wrong = check_model(&now.models[i], found);
		if (wrong && now.late && !now.models[i].early)
			wrong = check_late(&now.models[i], found);
	}
	return wrong;
}

static void try_state(uint64_t salt)
{
	struct contents *found;
	const char *wrong;

	if (!seen_add(states_hash() ^ salt))
		return;
	explore_counts.distinct++;
	explore_counts.in_recovery += now.recovering;
	if (!(explore_counts.distinct & 0x3ff))
		allow(20);
	wrong = check_state(&found);
	if (wrong)
		fail(wrong);
}

static void try_states(void)
{
	uint64_t nr, salt = models_hash();
	int64_t unexplained;

	trace_settle();
	if (now.failed)
		return;
	unexplained = media_unexplained();
	if (unexplained >= 0) {
		char what[64];

		snprintf(what, sizeof(what), "a store to %#" PRIx64 " was not traced",
			 (uint64_t)unexplained);
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
		while (!now.failed && states_next());
	} else {
		explore_counts.points_sampled++;
		explore_counts.sampled += explore_samples;
		for (uint64_t i = 0; i < explore_samples && !now.failed; i++) {
			states_random();
			try_state(salt);
		}
	}
	if (now.failed)
		states_print();
	states_end();
	trace_on = true;
}

void explore_states(void)
{
	uint64_t doing_seed = chance_seed;

	if (!now.exploring || explore_dry)
		return;
	chance_seed = chance_exploring;
	try_states();
	chance_exploring = chance_seed;
	chance_seed = doing_seed;
}

/* --- the power goes ------------------------------------------------------------------ */

void models_are(struct contents *contents)
{
	struct model *model = &now.models[0];

	contents_copy(&model->before, contents);
	contents_copy(&model->after, contents);
	model->early = false;
	now.nr_models = 1;
}

void cut_power(void)
{
	struct contents *found;
	const char *wrong;

	trace_settle();
	trace_on = false;
	states_begin();
	if (now.cut_lacking)
		states_lacking(now.cut_lacking - 1);
	else
		states_random();
	wrong = check_state(&found);
	if (wrong) {
		states_print();
		fail(wrong);
	}
	/* It was recovered so, and must be from now on. */
	models_are(found);
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
	now.fences++;
	explore_states();
	if (now.failed)
		longjmp(now.gone, GONE_WRONG);
	if (now.cut_at && now.fences == now.cut_at) {
		cut_power();
		longjmp(now.gone, GONE_POWER);
	}
	machine_now = &machine_traced;
}

static void at_death(void)
{
	machine_now = NULL;
	longjmp(now.gone, GONE_DEAD);
}

void instants_init(void)
{
	static const int numbers[] = { SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGALRM, SIGPROF };
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_NODEFER };

	for (unsigned int i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		sigaction(numbers[i], &action, NULL);
	trace_at_fence = at_fence;
	trace_at_death = at_death;
}
