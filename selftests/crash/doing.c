// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>

#include "call_table.h"
#include "doing.h"
#include "explore.h"
#include "instants.h"
#include "machine.h"
#include "trace.h"

/* The steps that were made, and by whom; those without a call are deaths, of which it tells when. */
#define MOST_STEPS 64
static struct {
	struct step step;
	unsigned int process;
} made[MOST_STEPS];
static unsigned int nr_made;

/* The handles of the traced machine. */
static struct hmem_shelf *shelves[MACHINE_PROCESSES];
static unsigned int process;

/* What the call should return, by each of the models. */
static int expected, other_expected;

void doing_begin(void)
{
	nr_made = 0;
	doing_power_gone();
	doing_as(0);
}

void doing_as(unsigned int number)
{
	process = number;
	machine_process = number;
}

void doing_power_gone(void)
{
	for (unsigned int i = 0; i < MACHINE_PROCESSES; i++)
		shelves[i] = NULL;
}

void doing_print(void)
{
	for (unsigned int i = 0; i < nr_made; i++)
		if (made[i].step.call)
			step_print(&made[i].step, made[i].process);
		else
			printf("#   %u dies after %u\n", made[i].process, made[i].step.bytes);
}

static void note(const struct step *step)
{
	if (nr_made == MOST_STEPS)
		return;
	made[nr_made].step = *step;
	made[nr_made++].process = process;
}

/* --- a call -------------------------------------------------------------------------- */

static int apply(struct model *model, int (*call)(struct contents *, const struct step *),
		 const struct step *step)
{
	int err = call(&model->after, step);

	if (err)
		contents_copy(&model->after, &model->before);
	return err;
}

/* A call begins: until it is over either is right. */
static void begin(const char *name, int (*call)(struct contents *, const struct step *),
		  const struct step *step)
{
	expected = apply(&now.model, call, step);
	other_expected = now.has_other ? apply(&now.other, call, step) : expected;
	machine_actor = process ? MACHINE_THREADS + process - 1 : step ? step->actor : 0;
	now.doing = name;
	now.fences = 0;
	machine_now = &machine_traced;
	trace_forget();
	trace_on = true;
}

void doing_end(void)
{
	trace_settle();
	trace_on = false;
	machine_now = NULL;
	now.cut_at = 0;
}

static void acknowledge(void)
{
	contents_copy(&now.model.before, &now.model.after);
	contents_copy(&now.other.before, &now.other.after);
	trace_on = true;
	explore_states();
	trace_on = false;
}

static bool fail_call(int got)
{
	char what[256];

	snprintf(what, sizeof(what), "returned %d, not %d: %.160s", got, expected,
		 got ? traced_error() : "");
	fail(what);
	return false;
}

static void only_other(void)
{
	contents_copy(&now.model.before, &now.other.before);
	contents_copy(&now.model.after, &now.other.after);
	now.has_other = false;
}

/* What returned @got is over; which models explain that? */
static bool over(int got)
{
	doing_end();
	/* Whether there is room the model does not know; but then nothing has happened. */
	if (got == -ENOSPC || (got && got == now.excused)) {
		contents_copy(&now.model.after, &now.model.before);
		contents_copy(&now.other.after, &now.other.before);
	} else if (got != expected) {
		if (!now.has_other || got != other_expected)
			return fail_call(got);
		only_other();
	} else if (got != other_expected) {
		now.has_other = false;
	}
	acknowledge();
	return !now.failed;
}

void doing_died(unsigned int after)
{
	note(&(struct step){ .bytes = after });
	doing_end();
	machine_dies(&machine_traced, process);
	shelves[process] = NULL;
	/* Or else it was one that changes nothing. */
	if (!now.has_other) {
		contents_copy(&now.other.before, &now.model.after);
		contents_copy(&now.other.after, &now.model.after);
		contents_copy(&now.model.after, &now.model.before);
		now.has_other = contents_hash(&now.model.before) != contents_hash(&now.other.before);
	}
	acknowledge();
}

