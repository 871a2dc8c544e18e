// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <hmem/tx.h>

#include "any.h"
#include "calls_at_random.h"

/* What is written into an object, which has more. */
#define WRITTEN		8u
#define MOST_WRITES	2u
/* Types are new now and then, and differ in their length as well. */
#define TYPES		40u
#define SHORTEST_TYPE	40u
#define LONGEST_TYPE	200u

struct contents before, after;

static void name_of(unsigned int object, char *name)
{
	sprintf(name, "object%u", object % OBJECTS);
}

int contents_differ(struct hmem_shelf *shelf, const struct contents *contents)
{
	static unsigned char value[MOST_BYTES];
	char name[16];
	size_t bytes;
	bool same;
	int err;

	for (unsigned int i = 0; i < OBJECTS; i++) {
		name_of(i, name);
		err = hmem_shelf_read(shelf, name, value, sizeof(value), &bytes);
		if (err == -ENOENT)
			same = !contents->object[i].there;
		else
			same = !err && contents->object[i].there &&
			       bytes == contents->object[i].bytes &&
			       !memcmp(value, contents->object[i].value, bytes);
		if (!same)
			return (int)i;
	}
	return -1;
}

/* --- single calls -------------------------------------------------------------------- */

static size_t any_size(void)
{
	static const size_t sizes[] = { 40, 64, 64, 200, 3000, MOST_BYTES };

	return sizes[any(sizeof(sizes) / sizeof(sizes[0]))];
}

/* With a type, so often of a hundred times. */
static void any_options(struct hmem_put_options *options, unsigned int percent)
{
	static unsigned char type[LONGEST_TYPE];

	if (any(100) >= percent)
		return;
	memset(type, 1 + (int)any(TYPES), sizeof(type));
	options->type = type;
	options->type_bytes = any(2) ? SHORTEST_TYPE : LONGEST_TYPE;
}

/* A value for the object: as it will be. */
static void will_be(unsigned int object)
{
	after.object[object].there = true;
	after.object[object].bytes = any_size();
	memset(after.object[object].value, 'A' + (int)any(50), after.object[object].bytes);
}

static int make_put(struct hmem_shelf *shelf, unsigned int object, const char *name)
{
	struct hmem_put_options options = HMEM_PUT_OPTIONS_INIT;

	will_be(object);
	any_options(&options, 65);
	return hmem_shelf_put(shelf, name, after.object[object].value, after.object[object].bytes,
			      &options);
}

static int make_edit(struct hmem_shelf *shelf, unsigned int object, const char *name)
{
	struct hmem_object edited;
	uint64_t word;
	int err = hmem_shelf_edit(shelf, name, &edited);

	if (err)
		return err;
	memset(after.object[object].value, 'A' + (int)any(50), WRITTEN);
	memcpy(&word, after.object[object].value, WRITTEN);
	/* At once: there is nothing in between that could be recovered. */
	__atomic_store_n((uint64_t *)edited.data, word, __ATOMIC_RELAXED);
	err = hmem_shelf_persist(shelf, &edited, 0, WRITTEN);
	hmem_shelf_release(shelf, &edited);
	return err;
}

static int make_rename(struct hmem_shelf *shelf, unsigned int from, unsigned int to)
{
	char old[16], new[16];

	name_of(from, old);
	name_of(to, new);
	if (from != to) {
		after.object[to] = after.object[from];
		after.object[from].there = false;
	}
	return hmem_shelf_rename(shelf, old, new, 0);
}

static int make_swap(struct hmem_shelf *shelf, unsigned int one, unsigned int other)
{
	char one_name[16], other_name[16];

	name_of(one, one_name);
	name_of(other, other_name);
	after.object[one] = before.object[other];
	after.object[other] = before.object[one];
	return hmem_shelf_swap(shelf, one_name, other_name);
}

/* --- transactions -------------------------------------------------------------------- */

/* @touched: objects that it does something to, as bits: nothing else is done to them */
struct transaction {
	struct hmem_shelf *shelf;
	struct hmem_tx *tx;
	struct hmem_object got[MOST_WRITES];
	unsigned int nr_got;
	unsigned int touched;
};

