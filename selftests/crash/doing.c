// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>

#include "call_table.h"
#include "doing.h"
#include "explore.h"
#include "instants.h"
#include "machine.h"
#include "trace.h"

/* The steps that were made, and by whom; those without a call tell after how much it stopped. */
#define MOST_STEPS 64
static struct {
	struct step step;
	unsigned int process;
} made[MOST_STEPS];
static unsigned int nr_made;

/* The handles of the traced machine. */
static struct hmem_shelf *shelves[MACHINE_PROCESSES];
static unsigned int process;

/* The call that is being made. */
struct doing {
	const char *name;
	int (*call)(struct contents *contents, const struct step *step);
	const struct step *step;
	unsigned int process;
	unsigned int actor;
};
static struct doing doing;

/* One that goes on later: what else there is of it, and what it returns if it was early. */
static struct {
	struct doing doing;
	unsigned int fences;
	unsigned int trace;
	int expected;
} stopped;

void doing_begin(void)
{
	nr_made = 0;
	trace_resume(0);
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
			printf("#   %u %s after %u\n", made[i].process,
			       made[i].step.flags ? "stops" : "dies", made[i].step.bytes);
}

static void note(const struct step *step)
{
	if (nr_made == MOST_STEPS)
		return;
	made[nr_made].step = *step;
	made[nr_made++].process = process;
}

/* --- a call -------------------------------------------------------------------------- */

static void apply(struct model *model, int (*call)(struct contents *, const struct step *),
		  const struct step *step)
{
	model->expected = call(&model->after, step);
	if (model->expected)
		contents_copy(&model->after, &model->before);
}

static void model_copy(struct model *to, const struct model *from)
{
	contents_copy(&to->before, &from->before);
	contents_copy(&to->after, &from->after);
	to->expected = from->expected;
	to->early = from->early;
}

static void go(void)
{
	now.doing = doing.name;
	machine_actor = doing.actor;
	machine_now = &machine_traced;
	trace_on = true;
}

/* A call begins: until it is over either is right. */
static void begin(const char *name, int (*call)(struct contents *, const struct step *),
		  const struct step *step)
{
	for (unsigned int i = 0; i < now.nr_models; i++)
		apply(&now.models[i], call, step);
	doing = (struct doing){ name, call, step, process, 0 };
	doing.actor = process ? MACHINE_THREADS + process - 1 : step ? step->actor : 0;
	now.fences = 0;
	trace_forget();
	go();
}

void doing_end(void)
{
	trace_settle();
	trace_on = false;
	machine_now = NULL;
	now.cut_at = 0;
}

/* Of those that are alike one is left. */
static void drop_alike(void)
{
	unsigned int kept = 0;

	for (unsigned int i = 0; i < now.nr_models; i++) {
		uint64_t hash = contents_hash(&now.models[i].before);
		unsigned int like = 0;

		while (like < kept && (contents_hash(&now.models[like].before) != hash ||
				       now.models[like].early != now.models[i].early))
			like++;
		if (like < kept)
			continue;
		if (kept != i)
			model_copy(&now.models[kept], &now.models[i]);
		kept++;
	}
	now.nr_models = kept;
}

static void acknowledge(void)
{
	for (unsigned int i = 0; i < now.nr_models; i++)
		contents_copy(&now.models[i].before, &now.models[i].after);
	drop_alike();
	trace_on = true;
	explore_states();
	trace_on = false;
}

static bool fail_call(int got)
{
	char what[256];

	snprintf(what, sizeof(what), "returned %d, not %d: %.160s", got, now.models[0].expected,
		 got ? traced_error() : "");
	fail(what);
	return false;
}

/* Only those stay that fit; false: none does. */
static bool keep(bool (*fits)(const struct model *model, int got), int got)
{
	unsigned int kept = 0;

	for (unsigned int i = 0; i < now.nr_models; i++) {
		if (!fits(&now.models[i], got))
			continue;
		if (kept != i)
			model_copy(&now.models[kept], &now.models[i]);
		kept++;
	}
	if (kept)
		now.nr_models = kept;
	return kept;
}

static bool is_expected(const struct model *model, int got)
{
	return model->expected == got;
}

/* What returned @got is over; which models explain that? */
static bool over(int got)
{
	doing_end();
	/* Whether there is room the model does not know; but then nothing has happened. */
	if (got == -ENOSPC || (got && got == now.excused)) {
		for (unsigned int i = 0; i < now.nr_models; i++)
			contents_copy(&now.models[i].after, &now.models[i].before);
	} else if (!keep(is_expected, got)) {
		return fail_call(got);
	}
	acknowledge();
	return !now.failed;
}

/* A call may have happened, or not: what it did comes behind what there was. */
static void either(void)
{
	unsigned int nr = now.nr_models;

	for (unsigned int i = 0; i < nr; i++) {
		struct model *model = &now.models[i];

		if (now.nr_models == MOST_MODELS) {
			fail("nobody knows what may have happened any more");
			return;
		}
		model_copy(&now.models[now.nr_models], model);
		contents_copy(&now.models[now.nr_models++].before, &model->after);
		contents_copy(&model->after, &model->before);
	}
}

void doing_died(unsigned int after)
{
	note(&(struct step){ .bytes = after });
	doing_end();
	machine_dies(&machine_traced, process);
	shelves[process] = NULL;
	either();
	acknowledge();
}

/* --- calls that overlap ------------------------------------------------------------------ */

static void do_late(struct contents *contents)
{
	static struct contents was;

	contents_copy(&was, contents);
	if (stopped.doing.call(contents, stopped.doing.step))
		contents_copy(contents, &was);
}

void doing_stop(unsigned int after)
{
	unsigned int nr = now.nr_models;

	note(&(struct step){ .bytes = after, .flags = 1 });
	doing_end();
	stopped.doing = doing;
	stopped.fences = now.fences;
	stopped.trace = trace_suspend();
	stopped.expected = now.models[0].expected;
	either();
	for (unsigned int i = nr; i < now.nr_models; i++)
		now.models[i].early = true;
	now.late = do_late;
	acknowledge();
}

/* What it does it does now, unless it was early. */
void doing_go_on(void)
{
	for (unsigned int i = 0; i < now.nr_models; i++) {
		struct model *model = &now.models[i];

		if (model->early)
			model->expected = stopped.expected;
		else
			apply(model, stopped.doing.call, stopped.doing.step);
		model->early = false;
	}
	now.late = NULL;
	doing = stopped.doing;
	doing_as(doing.process);
	now.fences = stopped.fences;
	trace_resume(stopped.trace);
	go();
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
	if (err == -ENOENT && now.nr_models > 1) {
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
	bool exists = false;

	for (unsigned int i = 0; i < now.nr_models; i++)
		exists |= now.models[i].before.exists;
	if (!shelves[process] && exists && !open_shelf(0))
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

static bool is_shown(const struct model *model, int unused)
{
	(void)unused;
	return traced_holds(shelves[process], &model->before);
}

bool narrow(void)
{
	bool shown;

	if (!shelves[process] || now.nr_models == 1)
		return true;
	/* One beside it is not looked at. */
	for (unsigned int i = 1; i < now.nr_models; i++)
		if (now.models[i].before.beside != now.models[0].before.beside)
			return true;
	begin("looking at what is left of another's call", model_nothing, NULL);
	shown = keep(is_shown, 0);
	doing_end();
	if (shown)
		acknowledge();
	else
		fail("it was never there");
	return !now.failed;
}
