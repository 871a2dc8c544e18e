// SPDX-License-Identifier: GPL-2.0-only
/*
 * Transactions, and what they should do. Compiled for the traced copy of the library.
 */
#include <errno.h>
#include <string.h>

#include "call_table.h"
#include "tsan.h"

/* The second name of a transaction gets a value of its own. */
static struct step other_of(const struct step *step)
{
	struct step other = *step;

	other.name = step->other;
	other.bytes = step->bytes / 2 + 3;
	other.align = 0;
	other.type = step->type ? 3 - step->type : 0;
	other.flags = 0;
	other.seed += 5000;
	return other;
}

static int tx_put(struct hmem_tx *tx, const struct step *step)
{
	struct hmem_put_options options = HMEM_PUT_OPTIONS_INIT;
	const struct blob *value = blob_pattern(step->seed, step->bytes);

	options.flags = step->flags;
	options_of(step, &options);
	return hmem_tx_put(tx, name_of(step->name), value->data, value->bytes, &options);
}

/* The end of it: what a call before has returned counts first. */
static int tx_end(struct hmem_tx *tx, int err)
{
	if (!err)
		return hmem_tx_commit(tx);
	hmem_tx_abort(tx);
	return err;
}

int run_tx_puts(struct hmem_shelf *shelf, const struct step *step)
{
	struct step other = other_of(step);
	struct hmem_tx *tx;
	int err = hmem_tx_begin(shelf, &tx);

	if (err)
		return err;
	err = tx_put(tx, step);
	return tx_end(tx, err ? err : tx_put(tx, &other));
}

int model_tx_puts(struct contents *contents, const struct step *step)
{
	struct step other = other_of(step);
	int err = model_put(contents, step);

	return err ? err : model_put(contents, &other);
}

int run_tx_put_delete(struct hmem_shelf *shelf, const struct step *step)
{
	struct step put = *step;
	struct hmem_tx *tx;
	int err = hmem_tx_begin(shelf, &tx);

	if (err)
		return err;
	put.flags = 0;
	err = tx_put(tx, &put);
	return tx_end(tx, err ? err : hmem_tx_delete(tx, name_of(step->other)));
}

int model_tx_put_delete(struct contents *contents, const struct step *step)
{
	struct step other = other_of(step), put = *step;
	bool there = contents_find(contents, name_of(step->other));

	if (step->name != step->other && !there)
		return -ENOENT;
	put.flags = 0;
	model_put(contents, &put);
	return model_delete(contents, &other);
}

int run_tx_deletes(struct hmem_shelf *shelf, const struct step *step)
{
	struct hmem_tx *tx;
	int err = hmem_tx_begin(shelf, &tx);

	if (err)
		return err;
	err = hmem_tx_delete(tx, name_of(step->name));
	return tx_end(tx, err ? err : hmem_tx_delete(tx, name_of(step->other)));
}

int model_tx_deletes(struct contents *contents, const struct step *step)
{
	struct step other = other_of(step);

	if (step->name == step->other || !contents_find(contents, name_of(step->name)) ||
	    !contents_find(contents, name_of(step->other)))
		return -ENOENT;
	model_delete(contents, step);
	return model_delete(contents, &other);
}

/* One that puts a name twice, deletes what it has put, and is given up. */
int run_tx_abort(struct hmem_shelf *shelf, const struct step *step)
{
	struct step other = other_of(step);
	struct hmem_tx *tx;
	int err = hmem_tx_begin(shelf, &tx);

	if (err)
		return err;
	other.name = step->name;
	err = tx_put(tx, &other);
	if (!err)
		err = tx_put(tx, &other);
	if (!err)
		err = hmem_tx_delete(tx, name_of(step->name));
	hmem_tx_abort(tx);
	return err;
}

/* All of the value that the name has is changed in place, and one of the other name put. */
static int change(struct hmem_shelf *shelf, struct hmem_tx *tx, const struct step *step,
		  const struct hmem_object *object)
{
	const struct blob *value = blob_pattern(step->seed, (unsigned int)object->bytes);
	struct step other = other_of(step);
	size_t half = object->bytes / 2;
	struct hmem_range ranges[2] = {
		{ object, 0, half }, { object, half, object->bytes - half },
	};
	int err = hmem_tx_add(tx, ranges, 2);

	(void)shelf;
	if (!err)
		hmem_trace_memcpy(object->data, value->data, half);
	/* The first half again, when it has changed. */
	if (!err && step->bytes & 1)
		err = hmem_tx_add(tx, ranges, 1);
	if (!err)
		hmem_trace_memcpy(object->data, value->data, object->bytes);
	if (!err && step->other != step->name)
		err = tx_put(tx, &other);
	return err;
}

int run_tx_add(struct hmem_shelf *shelf, const struct step *step)
{
	struct hmem_object object;
	struct hmem_tx *tx;
	int err = hmem_shelf_get(shelf, name_of(step->name), &object);

	if (err)
		return err;
	err = hmem_tx_begin(shelf, &tx);
	if (!err) {
		err = change(shelf, tx, step, &object);
		if (step->flags && !err)
			err = hmem_tx_abort(tx);
		else
			err = tx_end(tx, err);
	}
	hmem_shelf_release(shelf, &object);
	return err;
}

int model_tx_add(struct contents *contents, const struct step *step)
{
	const struct object *old = contents_find(contents, name_of(step->name));
	struct step other = other_of(step);
	struct object object;

	if (!old)
		return -ENOENT;
	if (step->flags)
		return 0;
	object = *old;
	object.value = blob_pattern(step->seed, (unsigned int)object.value->bytes);
	contents_set(contents, name_of(step->name), &object);
	return step->other == step->name ? 0 : model_put(contents, &other);
}

