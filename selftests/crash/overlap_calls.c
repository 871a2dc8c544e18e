// SPDX-License-Identifier: GPL-2.0-only
#include <pthread.h>

#include <hmem/export.h>
#include <hmem/tx.h>

#include "any.h"
#include "overlap_calls.h"
#include "overlap_model.h"
#include "overlap_own_calls.h"
#include "say.h"
#include "scene.h"
#include "tokens.h"

/* One of so many calls is made by a thread that ends after it. */
#define IN_A_THREAD	5u

/* A slot for each thread, and each whose objects are in use: there may be none. */
static bool is_refusal(int err)
{
	return err == -EBUSY || err == -ENOSPC || err == -EUSERS;
}

/* --- shared names, and what changes nothing ------------------------------------------- */

static int make_shared(struct hmem_shelf *shelf, unsigned int name, unsigned int nr,
		       const struct value *values)
{
	struct hmem_tx *tx;
	int err;

	if (nr == 1)
		return values[0].there ? put_value(shelf, shared_name(name), &values[0]) :
					 hmem_shelf_delete(shelf, shared_name(name));
	err = hmem_tx_begin(shelf, &tx);
	if (err)
		return err;
	for (unsigned int i = 0; i < nr && !err; i++)
		err = tx_change(tx, shared_name((name + i) % SHARED_NAMES), &values[i]);
	if (!err)
		return hmem_tx_commit(tx);
	hmem_tx_abort(tx);
	return err;
}

/* One of them is changed, or two by a transaction; what is deleted need not be there. */
static void change_shared(struct caller *caller)
{
	unsigned int name = any(SHARED_NAMES), nr = any(4) ? 1 : 2;
	struct value values[2];
	uint64_t numbers[2];
	int err;

	for (unsigned int i = 0; i < nr; i++) {
		values[i] = value_new();
		values[i].there = any(3);
		numbers[i] = shared_begin((name + i) % SHARED_NAMES, &values[i]);
	}
	err = make_shared(caller->shelf, name, nr, values);
	if (err && !is_refusal(err) && err != -ENOENT)
		found("changing %s by user %u returned %d: %s", shared_name(name), caller->user,
		      err, hmem_last_error(scene_ctx));
	for (unsigned int i = 0; i < nr; i++)
		shared_end((name + i) % SHARED_NAMES, numbers[i], !err);
	shared_look(caller->shelf, any(SHARED_NAMES));
}

static int take_stream(void *arg, const void *data, size_t bytes)
{
	(void)arg;
	(void)data;
	(void)bytes;
	return 0;
}

static void export(struct caller *caller)
{
	int err = hmem_shelf_export(caller->shelf, NULL, take_stream, NULL, NULL);

	if (err && !is_refusal(err) && err != -EMFILE)
		found("export by user %u returned %d: %s", caller->user, err,
		      hmem_last_error(scene_ctx));
}

/* --- objects in use ------------------------------------------------------------------ */

/* Nothing was put where it is. */
void caller_releases(struct caller *caller)
{
	const uint64_t *words = caller->object.data;

	if (!caller->holds)
		return;
	if (!value_is_whole(words, caller->object.bytes) || words[2] != caller->rest)
		found("an object in use by user %u has changed", caller->user);
	hmem_shelf_release(caller->shelf, &caller->object);
	caller->holds = false;
}

static void hold_another(struct caller *caller)
{
	int err;

	caller_releases(caller);
	err = hmem_shelf_get(caller->shelf, own_name(any(OWN_NAMES)), &caller->object);
	if (err && !is_refusal(err) && err != -ENOENT && err != -EMFILE)
		found("getting an object by user %u returned %d: %s", caller->user, err,
		      hmem_last_error(scene_ctx));
	if (err)
		return;
	caller->rest = ((const uint64_t *)caller->object.data)[2];
	caller->holds = true;
}

/* --- names of one call --------------------------------------------------------------- */

static void make_call(struct caller *caller, const struct own_call *call, struct change *change)
{
	int err;

	change_begin(change);
	err = call->make(caller->shelf, change);
	if (err && !is_refusal(err) && !(err == -ECANCELED && change->undone))
		found("%s of user %u returned %d: %s", call->name, caller->user, err,
		      hmem_last_error(scene_ctx));
	change_end(change, !err);
}

struct errand {
	struct caller *caller;
	const struct own_call *call;
	struct change *change;
};

/* An object that is in use then keeps the slot of the thread. */
static void *run_errand(void *arg)
{
	struct errand *errand = arg;

	make_call(errand->caller, errand->call, errand->change);
	if (any(2))
		hold_another(errand->caller);
	return NULL;
}

static void change_own(struct caller *caller)
{
	struct errand errand = { caller, own_call_any(), change_of(caller->user) };
	pthread_t thread;

	change_new(errand.change, errand.call->name);
	if (!errand.call->plan(errand.change)) {
		change_drop(errand.change);
		token_offer();
		return;
	}
	if (!any(3))
		change_look(caller->shelf, errand.change);
	if (any(IN_A_THREAD))
		make_call(caller, errand.call, errand.change);
	else if (pthread_create(&thread, NULL, run_errand, &errand) || pthread_join(thread, NULL))
		bail("no thread");
	if (!any(3))
		change_look(caller->shelf, errand.change);
	change_drop(errand.change);
}

void caller_calls(struct caller *caller)
{
	unsigned int what = any(24);

	if (what < 5)
		change_shared(caller);
	else if (what == 5)
		hold_another(caller);
	else if (what == 6)
		export(caller);
	else
		change_own(caller);
}
