// SPDX-License-Identifier: GPL-2.0-only
#include <hmem/tx.h>

#include "any.h"
#include "overlap_own_calls.h"
#include "say.h"
#include "scene.h"
#include "tokens.h"

/* --- what is called ------------------------------------------------------------------ */

int put_value(struct hmem_shelf *shelf, const char *name, const struct value *value)
{
	struct hmem_put_options options;
	uint64_t words[VALUE_WORDS];
	char type[VALUE_TYPE];

	value_fill(value, words);
	value_options(value, &options, type);
	return hmem_shelf_put(shelf, name, words, value_bytes(value), &options);
}

int tx_change(struct hmem_tx *tx, const char *name, const struct value *value)
{
	struct hmem_put_options options;
	uint64_t words[VALUE_WORDS];
	char type[VALUE_TYPE];

	if (!value->there)
		return hmem_tx_delete(tx, name);
	value_fill(value, words);
	value_options(value, &options, type);
	return hmem_tx_put(tx, name, words, value_bytes(value), &options);
}

static int make_put(struct hmem_shelf *shelf, const struct change *change)
{
	return put_value(shelf, own_name(change->name[0]), &change->after[0]);
}

static void give_back(struct hmem_shelf *shelf, void *data)
{
	int err;

	while ((err = hmem_shelf_cancel(shelf, data)) == -EBUSY)
		token_offer();
	if (err)
		found("what was reserved cannot be given back: %s", hmem_last_error(scene_ctx));
}

static int make_publish(struct hmem_shelf *shelf, const struct change *change)
{
	const struct value *value = &change->after[0];
	struct hmem_put_options options;
	char type[VALUE_TYPE];
	void *data;
	int err;

	value_options(value, &options, type);
	err = hmem_shelf_reserve(shelf, own_name(change->name[0]), value_bytes(value), &options,
				 &data);
	if (err)
		return err;
	value_fill(value, data);
	err = hmem_shelf_publish(shelf, data, 0);
	if (err)
		give_back(shelf, data);
	return err;
}

static int make_delete(struct hmem_shelf *shelf, const struct change *change)
{
	return hmem_shelf_delete(shelf, own_name(change->name[0]));
}

static int make_rename(struct hmem_shelf *shelf, const struct change *change)
{
	return hmem_shelf_rename(shelf, own_name(change->name[0]), own_name(change->name[1]), 0);
}

static int make_swap(struct hmem_shelf *shelf, const struct change *change)
{
	return hmem_shelf_swap(shelf, own_name(change->name[0]), own_name(change->name[1]));
}

static int make_edit(struct hmem_shelf *shelf, const struct change *change)
{
	struct hmem_object object;
	int err = hmem_shelf_edit(shelf, own_name(change->name[0]), &object);

	if (err)
		return err;
	__atomic_store_n((uint64_t *)object.data, change->after[0].first, __ATOMIC_RELEASE);
	while ((err = hmem_shelf_persist(shelf, &object, 0, sizeof(uint64_t))) == -EBUSY)
		token_offer();
	hmem_shelf_release(shelf, &object);
	if (err)
		found("what was edited cannot be made durable: %s", hmem_last_error(scene_ctx));
	return 0;
}

static int make_names(struct hmem_shelf *shelf, const struct change *change)
{
	struct hmem_tx *tx;
	int err = hmem_tx_begin(shelf, &tx);

	if (err)
		return err;
	for (unsigned int i = 0; i < change->nr && !err; i++)
		err = tx_change(tx, own_name(change->name[i]), &change->after[i]);
	if (!err)
		return hmem_tx_commit(tx);
	hmem_tx_abort(tx);
	return err;
}

/* --- transactions that write ---------------------------------------------------------- */

static int write_in_place(struct hmem_tx *tx, struct hmem_object *object, uint64_t word)
{
	struct hmem_range range = { object, 0, sizeof(word) };
	int err = hmem_tx_add(tx, &range, 1);

	if (!err)
		__atomic_store_n((uint64_t *)object->data, word, __ATOMIC_RELEASE);
	return err;
}

/* What differs says what is to be done. */
static int write_name(struct hmem_tx *tx, const struct change *change, unsigned int i,
		      struct hmem_object *object, bool in_place)
{
	const struct value *before = &change->before[i], *after = &change->after[i];
	int err = 0;

	if (!after->there || after->rest != before->rest)
		return tx_change(tx, own_name(change->name[i]), after);
	if (after->first != before->first)
		err = in_place ? write_in_place(tx, object, after->first) :
				 hmem_tx_write(tx, object, 0, &after->first, sizeof(uint64_t));
	if (!err && after->second != before->second)
		err = hmem_tx_write(tx, object, sizeof(uint64_t), &after->second,
				    sizeof(uint64_t));
	return err;
}