/*
 * All of the value that the name has is written, a part of it twice; and all that the other name
 * has, or that is put. With flags: some of it is changed in place before.
 */
static int write_both(struct hmem_tx *tx, const struct step *step, const struct hmem_object *object,
		      const struct hmem_object *other)
{
	const struct blob *value = blob_pattern(step->seed, (unsigned int)object->bytes);
	struct hmem_range range = { object, 0, object->bytes / 2 };
	struct step put = other_of(step);
	size_t third = object->bytes / 3;
	int err = step->flags ? hmem_tx_add(tx, &range, 1) : 0;

	if (!err && step->flags)
		hmem_trace_memcpy(object->data, value->data + third, range.bytes);
	if (!err)
		err = hmem_tx_write(tx, object, 0, value->data + third, 2 * third);
	if (!err)
		err = hmem_tx_write(tx, object, third, value->data + third, object->bytes - third);
	if (!err)
		err = hmem_tx_write(tx, object, 0, value->data, third);
	if (err || step->other == step->name)
		return err;
	if (!other)
		return tx_put(tx, &put);
	value = blob_pattern(put.seed, (unsigned int)other->bytes);
	return hmem_tx_write(tx, other, 0, value->data, other->bytes);
}

static int write_to(struct hmem_shelf *shelf, const struct step *step,
		    const struct hmem_object *object, const struct hmem_object *other)
{
	struct hmem_tx *tx;
	int err = hmem_tx_begin(shelf, &tx);

	return err ? err : tx_end(tx, write_both(tx, step, object, other));
}

int run_tx_write(struct hmem_shelf *shelf, const struct step *step)
{
	struct hmem_object object;
	int err = hmem_shelf_get(shelf, name_of(step->name), &object);

	if (err)
		return err;
	err = write_to(shelf, step, &object, NULL);
	hmem_shelf_release(shelf, &object);
	return err;
}

int run_tx_writes(struct hmem_shelf *shelf, const struct step *step)
{
	struct hmem_object object, other;
	int err = hmem_shelf_get(shelf, name_of(step->name), &object);

	if (err)
		return err;
	err = hmem_shelf_get(shelf, name_of(step->other), &other);
	if (!err) {
		err = write_to(shelf, step, &object, &other);
		hmem_shelf_release(shelf, &other);
	}
	hmem_shelf_release(shelf, &object);
	return err;
}

static void model_write(struct contents *contents, const struct step *step)
{
	struct object *object = contents_find(contents, name_of(step->name));

	object->value = blob_pattern(step->seed, (unsigned int)object->value->bytes);
}

int model_tx_write(struct contents *contents, const struct step *step)
{
	struct step other = other_of(step);

	if (!contents_find(contents, name_of(step->name)))
		return -ENOENT;
	model_write(contents, step);
	return step->other == step->name ? 0 : model_put(contents, &other);
}

int model_tx_writes(struct contents *contents, const struct step *step)
{
	struct step other = other_of(step);

	if (!contents_find(contents, name_of(step->name)) ||
	    !contents_find(contents, name_of(step->other)))
		return -ENOENT;
	model_write(contents, step);
	if (step->other != step->name)
		model_write(contents, &other);
	return 0;
}

/* One call each, when the value of the one before has changed already. */
static int change_both(struct hmem_tx *tx, const struct step *step,
		       const struct hmem_object *object, const struct hmem_object *other)
{
	const struct hmem_object *objects[] = { object, other };
	struct step second = step->other == step->name ? *step : other_of(step);
	unsigned int seeds[] = { step->seed, second.seed };
	int err = 0;

	for (unsigned int i = 0; i < 2 && !err; i++) {
		struct hmem_range range = { objects[i], 0, objects[i]->bytes };

		err = hmem_tx_add(tx, &range, 1);
		if (!err)
			hmem_trace_memcpy(objects[i]->data,
					  blob_pattern(seeds[i], (unsigned int)range.bytes)->data,
					  range.bytes);
	}
	return err;
}

int run_tx_adds(struct hmem_shelf *shelf, const struct step *step)
{
	struct hmem_object object, other;
	struct hmem_tx *tx;
	int err = hmem_shelf_get(shelf, name_of(step->name), &object);

	if (err)
		return err;
	err = hmem_shelf_get(shelf, name_of(step->other), &other);
	if (!err) {
		err = hmem_tx_begin(shelf, &tx);
		if (!err)
			err = tx_end(tx, change_both(tx, step, &object, &other));
		hmem_shelf_release(shelf, &other);
	}
	hmem_shelf_release(shelf, &object);
	return err;
}

/* Since it was got, a transaction has written to it, though only what was there. */
int run_edit_written(struct hmem_shelf *shelf, const struct step *step)
{
	unsigned char was[8];
	struct hmem_object object;
	struct hmem_tx *tx;
	int err = hmem_shelf_edit(shelf, name_of(step->name), &object);

	if (err)
		return err;
	memcpy(was, object.data, word_of(object.bytes));
	err = hmem_tx_begin(shelf, &tx);
	if (!err)
		err = tx_end(tx, hmem_tx_write(tx, &object, 0, was, word_of(object.bytes)));
	if (!err) {
		hmem_trace_memcpy(object.data, blob_pattern(step->seed, 8)->data,
				  word_of(object.bytes));
		err = hmem_shelf_persist(shelf, &object, 0, word_of(object.bytes));
	}
	hmem_shelf_release(shelf, &object);
	return err;
}