static bool touch(struct transaction *transaction, unsigned int object)
{
	bool first = !(transaction->touched & 1u << object);

	transaction->touched |= 1u << object;
	return first;
}

static int write_any(struct transaction *transaction, bool in_place)
{
	struct hmem_object *object = &transaction->got[transaction->nr_got];
	struct hmem_range range = { object, 0, WRITTEN };
	unsigned int number = any(OBJECTS);
	unsigned char value[WRITTEN];
	char name[16];
	int err;

	name_of(number, name);
	memset(value, 'a' + (int)any(26), sizeof(value));
	if (!touch(transaction, number) || hmem_shelf_get(transaction->shelf, name, object))
		return 0;
	transaction->nr_got++;
	memcpy(after.object[number].value, value, WRITTEN);
	if (!in_place)
		return hmem_tx_write(transaction->tx, object, 0, value, WRITTEN);
	err = hmem_tx_add(transaction->tx, &range, 1);
	if (!err)
		memcpy(object->data, value, WRITTEN);
	return err;
}

static int name_any(struct transaction *transaction)
{
	struct hmem_put_options options = HMEM_PUT_OPTIONS_INIT;
	unsigned int number = any(OBJECTS);
	char name[16];

	name_of(number, name);
	if (!touch(transaction, number))
		return 0;
	if (before.object[number].there && !any(3)) {
		after.object[number].there = false;
		return hmem_tx_delete(transaction->tx, name);
	}
	will_be(number);
	any_options(&options, 35);
	return hmem_tx_put(transaction->tx, name, after.object[number].value,
			   after.object[number].bytes, &options);
}

/* One in eight is aborted, and what can be done no more. */
static int end_transaction(struct transaction *transaction, int err)
{
	int aborted;

	if (!err && any(8)) {
		err = hmem_tx_commit(transaction->tx);
	} else {
		after = before;
		aborted = hmem_tx_abort(transaction->tx);
		err = aborted ? aborted : err ? err : -ECANCELED;
	}
	for (unsigned int i = 0; i < transaction->nr_got; i++)
		hmem_shelf_release(transaction->shelf, &transaction->got[i]);
	return err;
}

static int make_transaction(struct hmem_shelf *shelf, enum call call)
{
	struct transaction transaction = { .shelf = shelf };
	unsigned int writes = call == CALL_NAMES ? any(2) : 1 + any(MOST_WRITES);
	unsigned int names = call == CALL_NAMES ? 1 + any(3) : call == CALL_IN_PLACE ? any(2) : 0;
	int err = hmem_tx_begin(shelf, &transaction.tx);

	if (err)
		return err;
	for (; writes && !err; writes--)
		err = write_any(&transaction, call == CALL_IN_PLACE);
	for (; names && !err; names--)
		err = name_any(&transaction);
	return end_transaction(&transaction, err);
}

/* --- any ----------------------------------------------------------------------------- */

enum call call_any(void)
{
	static const enum call often[] = {
		CALL_PUT, CALL_PUT, CALL_DELETE, CALL_NAMES, CALL_NAMES, CALL_NAMES,
		CALL_WRITE, CALL_WRITE, CALL_WRITE, CALL_WRITE, CALL_WRITE,
		CALL_IN_PLACE, CALL_IN_PLACE, CALL_EDIT, CALL_RENAME, CALL_SWAP,
	};

	return often[any(sizeof(often) / sizeof(often[0]))];
}

const char *call_name(enum call call)
{
	static const char *const names[] = { "put", "delete", "transaction of names",
					     "transaction that writes", "transaction in place",
					     "edit", "rename", "swap" };

	return names[call];
}

int call_make(struct hmem_shelf *shelf, enum call call)
{
	unsigned int object = any(OBJECTS), other = any(OBJECTS);
	char name[16];

	name_of(object, name);
	after = before;
	switch (call) {
	case CALL_PUT:
		return make_put(shelf, object, name);
	case CALL_DELETE:
		after.object[object].there = false;
		return hmem_shelf_delete(shelf, name);
	case CALL_EDIT:
		return make_edit(shelf, object, name);
	case CALL_RENAME:
		return make_rename(shelf, object, other);
	case CALL_SWAP:
		return make_swap(shelf, object, other);
	default:
		return make_transaction(shelf, call);
	}
}