static int end_writes(struct hmem_tx *tx, const struct change *change, int err)
{
	int aborted;

	if (!err && !change->undone)
		return hmem_tx_commit(tx);
	aborted = hmem_tx_abort(tx);
	if (aborted && aborted != -EBUSY)
		found("%s cannot be aborted: %s", change->call, hmem_last_error(scene_ctx));
	return err ? err : -ECANCELED;
}

static int write_all(struct hmem_shelf *shelf, const struct change *change, bool in_place)
{
	struct hmem_object objects[MOST_NAMES];
	struct hmem_tx *tx;
	unsigned int nr;
	int err = 0;

	for (nr = 0; nr < change->nr; nr++) {
		err = hmem_shelf_get(shelf, own_name(change->name[nr]), &objects[nr]);
		if (err)
			break;
	}
	if (!err)
		err = hmem_tx_begin(shelf, &tx);
	if (!err) {
		for (unsigned int i = 0; i < nr && !err; i++)
			err = write_name(tx, change, i, &objects[i], in_place);
		err = end_writes(tx, change, err);
	}
	while (nr--)
		hmem_shelf_release(shelf, &objects[nr]);
	return err;
}

static int make_write(struct hmem_shelf *shelf, const struct change *change)
{
	return write_all(shelf, change, false);
}

static int make_write_in_place(struct hmem_shelf *shelf, const struct change *change)
{
	return write_all(shelf, change, true);
}

/* --- what is to be done -------------------------------------------------------------- */

static bool plan_put(struct change *change)
{
	if (!change_take(change, false))
		return false;
	change->after[0] = value_new();
	return true;
}

static bool plan_delete(struct change *change)
{
	if (!change_take(change, true))
		return false;
	change->after[0].there = false;
	return true;
}

static bool plan_rename(struct change *change)
{
	if (!change_take(change, true) || !change_take(change, false))
		return false;
	change->after[1] = change->before[0];
	change->after[0].there = false;
	return true;
}

static bool plan_swap(struct change *change)
{
	if (!change_take(change, true) || !change_take(change, true))
		return false;
	change->after[0] = change->before[1];
	change->after[1] = change->before[0];
	return true;
}

static bool plan_edit(struct change *change)
{
	if (!change_take(change, true))
		return false;
	change->after[0].first = value_word();
	change->seen_early = true;
	return true;
}

static bool plan_names(struct change *change)
{
	for (unsigned int left = 1 + any(MOST_NAMES); left; left--)
		change_take(change, false);
	for (unsigned int i = 0; i < change->nr; i++)
		if (change->before[i].there && !any(3))
			change->after[i].there = false;
		else
			change->after[i] = value_new();
	return change->nr;
}

static void plan_write(struct value *value, bool may_delete)
{
	unsigned int how = any(8);

	if (how == 0) {
		*value = value_new();
	} else if (how == 1 && may_delete) {
		value->there = false;
	} else {
		if (how != 2)
			value->first = value_word();
		if (how < 5)
			value->second = value_word();
	}
}

static bool plan_writes(struct change *change)
{
	for (unsigned int left = 1 + any(3); left; left--)
		change_take(change, true);
	for (unsigned int i = 0; i < change->nr; i++)
		plan_write(&change->after[i], change->nr > 1);
	return change->nr;
}

static bool plan_aborted(struct change *change)
{
	change->undone = true;
	return plan_writes(change);
}

/* --- any ----------------------------------------------------------------------------- */

static const struct own_call calls[] = {
	{ "put", 3, plan_put, make_put },
	{ "publish", 1, plan_put, make_publish },
	{ "delete", 1, plan_delete, make_delete },
	{ "rename", 1, plan_rename, make_rename },
	{ "swap", 1, plan_swap, make_swap },
	{ "edit", 1, plan_edit, make_edit },
	{ "transaction of names", 2, plan_names, make_names },
	{ "transaction that writes", 3, plan_writes, make_write },
	{ "transaction in place", 2, plan_writes, make_write_in_place },
	{ "transaction that is aborted", 1, plan_aborted, make_write_in_place },
};

const struct own_call *own_call_any(void)
{
	const struct own_call *call = calls;
	unsigned int all = 0, number;

	for (unsigned int i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		all += calls[i].often;
	for (number = any(all); number >= call->often; call++)
		number -= call->often;
	return call;
}