/* --- the whole shelf ----------------------------------------------------------------- */

static int model_open(struct contents *contents, const struct step *step)
{
	(void)step;
	return contents->exists ? 0 : -ENOENT;
}

static int model_create(struct contents *contents, const struct step *step)
{
	(void)step;
	if (contents->exists)
		return -EEXIST;
	contents->exists = true;
	return 0;
}

static int model_destroy(struct contents *contents, const struct step *step)
{
	(void)step;
	if (!contents->exists)
		return -ENOENT;
	contents->exists = false;
	contents->nr = 0;
	return 0;
}

static int model_create_beside(struct contents *contents, const struct step *step)
{
	(void)step;
	if (contents->beside)
		return -EEXIST;
	contents->beside = true;
	return 0;
}

static int model_destroy_beside(struct contents *contents, const struct step *step)
{
	(void)step;
	if (!contents->beside)
		return -ENOENT;
	contents->beside = false;
	return 0;
}

struct hmem_shelf *doing_shelf(void)
{
	return shelves[process];
}

bool open_shelf(unsigned int flags)
{
	struct hmem_shelf *opened;
	int err;

	now.recovering = true;
	begin("open", model_open, NULL);
	err = traced_open(&opened, flags);
	shelves[process] = err ? NULL : opened;
	if (err == -ENOENT && now.has_other) {
		/* Somebody died who made or destroyed it, which may yet turn out not to be durable. */
		doing_end();
		acknowledge();
	} else {
		over(err);
	}
	now.recovering = now.failed;
	return !now.failed;
}

bool create_shelf(unsigned int flags)
{
	struct hmem_shelf *made_now;
	int err;

	begin("create", model_create, NULL);
	err = traced_create(&made_now, flags);
	if (!err)
		shelves[process] = made_now;
	return over(err);
}

bool destroy_shelf(void)
{
	begin("destroy", model_destroy, NULL);
	return over(traced_destroy());
}

bool close_shelf(void)
{
	struct hmem_shelf *closing = shelves[process];

	if (!closing)
		return true;
	shelves[process] = NULL;
	begin("close", model_nothing, NULL);
	return over(traced_close(closing));
}

bool have_shelf(void)
{
	if (!shelves[process] &&
	    (now.model.before.exists || (now.has_other && now.other.before.exists)) &&
	    !open_shelf(0))
		return false;
	return shelves[process] || create_shelf(0);
}

static bool create_beside(void)
{
	struct hmem_shelf *made_now;
	int err;

	begin("create another", model_create_beside, NULL);
	err = traced_create_beside(&made_now);
	if (!over(err))
		return false;
	if (err)
		return true;
	begin("close another", model_nothing, NULL);
	return over(traced_close(made_now));
}

static bool destroy_beside(void)
{
	begin("destroy another", model_destroy_beside, NULL);
	return over(traced_destroy_beside());
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

/* --- any ----------------------------------------------------------------------------- */

bool do_step(const struct step *step)
{
	note(step);
	if (step->call->whole)
		return do_whole(step);
	if (!have_shelf())
		return false;
	begin(step->call->name, step->call->model, step);
	return over(step->call->run(shelves[process], step));
}

bool narrow(void)
{
	bool is_first, is_other;

	/* One beside it is not looked at. */
	if (!shelves[process] || !now.has_other ||
	    now.model.before.beside != now.other.before.beside)
		return true;
	begin("looking at what a dead process's call has left", model_nothing, NULL);
	is_first = traced_holds(shelves[process], &now.model.before);
	is_other = !is_first && traced_holds(shelves[process], &now.other.before);
	doing_end();
	if (is_other)
		only_other();
	now.has_other = false;
	if (!is_first && !is_other)
		fail("it was never there");
	else
		acknowledge();
	return !now.failed;
}
